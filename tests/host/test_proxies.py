"""Whose word is taken for the name asked for, the scheme and the client."""

from ipaddress import ip_network

import pytest
from starlette.types import Scope

from infra.devhost.settings import StartError
from infra.host.proxies import Proxies
from infra.host.settings import Surroundings

TRUSTED = ("10.0.0.0/8", "fd00:1::/32")
SAID = {
    "x-forwarded-host": "registry.example",
    "x-forwarded-proto": "https",
    "x-forwarded-for": "198.51.100.7",
    "x-forwarded-prefix": "/evil",
    "forwarded": "host=evil.example;proto=https",
}


def applied(peer: str | None, headers: dict[str, str] | list[tuple[str, str]]) -> Scope:
    pairs = headers.items() if isinstance(headers, dict) else headers
    scope: Scope = {
        "headers": [(b"host", b"asked.example")]
        + [(name.encode(), value.encode()) for name, value in pairs],
        "scheme": "http",
        "client": (peer, 4711) if peer else None,
    }
    Proxies([ip_network(each) for each in TRUSTED]).apply(scope)
    return scope


@pytest.mark.parametrize("peer", ["192.0.2.1", "11.0.0.1", "fe80::1", "::ffff:11.0.0.1", None, "x"])
def test_of_a_stranger_nothing_is_heard(peer: str | None) -> None:
    scope = applied(peer, SAID)
    assert scope["headers"] == [(b"host", b"asked.example")]
    assert scope["scheme"] == "http"
    assert scope["client"] == ((peer, 4711) if peer else None)


@pytest.mark.parametrize("peer", ["10.1.2.3", "fd00:1::1", "::ffff:10.1.2.3"])
def test_a_trusted_proxy_says_name_scheme_and_client(peer: str) -> None:
    scope = applied(peer, SAID)
    assert scope["headers"] == [(b"host", b"registry.example")]
    assert scope["scheme"] == "https"
    assert scope["client"] == ("198.51.100.7", 0)


def test_what_a_trusted_proxy_does_not_say_stays() -> None:
    scope = applied("10.1.2.3", {})
    assert scope["headers"] == [(b"host", b"asked.example")]
    assert (scope["scheme"], scope["client"][0]) == ("http", "10.1.2.3")


def test_of_several_values_the_nearest_proxys_counts() -> None:
    said = [
        ("x-forwarded-host", "evil.example, registry.example"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-proto", "https"),
    ]
    scope = applied("10.1.2.3", said)
    assert scope["headers"] == [(b"host", b"registry.example")]
    assert scope["scheme"] == "https"


def test_a_scheme_that_is_none_is_not_taken() -> None:
    assert applied("10.1.2.3", {"x-forwarded-proto": "gopher"})["scheme"] == "http"


@pytest.mark.parametrize(
    ("said", "client"),
    [
        ("203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("10.7.7.7, 10.9.9.9", "10.7.7.7"),
        ("nonsense, 10.9.9.9", "10.9.9.9"),
        ("198.51.100.7, nonsense", "10.1.2.3"),
        ("198.51.100.7:4711", "198.51.100.7"),
        ("[2001:db8::7]:4711", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("198.51.100.7:4711, 10.9.9.9:80", "198.51.100.7"),
        ("[::ffff:198.51.100.7]:4711", "198.51.100.7"),
        ("198.51.100.7:", "10.1.2.3"),
        ("[198.51.100.7", "10.1.2.3"),
        ("unknown", "10.1.2.3"),
        ("", "10.1.2.3"),
    ],
)
def test_the_client_is_the_first_that_is_no_proxy(said: str, client: str) -> None:
    assert applied("10.1.2.3", {"x-forwarded-for": said})["client"] == (client, 0)


def test_who_trusts_a_proxy_that_is_not_understood_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    proxies = Proxies([ip_network(each) for each in TRUSTED])
    forwarded = (b"forwarded", b"for=198.51.100.7;host=registry.example")
    for peer, more in (
        ("192.0.2.1", []),
        ("10.9.9.9", [(b"x-forwarded-for", b"198.51.100.7")]),
        ("10.1.2.3", []),
        ("10.1.2.3", []),
    ):
        scope: Scope = {"headers": [forwarded, *more], "client": (peer, 4711)}
        proxies.apply(scope)
        assert scope["headers"] == []
    (told,) = caplog.messages
    assert told.startswith("The trusted proxy 10.1.2.3 sends Forwarded, which is not read")


def test_nobody_is_trusted_unless_a_setting_says_so() -> None:
    assert Surroundings.read({}) == Surroundings("all", (), 30)


def test_the_settings_are_read() -> None:
    said = {
        "REGISTRY_PLANE": "http",
        "REGISTRY_TRUSTED_PROXIES": "10.1.0.0/16, 192.0.2.1,fd00:1::/32,",
        "REGISTRY_DRAIN_SECONDS": "60",
    }
    networks = tuple(map(ip_network, ("10.1.0.0/16", "192.0.2.1", "fd00:1::/32")))
    surroundings = Surroundings.read(said)
    assert surroundings == Surroundings("http", networks, 60)
    assert surroundings.notice_seconds < surroundings.serving_seconds
    assert surroundings.serving_seconds < surroundings.running_seconds < 60


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("REGISTRY_PLANE", "jobs", "'jobs' must be one of all, http, events"),
        ("REGISTRY_TRUSTED_PROXIES", "10.1.2.3/16", "'10.1.2.3/16' is neither an address"),
        ("REGISTRY_TRUSTED_PROXIES", "10.0.0.0/8,proxy", "'proxy' is neither an address"),
        ("REGISTRY_TRUSTED_PROXIES", "*", "'*' is neither"),
        ("REGISTRY_TRUSTED_PROXIES", "0.0.0.0/0", "'0.0.0.0/0' would let strangers say who"),
        ("REGISTRY_TRUSTED_PROXIES", "10.1.0.0/16, ::/0", "'::/0' would let strangers"),
        ("REGISTRY_TRUSTED_PROXIES", "128.0.0.0/7", "own network, /8 or smaller"),
        ("REGISTRY_TRUSTED_PROXIES", "fd00::/31", "own network, /32 or smaller"),
        ("REGISTRY_DRAIN_SECONDS", "0", "must be a whole number of seconds, 1 to 9999"),
        ("REGISTRY_DRAIN_SECONDS", "1.5", "must be a whole number of seconds"),
        ("REGISTRY_DRAIN_SECONDS", "10000", "must be a whole number of seconds"),
    ],
)
def test_a_setting_that_cannot_be_used_ends_the_start(name: str, value: str, told: str) -> None:
    with pytest.raises(StartError, match=name) as refused:
        Surroundings.read({name: value})
    assert told in str(refused.value)
