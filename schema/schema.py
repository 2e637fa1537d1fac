"""The schema, whole: what ``schema.graphql`` is exported from."""

from __future__ import annotations

from collections.abc import Iterator

import strawberry
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext

from .errors import log_unexpected
from .mutations import Mutation
from .queries import Query
from .subscriptions import Subscription
from .tracing import note_operation
from .types import Member, Message, Room


class RequireOperationName(SchemaExtension):
    """Refuse to choose among several operations (GraphQL specification, GetOperation); Strawberry takes the first."""

    def on_validate(self) -> Iterator[None]:
        context = self.execution_context
        if context._provided_operation_name is None and _operations(context.graphql_document) > 1:
            context.pre_execution_errors = [GraphQLError("`operationName` must say which of the operations is meant.")]
        yield


class NoteOperationName(SchemaExtension):
    """Tell the log what is executed."""

    def on_execute(self) -> Iterator[None]:
        note_operation(self.execution_context.operation_name)
        yield


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        log_unexpected(errors)


def _operations(document: DocumentNode | None) -> int:
    definitions = document.definitions if document else ()
    return sum(isinstance(definition, OperationDefinitionNode) for definition in definitions)


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Room, Member, Message],
    extensions=[RequireOperationName, NoteOperationName],
)
