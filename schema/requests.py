"""What a client asks for, checked: the same over HTTP and WebSocket."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from rooms.exceptions import BadUserInput


@dataclass(frozen=True)
class OperationRequest:
    """GraphQL-over-HTTP, section "Request parameters"; the payload of ``subscribe`` in graphql-transport-ws."""

    query: str
    operation_name: str | None
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None


def json_object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object (RFC 8259) in ``text``. Raises ValueError for anything else, however deep or huge."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    return value


def operation_request(payload: object) -> OperationRequest:
    """Raises BadUserInput, naming the member at fault."""
    if not isinstance(payload, dict):
        raise BadUserInput("payload", "The request must be an object.")
    query = payload.get("query")
    if not isinstance(query, str):
        raise BadUserInput("query", "`query` must be a text.")
    return OperationRequest(
        query=query,
        operation_name=_optional(payload, "operationName", str),
        variables=_optional(payload, "variables", dict),
        extensions=_optional(payload, "extensions", dict),
    )


def _optional(payload: dict[str, Any], name: str, kind: type) -> Any:
    value = payload.get(name)
    if value is not None and not isinstance(value, kind):
        raise BadUserInput(name, f"`{name}` must be {'a text' if kind is str else 'an object'} or null.")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
