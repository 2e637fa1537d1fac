"""GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), from a request of Django's to its response.

Queries come by POST or GET, mutations by POST, subscriptions not at all. Every answer is JSON, refusals too.
"""

from __future__ import annotations

import json
import logging
from functools import lru_cache, partial
from typing import Any

from django.conf import settings
from django.contrib.auth import login, logout
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from graphql import OperationType

from rooms.exceptions import BadUserInput, Forbidden, OperationTimeout, Refusal, Unauthenticated
from rooms.identity import Viewer
from rooms.sessions import GUEST_IN_SESSION, keep_in_session, session_of

from .addresses import address_of
from .context import Context, Credentials
from .documents import Document, NotServedHere
from .errors import masked, presented, refusal_in, refusal_presented
from .identities import Identities
from .operations import Result, Written, answered, is_request_error, prepared
from .origins import is_trusted_origin
from .requests import OperationRequest, json_object, operation_request
from .schema import schema

logger = logging.getLogger(__name__)

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
MEDIA_TYPES = [JSON, GRAPHQL_RESPONSE]  # the first where either will do, for clients that know one only
ALLOWED = {
    "GET": frozenset({OperationType.QUERY}),
    "POST": frozenset({OperationType.QUERY, OperationType.MUTATION}),
}
ALLOW_HEADER = "GET, POST"
PARAMETERS_OF_OBJECTS = ("variables", "extensions")
authenticate = Identities().viewer_of
STATUS: dict[type[Refusal], int] = {Unauthenticated: 401, Forbidden: 403, OperationTimeout: 503}


class Unservable(BadUserInput):
    """A request that HTTP has a status of its own for."""

    def __init__(self, status: int, field: str, message: str) -> None:
        super().__init__(field, message)
        self.status = status


async def answer(request: HttpRequest) -> HttpResponse:
    """Answer a request that is there as a whole. Never raises but on cancellation."""
    media_type = preferred_type(request.headers.get("Accept", "*/*"))
    try:
        _require_servable(request, media_type)
        asked = _request_of(request)
        _require_own_site(request)
        result = await _result(asked, await _context(request), request.method or "")
        return _response(_payload(result), _status(result, media_type), media_type)
    except Refusal as refusal:
        return _refused(refusal, media_type)
    except RequestDataTooBig:
        return _refused(Unservable(413, "body", "The body is too large."), media_type)
    except SuspiciousOperation as error:
        return _refused(BadUserInput("body", str(error)), media_type)
    except Exception:
        logger.exception("A request failed outside of its resolvers")
        return _response({"errors": [masked()]}, 500, media_type)


@lru_cache(maxsize=64)
def preferred_type(accept: str) -> str | None:
    """Which of the media types to answer in (RFC 9110, section 12.5.1), None for neither, by Django's reading."""
    asked = HttpRequest()
    asked.META["HTTP_ACCEPT"] = accept
    return asked.get_preferred_type(MEDIA_TYPES)


def wants_page(request: HttpRequest) -> bool:
    """Whether this is a browser that was led to the address, which finds GraphiQL there."""
    if request.method != "GET" or "text/html" not in request.headers.get("Accept", ""):
        return False
    try:
        return "query" not in request.GET
    except SuspiciousOperation:
        return False  # the answer says what is wrong with it


# What is asked for


def _require_servable(request: HttpRequest, media_type: str | None) -> None:
    if request.method not in ALLOWED:
        raise Unservable(405, "method", "GraphQL is asked by POST, or by GET; browsers find GraphiQL here.")
    if media_type is None:
        raise Unservable(406, "Accept", f"Answers are {GRAPHQL_RESPONSE} or {JSON}.")
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    if request.method == "POST" and (request.content_type != JSON or charset not in ("utf-8", "utf8")):
        raise Unservable(415, "Content-Type", f"The body must be {JSON} in UTF-8.")


def _request_of(request: HttpRequest) -> OperationRequest:
    """Raises BadUserInput for what is no request."""
    if request.method == "GET":
        return operation_request({name: _parameter(name, value) for name, value in request.GET.dict().items()})
    try:
        return operation_request(json_object(request.body))
    except ValueError as error:
        raise BadUserInput("body", f"The body must be a JSON object: {error}") from error


def _parameter(name: str, value: Any) -> Any:
    try:
        return json_object(value) if name in PARAMETERS_OF_OBJECTS else value
    except ValueError as error:
        raise BadUserInput(name, f"`{name}` must be a JSON object: {error}") from error


def _require_own_site(request: HttpRequest) -> None:
    """Raises Forbidden where another site may be using the browser's session."""
    if "Authorization" in request.headers or settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return
    origin = request.headers.get("Origin")
    if origin is not None and is_trusted_origin(origin, request.get_host()):
        return
    if _is_same_origin_get(request) if request.method == "GET" else _has_csrf_token(request):
        return
    raise Forbidden("A session counts only with its site's own Origin header or with Django's CSRF token.")


def _is_same_origin_get(request: HttpRequest) -> bool:
    """Browsers send no Origin with a GET to their own site, but say that it is (Fetch Metadata), as no page can."""
    return request.headers.get("Origin") is None and request.headers.get("Sec-Fetch-Site") == "same-origin"


def _has_csrf_token(request: HttpRequest) -> bool:
    check = CsrfViewMiddleware(lambda _: HttpResponse())
    check.process_request(request)
    return check.process_view(request, lambda _: HttpResponse(), (), {}) is None


# Doing it


async def _context(request: HttpRequest) -> Context:
    if request.session.session_key is not None:
        request.session = session_of(request.session.session_key)
    shown = Credentials(request.session.session_key, request.headers.get("Authorization"))
    return Context(
        viewer=await authenticate(shown),
        remember=partial(_remember, request),
        forget=partial(_forget, request),
        address=address_of(request),
    )


def _remember(request: HttpRequest, viewer: Viewer) -> None:
    """Keep a guest in the session; an account only where a page of this site asks. Programs have their token."""
    origin = request.headers.get("Origin")
    if viewer.guest is not None:
        keep_in_session(request.session, viewer.guest)
    elif viewer.user is not None and origin is not None and is_trusted_origin(origin, request.get_host()):
        request.session.pop(GUEST_IN_SESSION, None)  # who logs out is nobody, not the guest of before
        login(request, viewer.user)


def _forget(request: HttpRequest) -> None:
    """End the browser's session. One that came along with a token is not what was asked to end."""
    if "Authorization" not in request.headers:
        logout(request)


async def _result(asked: OperationRequest, context: Context, method: str) -> Result:
    document = prepared(schema, asked, context, ALLOWED[method])
    return await answered(schema, document, asked, context) if isinstance(document, Document) else document


# The answer


def _payload(result: Result) -> dict[str, Any] | bytes:
    """GraphQL specification, section 7.1; encoded where the result is."""
    if isinstance(result, Written):
        return result.payload
    payload: dict[str, Any] = {} if is_request_error(result) else {"data": result.data}
    if result.errors:
        payload["errors"] = [presented(error) for error in result.errors]
    if result.extensions:
        payload["extensions"] = result.extensions
    return payload


def _status(result: Result, media_type: str | None) -> int:
    """GraphQL over HTTP, section "Status Codes": what is well-formed is 200 to who only knows ``application/json``."""
    if not is_request_error(result):
        return 200
    refusal = next((found for error in result.errors or [] if (found := refusal_in(error))), None)
    if isinstance(refusal, NotServedHere):
        return 405 if refusal.needs_other_method else 400
    return 200 if media_type == JSON else _status_of(refusal)


def _status_of(refusal: Refusal | None) -> int:
    if isinstance(refusal, Unservable):
        return refusal.status
    return 400 if refusal is None else STATUS.get(type(refusal), 400)


def _refused(refusal: Refusal, media_type: str | None) -> HttpResponse:
    status = _status_of(refusal)
    return _response({"errors": [refusal_presented(refusal)]}, status, media_type)


def _response(payload: dict[str, Any] | bytes, status: int, media_type: str | None) -> HttpResponse:
    text = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":"))
    response = HttpResponse(text, status=status, content_type=media_type or JSON)
    if status == 405:
        response["Allow"] = ALLOW_HEADER
    return response
