"""What ties the lines of a log to the request that they are about: an id, which the client is told as well.

The id is set where a request begins: an HTTP request, or an operation of a socket. It goes wherever the request's
context goes: into its tasks and its threads.
"""

from __future__ import annotations

import logging
import secrets
from contextvars import ContextVar

REQUEST_ID_BYTES = 8

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Empty where nothing was asked for: at the start, in the background."""


def new_request_id() -> str:
    """Return 16 hexadecimal digits at random. Never what a client sends: that could be anything, in every line."""
    return secrets.token_hex(REQUEST_ID_BYTES)


class RequestIdFilter(logging.Filter):
    """Give every record that passes a ``request_id``."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        return True
