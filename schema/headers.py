"""A request's headers, read one way over HTTP and WebSocket.

A header may come in several lines, and a server hands over each, or joins them. RFC 9110, section 5.3, says which may
be joined, and how; of those that have one value none is chosen: readers that choose differently are how a check is got
round.
"""

from __future__ import annotations

from collections.abc import Iterable

# They have one value (RFC 9110, section 5.3). Lines that say the same are harmless.
SINGLE = frozenset(
    {"host", "origin", "content-type", "content-length", "referer", "sec-fetch-site", "x-csrftoken", "x-real-ip"}
)

Lines = Iterable[tuple[bytes, bytes]]


class Contradiction(Exception):
    """A header that has one value came with several. ``name`` is its name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    @property
    def message(self) -> str:
        return f"The header {self.name.title()} was sent more than once, with different values: send it once."


def folded(lines: Lines) -> dict[str, str]:
    """Each header's value by its name in lower case. Raises Contradiction."""
    found: dict[str, list[str]] = {}
    for name, value in lines:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1").strip(" \t"))
    return {name: values[0] if len(values) == 1 else _one(name, values) for name, values in found.items()}


def _one(name: str, values: list[str]) -> str:
    if name == "cookie":  # HTTP/2 clients split it (RFC 9113, section 8.2.3)
        return "; ".join(filter(None, (value.rstrip("; ") for value in values)))
    if name not in SINGLE:
        return ", ".join(values)
    if len(set(values)) > 1:
        raise Contradiction(name)
    return values[0]


def lines_of(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    """As a server hands them over, one line for each."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
