"""The kinds of values that variables have.

Each function takes a text that is not empty, and raises ValueError, which says what is wrong and what is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from schema.origins import normal_origin

T = TypeVar("T")
Network = IPv4Network | IPv6Network

ON = ("on", "true", "yes", "1", "t", "y")
OFF = ("off", "false", "no", "0", "f", "n")
MOST = 2**31 - 1  # what PostgreSQL's and C's integers hold; seconds of 68 years
SHOWN_CHARACTERS = 80
REDIS_PREFIX = re.compile(r"[A-Za-z0-9._:-]{1,64}")
LISTENING_NAME = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
HOST_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*")


def bare(value: str) -> str:
    """``value`` without white space and one pair of quotes around it. Raises ValueError for what is not UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("the value is not UTF-8 text") from error
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1].strip()
    return value


def shown(value: str) -> str:
    """``value`` as a message quotes it: on one line, and not all of a long one."""
    return repr(value if len(value) <= SHOWN_CHARACTERS else f"{value[:SHOWN_CHARACTERS]}…")


def text(value: str) -> str:
    return value


def flag(value: str) -> bool:
    if value.lower() in ON + OFF:
        return value.lower() in ON
    raise ValueError(f"{shown(value)} is neither on nor off: write on, true, yes or 1, or off, false, no or 0")


def whole_number(value: str, least: int = 0, most: int = MOST) -> int:
    return int(_bounded(value, int, least, most))


def number(value: str, least: float = 0, most: float = MOST) -> float:
    return _bounded(value, float, least, most)


def _bounded(value: str, kind: type[float], least: float, most: float) -> float:
    try:
        found = kind(value)
    except ValueError:
        found = float("nan")
    if not least <= found <= most:
        wanted = "a whole number" if kind is int else "a number"
        raise ValueError(f"{shown(value)} is not {wanted} from {least} to {most}")
    return found


def one_of(value: str, choices: tuple[str, ...]) -> str:
    for choice in choices:
        if choice.lower() == value.lower():
            return choice
    raise ValueError(f"{shown(value)} is none of {', '.join(choices)}")


def items(value: str) -> list[str]:
    """The members of a list with commas."""
    found = [item for each in value.split(",") if (item := bare(each))]
    if not found:
        raise ValueError(f"{shown(value)} lists nothing")
    return found


def each(kind: Callable[[str], T], value: str) -> list[T]:
    return [kind(item) for item in items(value)]


def host(value: str) -> str:
    """A host as Django compares it: lower case, IPv6 in brackets; ``.name`` with all names below it, ``*`` for all."""
    name = value.lower().removesuffix(".")
    if (address := _ipv6(name)) is not None:
        return f"[{address}]"
    if name == "*" or HOST_NAME.fullmatch(name.removeprefix(".")):
        return name
    raise ValueError(
        f"{shown(value)} is not a host name. A host is a name or an address without scheme, port and path, in letters "
        f"a-z, digits, hyphens and dots, and commas stand between several{_suggestion(name)}"
    )


def listening_host(value: str) -> str:
    """An address or a name of this machine, as a server binds to it: IPv6 without brackets."""
    name = value.removeprefix("[").removesuffix("]")
    if _ipv6(name) is not None or LISTENING_NAME.fullmatch(value):
        return name
    raise ValueError(
        f"{shown(value)} is not where a server listens: write an IP address such as 0.0.0.0, or a host name, without "
        "scheme, port and path"
    )


def _ipv6(name: str) -> str | None:
    try:
        return IPv6Address(name.removeprefix("[").removesuffix("]")).compressed
    except ValueError:
        return None


def _suggestion(name: str) -> str:
    """The host that was probably meant, to end a message with."""
    try:
        found = urlsplit(name if "://" in name else f"//{name}").hostname or ""
    except ValueError:
        return ""
    found = found.removeprefix("*")
    return f": {found}" if HOST_NAME.fullmatch(found.removeprefix(".")) else ""


def origin(value: str) -> str:
    try:
        return normal_origin(value)
    except ValueError as error:
        raise ValueError(
            f"{shown(value)} is not an origin. An origin is a scheme, a host and perhaps a port, such as "
            "https://app.example or https://app.example:8443; commas stand between several, and there are no wildcards"
        ) from error


def networks(value: str) -> list[Network]:
    found = items(value)
    return [] if [each.lower() for each in found] == ["none"] else [network(each) for each in found]


def network(value: str) -> Network:
    """Raises ValueError for an address that is not its network's first, and says which that is."""
    bare_address = value.removeprefix("[").removesuffix("]")
    try:
        found = ip_network(bare_address, strict=False)
    except ValueError as error:
        raise ValueError(
            f"{shown(value)} is not an IP address or network, such as 10.0.0.5 or 10.0.0.0/8; commas stand between "
            "several, and `none` stands alone"
        ) from error
    if "/" in bare_address and ip_address(bare_address.partition("/")[0]) != found.network_address:
        raise ValueError(f"{shown(value)} is an address within a network: write {found}, or the address alone")
    return _unmapped(found)


def _unmapped(found: Network) -> Network:
    """An IPv4 network for one of IPv4-mapped addresses (RFC 4291, section 2.5.5.2): clients are compared as such."""
    if isinstance(found, IPv6Network) and found.prefixlen >= 96 and (address := found.network_address.ipv4_mapped):
        return IPv4Network((address, found.prefixlen - 96))
    return found


def time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError) as error:
        meant = next((name for name in available_timezones() if name.lower() == value.lower()), "America/Sao_Paulo")
        raise ValueError(
            f"{shown(value)} is not a time zone of this system (tzdata): write a name such as {meant}"
        ) from error
    return value


def directory(value: str) -> str:
    path = Path(value).absolute()
    if path.exists() and not path.is_dir():
        raise ValueError(f"{shown(value)} is not a directory")
    return str(path)


def redis_prefix(value: str) -> str:
    if REDIS_PREFIX.fullmatch(value) is None:
        raise ValueError(f"{shown(value)} is not 1 to 64 of the characters A-Z a-z 0-9 . _ : -")
    return value
