"""Which addresses may be dialled.

Our own table, because the standard library calls loopback inside IPv6, NAT64 and multicast "global" on
versions we run on: https://www.iana.org/assignments/iana-ipv4-special-registry/ and its IPv6 sister, read
2026-11-20, and 168.63.129.16, Azure's host agent. A name proves nothing: the address dialled is judged.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self
from urllib.parse import urlsplit

from broadcast.errors import AddressRefused, ConfigError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PUBLIC_PORTS: Final = frozenset({443, 4317, 4318, 8443})
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_DENIED_V4: Final = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_PUBLIC_V6: Final = IPv6Network("2000::/3")
_DENIED_V6: Final = tuple(
    IPv6Network(block)
    for block in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_URL: Final = re.compile(r"[!-~]{1,4096}")
_HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?:\.(?!-)[a-z0-9_-]{1,63})*")
_NUMERIC_LABEL: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public internet's; IPv6 only as far as it is listed."""
    judged = _unmapped(address)
    if isinstance(judged, IPv4Address):
        return not any(judged in block for block in _DENIED_V4)
    return judged in _PUBLIC_V6 and not any(judged in block for block in _DENIED_V6)


def _unmapped(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address in _MAPPED:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a URL leads, before any look-up; `address` is given when the host is a literal."""

    scheme: str
    host: str
    port: int
    address: Address | None = None


@dataclass(frozen=True, kw_only=True)
class Permit:
    """One of the operator's exceptions: a network or a host name, on one port or on all."""

    network: Network | None = None
    host: str = ""
    port: int | None = None

    def may_match(self, target: Target) -> bool:
        """Return whether this could permit a target whose address is not known yet."""
        if self.port not in {None, target.port}:
            return False
        if self.network is None:
            return self.host == target.host
        return target.address is None or _unmapped(target.address) in self.network

    def matches(self, target: Target, address: Address) -> bool:
        """Return whether this permits dialling the address for the target."""
        if self.port not in {None, target.port}:
            return False
        return self.host == target.host if self.network is None else _unmapped(address) in self.network


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The public internet over https on a few ports, and whatever else the operator permits."""

    permitted: tuple[Permit, ...] = ()
    public_ports: frozenset[int] = PUBLIC_PORTS

    @classmethod
    def parse(cls, entries: Iterable[str]) -> Self:
        """Return a policy from entries of `BROADCAST_EGRESS_ALLOW`: CIDR or host, each with optional port."""
        return cls(permitted=tuple(_permit(entry.strip()) for entry in entries if entry.strip()))

    def check_url(self, url: str) -> Target:
        """Return where a URL leads; raise `AddressRefused` for what no look-up could make right."""
        target = parse_url(url)
        if target.address is not None:
            self.check_address(target, target.address)
        elif not (self._may_be_public(target) or any(item.may_match(target) for item in self.permitted)):
            raise AddressRefused
        return target

    def check_address(self, target: Target, address: Address) -> None:
        """Raise `AddressRefused` unless this address may be dialled for the target."""
        if not self.permits(target, address):
            raise AddressRefused

    def permits(self, target: Target, address: Address) -> bool:
        """Return whether this address may be dialled for the target."""
        if any(item.matches(target, address) for item in self.permitted):
            return True
        return target.scheme == "https" and target.port in self.public_ports and is_public(address)

    def _may_be_public(self, target: Target) -> bool:
        return target.scheme == "https" and target.port in self.public_ports and "." in target.host


def parse_url(url: str) -> Target:
    """Return where a URL leads; raise `AddressRefused` for what two parsers might read differently."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused from None
    authority = url.partition("//")[2].partition("/")[0].partition("?")[0]
    if (
        not _URL.fullmatch(url)
        or "\\" in url
        or "#" in url
        or parts.scheme not in _DEFAULT_PORTS
        or not url.lower().startswith(f"{parts.scheme}://")
        or authority != parts.netloc
        or re.search(r"[@%]", authority)
        or authority.endswith(":")
        or port == 0
    ):
        raise AddressRefused
    host, address = _host(parts.hostname or "", bracketed="[" in authority)
    return Target(
        scheme=parts.scheme,
        host=host,
        port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
        address=address,
    )


def _host(given: str, *, bracketed: bool) -> tuple[str, Address | None]:
    """Literals only in their one usual form; the many others are names to some and addresses to others."""
    try:
        if bracketed:
            literal = IPv6Address(given)
            return str(literal), literal
        host = given.removesuffix(".")
        if _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
            return host, IPv4Address(host)
    except ValueError:
        raise AddressRefused from None
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise AddressRefused
    return host, None


def _permit(entry: str) -> Permit:
    text, port = _split_port(entry)
    try:
        return Permit(network=ip_network(text.strip("[]"), strict=False), port=port)
    except ValueError:
        host = text.lower().removesuffix(".")
    if not _HOST.fullmatch(host) or _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]):
        raise _wrong(entry)
    return Permit(host=host, port=port)


def _split_port(entry: str) -> tuple[str, int | None]:
    bare_v6 = entry.count(":") > 1 and not entry.startswith("[")
    text, colon, port = ("", "", "") if bare_v6 else entry.rpartition(":")
    if not colon or port.endswith("]") or "]" in port:
        return entry, None
    if not port.isascii() or not port.isdigit() or not 0 < int(port) < 65536:
        raise _wrong(entry)
    return text, int(port)


def _wrong(entry: str) -> ConfigError:
    return ConfigError(
        f"BROADCAST_EGRESS_ALLOW: {entry!r} is neither a CIDR nor a host, with an optional port,"
        " such as 10.0.0.0/8:4318 or collector.internal:4318."
    )


def address_of(text: str) -> Address:
    """Return the address that a resolver or a socket names; raise `AddressRefused` for anything else."""
    try:
        return ip_address(text)
    except ValueError:
        raise AddressRefused from None
