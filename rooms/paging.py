"""Parts of ordered lists: keyset pagination.

Dependencies: Django's querysets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db.models import Model, Q, QuerySet

M = TypeVar("M", bound=Model)
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Slice(Generic[M]):
    """Some neighbours of an ordered list, and whether it goes on at either end."""

    items: Sequence[M]
    has_next: bool
    has_previous: bool


@dataclass(frozen=True)
class Span:
    """Which part of a list is wanted: its first ``size`` items, or, if ``backwards``, its last."""

    size: int
    backwards: bool = False


def slice_of(items: QuerySet[M], order: tuple[str, ...], span: Span, after: Key | None, before: Key | None) -> Slice[M]:
    """Cut ``span`` out of ``items``: keyset pagination, so that its cost does not grow with what lies before it."""
    within = items
    if after is not None:
        within = within.filter(_side(order, "gt", after))
    if before is not None:
        within = within.filter(_side(order, "lt", before))
    ordered = within.order_by(*(f"-{name}" if span.backwards else name for name in order))
    found = list(ordered[: span.size + 1])
    more, found = len(found) > span.size, found[: span.size]
    has_earlier = after is not None and items.filter(_side(order, "lte", after)).exists()
    has_later = before is not None and items.filter(_side(order, "gte", before)).exists()
    if span.backwards:
        return Slice(found[::-1], has_next=has_later, has_previous=more or has_earlier)
    return Slice(found, has_next=more or has_later, has_previous=has_earlier)


def _side(order: tuple[str, ...], lookup: str, key: Key) -> Q:
    """What lies on one side of ``key`` (``lookup``: gt, gte, lt, lte) in the order of one field, or of two."""
    if len(order) == 1:
        return Q(**{f"{order[0]}__{lookup}": key[0]})
    first, second = order
    # The first condition says nothing new, but lets the database walk the index from there.
    return Q(**{f"{first}__{lookup[:2]}e": key[0]}) & (
        Q(**{f"{first}__{lookup[:2]}": key[0]}) | Q(**{f"{second}__{lookup}": key[1]})
    )
