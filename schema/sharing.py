"""Subscriptions that may be shared: whose events are the same for everybody who may hear them.

Everything that is decided about one is decided here, from its document and variables, and what is not known to be
shareable is not shared: ``shared_in`` says None, and the operation is executed for its own viewer, event by event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    ExecutionResult,
    Executor,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    execute_subscription_event,
    get_argument_values,
    get_variable_values,
)

from rooms.feed import Entry
from rooms.models import FIRST_EPOCH

from .cohorts import Key, Show
from .documents import Document
from .errors import log_unexpected, presented
from .projection import Projection, encoded, root_field_of
from .types import event_of

FIELD = "messages"


class AwaitableInEvent(RuntimeError):
    """An event's execution has to wait for something: then its document should not have been taken for shareable."""


@dataclass(frozen=True)
class Shared:
    """A subscription to ``messages``, with its arguments. Those of one room with the same ``key`` are shown the same.

    ``node`` is the field as the document has it, for errors.
    """

    document: Document
    node: FieldNode
    room_id: str
    after: str | None
    key: Key
    projection: Projection
    variables: Mapping[str, Any]

    @property
    def operation_name(self) -> str | None:
        name = self.document.operation.name
        return name.value if name else None

    def show(self, room_id: int, epoch: int = FIRST_EPOCH) -> Show:
        """What makes the payload of ``next`` from an entry of that room, in that epoch of its log."""
        write, failed = self.projection.write, self._executed

        def show(entry: Entry) -> bytes:
            event = event_of(room_id, entry, epoch)
            try:
                return b'{"data":%b}' % write(event).encode("ascii")
            except Exception:  # noqa: BLE001 - whatever it is, the execution says it as it should be said
                return failed(event)

        return show

    def _executed(self, event: Any) -> bytes:
        """The same by execution, which answers with errors where there are any."""
        executor = Executor.build(
            self.document.schema,
            self.document.parsed,
            raw_variable_values=dict(self.variables),
            operation_name=self.operation_name,
        )
        if isinstance(executor, list):
            raise GraphQLError("the variables were valid before")
        result = execute_subscription_event(executor.build_per_event_executor(event))
        if not isinstance(result, ExecutionResult):
            raise AwaitableInEvent
        payload: dict[str, Any] = {"data": result.data}
        if result.errors:
            log_unexpected(result.errors)
            payload["errors"] = [presented(error) for error in result.errors]
        return encoded(payload).encode("ascii")


def shared_in(document: Document, variables: Mapping[str, Any] | None) -> Shared | None:
    """What is shared, if the operation can be; None for any other, and for whatever is faulty."""
    operation, schema = document.operation, document.schema
    if operation.operation is not OperationType.SUBSCRIPTION or document.faults():
        return None
    node = root_field_of(operation)
    if node is None or node.name.value != FIELD:
        return None
    coerced = get_variable_values(schema, operation.variable_definitions or (), dict(variables or {}))
    if isinstance(coerced, list):
        return None
    try:
        arguments = get_argument_values(_field(schema), node, coerced)
    except GraphQLError:
        return None
    switches = document.switches(coerced.coerced)
    projection = document.projection(switches)
    if projection is None:
        return None
    key = (document.text, operation.name and operation.name.value, switches)
    return Shared(document, node, arguments["roomId"], arguments.get("after"), key, projection, variables or {})


def _field(schema: GraphQLSchema) -> Any:
    if schema.subscription_type is None:
        raise TypeError("the schema has no subscriptions")
    return schema.subscription_type.fields[FIELD]
