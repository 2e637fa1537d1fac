"""What every answer tells browsers: load nothing from elsewhere, run nothing that stands in the page, be in no frame.

The pages need neither nonces nor exceptions: all their code and style is in files of this site. GraphiQL's editor alone
writes style elements, and has an icon font and the waves under a mistake in ``data:``. Django's SecurityMiddleware adds
``nosniff``, ``Referrer-Policy`` and ``Cross-Origin-Opener-Policy`` by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from schema.paths import SPELLINGS

DIRECTIVES = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
GRAPHIQL_DIRECTIVES = DIRECTIVES | {
    "style-src": "'self' 'unsafe-inline'",
    "img-src": "'self' data:",
    "font-src": "'self' data:",
    "worker-src": "'self'",
}
UNUSED_FEATURES = (
    "accelerometer",
    "camera",
    "display-capture",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "usb",
)


def policy(directives: dict[str, str]) -> str:
    """Return the value of ``Content-Security-Policy`` (CSP level 3)."""
    return "; ".join(f"{name} {sources}" for name, sources in directives.items())


POLICY = policy(DIRECTIVES)
GRAPHIQL_POLICY = policy(GRAPHIQL_DIRECTIVES)
PERMISSIONS = ", ".join(f"{feature}=()" for feature in UNUSED_FEATURES)


def told(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Return ``response`` with the headers."""
    response["Content-Security-Policy"] = GRAPHIQL_POLICY if request.path_info in SPELLINGS else POLICY
    response["Permissions-Policy"] = PERMISSIONS
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    return response


@sync_and_async_middleware
def browser_headers(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """The outermost middleware, so that static files and errors of the others carry the headers too."""
    if not iscoroutinefunction(get_response):
        return lambda request: told(request, get_response(request))

    async def answer(request: HttpRequest) -> HttpResponseBase:
        response: Awaitable[HttpResponseBase] = get_response(request)
        return told(request, await response)

    return answer
