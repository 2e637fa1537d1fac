"""What a resolver takes, from coerced arguments, as Strawberry converts them: worked out once for each field, where
Strawberry looks up names and types for each call.

Only what is plain is worked out, scalars and objects of them; for anything else there is no conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from datetime import datetime
from typing import Any

from strawberry import ID, UNSET
from strawberry.types.base import StrawberryOptional, has_object_definition
from strawberry.types.field import StrawberryField

Convert = Callable[[Any], Any]

SCALARS = (str, int, float, bool, ID, datetime)  # of which graphql-core has made what the resolver takes


class Unknown(Exception):
    """Only Strawberry can tell how this is converted."""


def conversion_of(field: StrawberryField, config: Any) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """What makes the resolver's named arguments from the field's. Raises Unknown."""
    parts = [
        (config.name_converter.from_argument(it), it.python_name, _converter(it.type, config)) for it in field.arguments
    ]
    return lambda values: _converted(values, parts)


def _converter(kind: Any, config: Any) -> Convert:
    if type(kind) is StrawberryOptional:
        return _converter(kind.of_type, config)
    if kind in SCALARS:
        return _as_it_is
    if not has_object_definition(kind):
        raise Unknown(kind)
    definition = kind.__strawberry_definition__
    if not definition.is_input or definition.from_input is not None:
        raise Unknown(kind)
    return _object_converter(kind, definition, config)


def _object_converter(kind: type, definition: Any, config: Any) -> Convert:
    """An input object. What may be left out, and has no default of its own, is None then."""
    fields = definition.fields
    absent = {it.python_name: None for it in fields if it.default_value is MISSING and it.default_factory is MISSING}
    parts = [
        (
            config.name_converter.from_field(it),
            it.python_name,
            _converter(it.resolve_type(type_definition=definition), config),
        )
        for it in fields
    ]

    def convert(value: Any) -> Any:
        return value if value is None or value is UNSET else kind(**(absent | _converted(value, parts)))

    return convert


def _converted(values: Mapping[str, Any], parts: Sequence[tuple[str, str, Convert]]) -> dict[str, Any]:
    return {python_name: convert(values[name]) for name, python_name, convert in parts if name in values}


def _as_it_is(value: Any) -> Any:
    return value
