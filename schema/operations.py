"""One operation, from its request to its results: the one way to run it, for every transport. What is asked for is
``prepared`` first; a query or a mutation is ``answered`` then, and a subscription has ``events``.

Strawberry makes the schema, and graphql-core executes: what Strawberry has in between, for extensions of which we have
none, costs as much as the execution of a small operation.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Set
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, ClassVar

from django.conf import settings
from graphql import ExecutionResult as CoreResult
from graphql import GraphQLError, OperationType, execute, subscribe
from strawberry.execution import optimized_is_awaitable
from strawberry.schema import BaseSchema
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.utils.await_maybe import await_maybe

from rooms.exceptions import OperationTimeout, Refusal
from rooms.identity import Viewer, flaw_refused

from .compiled import Call, call_in, completing
from .context import Context
from .documents import ANY_OPERATION, Document, admitted
from .errors import log_unexpected, refusal_presented
from .introspection import may_introspect, without_suggestion
from .projection import encoded
from .requests import OperationRequest
from .tracing import note_operation
from .writes import require_turn_to_write

# What hands out credentials needs none, and neither does ending some that have ended.
WITHOUT_VIEWER = frozenset({"login", "joinRoom", "logout", "__typename"})


@dataclass(frozen=True)
class Written:
    """A result whose whole payload is JSON already, compact and in ASCII. One with errors never is."""

    payload: bytes
    errors: ClassVar[None] = None


Result = ExecutionResult | Written


def prepared(
    schema: BaseSchema, request: OperationRequest, context: Context, allowed: Set[OperationType] = ANY_OPERATION
) -> Document | PreExecutionError:
    """Return the document that is asked for, which is valid and may run, or the result that says why there is none."""
    try:
        document, cost = admitted(request, schema._schema, context.viewer, allowed)  # type: ignore[attr-defined]
    except (GraphQLError, Refusal) as error:
        return PreExecutionError(data=None, errors=[_graphql_error(error)])
    context.document, context.cost = document, cost
    note_operation(document.operation.name.value if document.operation.name else None)
    if faults := document.faults():
        return _not_executed(faults, context)
    if (refusal := flaw_refused(context.viewer)) and not _needs_no_viewer(document):
        return _not_executed([_graphql_error(refusal)], context)
    return document


def _needs_no_viewer(document: Document) -> bool:
    """Whether it may begin though credentials were shown that do not count. What a query may not see it says itself.

    A subscription may not: followed by an unknown viewer, it would forget what the client has confirmed.
    """
    operation = document.operation.operation
    return operation is OperationType.QUERY or (
        operation is OperationType.MUTATION and document.root_fields <= WITHOUT_VIEWER
    )


def is_request_error(result: Result) -> bool:
    """Whether nothing was executed (GraphQL specification, section 7.1.1): there is no ``data``, not even null."""
    if isinstance(result, Written):
        return False
    if isinstance(result, PreExecutionError):
        return True
    errors = result.errors or []
    return result.data is None and bool(errors) and all(error.path is None for error in errors)


class InTime:
    """``async with`` it: raises OperationTimeout for what takes too long."""

    __slots__ = ("_timeout",)

    async def __aenter__(self) -> None:
        self._timeout = asyncio.timeout(settings.LIMITS.operation_seconds or None)
        await self._timeout.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise OperationTimeout from None


async def answered(schema: BaseSchema, document: Document, request: OperationRequest, context: Context) -> Result:
    """Execute a query or a mutation, or call the mutation past the execution.

    Nothing is raised: it is in the errors of the result.
    """
    try:
        async with InTime():
            if document.operation.operation is OperationType.MUTATION:
                require_turn_to_write(document, request.variables, context)
            call = call_in(schema, document, request.variables, context)
            arguments = _arguments(schema, request, context)
            if call is not None:
                return await _called(call, document, arguments, context)
            result = await await_maybe(execute(document.schema, document.parsed, **arguments))
    except Exception as error:  # noqa: BLE001 - it is in the errors
        return _not_executed([_graphql_error(error)], context)
    return _seen(result, context)


async def _called(call: Call, document: Document, arguments: dict[str, Any], context: Context) -> Result:
    try:
        value = await call.resolve()
    except GraphQLError as error:
        return _seen(CoreResult(None, [error]), context)
    try:
        data = call.projection.write(value)
    except Exception:  # noqa: BLE001 - whatever it is, the execution says it as it should be said
        middleware = [completing(value)]
        completed = execute(document.schema, document.parsed, middleware=middleware, **arguments)
        return _seen(await await_maybe(completed), context)
    return Written(f'{{"data":{data},"extensions":{encoded(_extensions(context))}}}'.encode("ascii"))


async def events(
    schema: BaseSchema, document: Document, request: OperationRequest, context: Context
) -> AsyncGenerator[ExecutionResult, None]:
    """Begin a subscription, which is timed, and yield its events, which are not.

    Nothing is raised: what ends it is in the errors of the last result.
    """
    try:
        async with InTime():
            arguments = _arguments(schema, request, context)
            begun: Any = await await_maybe(subscribe(document.schema, document.parsed, **arguments))
        if isinstance(begun, CoreResult):
            yield _not_executed(begun.errors or [], context)
            return
        async with aclosing(begun):
            async for event in begun:
                yield _seen(event, context)
    except Exception as error:  # noqa: BLE001 - it is in the errors
        yield _seen(CoreResult(None, [_graphql_error(error)]), context)


def _arguments(schema: BaseSchema, request: OperationRequest, context: Context) -> dict[str, Any]:
    return {
        "variable_values": request.variables,
        "operation_name": request.operation_name,
        "context_value": context,
        "is_awaitable": optimized_is_awaitable,
        "executor_class": schema.execution_context_class,  # type: ignore[attr-defined]
        "operation_extensions": request.extensions,
    }


def _not_executed(errors: list[GraphQLError], context: Context) -> PreExecutionError:
    _note_errors(errors, context.viewer)
    return PreExecutionError(data=None, errors=errors, extensions=_extensions(context))


def _seen(result: CoreResult, context: Context) -> ExecutionResult:
    if result.errors:
        _note_errors(result.errors, context.viewer)
    return ExecutionResult(data=result.data, errors=result.errors, extensions=_extensions(context))


def _note_errors(errors: list[GraphQLError], viewer: Viewer) -> None:
    log_unexpected(errors)
    if not may_introspect(viewer):
        for error in errors:
            without_suggestion(error)


def _extensions(context: Context) -> dict[str, Any] | None:
    """What an answer tells of its cost, and of credentials that did not count.

    The events of a subscription do not say what its start has cost.
    """
    document = context.document
    if document is None or document.operation.operation is OperationType.SUBSCRIPTION:
        return None
    cost = {"requested": context.cost, "limit": settings.LIMITS.document_cost or None}
    refusal = flaw_refused(context.viewer)
    return {"cost": cost} if refusal is None else {"cost": cost, "authentication": refusal_presented(refusal)}


def _graphql_error(error: Exception) -> GraphQLError:
    if isinstance(error, GraphQLError):
        return error
    return GraphQLError(error.message if isinstance(error, Refusal) else str(error), original_error=error)
