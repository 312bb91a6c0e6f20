from ipaddress import ip_address

import pytest

from shared.model.outbound.egress import Address, AddressInvalid, Allowed, closed, read_host

OPEN = [
    "8.8.8.8",
    "20.50.2.1",
    "100.63.255.255",
    "100.128.0.0",
    "168.63.129.15",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.0",
    "2606:4700::1111",
    "2a01:110:8012::1",
    "64:ff9b::808:808",
    "::ffff:8.8.8.8",
]
CLOSED = [
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("::1", "loopback"),
    ("::ffff:127.0.0.1", "loopback"),
    ("::127.0.0.1", "loopback"),
    ("::ffff:0:127.0.0.1", "loopback"),
    ("64:ff9b::7f00:1", "loopback"),
    ("64:ff9b:1::7f00:1", "reserved"),
    ("2002:7f00:1::1", "reserved"),
    ("2002:808:808::1", "reserved"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "reserved"),
    ("2606:4700::5efe:a00:1", "private"),
    ("2606:4700::200:5efe:169.254.169.254", "link-local"),
    ("169.254.169.254", "link-local"),
    ("::ffff:169.254.169.254", "link-local"),
    ("64:ff9b::a9fe:a9fe", "link-local"),
    ("169.254.170.2", "link-local"),
    ("fe80::1", "link-local"),
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.0.1", "private"),
    ("fc00::1", "private"),
    ("fd00:ec2::254", "private"),
    ("fec0::1", "private"),
    ("::ffff:10.0.0.1", "private"),
    ("100.64.0.1", "shared"),
    ("100.100.100.200", "shared"),
    ("168.63.129.16", "platform's own"),
    ("::ffff:168.63.129.16", "platform's own"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("ff02::1", "multicast"),
    ("0.0.0.0", "reserved"),
    ("0.1.2.3", "reserved"),
    ("::", "reserved"),
    ("192.0.0.192", "reserved"),
    ("192.0.2.1", "reserved"),
    ("192.88.99.1", "reserved"),
    ("198.18.0.1", "reserved"),
    ("198.51.100.1", "reserved"),
    ("203.0.113.1", "reserved"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "reserved"),
    ("100::1", "reserved"),
    ("2001:db8::1", "reserved"),
    ("2001:20::1", "reserved"),
    ("3fff::1", "reserved"),
    ("4000::1", "reserved"),
    ("5f00::1", "reserved"),
]
MALFORMED = [
    "",
    "hooks.example",
    "//hooks.example/",
    "ftp://hooks.example/",
    "file:///etc/passwd",
    "http:/hooks.example/",
    "http://",
    "http:///path",
    "http://hooks.example:/",
    "http://hooks.example:0/",
    "http://hooks.example:65536/",
    "http://hooks.example:80:80/",
    "http://hooks.example\\@127.0.0.1/",
    "http://127.0.0.1\\@hooks.example/",
    "http://a@b@hooks.example/",
    "http://hooks..example/",
    "http://.hooks.example/",
    "http://hooks.example../",
    "http://-hooks.example/",
    f"http://{'a' * 64}.example/",
    f"http://{'a.' * 127}a/",
    "http://hooks.example/a b",
    "http://hooks.example/a\r\nX: y",
    "http://hooks.example/a\tb",
    " http://hooks.example/",
    "http://h\N{LATIN SMALL LETTER U WITH DIAERESIS}ks.example/",
    "http://\N{CIRCLED LATIN SMALL LETTER L}ocalhost/",
    "http://127\N{FULLWIDTH FULL STOP}0.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://127.0.0.01/",
    "http://256.0.0.1/",
    "http://1.2.3.4.5/",
    "http://[::1/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[v1.x]/",
    "http://[]/",
    "http://%31%32%37.0.0.1/",
]


@pytest.mark.parametrize("text", OPEN)
def test_what_leads_to_the_world_is_open(text: str) -> None:
    assert not closed(ip_address(text))


@pytest.mark.parametrize(("text", "kind"), CLOSED)
def test_what_leads_elsewhere_is_closed_and_of_a_kind(text: str, kind: str) -> None:
    assert closed(ip_address(text)) == kind


@pytest.mark.parametrize("url", MALFORMED)
def test_what_programs_may_read_in_two_ways_is_refused(url: str) -> None:
    with pytest.raises(AddressInvalid) as caught:
        Address.parse(url)
    assert "hooks" not in str(caught.value)


READ = [
    ("http://hooks.example", "http", "hooks.example", 80, "/"),
    ("HTTPS://Hooks.Example./A?b=c#d", "https", "hooks.example", 443, "/A?b=c"),
    ("https://hooks.example?code=1/2", "https", "hooks.example", 443, "/?code=1/2"),
    ("http://hooks.example:8080/a@b", "http", "hooks.example", 8080, "/a@b"),
    ("https://$site:p%40w@site.example/deploy", "https", "site.example", 443, "/deploy"),
    ("http://10.0.0.1.:81/", "http", "10.0.0.1", 81, "/"),
    ("http://[::FFFF:7f00:1]:81/x", "http", "::ffff:127.0.0.1", 81, "/x"),
    ("http://my_service.namespace.svc:80/", "http", "my_service.namespace.svc", 80, "/"),
    ("http://xn--bcher-kva.example/", "http", "xn--bcher-kva.example", 80, "/"),
]


@pytest.mark.parametrize(("url", "scheme", "host", "port", "target"), READ)
def test_an_address_is_read_in_its_parts(
    url: str, scheme: str, host: str, port: int, target: str
) -> None:
    read = Address.parse(url)
    assert (read.scheme, read.host, read.port, read.target) == (scheme, host, port, target)


def test_an_address_shows_neither_path_nor_user() -> None:
    address = Address.parse("https://user:hidden@[2606:4700::1]:8443/hidden?hidden=1")
    assert str(address) == "https://[2606:4700::1]:8443"
    assert "hidden" not in repr(address)
    assert address.user_info == "user:hidden"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "localhost."])
def test_a_host_has_one_spelling(host: str) -> None:
    assert read_host(host) == "localhost"


def test_what_is_named_is_allowed_and_nothing_else() -> None:
    allowed = Allowed.read(" Hooks.Internal. ,10.1.0.0/16,::1 , 192.168.1.7,,fd12::/16")

    assert allowed.names_host("hooks.internal")
    assert not allowed.names_host("x.hooks.internal")
    assert not allowed.names_host("internal")
    for text in ("10.1.255.255", "::ffff:10.1.2.3", "::1", "192.168.1.7", "fd12::1"):
        assert not allowed.refusal(ip_address(text))
    for text in ("10.2.0.1", "127.0.0.1", "::ffff:127.0.0.1", "192.168.1.8", "fd13::1"):
        assert allowed.refusal(ip_address(text))


def test_without_a_word_nothing_closed_is_allowed() -> None:
    assert Allowed.read("") == Allowed()
    assert Allowed().refusal(ip_address("127.0.0.1")) == "loopback"
    assert not Allowed().refusal(ip_address("8.8.8.8"))
