"""From a request to a document that may run, the same for every transport and before Strawberry sees it: size, tokens,
syntax, the operation that is meant, and how much it asks for.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from django.conf import settings
from graphql import (
    DocumentNode,
    GraphQLSchema,
    GraphQLSyntaxError,
    MaxIntrospectionDepthRule,
    OperationDefinitionNode,
    OperationType,
    parse,
    validate,
)

from rooms.exceptions import BadUserInput, QueryTooComplex
from rooms.identity import Viewer

from .complexity import Measure, measures
from .introspection import require_introspection
from .requests import OperationRequest
from .trusted import text_of

ANY_OPERATION: Set[OperationType] = frozenset(OperationType)
UNBOUNDED = "Parsing aborted."  # how graphql-core's message ends where a document has too many tokens or levels


class NotServedHere(BadUserInput):
    """The transport, or the method, does not carry this type of operation."""

    def __init__(self, operation: OperationType) -> None:
        super().__init__("query", _REDIRECTIONS[operation])
        self.needs_other_method = operation is OperationType.MUTATION


@dataclass(frozen=True)
class Document:
    """``cost`` is that of the operation that is meant; an upper bound of the number of fields in its answer."""

    text: str
    parsed: DocumentNode
    operation: OperationDefinitionNode
    cost: int


def document_of(
    request: OperationRequest, schema: GraphQLSchema, viewer: Viewer, allowed: Set[OperationType] = ANY_OPERATION
) -> Document:
    """Raises GraphQLSyntaxError, QueryTooComplex, or another refusal for a document that is not to be run."""
    text = text_of(request)
    parsed = parsed_document(text)
    operation = _operation(parsed, request.operation_name)
    if operation.operation not in allowed:
        raise NotServedHere(operation.operation)
    measured = list(measures(schema, parsed, request.variables))
    for _, measure in measured:
        _require_moderation(measure)
    if any(measure.introspects for _, measure in measured):
        require_introspection(viewer)
        _require_shallow_introspection(schema, parsed)
    return Document(text, parsed, operation, next(it.cost() for node, it in measured if node is operation))


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


def _require_shallow_introspection(schema: GraphQLSchema, document: DocumentNode) -> None:
    """What every tool asks for passes; types of fields of types of fields of types do not."""
    if validate(schema, document, [MaxIntrospectionDepthRule]):
        raise QueryTooComplex("The document introspects too deeply.")
