"""What proxies write about the client: X-Forwarded-For, X-Forwarded-Proto, X-Real-IP, and Forwarded (RFC 7239).

Only parsing: whom to believe is decided in ``addresses``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

Address = IPv4Address | IPv6Address

# RFC 7239, section 6: an address, in brackets if it is IPv6 and has a port; the port may be an obfuscated one.
NODE = re.compile(r"\[(?P<bracketed>[^\]]*)\](?::[\w.-]*)?|(?P<v4>[\d.]+)(?::[\w.-]*)?|(?P<bare>.*)", re.DOTALL)
PAIR = re.compile(
    r'\s*(?P<name>[^\s=;,"]+)\s*=\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<token>[^\s;,"]*))\s*(?P<end>[;,]|$)'
)


class Hop(NamedTuple):
    """An element of Forwarded; what it does not say is empty."""

    node: str
    proto: str


@lru_cache(maxsize=1024)
def address_in(node: str) -> Address | None:
    """The address of a node, without port, zone and quotes; an IPv4 address that is mapped into IPv6 is that.

    None for what is no address: `unknown`, an obfuscated identifier, nonsense.
    """
    found = NODE.fullmatch(node.strip().strip('"').strip())
    text = next((part for part in found.groups() if part is not None), "") if found else ""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def listed(value: str | None) -> list[str]:
    """The elements of a list; empty ones do not count (RFC 9110, section 5.6.1)."""
    return [element for each in (value or "").split(",") if (element := each.strip())]


@lru_cache(maxsize=256)
def hops_in(forwarded: str) -> tuple[Hop, ...] | None:
    """The elements of Forwarded, the nearest proxy's last; None for what is none."""
    hops: list[Hop] = []
    element: dict[str, str] = {}
    at = 0
    while at < len(forwarded):
        if forwarded[at] in ", \t;":
            at += 1
            continue
        found = PAIR.match(forwarded, at)
        if found is None:
            return None
        value = found["token"] if found["quoted"] is None else re.sub(r"\\(.)", r"\1", found["quoted"])
        element[found["name"].lower()] = value
        if found["end"] != ";":
            hops.append(_hop(element))
            element = {}
        at = found.end()
    return (*hops, _hop(element)) if element else tuple(hops)


def _hop(element: dict[str, str]) -> Hop:
    return Hop(element.get("for", ""), element.get("proto", "").lower())


def schemes_in(proto: str | None) -> Iterator[str]:
    """The elements of X-Forwarded-Proto, as schemes of URLs."""
    return (each.strip('"').lower() for each in listed(proto))
