"""What clients see of errors: an allow-list. A refusal is shown as it is, a fault of the document as GraphQL words it,
and everything else is masked as INTERNAL_SERVER_ERROR, with the details in the log only.
"""

from __future__ import annotations

import logging
from typing import Any

from graphql import GraphQLError
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError

from rooms.exceptions import Refusal

logger = logging.getLogger(__name__)

REQUEST_FAULTS = MissingQueryError | CannotGetOperationTypeError | InvalidOperationTypeError
MASKED_MESSAGE = "Something went wrong on our side."
MASKED: dict[str, Any] = {"message": MASKED_MESSAGE, "extensions": {"code": "INTERNAL_SERVER_ERROR"}}


class Interrupted(Exception):
    """A subscription that failed for a passing reason: the client may go on from its last cursor."""


def is_expected(error: GraphQLError) -> bool:
    """Whether the error is the client's to see: a refusal, or a fault of the document or its variables."""
    original = error.original_error
    return original is None or isinstance(original, Refusal | GraphQLError | REQUEST_FAULTS)


def presented(error: GraphQLError) -> dict[str, Any]:
    """The error as a client sees it (GraphQL specification, section 7.1.2), with a code in ``extensions``."""
    if not is_expected(error):
        return {**GraphQLError(MASKED_MESSAGE, nodes=error.nodes, path=error.path).formatted, **MASKED}
    refusal = error.original_error
    extensions = refusal.extensions if isinstance(refusal, Refusal) else {"code": "BAD_USER_INPUT"}
    return {**error.formatted, "extensions": extensions}


def refusal_presented(refusal: Refusal) -> dict[str, Any]:
    """A refusal that belongs to the request as a whole."""
    return {"message": refusal.message, "extensions": refusal.extensions}


def log_unexpected(errors: list[GraphQLError]) -> None:
    for error in errors:
        if not is_expected(error):
            logger.error("Masked at %s", error.path, exc_info=error.original_error)
