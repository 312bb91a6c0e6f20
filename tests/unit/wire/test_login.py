import base64

import pytest

from shared.auth.issuer import Asked
from shared.auth.scopes import Access
from shared.errors import SizeInvalid, Unauthorized
from shared.wire import login
from tests.unit.wire.conftest import request

PULL = Access("repository", "team/app", frozenset({"pull"}))
PUSH = Access("repository", "b", frozenset({"push"}))
SECRET = base64.b64encode(b"me:secret").decode()


@pytest.mark.parametrize("kind", ["Basic", "basic", "BASIC"])
async def test_docker_asks_with_a_query_and_basic_credentials(kind: str) -> None:
    query = "service=reg&scope=repository:team/app:pull&scope=repository:b:push&offline_token=true"
    asked = await login.read(request(query=query, headers={"Authorization": f"{kind} {SECRET}"}))
    assert asked == Asked("password", "reg", [PULL, PUSH], "me", "secret")


@pytest.mark.parametrize("authorization", ["", " ", "Basic Og=="])
async def test_without_credentials_nobody_asks(authorization: str) -> None:
    asked = await login.read(request(headers={"Authorization": authorization}))
    assert asked == Asked("password", "", [])


UNREADABLE = ["Bearer x", "Basic", "Basic !", "Basic /w==", "Basic eA==", "Negotiate x", "x"]


@pytest.mark.parametrize("authorization", [*UNREADABLE, f"Basic {SECRET}, Basic {SECRET}"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_credentials_that_cannot_be_read_are_refused(method: str, authorization: str) -> None:
    form = [b"grant_type=password&username=me&password=secret"]
    with pytest.raises(Unauthorized, match="must be Basic"):
        await login.read(request(method, headers={"Authorization": authorization}, body=form))


@pytest.mark.parametrize(
    ("form", "name", "password"),
    [
        (b"grant_type=password", "me", "secret"),
        (b"grant_type=password&username=&password=", "me", "secret"),
        (b"grant_type=password&username=you&password=x", "you", "x"),
        (b"grant_type=password&username=you", "you", ""),
        (b"grant_type=password&password=x", "", "x"),
    ],
)
async def test_a_form_that_names_nobody_may_come_with_basic_credentials(
    form: bytes, name: str, password: str
) -> None:
    headers = {"Authorization": f"Basic {SECRET}"}
    asked = await login.read(request("POST", headers=headers, body=[form]))
    assert asked == Asked("password", "", [], name, password)


async def test_a_form_asks_by_its_grant() -> None:
    form = (
        b"grant_type=password&service=reg&username=m%C3%A9&password=a%26b+c&access_type=offline"
        b"&scope=repository:team/app:pull+repository:b:push"
    )
    asked = await login.read(request("POST", body=[form[:7], form[7:]]))
    assert asked == Asked(
        "password", "reg", [PULL, PUSH], "mé", "a&b c", refresh_token="", is_offline=True
    )
    asked = await login.read(request("POST", body=[b"grant_type=refresh_token&refresh_token=x"]))
    assert asked == Asked("refresh_token", "", [], refresh_token="x")


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"a", b"&&&", b"=", b"%", b"scope"])
async def test_a_form_that_says_nothing_asks_for_nothing(body: bytes) -> None:
    asked = await login.read(request("POST", body=[body]))
    assert (asked.grant, asked.scopes) == ("", [])


@pytest.mark.parametrize("body", [b"a" * 65_537, b"a=b&" * 101])
async def test_a_form_has_its_limits(body: bytes) -> None:
    with pytest.raises(SizeInvalid, match="a form may have at most"):
        await login.read(request("POST", body=[body]))
