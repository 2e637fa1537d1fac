"""One operation, from its request to its results: the one way to run it, for every transport."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Set
from contextlib import aclosing, asynccontextmanager
from typing import Any

from django.conf import settings
from graphql import GraphQLError, OperationType
from strawberry.extensions import SchemaExtension
from strawberry.schema import BaseSchema
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError

from rooms.exceptions import OperationTimeout, Refusal

from .context import Context
from .documents import ANY_OPERATION, admitted
from .requests import OperationRequest
from .tracing import note_operation


async def operate(
    schema: BaseSchema, request: OperationRequest, context: Context, allowed: Set[OperationType] = ANY_OPERATION
) -> AsyncGenerator[ExecutionResult, None]:
    """Yield one result for a query or a mutation, each event of a subscription, or one result that holds the refusal.

    Of what is not known beforehand nothing is raised: it is in the errors of a result.
    """
    try:
        document, cost = admitted(request, schema._schema, context.viewer, allowed)  # type: ignore[attr-defined]
    except (GraphQLError, Refusal) as error:
        yield PreExecutionError(data=None, errors=[_graphql_error(error)])
        return
    context.document, context.cost = document, cost
    note_operation(document.operation.name.value if document.operation.name else None)
    results: Any = await schema.stream(
        document.text,
        variable_values=request.variables,
        operation_name=request.operation_name,
        operation_extensions=request.extensions,
        context_value=context,
    )
    async with aclosing(results):
        async for result in results:
            yield result


def is_request_error(result: ExecutionResult) -> bool:
    """Whether nothing was executed (GraphQL specification, section 7.1.1): there is no ``data``, not even null."""
    if isinstance(result, PreExecutionError):
        return True
    errors = result.errors or []
    return result.data is None and bool(errors) and all(error.path is None for error in errors)


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """Raises OperationTimeout for what takes too long."""
    timeout = asyncio.timeout(settings.LIMITS.operation_seconds or None)
    try:
        async with timeout:
            yield
    except TimeoutError:
        if timeout.expired():
            raise OperationTimeout from None
        raise


class Moderation(SchemaExtension):
    """Hands Strawberry the document that is parsed and measured already, and perhaps validated; ends what takes too
    long; tells the cost."""

    def on_parse(self) -> Iterator[None]:
        if document := self.execution_context.context.document:
            self.execution_context.graphql_document = document.parsed
        yield

    def on_validate(self) -> Iterator[None]:
        document = self.execution_context.context.document
        if document and document.is_valid:
            self.execution_context.pre_execution_errors = []  # to Strawberry: it was validated, and this was found
        yield
        if document:
            document.is_valid = self.execution_context.pre_execution_errors == []

    async def on_execute(self) -> AsyncIterator[None]:
        """Around a query, a mutation, or the start of a subscription; events are not timed."""
        async with in_time():
            yield

    def get_results(self) -> dict[str, Any]:
        """For the answer's ``extensions``. The events of a subscription do not say what its start has cost."""
        context = self.execution_context.context
        document = context.document
        if document is None or document.operation.operation is OperationType.SUBSCRIPTION:
            return {}
        return {"cost": {"requested": context.cost, "limit": settings.LIMITS.document_cost or None}}


def _graphql_error(error: GraphQLError | Refusal) -> GraphQLError:
    return error if isinstance(error, GraphQLError) else GraphQLError(error.message, original_error=error)
