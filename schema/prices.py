"""What a field declares of its price, beside it in the schema; ``complexity`` adds it up.

A list that is not a page's declares how long it can be. A field that asks the database declares its weight: about as
many plain fields as take that time, which are some 20 microseconds each.
"""

from __future__ import annotations

from typing import NamedTuple

from graphql import GraphQLField
from strawberry.schema.schema_converter import GraphQLCoreConverter

STATEMENT = 25
"""Of a field that waits for a statement of its own."""

SHARED_STATEMENT = 10
"""Of a field whose statement is one for all objects of its level."""

_KEY = "price"


class Price(NamedTuple):
    """``weight`` is what the field itself counts. ``size`` bounds its list; None: the page around it does."""

    weight: int = 1
    size: int | None = None


PLAIN = Price()


def priced(*, weight: int = 1, size: int | None = None) -> dict[str, Price]:
    """The ``metadata`` of a field with that price."""
    return {_KEY: Price(weight, size)}


def price_of(definition: GraphQLField) -> Price:
    field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    price: Price = getattr(field, "metadata", {}).get(_KEY, PLAIN)
    return price
