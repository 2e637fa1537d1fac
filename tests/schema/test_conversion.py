"""Arguments are converted as Strawberry would, and what is not plain not at all."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st
from strawberry.types.arguments import convert_arguments

from schema.conversion import Unknown, conversion_of


@strawberry.enum
class Colour(Enum):
    RED = "red"


@strawberry.input
class Inner:
    a_number: int
    left_out: str | None
    preset: str | None = "preset"
    unset: str | None = strawberry.UNSET


@strawberry.input
class Outer:
    inner: Inner
    other: Inner | None
    key: strawberry.ID = strawberry.field(name="_key")


@strawberry.type
class Query:
    @strawberry.field
    def plain(self, outer: Outer, some_flag: bool = False, inner: Inner | None = None) -> int:
        return 1

    @strawberry.field
    def listed(self, numbers: list[int]) -> int:
        return 1

    @strawberry.field
    def coloured(self, colour: Colour) -> int:
        return 1

    @strawberry.field
    def perhaps(self, text: strawberry.Maybe[str]) -> int:
        return 1


SCHEMA = strawberry.Schema(Query)
FIELDS = {it.python_name: it for it in Query.__strawberry_definition__.fields}  # type: ignore[attr-defined]
TEXTS = st.none() | st.text(max_size=3)
INNER = st.fixed_dictionaries({"aNumber": st.integers()}, optional=dict.fromkeys(["leftOut", "preset", "unset"], TEXTS))
OUTER = st.fixed_dictionaries({"inner": INNER, "_key": st.text(max_size=3)}, optional={"other": st.none() | INNER})
ARGUMENTS = st.fixed_dictionaries(
    {"outer": OUTER}, optional={"someFlag": st.booleans(), "inner": st.none() | st.just(strawberry.UNSET) | INNER}
)


@given(ARGUMENTS)
def test_the_resolver_is_given_what_strawberry_would_give_it(values: dict[str, Any]) -> None:
    field, config = FIELDS["plain"], SCHEMA.config
    expected = convert_arguments(values, field.arguments, SCHEMA.schema_converter.scalar_registry, config)
    assert conversion_of(field, config)(values) == expected


@pytest.mark.parametrize("name", ["listed", "coloured", "perhaps"])
def test_what_is_not_plain_is_not_known(name: str) -> None:
    with pytest.raises(Unknown):
        conversion_of(FIELDS[name], SCHEMA.config)
