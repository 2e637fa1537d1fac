"""Which media type a client wants, and which it sends (RFC 9110, sections 8.3 and 12.5.1).

Parameters of a range but ``q`` choose nothing here: a type is the same with ``charset=utf-8`` and without.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from django.utils.http import parse_header_parameters

ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
QUALITY = re.compile(r"\d*\.?\d+")
ANY = "*/*"


class Range(NamedTuple):
    """Of ``Accept``: a type such as ``application/json``, ``application/*`` or ``*/*``, and how much it is wanted."""

    name: str
    quality: float

    def specificity(self, media_type: str) -> int:
        """0 where the type is not in the range; more where the range says more."""
        if self.name == media_type:
            return 3
        if self.name == f"{media_type.partition('/')[0]}/*":
            return 2
        return 1 if self.name == ANY else 0


@lru_cache(maxsize=256)
def ranges_in(accept: str) -> tuple[Range, ...]:
    """The ranges in ``Accept``; one that is empty is as good as none, which takes anything."""
    elements = [element.strip() for element in ELEMENT.findall(accept) if element.strip()]
    return tuple(map(_range, elements)) or (Range(ANY, 1.0),)


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """The type of those offered that is wanted most, of equals the one that is named first; None for none of them."""
    ranges = ranges_in(accept)
    wanted = [(rank, name) for name in offered if (rank := _rank(ranges, name))[0] > 0]
    return max(wanted, key=lambda each: each[0])[1] if wanted else None


def names(accept: str, media_type: str) -> bool:
    """Whether the type itself is asked for, and not just anything."""
    return any(each.name == media_type and each.quality > 0 for each in ranges_in(accept))


def is_utf8(charset: str) -> bool:
    """Whether text in that charset, empty for none said, is UTF-8; ASCII is."""
    try:
        return not charset or codecs.lookup(charset.strip("'\"")).name in ("utf-8", "ascii")
    except LookupError:
        return False


def _range(element: str) -> Range:
    name, parameters = parse_header_parameters(element)
    name = ANY if name == "*" else re.sub(r"\s*/\s*", "/", name.strip().lower())
    quality = parameters.get("q", "1").strip()
    return Range(name, min(float(quality), 1.0) if QUALITY.fullmatch(quality) else 1.0)


def _rank(ranges: Sequence[Range], media_type: str) -> tuple[float, int, int]:
    """The most specific range decides (RFC 9110, section 12.5.1)."""
    ranked = [(each.specificity(media_type), -place, each.quality) for place, each in enumerate(ranges)]
    specificity, place, quality = max(ranked)
    return (quality, specificity, place) if specificity else (0.0, 0, 0)
