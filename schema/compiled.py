"""Mutations past graphql-core's execution: the field's own resolver, and its payload written by a projection.

What may go this way is decided from the document and the schema, and fails closed: one unconditional field, which
promises its payload; an asynchronous resolver without an extension or a permission around it, which takes nothing of
``info`` but its context; and a payload of which nothing is selected that needs more than the object. Anything else is
executed, and so is whatever is faulty, for the execution to say it.

Invariants: nothing is done before ``call_in`` has returned, and what ``Call.resolve`` does is done once: where a
payload cannot be written, the execution completes the value that there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLResolveInfo,
    OperationType,
    get_argument_values,
    get_variable_values,
    is_non_null_type,
    located_error,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField

from .context import Context
from .conversion import Unknown, conversion_of
from .documents import Document
from .projection import Projection, root_field_of

OF_CONTEXT_ONLY = frozenset(
    {
        "join_room",
        "leave_room",
        "send_message",
        "edit_message",
        "delete_message",
        "login",
        "logout",
        "mute_member",
        "unmute_member",
        "remove_member",
        "ban_member",
        "unban_member",
        "set_slow_mode",
    }
)
"""The mutations that are known to take nothing of ``info`` but its context."""


@dataclass(frozen=True)
class OnlyContext:
    """All of ``info`` that a compiled mutation is given."""

    context: Context


@dataclass(frozen=True)
class Call:
    """One call of a mutation's resolver, with its arguments. ``node`` is the field as the document has it."""

    node: FieldNode
    projection: Projection
    _resolver: Callable[..., Any]
    _named: dict[str, Any]

    async def resolve(self) -> Any:
        """Do it, and return the field's value. Raises a GraphQLError, as the execution locates it."""
        try:
            return await self._resolver(None, **self._named)
        except Exception as error:
            key = self.node.alias or self.node.name
            raise located_error(error, [self.node], [key.value]) from error


def call_in(schema: Any, document: Document, variables: Mapping[str, Any] | None, context: Context) -> Call | None:
    """The call that a valid document asks for, if it can be compiled; None for any other, and for what is faulty."""
    operation, core = document.operation, document.schema
    if operation.operation is not OperationType.MUTATION or operation.directives or core.mutation_type is None:
        return None
    node = root_field_of(operation)
    definition = core.mutation_type.fields.get(node.name.value) if node else None
    field = _plain_field(definition) if definition else None
    if node is None or definition is None or field is None:
        return None
    coerced = get_variable_values(core, operation.variable_definitions or (), dict(variables or {}))
    if isinstance(coerced, list):
        return None
    projection = document.projection(document.switches(coerced.coerced))
    conversion = _conversion(schema, node.name.value)
    if projection is None or conversion is None:
        return None
    try:
        named = conversion(get_argument_values(definition, node, coerced))
    except Exception:  # noqa: BLE001 - whatever it is, the execution says it as it should be said
        return None
    resolver: Any = field.base_resolver
    if resolver.info_parameter is not None:
        named[resolver.info_parameter.name] = OnlyContext(context)
    return Call(node, projection, resolver, named)


def completing(value: Any) -> Callable[..., Any]:
    """Middleware of graphql-core that gives the operation's own field this value, instead of calling its resolver."""

    def resolve(call: Callable[..., Any], parent: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        return value if info.path.prev is None else call(parent, info, **arguments)

    return resolve


def _plain_field(definition: GraphQLField) -> StrawberryField | None:
    """The field, if calling its resolver is all that an execution would do for its value."""
    field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if type(field) is not StrawberryField or field.extensions or field.permission_classes:
        return None
    resolver = field.base_resolver
    if resolver is None or not field.is_async or not is_non_null_type(definition.type):
        return None
    if resolver.self_parameter is None or resolver.parent_parameter is not None or resolver.root_parameter is not None:
        return None
    if resolver.info_parameter is not None and field.python_name not in OF_CONTEXT_ONLY:
        return None
    return field


@lru_cache(maxsize=64)
def _conversion(schema: Any, name: str) -> Callable[[Mapping[str, Any]], dict[str, Any]] | None:
    """That of the mutation's arguments, worked out once for each."""
    field = schema._schema.mutation_type.fields[name].extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    try:
        return conversion_of(field, schema.config)
    except Unknown:
        return None
