"""Where a request comes from: what a trusted proxy says, and of nobody else a word."""

import ipaddress
from collections.abc import Iterable
from typing import Final

from flask import Request, request

from web import security

_FORWARDED: Final = ("X-Forwarded-For", "Forwarded", "X-Real-IP")


def client_address() -> str:
    """Return who is counted for the request that is answered: the proxy itself where it hides its client."""
    return client_of(request, security.services().config.trusted_proxies) or request.remote_addr or ""


def client_of(asked: Request, trusted: Iterable[str]) -> str:
    """Return the address of whoever asks, empty where a proxy that is not trusted has hidden it.

    `X-Forwarded-For` is read from its end, since everything before the first stranger may be invented.
    """
    address = asked.remote_addr or ""
    networks = [ipaddress.ip_network(item, strict=False) for item in trusted]
    hops = [hop.strip() for hop in asked.headers.get("X-Forwarded-For", "").split(",") if hop.strip()]
    if not hops or not _is_in(address, networks):
        return "" if any(asked.headers.get(name) for name in _FORWARDED) else address
    while hops and _is_in(address, networks):
        address = hops.pop()
    return address


def is_loopback(address: str) -> bool:
    """Return whether an address is this machine's own."""
    found = _parsed(address)
    return found is not None and found.is_loopback


def _is_in(address: str, networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    found = _parsed(address)
    return found is not None and any(found in network for network in networks)


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found
