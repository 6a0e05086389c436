import contextlib
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broadcast.egress import Policy, Target, is_public, parse_url
from broadcast.errors import AddressRefused, ConfigError

PUBLIC = Policy.parse(())

REFUSED_URLS = [
    # literals
    "http://127.0.0.1",
    *(
        f"https://{host}/v1/traces"
        for host in (
            "127.0.0.1", "127.1", "0", "0.0.0.0", "2130706433", "0x7f.1", "0x7f000001", "017700000001",
            "0177.0.0.1", "127.000.000.1", "127.0.0.1.", "localhost", "LOCALHOST.", "ip6-localhost", "redis",
            "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "198.18.0.1", "1.2.3.256", "1.2.3.4.5",
        )
    ),
    # IPv6
    *(
        f"https://[{host}]/"
        for host in (
            "::1", "::", "0:0:0:0:0:ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::127.0.0.1",
            "::ffff:0:127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::",
            "2001:0:7f00:1::",
            "fec0::1", "fe80::1%25eth0", "fe80::1%eth0", "fd00:ec2::254", "ff02::1", "5f00::1", "3fff::1",
            "2001:db8::1", "ok.example", "v1.x", "",
        )
    ),
    # metadata
    *(
        f"https://{host}/latest/meta-data"
        for host in ("169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192")
    ),
    # parser tricks
    "https://ok.example@127.0.0.1/",
    "https://user:pass@ok.example/",
    "https://@ok.example/",
    "https://127.0.0.1\\@ok.example/",
    "https://127.0.0.1#@ok.example/",
    "https://ok.example/#fragment",
    "https://ok.example/#",
    "https://ok.example:80@127.0.0.1",
    "https:/\\127.0.0.1",
    "https:///v1/traces",
    "https:ok.example",
    "https://",
    "//ok.example/",
    "ok.example",
    "",
    "https://ok\t.example/",
    "https://ok.example/\n",
    " https://ok.example/",
    "https://ok.example/ x",
    "https://ok.example%00.evil/",
    "https://%6fk.example/",
    "https://①⑥⑨.②⑤④.①⑥⑨.②⑤④/",
    "https://ok。example/",
    "https://bücher.example/",
    f"https://{'a' * 3000}.example/",
    f"https://{'a' * 64}.example/",
    "https://-ok.example/",
    "https://ok..example/",
    "https://.ok.example/",
    "https://ok.example../",
    "https://ok.example\x00/",
    "https://ok.example/\x7f",
    # schemes and ports
    "file:///etc/passwd",
    "ftp://ok.example/",
    "gopher://ok.example/",
    "unix:/var/run/docker.sock",
    "data:text/plain,x",
    "http://ok.example/",
    "HTTP://ok.example/",
    *(
        f"https://ok.example:{port}/"
        for port in ("22", "25", "80", "2375", "5432", "6379",
            "9200", "0", "65536", "-1", "80:443", "", "\uff14\uff14\uff13")
    ),
]  # fmt: skip


@pytest.mark.parametrize("url", REFUSED_URLS)
def test_refused_before_any_look_up(url: str) -> None:
    with pytest.raises(AddressRefused, match=r"^This address is not allowed\.$"):
        PUBLIC.check_url(url)


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("https://otlp.example.com/v1/traces", "otlp.example.com", 443),
        ("https://OTLP.Example.com./v1/traces?a=b%20c", "otlp.example.com", 443),
        ("HTTPS://otlp.example.com:4318/v1/traces", "otlp.example.com", 4318),
        ("https://otlp.example.com:8443", "otlp.example.com", 8443),
        ("https://xn--bcher-kva.example/", "xn--bcher-kva.example", 443),
        ("https://8.8.8.8/", "8.8.8.8", 443),
        ("https://[2606:4700::1111]:443/", "2606:4700::1111", 443),
    ],
)
def test_public_https_addresses_pass(url: str, host: str, port: int) -> None:
    target = PUBLIC.check_url(url)
    assert (target.host, target.port) == (host, port)


DENIED_BLOCKS = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32", "::/128", "::1/128", "::ffff:0:0/104", "::/96",
    "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "4000::/3", "::ffff:0:0:0/96",
]  # fmt: skip


@pytest.mark.parametrize("block", DENIED_BLOCKS)
def test_no_address_of_a_special_block_is_public(block: str) -> None:
    network = ip_network(block)
    size = network.num_addresses
    for offset in {0, size // 2, size - 1}:
        assert not is_public(network[offset]), network[offset]


@given(st.ip_addresses(v=4))
def test_ipv6_cannot_smuggle_an_ipv4_address(address: object) -> None:
    mapped = ip_address(f"::ffff:{address}")
    assert is_public(mapped) == is_public(ip_address(str(address)))
    for prefix in ("::", "64:ff9b::", "::ffff:0:"):
        assert not is_public(ip_address(f"{prefix}{address}"))


@given(st.ip_addresses())
def test_what_the_standard_library_calls_private_is_never_public(address: object) -> None:
    found = ip_address(str(address))
    if found.is_private or found.is_multicast or found.is_reserved or found.is_loopback:
        assert not is_public(found) or getattr(found, "ipv4_mapped", None)


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_a_refusal(text: str) -> None:
    for url in (text, f"https://{text}", f"https://ok.example{text}"):
        with contextlib.suppress(AddressRefused):
            assert PUBLIC.check_url(url).scheme == "https"


def permits(entry: str, url: str, address: str) -> bool:
    return Policy.parse([entry]).permits(parse_url(url), ip_address(address))


@pytest.mark.parametrize(
    ("entry", "url", "address", "allowed"),
    [
        ("10.0.0.0/8", "http://10.1.2.3:9999/", "10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3:9999/", "11.1.2.3", False),
        ("10.0.0.0/8:4318", "http://10.1.2.3:4318/", "10.1.2.3", True),
        ("10.0.0.0/8:4318", "http://10.1.2.3:6379/", "10.1.2.3", False),
        ("10.0.0.0/8:4318", "https://collector.test:4318/", "10.1.2.3", True),
        ("127.0.0.1:8400", "http://127.0.0.1:8400/", "127.0.0.1", True),
        ("127.0.0.1:8400", "http://127.0.0.1:8401/", "127.0.0.1", False),
        ("127.0.0.1", "http://[::ffff:127.0.0.1]:80/", "::ffff:127.0.0.1", True),
        ("::1", "http://[::1]:80/", "::1", True),
        ("[::1]:4318", "http://[::1]:4318/", "::1", True),
        ("[::1]:4318", "http://[::1]:80/", "::1", False),
        ("[fd00::/8]:4318", "http://[fd00::7]:4318/", "fd00::7", True),
        ("fd00::/8", "http://[fd00::7]/", "fd00::7", True),
        ("Collector.Internal.:4318", "http://collector.internal:4318/", "10.0.0.9", True),
        ("collector.internal:4318", "http://collector.internal:80/", "10.0.0.9", False),
        ("collector.internal", "http://evil.collector.internal/", "10.0.0.9", False),
        ("redis:6379", "http://redis:6379/", "10.0.0.9", True),
    ],
)
def test_the_operator_permits_by_network_or_host_and_port(
    entry: str, url: str, address: str, *, allowed: bool
) -> None:
    assert permits(entry, url, address) is allowed
    if allowed:
        assert isinstance(Policy.parse([entry]).check_url(url), Target)


def test_plain_http_to_a_public_address_stays_refused_where_something_else_is_permitted() -> None:
    policy = Policy.parse(["10.0.0.0/8"])
    assert not policy.permits(parse_url("http://ok.example/"), ip_address("8.8.8.8"))
    assert policy.permits(parse_url("https://ok.example/"), ip_address("8.8.8.8"))


@pytest.mark.parametrize(
    "entry",
    [
        "10.0.0.0/33",
        "host:",
        "host:0",
        "host:65536",
        "host:x",
        "1.2.3",
        "a b",
        "http://host",
        "*.host",
        "[::1",
    ],
)
def test_a_wrong_entry_stops_the_start(entry: str) -> None:
    with pytest.raises(ConfigError, match="BROADCAST_EGRESS_ALLOW"):
        Policy.parse([entry])
