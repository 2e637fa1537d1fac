"""A selection compiled into a function: from an event straight to its JSON text, the same for whoever asks.

What may be compiled is what may be shared. It is decided from the schema and fails closed: a field is taken only if it
is an attribute of the object, or its resolver is a plain function of nothing but the object: no ``info``, and with it
no viewer, no arguments, nothing to wait for, no extension or permission around it. A document that selects anything
else has no projection, and is executed for each viewer by itself.

The text is byte for byte what an execution of one's own, encoded by ``json``, would give; what an execution would have
answered with an error raises here, and is to be executed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, cast

from graphql import (
    ArgumentNode,
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    is_abstract_type,
    is_non_null_type,
)
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.field import StrawberryField
from strawberry_django.fields.field import StrawberryDjangoField

Get = Callable[[Any], Any]
Write = Callable[[Any], str]

CONDITIONS = {"skip": False, "include": True}  # and the value of ``if`` with which a selection stays
OF_THE_OBJECT = ("self", "root")  # how our resolvers call the one thing that they may take

encode_text = json.encoder.encode_basestring_ascii
encode = json.JSONEncoder(separators=(",", ":")).encode


class Unprojectable(Exception):
    """The document selects what may depend on the viewer, or has to be waited for."""


class NullForNonNull(ValueError):
    """A field that promises a value has none: the execution says so as the specification wants it."""


@dataclass(frozen=True)
class Projection:
    """What one operation shows of an event.

    ``write`` returns the JSON text of the operation's ``data``; it raises what a getter raises, and NullForNonNull.
    """

    write: Write


def switches_in(operation: OperationDefinitionNode, document: DocumentNode) -> tuple[str, ...]:
    """The names of the variables that decide what is selected, by ``@skip`` and ``@include``."""
    fragments = (it for it in document.definitions if isinstance(it, FragmentDefinitionNode))
    selections = [operation.selection_set, *(it.selection_set for it in fragments)]
    found = {name for each in selections for name in _switches(each)}
    return tuple(sorted(found))


def root_field_of(operation: OperationDefinitionNode) -> FieldNode | None:
    """The one field that stands in the operation itself; None where it is elsewhere, or conditional, or one of several.

    A subscription has one (GraphQL specification, section 5.2.3.1), which could also be in a fragment.
    """
    selections = operation.selection_set.selections
    node = selections[0] if len(selections) == 1 else None
    return node if isinstance(node, FieldNode) and not node.directives else None


def projection_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
) -> Projection:
    """Compile a valid document's operation, with ``variables`` coerced. Raises Unprojectable.

    The events are the values of the operation's only root field.
    """
    root = schema.get_root_type(operation.operation)
    if root is None:
        raise Unprojectable("no such operations")
    selecting = _Selecting(schema, document, variables)
    fields = selecting.fields(root, [operation.selection_set])
    if len(fields) != 1:
        raise Unprojectable("not one root field")
    ((key, nodes),) = fields.items()
    definition = root.fields.get(nodes[0].name.value)
    if definition is None:
        raise Unprojectable(f"{nodes[0].name.value} is no field of {root.name}")
    prefix, write = f"{{{encode_text(key)}:", selecting.writer(definition.type, nodes)
    return Projection(lambda event: f"{prefix}{write(event)}}}")


class _Selecting:
    """Walks the selections of one operation (GraphQL specification, section 6.3.2, CollectFields)."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._schema = schema
        self._variables = variables
        self._fragments = {it.name.value: it for it in document.definitions if isinstance(it, FragmentDefinitionNode)}

    def fields(
        self, parent: GraphQLObjectType, selections: Sequence[SelectionSetNode | None]
    ) -> dict[str, list[FieldNode]]:
        """The fields of an object by response key, in the order of the answer."""
        found: dict[str, list[FieldNode]] = {}
        visited: set[str] = set()
        for selection_set in selections:
            self._collect(parent, selection_set, found, visited)
        return found

    def _collect(
        self,
        parent: GraphQLObjectType,
        selection_set: SelectionSetNode | None,
        found: dict[str, list[FieldNode]],
        visited: set[str],
    ) -> None:
        for node in filter(self._is_selected, selection_set.selections if selection_set else ()):
            match node:
                case FieldNode():
                    key = node.alias.value if node.alias else node.name.value
                    found.setdefault(key, []).append(node)
                case InlineFragmentNode(type_condition=condition):
                    if condition is None or self._applies(condition.name.value, parent):
                        self._collect(parent, node.selection_set, found, visited)
                case FragmentSpreadNode() if node.name.value not in visited:
                    visited.add(node.name.value)
                    fragment = self._fragments[node.name.value]
                    if self._applies(fragment.type_condition.name.value, parent):
                        self._collect(parent, fragment.selection_set, found, visited)

    def _is_selected(self, node: SelectionNode) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name not in CONDITIONS:
                raise Unprojectable(f"@{name}")
            if self._condition(_arguments_of(directive)[0].value) is not CONDITIONS[name]:
                return False
        return True

    def _condition(self, value: Any) -> Any:
        return self._variables.get(value.name.value) if isinstance(value, VariableNode) else value.value

    def _applies(self, condition: str, parent: GraphQLObjectType) -> bool:
        kind = self._schema.get_type(condition)
        return kind is parent or (is_abstract_type(kind) and self._schema.is_sub_type(kind, parent))

    def writer(self, kind: Any, nodes: Sequence[FieldNode]) -> Write:
        """What writes a value of this type, of which ``nodes`` select."""
        if is_non_null_type(kind):
            return _required(self._present_writer(kind.of_type, nodes))
        write = self._present_writer(kind, nodes)
        return lambda value: "null" if value is None else write(value)

    def _present_writer(self, kind: Any, nodes: Sequence[FieldNode]) -> Write:
        match kind:
            case GraphQLObjectType():
                return self._object_writer(kind, nodes)
            case GraphQLEnumType():
                return _enum_writer(kind)
            case GraphQLScalarType():
                return _scalar_writer(kind)
            case _:
                raise Unprojectable(f"{kind} is neither an object nor a leaf")

    def _object_writer(self, kind: GraphQLObjectType, nodes: Sequence[FieldNode]) -> Write:
        fields = self.fields(kind, [node.selection_set for node in nodes])
        parts = [self._part(kind, key, found) for key, found in fields.items()]

        def write(value: Any) -> str:
            return "{" + ",".join([prefix + write(get(value)) for prefix, get, write in parts]) + "}"

        return write

    def _part(self, kind: GraphQLObjectType, key: str, nodes: Sequence[FieldNode]) -> tuple[str, Get, Write]:
        prefix, name = f"{encode_text(key)}:", nodes[0].name.value
        if name == "__typename":
            text = encode_text(kind.name)
            return prefix, lambda _: None, lambda _: text
        definition = kind.fields[name]
        return prefix, getter_of(definition), self.writer(definition.type, nodes)


def getter_of(definition: GraphQLField) -> Get:
    """How the field is had from its object and nothing else. Raises Unprojectable where that is not known."""
    field = definition.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if not isinstance(field, StrawberryField) or definition.args or field.extensions or field.permission_classes:
        raise Unprojectable("not a plain field")
    if field.base_resolver is None:
        return attrgetter((isinstance(field, StrawberryDjangoField) and field.django_name) or field.python_name)
    resolver = field.base_resolver
    taken = list(resolver.signature.parameters)
    if field.is_async or not taken or not set(taken).issubset(OF_THE_OBJECT):
        raise Unprojectable(f"{field.python_name} takes {taken}")
    function: Callable[..., Any] = cast("Any", resolver.wrapped_func)
    return function if len(taken) == 1 else lambda value: function(value, value)


def _required(write: Write) -> Write:
    def required(value: Any) -> str:
        if value is None:
            raise NullForNonNull
        return write(value)

    return required


def _scalar_writer(kind: GraphQLScalarType) -> Write:
    serialize, is_text = kind.serialize, kind.name in ("String", "ID")

    def write(value: Any) -> str:
        if is_text and type(value) is str:
            return encode_text(value)
        return encoded(serialize(value))

    return write


def _enum_writer(kind: GraphQLEnumType) -> Write:
    """There are few values, so each is encoded once."""
    known: dict[Any, str] = {}

    def write(value: Any) -> str:
        if value not in known:
            known[value] = encoded(kind.serialize(value))
        return known[value]

    return write


def encoded(value: Any) -> str:
    """As ``json`` writes it, compactly."""
    if type(value) is str:
        return encode_text(value)
    return str(value) if type(value) is int else encode(value)


def _arguments_of(directive: DirectiveNode) -> Sequence[ArgumentNode]:
    return directive.arguments or ()


def _switches(selection_set: SelectionSetNode | None) -> Iterator[str]:
    for node in selection_set.selections if selection_set else ():
        for directive in node.directives or ():
            yield from (it.value.name.value for it in _arguments_of(directive) if isinstance(it.value, VariableNode))
        if isinstance(node, FieldNode | InlineFragmentNode):
            yield from _switches(node.selection_set)
