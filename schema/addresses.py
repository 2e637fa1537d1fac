"""Where a client is and how it speaks: as its connection says or, behind proxies that the operator trusts, as they say.

Each proxy appends whom it heard, so what they write is read from its end, for as long as the writer is one of
``settings.TRUSTED_PROXIES``: what lies before was written by anybody. What a trusted proxy writes and nobody can read
is logged, once for each proxy and fault: until that is mended all its clients count as one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import NamedTuple

from django.conf import settings
from django.http import HttpRequest

from .forwarded import Address, address_in, hops_in, listed, schemes_in

logger = logging.getLogger(__name__)

SHOWN_CHARACTERS = 100
COMPLAINTS_KEPT = 1_000
SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}

HeaderOf = Callable[[str], str | None]
"""The value of a request's header by its name in lower case; None where there is none."""


class Client(NamedTuple):
    """``address`` is None where there is none, as over a Unix socket that nobody vouches for.

    ``scheme`` is ``http`` or ``https`` as proxies say; None where they say nothing.
    """

    address: str | None
    scheme: str | None


def client_of(peer: str | None, header: HeaderOf) -> Client:
    """Who is at the far end. ``peer`` is the other end of the connection; None, or no address: a Unix socket."""
    address = address_in(peer or "")
    if not _is_trusted(address):
        return Client(_text(address), None)
    proxy = peer or "at the Unix socket"
    nodes, schemes = _told(proxy, header)
    if not nodes:
        _complain(proxy, "does not say whose requests it passes on")
    client, hops = _farthest(address, nodes, proxy)
    return Client(_text(client), _scheme(schemes, nodes, hops, proxy))


def client_address(peer: str | None, forwarded_for: str | None) -> str | None:
    """The address alone, as X-Forwarded-For says."""
    return client_of(peer, {"x-forwarded-for": forwarded_for}.get).address


def address_of(request: HttpRequest) -> str | None:
    return client_of(request.META.get("REMOTE_ADDR"), request.headers.get).address


def is_trusted_proxy(peer: str | None) -> bool:
    """Whether the other end of a connection (None: a Unix socket) is one of ``settings.TRUSTED_PROXIES``."""
    return _is_trusted(address_in(peer or ""))


def network_of(address: str) -> str:
    """Return what the addresses of one client have in common: of IPv6 the first 64 bits (RFC 6177), of IPv4 all."""
    found = ip_address(address)
    return str(IPv6Network((int(found), 64), strict=False)) if isinstance(found, IPv6Address) else address


def _told(peer: str, header: HeaderOf) -> tuple[list[str], list[str]]:
    """Whom the proxies heard, and by which schemes, the farthest first.

    Forwarded and X-Real-IP count only where no X-Forwarded-… came: a proxy that writes those passes on the others as
    the client wrote them.
    """
    nodes, schemes = listed(header("x-forwarded-for")), list(schemes_in(header("x-forwarded-proto")))
    forwarded, real_ip = header("forwarded"), header("x-real-ip")
    if nodes or (schemes and not forwarded and not real_ip):
        return nodes, schemes
    if forwarded and not schemes:
        hops = hops_in(forwarded)
        if hops is None:
            _complain(peer, "sends a Forwarded that is none,", forwarded)
        return [hop.node for hop in hops or ()], [hop.proto for hop in hops or () if hop.proto]
    return [real_ip] if real_ip else [], schemes


def _farthest(address: Address | None, nodes: Sequence[str], peer: str) -> tuple[Address | None, int]:
    """The client, and how many of the nodes, from the end, tell of it."""
    for hops, node in enumerate(reversed(nodes), start=1):
        hop = address_in(node)
        if hop is None:
            _complain(peer, "names a client that has no address,", node)
            return address, hops
        address = hop
        if not _is_trusted(address):
            return address, hops
    return address, len(nodes)


def _scheme(schemes: Sequence[str], nodes: Sequence[str], hops: int, peer: str) -> str | None:
    """The scheme that the client speaks: told along with its address or, where the lists do not match, the first."""
    if not schemes:
        return None
    told = schemes[-hops] if len(schemes) == len(nodes) else schemes[0]
    if told not in SCHEMES:
        _complain(peer, "names a scheme that is none,", told)
    return SCHEMES.get(told)


def _is_trusted(address: Address | None) -> bool:
    """No address is that of a Unix socket, which only a proxy on this machine can reach."""
    if address is None:
        return bool(settings.TRUSTED_PROXIES)
    return any(address in network for network in settings.TRUSTED_PROXIES)


def _text(address: Address | None) -> str | None:
    return None if address is None else str(address)


def _complain(peer: str, fault: str, value: str = "") -> None:
    """Log it once: what is written may be another thing in each request, and is in the log of the first only."""
    if (peer, fault) in _complained or len(_complained) >= COMPLAINTS_KEPT:
        return
    _complained.add((peer, fault))
    logger.warning(
        "The trusted proxy %s %s%s: until that is mended its clients count as one, and are not banned by address. %s",
        peer,
        fault,
        f" {value[:SHOWN_CHARACTERS]!r}" if value else "",
        "It should set X-Forwarded-For to the client's address and X-Forwarded-Proto to http or https.",
    )


_complained: set[tuple[str, str]] = set()
