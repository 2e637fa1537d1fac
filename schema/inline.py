"""Django's middleware around an asynchronous handler, on the event loop.

Django takes each synchronous hook of a middleware to a thread and back: some twenty times for a request here. The
hooks of ours only look at headers and set them. The one that may have to write, the session's, goes to a thread when it
has to.

A hook that asks the database all the same is refused by Django itself (SynchronousOnlyOperation): it fails, and holds
nobody up. There is no view, so no hook for views, templates or their exceptions is called.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from django.contrib.sessions.middleware import SessionMiddleware
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin
from django.utils.module_loading import import_string

from rooms.threads import in_database

Handler = Callable[[HttpRequest], Awaitable[HttpResponseBase]]


def within_middleware(handler: Handler, names: Sequence[str]) -> Handler:
    """``handler`` within the middleware of those names, the first outermost.

    As in Django's own handler whatever one of them raises is a response to those around it.
    Raises ImproperlyConfigured for what works in threads only.
    """
    served = _answering(handler)
    for name in reversed(names):
        served = _answering(_around(served, name))
    return served


def _answering(handler: Handler) -> Handler:
    answering: Any = convert_exception_to_response(handler)  # asynchronous where the handler is
    return answering  # type: ignore[no-any-return]


def _around(handler: Handler, name: str) -> Handler:
    factory: Any = import_string(name)
    if isinstance(factory, type) and issubclass(factory, MiddlewareMixin):
        return _hooks_of(factory(handler), handler)
    if not getattr(factory, "async_capable", False):
        raise ImproperlyConfigured(f"{name} is synchronous: it cannot stand around what is served on the event loop")
    made: Handler = factory(handler)
    return made


def _hooks_of(middleware: Any, handler: Handler) -> Handler:
    """What ``MiddlewareMixin.__call__`` does."""
    before = getattr(middleware, "process_request", None)
    after = getattr(middleware, "process_response", None)
    writes = isinstance(middleware, SessionMiddleware)

    async def served(request: HttpRequest) -> HttpResponseBase:
        response: HttpResponseBase | None = before(request) if before else None
        if response is None:
            response = await handler(request)
        if after is None:
            return response
        if writes and request.session.modified:
            return await in_database(after, request, response)
        changed: HttpResponseBase = after(request, response)
        return changed

    return served
