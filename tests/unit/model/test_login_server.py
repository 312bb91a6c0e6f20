import pytest

from shared.model.login_server import host_of, is_loopback, read_login_server

LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])

WELL_FORMED = [
    ("localhost", "localhost"),
    ("LocalHost:7071", "localhost:7071"),
    ("a.b-c_d.example:1", "a.b-c_d.example:1"),
    ("127.0.0.1:80", "127.0.0.1:80"),
    ("[::1]", "[::1]"),
    ("[::1]:7071", "[::1]:7071"),
    ("[FD00::A]:7071", "[fd00::a]:7071"),
    ("host.example.com.", "host.example.com"),
    ("host.example.com.:8443", "host.example.com:8443"),
    (LONGEST, LONGEST),
    (f"{LONGEST}:65535", f"{LONGEST}:65535"),
]

MALFORMED = [
    "",
    ".",
    ":80",
    ".example",
    "a..b",
    "a..",
    "a b",
    " a",
    'a"b',
    "a,b",
    "a, b",
    "a/b",
    "a%2eb",
    "user@host",
    "user:password@host",
    "http://host",
    "a:b",
    "a:",
    "a:-1",
    "a:123456",
    "a:1:2",
    "a:\N{ARABIC-INDIC DIGIT ONE}",
    "[::1",
    "[::1].",
    "[x]",
    "[fe80::1%25eth0]",
    "::1",
    "ä",
    "\N{KELVIN SIGN}",
    "a\nb",
    "a\n",
    "a\0",
    "x" * 60_000,
    "." * 60_000,
    f"{LONGEST}ccccccc",
]


@pytest.mark.parametrize(("text", "login_server"), WELL_FORMED)
def test_a_login_server_is_a_host_and_perhaps_a_port(text: str, login_server: str) -> None:
    assert read_login_server(text) == login_server
    assert read_login_server(login_server) == login_server


@pytest.mark.parametrize("text", MALFORMED)
def test_anything_else_is_none(text: str) -> None:
    assert read_login_server(text) is None


@pytest.mark.parametrize(
    ("login_server", "host"),
    [("a.b", "a.b"), ("a.b:80", "a.b"), ("[::1]", "[::1]"), ("[::1]:80", "[::1]"), ("", "")],
)
def test_the_host_comes_without_its_port(login_server: str, host: str) -> None:
    assert host_of(login_server) == host


@pytest.mark.parametrize(
    "host", ["localhost", "a.localhost", "a.b.localhost", "127.0.0.1", "127.9.8.7", "[::1]"]
)
def test_names_of_this_machine_are_loopback(host: str) -> None:
    assert is_loopback(host)
    assert is_loopback(f"{host}:7071")


@pytest.mark.parametrize(
    "host",
    [
        "registry.test",
        "localhost.example",
        "notlocalhost",
        "localhost-1",
        "127.0.0.1.example",
        "127.1",
        "128.0.0.1",
        "10.0.0.1",
        "0.0.0.0",
        "[::2]",
        "[fd00::1]",
        "[::::]",
        "[......]",
    ],
)
def test_all_others_are_not(host: str) -> None:
    assert not is_loopback(host)
    assert not is_loopback(f"{host}:7071")
