import logging
import uuid

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from shared.errors import Denied, TagInvalid
from shared.storage import ports
from shared.wire.operation import operation
from shared.wire.request import credentials
from tests.unit.wire.conftest import request


async def answer_to(outcome: Exception | Response, asked: Request | None = None) -> Response:
    @operation
    async def tag_list(req: Request) -> Response:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return await tag_list(req=asked or request())


async def test_every_answer_has_the_usual_headers() -> None:
    for outcome in (Response(status_code=202), TagInvalid(), ValueError("x")):
        answer = await answer_to(outcome)
        assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert uuid.UUID(answer.headers["X-Ms-Correlation-Request-Id"])
        assert answer.headers.getlist("Access-Control-Expose-Headers") == [
            "Docker-Content-Digest",
            "WWW-Authenticate",
            "Link",
            "X-Ms-Correlation-Request-Id",
        ]


async def test_storage_that_does_not_answer_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    answer = await answer_to(ports.Unavailable("account x is busy", seconds=7))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "7")
    assert b"account x" not in answer.body
    assert "account x is busy" in caplog.text


async def test_a_fault_of_ours_shows_nothing_but_its_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = await answer_to(ValueError("a secret"))
    assert answer.status_code == 500
    assert b"secret" not in answer.body
    assert answer.headers["X-Ms-Correlation-Request-Id"].encode() in answer.body
    assert "tag_list failed" in caplog.text
    assert "a secret" in caplog.text


async def test_a_client_that_has_gone_is_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    assert (await answer_to(ClientDisconnect())).status_code == 400
    assert caplog.text == ""


async def test_a_line_of_the_log_names_the_operation_and_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = request(
        path="/v2/a/tags/list", query="_state=token", headers={"Authorization": "Bearer secret"}
    )
    with caplog.at_level(logging.INFO):
        await answer_to(Response(), asked)
    (line,) = caplog.messages
    assert line.startswith("tag_list /v2/a/tags/list 200 ")
    assert "secret" not in line
    assert "token" not in line


async def test_a_line_of_the_log_says_why_a_request_was_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = Denied("push it\r\nfirst", detail={"Name": "a"})
    with caplog.at_level(logging.INFO):
        await answer_to(refused, request(path="/v2/a/manifests/1"))
        await answer_to(TagInvalid("x" * 10_000))
    line, long = caplog.messages
    assert line.startswith("tag_list /v2/a/manifests/1 403 ")
    assert line.endswith(" DENIED: push itfirst {'Name': 'a'}")
    assert len(long) < 1_000


async def test_a_query_that_is_not_utf_8_gets_an_answer() -> None:
    asked = request()
    asked.scope["query_string"] = b"\x80"
    assert (await answer_to(TagInvalid(), asked)).status_code == 400
    assert credentials(asked).scheme == "https"


async def test_a_path_cannot_forge_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await answer_to(
            Response(), request(path="/v2/a\r\nupload_start\u2028 /v2/b 201\x9b31m\u202e")
        )
    assert all(len(message.splitlines()) == 1 for message in caplog.messages)
    assert all(message.isprintable() for message in caplog.messages)


async def test_the_answer_to_a_head_has_no_body() -> None:
    for outcome in (Response(b"body"), TagInvalid()):
        answer = await answer_to(outcome, request("HEAD"))
        assert answer.body == b""
        assert int(answer.headers["Content-Length"]) > 0


@pytest.mark.parametrize("name", ["[", "[::::]", "a b", "", "a:99999"])
async def test_a_host_that_no_url_takes_gets_an_answer(name: str) -> None:
    answer = await answer_to(TagInvalid(), request(headers={"Host": name}))
    assert answer.status_code == 400
