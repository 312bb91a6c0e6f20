"""Whatever a receiver sends back of what it was sent, little of that stays in what is recorded."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from shared.model.outbound.posting import ANSWER_BYTES, Reply
from shared.model.webhooks.webhook import Callback, Hmac, Secret, Webhook
from shared.services.webhooks.requests.bodies import Notice
from shared.services.webhooks.requests.masking import masked_reply
from shared.services.webhooks.requests.posting import posting_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOTICE = Notice("20260101T120000000000-cb8c39719adc488bbdd843cbb4974ff5", NOW, "registry.example")
WEBHOOK = Webhook("hook01", "id", NOW, hmacs=[Hmac("X-Sum", "sha256", is_bare=True)])
RUN = 8

SPELLINGS: Sequence[Callable[[str], str]] = (
    lambda text: text,
    lambda text: quote(text, safe=""),
    lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    lambda text: json.dumps(text)[1:-1].replace("/", r"\/"),
    lambda text: "".join(rf"\u{ord(each):04X}" for each in text),
    lambda text: "".join(f"&#x{ord(each):X};" for each in text),
    lambda text: "".join(f"&#{ord(each)};" for each in text),
    lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;"),
)
SECRETS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=60)


@st.composite
def echoed(draw: st.DrawFn, secret: str) -> list[str]:
    """Spell each character in a way of its own, perhaps one way inside of another."""
    ways = draw(st.lists(st.sampled_from(SPELLINGS), min_size=1, max_size=4))
    outer = draw(st.sampled_from(SPELLINGS))
    return [outer(ways[place % len(ways)](each)) for place, each in enumerate(secret)]


def _callback(secret: str, place: str) -> Callback:
    if place == "signing":
        return Callback("https://ci.example/", {}, [Secret(f"s{secret}")])
    if place == "header":
        return Callback("https://ci.example/", {"X-Key": secret})
    parts = {"user": "{}@ci.example/", "password": "u:{}@ci.example/"}
    pattern = parts.get(place) or {"path": "ci.example/a/{}", "query": "ci.example/?a={}"}[place]
    return Callback("https://" + pattern.format(quote(secret, safe="")))


@given(
    st.data(),
    SECRETS,
    st.sampled_from(["signing", "header", "user", "password", "path", "query"]),
    st.text(" .<>", max_size=9),
)
def test_of_a_secret_no_run_stays(data: st.DataObject, secret: str, place: str, near: str) -> None:
    callback = _callback(secret, place)
    posting = posting_of(WEBHOOK, callback, NOTICE, NOW)
    pieces = data.draw(echoed(secret))
    length = data.draw(st.integers(0, len("".join(pieces)) + len(near)))
    cut = f"{near}{''.join(pieces)}{near}"[:length]
    reply = Reply(200, cut, "1.1", {"x": cut, cut: ""}, cut.encode())

    shown = masked_reply(reply, callback, posting)
    texts = [shown.reason, *shown.headers, *shown.headers.values(), shown.body.decode()]
    for at in range(len(pieces) - RUN + 1):
        run = "".join(pieces[at : at + RUN])
        assert not any(run in text for text in texts)


@given(st.binary(max_size=ANSWER_BYTES), st.lists(SECRETS, max_size=3))
def test_whatever_is_sent_is_masked_without_ado(body: bytes, secrets: list[str]) -> None:
    callback = Callback("https://ci.example/", {}, [Secret(f"s{text}") for text in secrets])
    posting = posting_of(WEBHOOK, callback, NOTICE, NOW)
    text = body.decode("latin-1")
    shown = masked_reply(Reply(200, text, "1.1", {text: text}, body), callback, posting)
    assert len(shown.body) <= len(body)
