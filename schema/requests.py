"""What a client asks for, checked: the same over HTTP and WebSocket."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from rooms.exceptions import BadUserInput

CONTAINERS = (dict, list)


@dataclass(frozen=True)
class OperationRequest:
    """GraphQL-over-HTTP, section "Request parameters"; the payload of ``subscribe`` in graphql-transport-ws.

    ``query`` or ``document_id``, or both, say which document is meant.
    """

    query: str | None
    operation_name: str | None
    variables: dict[str, Any] | None
    extensions: dict[str, Any] | None
    document_id: str | None = None


def json_object(text: str | bytes) -> dict[str, Any]:
    """Return the JSON object (RFC 8259) in ``text``, which is UTF-8 where it is bytes.

    Raises ValueError for anything else, however deep or huge, and where a limit is exceeded.
    """
    try:
        value = json.loads(
            text if isinstance(text, str) else text.decode(),
            parse_constant=_refuse_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 from byte {error.start + 1} on") from error
    except json.JSONDecodeError as error:
        raise ValueError(_fault_in(error)) from error
    if not isinstance(value, dict):
        raise ValueError("not an object")
    _require_shallow(value)
    return value


def operation_request(payload: object) -> OperationRequest:
    """What the members of a request say. Raises BadUserInput, naming the member at fault.

    An empty name is none: programs in Go write out the empty values of what was not set.
    """
    if not isinstance(payload, dict):
        raise BadUserInput("payload", "The request must be an object.")
    query = _optional(payload, "query", str)
    extensions = _optional(payload, "extensions", dict)
    document_id = _optional(payload, "documentId", str) or _persisted(extensions)
    if query is None and document_id is None:
        raise BadUserInput("query", "`query` must be a text.")
    return OperationRequest(
        query=query,
        operation_name=_optional(payload, "operationName", str) or None,
        variables=_optional(payload, "variables", dict),
        extensions=extensions,
        document_id=document_id,
    )


def _persisted(extensions: dict[str, Any] | None) -> str | None:
    """The hash of Apollo's persisted queries, which names a document as ``documentId`` does."""
    persisted = (extensions or {}).get("persistedQuery")
    digest = persisted.get("sha256Hash") if isinstance(persisted, dict) else None
    return digest if isinstance(digest, str) else None


def _optional(payload: dict[str, Any], name: str, kind: type) -> Any:
    value = payload.get(name)
    if value is not None and not isinstance(value, kind):
        raise BadUserInput(name, f"`{name}` must be {'a text' if kind is str else 'an object'} or null.")
    return value


def _fault_in(error: json.JSONDecodeError) -> str:
    """Where the JSON ends to be some, in words of ours: Python's change."""
    if not error.doc.strip():
        return "it is empty"
    if error.doc.startswith("\ufeff"):
        return "it begins with a byte order mark, which JSON has not"
    return f"no JSON from line {error.lineno}, column {error.colno} on"


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    limit = settings.LIMITS.json_integer_digits
    if 0 < limit < len(digits.lstrip("-")):
        raise ValueError(f"an integer of more than {limit} digits")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number that is out of range")
    return number


def _require_shallow(value: dict[str, Any]) -> None:
    """Raises ValueError where arrays and objects are nested deeper than the limit. Level by level: no recursion."""
    limit = settings.LIMITS.json_depth
    level: list[Any] = [value]
    depth = 0
    while level:
        depth += 1
        if 0 < limit < depth:
            raise ValueError(f"nested more than {limit} levels deep")
        children = (child for it in level for child in (it.values() if isinstance(it, dict) else it))
        level = [child for child in children if isinstance(child, CONTAINERS)]
