"""From a request to a document that may run, the same for every transport and before Strawberry sees it: size, tokens,
syntax, the operation that is meant, and how much it asks for.

Clients send the same few texts again and again, so what was found out about one is remembered for a while.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from django.conf import settings
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    MaxIntrospectionDepthRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.schema import validate_document

from rooms.exceptions import BadUserInput, QueryTooComplex
from rooms.identity import Viewer

from .complexity import Measure, measures, sizes_given
from .introspection import require_introspection
from .projection import Projection, Unprojectable, projection_of, switches_in
from .recent import Recent
from .requests import OperationRequest
from .trusted import text_of

ANY_OPERATION: Set[OperationType] = frozenset(OperationType)
REMEMBERED_CHARACTERS = 256 * 1024  # up to 310 bytes of memory for each, parsed
MEASURES_KEPT = 16  # of one document, for as many sizes of pages
PROJECTIONS_KEPT = 16  # of one document, for as many ways to switch parts of it on and off
UNBOUNDED = "Parsing aborted."  # how graphql-core's message ends where a document has too many tokens or levels


class NotServedHere(BadUserInput):
    """The transport, or the method, does not carry this type of operation."""

    def __init__(self, operation: OperationType) -> None:
        super().__init__("query", _REDIRECTIONS[operation])
        self.needs_other_method = operation is OperationType.MUTATION


Measures = tuple[tuple[OperationDefinitionNode, Measure], ...]
Switches = tuple[tuple[str, Any], ...]  # what the variables say of what is selected


@dataclass(eq=False)
class Document:
    """A text, parsed, and the operation in it that is meant; the same object for as long as it is remembered, so that
    what takes long to work out from it can be kept here.

    ``is_valid`` once it was found so. What was found faulty is not remembered as that: it is validated anew, so each
    answer has errors of its own.
    """

    text: str
    schema: GraphQLSchema
    parsed: DocumentNode
    operation: OperationDefinitionNode
    is_valid: bool = False
    _sizes: frozenset[str] | None = None
    _measures: dict[tuple[int | str | None, ...], Measures] = field(default_factory=dict)
    _projections: dict[Switches, Projection | None] = field(default_factory=dict)

    def measures(self, variables: Mapping[str, Any] | None) -> Measures:
        """The measure of each operation. It depends on the variables that are the sizes of pages, and on no others."""
        if self._sizes is not None:
            given = sizes_given(self._sizes, variables)
            if (found := self._measures.get(given)) is not None:
                return found
        found = tuple(measures(self.schema, self.parsed, variables))
        self._sizes = frozenset().union(*(measure.sizes for _, measure in found))
        if len(self._measures) >= MEASURES_KEPT:
            self._measures.clear()
        self._measures[sizes_given(self._sizes, variables)] = found
        return found

    def faults(self) -> list[GraphQLError]:
        """What makes it invalid; nothing once it was found valid. The rules are Strawberry's: the specification's, and
        some for inputs."""
        if self.is_valid:
            return []
        found = validate_document(self.schema, self.parsed, tuple(specified_rules))
        self.is_valid = not found
        return found

    @cached_property
    def root_fields(self) -> frozenset[str]:
        """The names of the fields that the operation asks of its root type. To be called once it was found valid."""
        fragments = {it.name.value: it for it in self.parsed.definitions if isinstance(it, FragmentDefinitionNode)}
        return frozenset(_field_names(self.operation, fragments))

    def switches(self, coerced: Mapping[str, Any]) -> Switches:
        """What variables, coerced, say of what is selected."""
        return tuple((name, coerced.get(name)) for name in self._switches)

    def projection(self, switches: Switches) -> Projection | None:
        """That of the operation, found valid, compiled once. What cannot be is remembered as None."""
        if switches not in self._projections:
            if len(self._projections) >= PROJECTIONS_KEPT:
                self._projections.clear()
            try:
                found = projection_of(self.schema, self.parsed, self.operation, dict(switches))
            except Unprojectable:
                found = None
            self._projections[switches] = found
        return self._projections[switches]

    @cached_property
    def _switches(self) -> tuple[str, ...]:
        return switches_in(self.operation, self.parsed)

    @cached_property
    def introspects_deeply(self) -> bool:
        """What every tool asks for does not; types of fields of types of fields of types do."""
        return bool(validate(self.schema, self.parsed, [MaxIntrospectionDepthRule]))


class Admitted(NamedTuple):
    """``cost`` is that of the operation that is meant; an upper bound of the number of fields in its answer."""

    document: Document
    cost: int


def admitted(
    request: OperationRequest, schema: GraphQLSchema, viewer: Viewer, allowed: Set[OperationType] = ANY_OPERATION
) -> Admitted:
    """Raises GraphQLSyntaxError, QueryTooComplex, or another refusal for a document that is not to be run."""
    document = document_of(text_of(request), request.operation_name, schema)
    if document.operation.operation not in allowed:
        raise NotServedHere(document.operation.operation)
    measured = document.measures(request.variables)
    for _, measure in measured:
        _require_moderation(measure)
    if any(measure.introspects for _, measure in measured):
        require_introspection(viewer)
        if document.introspects_deeply:
            raise QueryTooComplex("The document introspects too deeply.")
    return Admitted(document, next(it.cost() for node, it in measured if node is document.operation))


def document_of(text: str, operation_name: str | None, schema: GraphQLSchema) -> Document:
    """The one that is remembered, or a new one, which is remembered then. Raises as ``admitted`` does."""
    limits = settings.LIMITS
    key = schema, text, operation_name, limits.document_bytes, limits.document_tokens
    found = _remembered.get(key)
    if found is None:
        parsed = parsed_document(text)
        found = Document(text, schema, parsed, _operation(parsed, operation_name))
        _remembered.keep(key, found, len(text))
    return found


_remembered: Recent[tuple[GraphQLSchema, str, str | None, int, int], Document] = Recent(REMEMBERED_CHARACTERS)
_REDIRECTIONS = {
    OperationType.QUERY: "Queries are not served here.",
    OperationType.MUTATION: "Mutations go by POST.",
    OperationType.SUBSCRIPTION: "Subscriptions go over WebSocket, at the same address.",
}


def parsed_document(text: str) -> DocumentNode:
    limits = settings.LIMITS
    size = len(text.encode("utf-8", "surrogatepass"))
    if 0 < limits.document_bytes < size:
        raise QueryTooComplex(f"The document is too long: {size} bytes of at most {limits.document_bytes}.")
    try:
        return parse(text, max_lexical_tokens=limits.document_tokens or None)
    except GraphQLSyntaxError as error:
        if not error.message.endswith(UNBOUNDED):
            raise
        raise QueryTooComplex(error.message.removeprefix("Syntax Error: ").removesuffix(f" {UNBOUNDED}")) from error


def _field_names(node: Any, fragments: Mapping[str, FragmentDefinitionNode]) -> Iterator[str]:
    """Those that ``node`` selects, directly or by fragments."""
    for it in node.selection_set.selections:
        if isinstance(it, FieldNode):
            yield it.name.value
        else:
            yield from _field_names(fragments[it.name.value] if isinstance(it, FragmentSpreadNode) else it, fragments)


def _operation(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """The operation that is meant (GraphQL specification, GetOperation); Strawberry would take the first."""
    operations = [it for it in document.definitions if isinstance(it, OperationDefinitionNode)]
    found = [it for it in operations if name is None or (it.name and it.name.value == name)]
    if not found:
        raise BadUserInput("operationName", "There is no such operation in the document.")
    if len(found) > 1 and name is None:
        raise BadUserInput("operationName", "`operationName` must say which of the operations is meant.")
    return found[0]


def _require_moderation(measure: Measure) -> None:
    if excesses := ", ".join(measure.excesses(settings.LIMITS)):
        raise QueryTooComplex(f"The document asks for too much at once: {excesses}.")
