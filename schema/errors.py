"""What clients see of errors: an allow-list. A refusal is shown as it is, a fault of the document as GraphQL words it,
and everything else is masked as INTERNAL_SERVER_ERROR, with the details in the log only.
"""

from __future__ import annotations

import logging
import re
from typing import Any

from graphql import GraphQLError

from rooms.exceptions import OperationTimeout, Refusal

from .tracing import current_request_id

logger = logging.getLogger(__name__)

MASKED_MESSAGE = "Something went wrong on our side."
OF_VARIABLE = re.compile(r"Variable '\$\w+' has invalid value(?: at [^:]*)?: ")
VALUE = re.compile(r"(?:, found|(?<= value)): .*", re.DOTALL)
QUERY_CANCELED = "57014"  # the SQLSTATE of PostgreSQL for a statement that took too long


class Interrupted(Exception):
    """A subscription that failed for a passing reason: the client may go on from its last cursor."""


def refusal_in(error: GraphQLError) -> Refusal | None:
    """What was refused, if the error comes of a refusal."""
    original = error.original_error
    if getattr(getattr(original, "__cause__", None), "sqlstate", None) == QUERY_CANCELED:
        return OperationTimeout()
    return original if isinstance(original, Refusal) else None


def is_expected(error: GraphQLError) -> bool:
    """Whether the error is the client's to see: a refusal, or a fault of the document or its variables."""
    original = error.original_error
    return original is None or isinstance(original, GraphQLError) or refusal_in(error) is not None


def presented(error: GraphQLError) -> dict[str, Any]:
    """The error as a client sees it (GraphQL specification, section 7.1.2), with a code in ``extensions``."""
    if not is_expected(error):
        return {**GraphQLError("", nodes=error.nodes, path=error.path).formatted, **masked()}
    refusal = refusal_in(error)
    if refusal is None:
        return {**error.formatted, "message": worded(error.message), "extensions": {"code": "BAD_USER_INPUT"}}
    return {**error.formatted, **refusal_presented(refusal)}


def worded(message: str) -> str:
    """What is wrong with a variable without its value, which graphql-core adds in Python; it may be a secret."""
    if (found := OF_VARIABLE.match(message)) is None:
        return message
    return found[0] + VALUE.sub(".", message[found.end() :]).replace("not to be None.", "not to be null.")


def refusal_presented(refusal: Refusal) -> dict[str, Any]:
    """A refusal that belongs to the request as a whole."""
    return {"message": refusal.message, "extensions": refusal.extensions}


def masked() -> dict[str, Any]:
    """What is said of a fault of ours: how to find it in the log."""
    extensions = {"code": "INTERNAL_SERVER_ERROR", "requestId": current_request_id()}
    return {"message": MASKED_MESSAGE, "extensions": extensions}


def log_unexpected(errors: list[GraphQLError]) -> None:
    for error in errors:
        if not is_expected(error):
            logger.error("Masked at %s in request %s", error.path, current_request_id(), exc_info=error.original_error)
