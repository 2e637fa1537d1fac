"""Where a client is: the address of its connection or, behind a proxy that the operator trusts, what that one says."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

from django.conf import settings
from django.http import HttpRequest

Address = IPv4Address | IPv6Address


def client_address(peer: str | None, forwarded_for: str | None) -> str | None:
    """Return the client's IP address; None where there is none, as over a Unix socket that nobody vouches for.

    ``peer`` is the other end of the connection (None: a Unix socket), ``forwarded_for`` the X-Forwarded-For header.
    Each proxy appends whom it heard, so the header is read from its end, for as long as who wrote the last address is
    one of ``settings.TRUSTED_PROXIES``: what lies before was written by anybody.
    """
    address = _parsed(peer or "")
    hops = (forwarded_for or "").split(",")
    while hops and _is_trusted(address):
        hop = _parsed(hops.pop().strip())
        if hop is None:
            break
        address = hop
    return None if address is None else str(address)


def address_of(request: HttpRequest) -> str | None:
    return client_address(request.META.get("REMOTE_ADDR"), request.headers.get("X-Forwarded-For"))


def is_trusted_proxy(peer: str | None) -> bool:
    """Whether the other end of a connection (None: a Unix socket) is one of ``settings.TRUSTED_PROXIES``."""
    return _is_trusted(_parsed(peer or ""))


def network_of(address: str) -> str:
    """Return what the addresses of one client have in common: of IPv6 the first 64 bits (RFC 6177), of IPv4 all."""
    found = ip_address(address)
    return str(IPv6Network((int(found), 64), strict=False)) if isinstance(found, IPv6Address) else address


def _is_trusted(address: Address | None) -> bool:
    """No address is that of a Unix socket, which only a proxy on this machine can reach."""
    if address is None:
        return bool(settings.TRUSTED_PROXIES)
    return any(address in network for network in settings.TRUSTED_PROXIES)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address
