"""What the pages warn of is so, and what they rely on holds for each event that there is."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.events import Cause, Event, ManifestPushed
from shared.model.outbound.posting import Posting
from shared.model.webhooks.webhook import Callback, Form, Hmac, Secret, Webhook
from shared.services.webhooks.requests.bodies import Notice
from shared.services.webhooks.requests.posting import posting_of
from tests.examples import cases, pages
from tests.examples.commands import Made, made_by
from tests.examples.events import (
    A_DELETION,
    A_PING,
    AT,
    BY_DIGEST,
    IMAGE,
    REPOSITORY,
    events,
    notice,
    pushed,
)
from tests.examples.receivers.argocd import ArgoImageUpdater
from tests.examples.receivers.flux import Flux
from tests.examples.receivers.jenkins import JenkinsGenericTrigger, JenkinsRegistryNotification
from tests.examples.receivers.kargo import Kargo
from tests.examples.receivers.kudu import Kudu
from tests.examples.receivers.pipelines import AzurePipelines


def made(example: cases.Example) -> Made:
    return made_by(pages.parts(example.page)[example.webhook].arguments, example.files)


def posting(made: Made, event: Event | None, now: datetime | None = None) -> Posting:
    return posting_of(made.webhook, made.callback, notice(event), now or datetime.now(UTC))


def of_the_registry(example: cases.Example) -> Posting:
    """Give what is posted of a push that no request caused, as one that came back by a rebuild."""
    event = ManifestPushed(f"sha256:{'4e' * 32}", example.tag, "", 1, Cause("registry"), AT)
    told = Notice.of(f"20261128-{'4e' * 16}", REPOSITORY, event, "registry.example.com")
    it = made(example)
    return posting_of(it.webhook, it.callback, told, datetime.now(UTC))


@pytest.mark.parametrize("make", cases.EXAMPLES)
def test_a_push_that_no_client_made_is_understood_as_well(make: cases.Make) -> None:
    example = make()

    assert example.receiver.hears(of_the_registry(example)).did == (example.starts,)


@pytest.mark.parametrize("make", cases.EXAMPLES)
def test_no_secret_is_in_the_address_but_where_the_receiver_has_it(make: cases.Make) -> None:
    example = make()

    url = posting(made(example), pushed(example.tag)).url

    assert "@" not in url
    assert "p%40ss" not in url


def test_argocd_knows_none_of_our_cloudevents() -> None:
    it = made(cases.argocd())
    secrets = {"acr": "a secret", "cloudevents": "a secret"}
    as_cloudevent = Made(
        replace(it.webhook, form=Form.CLOUDEVENTS),
        Callback("https://updater.example.com/webhook?type=cloudevents&secret=a%20secret"),
    )

    answer = ArgoImageUpdater(secrets, [IMAGE]).hears(posting(as_cloudevent, pushed("1.2.4")))

    assert answer.status == 400


def test_argocd_looks_at_images_of_the_login_server_alone() -> None:
    example = cases.argocd()
    assert isinstance(example.receiver, ArgoImageUpdater)
    receiver = replace(example.receiver, images=["localhost:7071/team/app"])

    answer = receiver.hears(posting(made(example), pushed("1.2.4")))

    assert (answer.status, answer.did) == (200, ())


def test_kargo_refuses_another_user_agent() -> None:
    example = cases.kargo()
    it = made(example)
    mine = replace(it.callback, headers={"user-agent": "mine"})

    assert example.receiver.hears(posting(Made(it.webhook, mine), pushed("1.2.4"))).status == 400


def test_kargo_takes_a_host_without_a_dot_for_docker_hubs() -> None:
    example = cases.kargo()
    assert isinstance(example.receiver, Kargo)
    receiver = replace(example.receiver, warehouses={"docker.io/registry/team/app": "wrong"})
    cause = Cause("admin", "1", "registry", "PUT")

    answer = receiver.hears(posting(made(example), replace(pushed("1.2.4"), cause=cause)))

    assert answer.did == ("wrong",)


@pytest.mark.parametrize("event", [A_PING, A_DELETION, BY_DIGEST])
def test_flux_fails_where_a_filter_asks_for_what_an_event_does_not_have(event: str) -> None:
    example = cases.flux()
    assert isinstance(example.receiver, Flux)
    receiver = replace(example.receiver, resource_filter="req.target.tag == 'latest'")

    assert receiver.hears(posting(made(example), events("latest")[event])).status == 500
    assert example.receiver.hears(posting(made(example), events("latest")[event])).status == 200


def test_flux_wants_the_algorithm_before_the_signature() -> None:
    example = cases.flux()
    it = made(example)
    bare = replace(it.webhook, hmacs=[Hmac("X-Signature", "sha256", is_bare=True)])
    sha1 = replace(it.webhook, hmacs=[Hmac("X-Signature", "sha1")])

    def answered(webhook: Webhook) -> int:
        return example.receiver.hears(posting(Made(webhook, it.callback), pushed("1"))).status

    assert (answered(bare), answered(sha1)) == (400, 200)


def test_flux_shows_a_filter_no_cloudevent() -> None:
    example = cases.flux()
    it = made(example)
    as_cloudevent = Made(replace(it.webhook, form=Form.CLOUDEVENTS), it.callback)

    answer = example.receiver.hears(posting(as_cloudevent, pushed("1.2.4")))

    assert (answer.status, answer.did) == (200, ())


def test_flux_of_the_type_acr_hears_whoever_knows_the_path() -> None:
    example = cases.flux()
    assert isinstance(example.receiver, Flux)
    it = made(example)
    unsigned = Made(replace(it.webhook, hmacs=[]), replace(it.callback, secrets=[]))
    receiver = replace(example.receiver, kind="acr")

    assert example.receiver.hears(posting(unsigned, pushed("1.2.4"))).status == 400
    assert receiver.hears(posting(unsigned, pushed("1.2.4"))).did == ("app",)


def test_flux_is_another_path_with_a_query_and_may_be_suspended() -> None:
    example = cases.flux()
    assert isinstance(example.receiver, Flux)
    sent = posting(made(example), pushed("1.2.4"))

    assert example.receiver.hears(replace(sent, url=f"{sent.url}?a=b")).status == 404
    assert replace(example.receiver, is_suspended=True).hears(sent).status == 503


def test_jenkins_starts_a_job_for_no_tag_where_the_expression_takes_any_letters() -> None:
    example = cases.jenkins()
    assert isinstance(example.receiver, JenkinsGenericTrigger)
    (job,) = example.receiver.jobs
    lax = replace(job, filter_expression=r"^push team/app:\S+$")
    by_digest = posting(made(example), pushed(""))

    assert replace(example.receiver, jobs=[lax]).hears(by_digest).did == ("deploy",)
    assert example.receiver.hears(by_digest).did == ()


def test_jenkins_knows_what_was_pushed() -> None:
    example = cases.jenkins()
    assert isinstance(example.receiver, JenkinsGenericTrigger)

    example.receiver.hears(posting(made(example), pushed("v2.0")))

    (started,) = example.receiver.started
    assert (started["host"], started["repository"]) == ("registry.example.com", "team/app")
    assert (started["tag"], started["digest"]) == ("v2.0", f"sha256:{'4e' * 32}")


def test_jenkins_plugin_starts_jobs_without_a_tag_too() -> None:
    example = cases.jenkins_acr()
    assert isinstance(example.receiver, JenkinsRegistryNotification)

    assert example.receiver.hears(posting(made(example), pushed(""))).did == ("deploy",)


def test_app_service_restarts_by_a_ping_and_not_without_its_setting() -> None:
    example = cases.app_service()
    assert isinstance(example.receiver, Kudu)
    ping = posting(made(example), None)

    assert example.receiver.hears(ping).did == ("restart app",)
    deaf = replace(example.receiver, is_ci_enabled=False).hears(ping)
    assert (deaf.status, deaf.did) == (200, ())


def test_pipelines_hear_a_bare_signature_and_none_without() -> None:
    example = cases.pipelines()
    assert isinstance(example.receiver, AzurePipelines)
    it = made(example)
    bare = replace(it.webhook, hmacs=[Hmac("X-Hub-Signature", "sha1", is_bare=True)])
    elsewhere = replace(it.webhook, hmacs=[Hmac("X-Signature", "sha1")])

    def answered(webhook: Webhook) -> int:
        return example.receiver.hears(posting(Made(webhook, it.callback), pushed("1"))).status

    assert (answered(bare), answered(elsewhere)) == (200, 500)


@pytest.mark.parametrize("make", [cases.flux, cases.jenkins, cases.pipelines, cases.relay])
def test_who_knows_the_old_secret_understands_while_it_is_replaced(make: cases.Make) -> None:
    example = make()
    it = made(example)
    now = datetime.now(UTC)
    (old,) = it.callback.secrets
    both = [Secret("the new secret"), replace(old, until=now + timedelta(hours=1))]
    sent = posting(Made(it.webhook, replace(it.callback, secrets=both)), pushed(example.tag), now)

    assert example.receiver.hears(sent).did == (example.starts,)
