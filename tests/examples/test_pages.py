"""Each example's page says what happens: its command makes a webhook, and its receiver hears it."""

import re
from datetime import UTC, datetime

import pytest

from shared.model.outbound.posting import Posting, Reply
from shared.services.webhooks.hearing import hears
from shared.services.webhooks.outcomes import Verdict, judge
from shared.services.webhooks.requests.posting import posting_of
from tests.examples import pages
from tests.examples.cases import EXAMPLES, Example, Make
from tests.examples.commands import Made, made_by
from tests.examples.events import A_PING, A_TAG, ANOTHER_SECRET, REPOSITORY, events, notice

README = (pages.EXAMPLES / "README.md").read_text()


@pytest.fixture(params=EXAMPLES)
def example(request: pytest.FixtureRequest) -> Example:
    make: Make = request.param
    return make()


@pytest.fixture
def part(example: Example) -> pages.Part:
    return pages.parts(example.page)[example.webhook]


@pytest.fixture
def made(example: Example, part: pages.Part) -> Made:
    return made_by(part.arguments, example.files)


def sent(made: Made, event: str, example: Example) -> Posting:
    """Give what the registry posts of an event."""
    told = notice(events(example.tag)[event])
    return posting_of(made.webhook, made.callback, told, datetime.now(UTC))


def test_the_command_reads_the_files_that_the_page_names(
    example: Example, part: pages.Part
) -> None:
    assert pages.named_files(part.arguments) == set(example.files)


def test_a_push_is_understood(example: Example, made: Made) -> None:
    answer = example.receiver.hears(sent(made, A_TAG, example))

    assert answer.status in {200, 202}
    assert answer.did == (example.starts,)


def test_the_table_says_what_is_answered(example: Example, part: pages.Part, made: Made) -> None:
    answered = {
        event: (example.other if event == ANOTHER_SECRET else example.receiver)
        .hears(sent(made, event, example))
        .status
        for event in events(example.tag)
    }

    assert {row.event: row.status for row in part.rows} == answered


def test_the_table_says_what_is_sent(example: Example, part: pages.Part, made: Made) -> None:
    is_sent = {
        event: "yes" if hears(made.webhook, happened, REPOSITORY).is_heard else "no"
        for event, happened in events(example.tag).items()
        if happened
    }

    assert {row.event: row.is_sent for row in part.rows} == is_sent | {A_PING: "when asked for"}


def test_what_is_sent_unasked_is_never_refused_for_good(part: pages.Part, made: Made) -> None:
    now = datetime.now(UTC)
    verdicts = {
        row.event: judge(Reply(row.status, "", "1.1", {}, b""), made.webhook, now).verdict
        for row in part.rows
        if row.is_sent == "yes"
    }

    assert verdicts.pop(ANOTHER_SECRET) is Verdict.AGAIN
    assert set(verdicts.values()) == {Verdict.DELIVERED}


def test_another_secret_sets_nothing_going(example: Example, made: Made) -> None:
    assert not example.other.hears(sent(made, ANOTHER_SECRET, example)).did


def test_every_example_has_a_page_and_a_row() -> None:
    folders = {path.parent.name for path in pages.EXAMPLES.glob("*/README.md")}

    assert {make().page for make in EXAMPLES} <= folders
    assert folders == set(re.findall(r"\(([a-z-]+)/README\.md\)", README))
