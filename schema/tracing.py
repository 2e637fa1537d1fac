"""One line of the log for each request, each operation of a socket, and each socket's end.

A line says who (``user:5``), which operation, how long and how it ended; never what was said or shown: no token,
cookie, variable or text. It carries the request's id, which the client is told as well.

Concurrency: a trace belongs to the task that began it, and goes wherever its context goes: into tasks and threads.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

logger = logging.getLogger(__name__)

REQUEST_ID_BITS = 64
OPERATION_NAME_MAX_LENGTH = 64
FIELDS = ("request_id", "operation", "viewer", "status", "seconds")
"""What a record may carry beside its message."""

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Empty where nothing was asked for: at the start, in the background."""


@dataclass
class Trace:
    """``status`` is of HTTP, or the code that a socket closed with, or how its operation ended.

    ``is_left_open``: what is traced goes on without its task, and ``finish`` writes the line.
    """

    viewer: str = "nobody"
    operation: str = ""
    status: str | int = ""
    is_left_open: bool = False
    began: float = 0.0
    request_id: str = ""


_trace: ContextVar[Trace | None] = ContextVar("trace", default=None)


def new_request_id() -> str:
    """Return 16 hexadecimal digits at random. Never what a client sends: that could be anything, in every line.

    It is a name and no secret, so the kernel is not asked for it.
    """
    return f"{random.getrandbits(REQUEST_ID_BITS):0{REQUEST_ID_BITS // 4}x}"


def begin_request() -> str:
    """Give what the calling task serves from now on an id, and return it."""
    request_id.set(made := new_request_id())
    return made


def current_request_id() -> str:
    """The id of what the calling task serves, a new one where that has none."""
    return request_id.get() or begin_request()


@contextmanager
def traced(what: str) -> Iterator[Trace]:
    """Give ``what`` an id, and write a line about it when it ends.

    Within, ``note_viewer`` and ``note_operation`` say more of it.
    """
    trace = Trace(request_id=begin_request(), began=time.monotonic())
    before = _trace.set(trace)
    try:
        yield trace
    except asyncio.CancelledError:
        trace.status = trace.status or "cancelled"
        raise
    except BaseException:
        trace.status = trace.status or "failed"
        raise
    finally:
        _trace.reset(before)
        if not trace.is_left_open:
            finish(what, trace)


def finish(what: str, trace: Trace) -> None:
    """Write the line about what was traced."""
    if not logger.isEnabledFor(logging.INFO):
        return
    seconds = round(time.monotonic() - trace.began, 6)
    fields = {name: getattr(trace, name) for name in FIELDS if name != "seconds"} | {"seconds": seconds}
    logger.info("%s %s by %s: %s", what, trace.operation or "without a name", trace.viewer, trace.status, extra=fields)


def note_viewer(key: str | None) -> None:
    if trace := _trace.get():
        trace.viewer = key or "nobody"


def note_operation(name: str | None) -> None:
    """``name`` is that of an operation in a valid document, and so a Name of GraphQL: letters, digits, underscores."""
    if trace := _trace.get():
        trace.operation = (name or "")[:OPERATION_NAME_MAX_LENGTH]


class RequestIdFilter(logging.Filter):
    """Give every record that passes a ``request_id``: its own, or that of what is served where it was written."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = getattr(record, "request_id", "") or request_id.get()
        return True
