"""GraphQL over HTTP (https://graphql.github.io/graphql-over-http/draft/), from a request of Django's to its response.

Queries come by POST or GET, mutations by POST, subscriptions not at all. Every answer is JSON, refusals too.
"""

from __future__ import annotations

import json
import logging
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib.auth import login, logout
from django.core.exceptions import RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from graphql import OperationType

from rooms.exceptions import BadUserInput, Forbidden, OperationTimeout, RateLimited, Refusal, Unauthenticated
from rooms.identity import OF_ANOTHER_SITE, Flaw, Flawed, Viewer
from rooms.sessions import GUEST_IN_SESSION, keep_in_session, session_of

from .addresses import address_of
from .context import Context, Credentials
from .credentials import bearer_in
from .documents import Document, NotServedHere
from .errors import masked, presented, refusal_in, refusal_presented
from .identities import Identities
from .media_types import is_utf8, names, preferred
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
STATUS: dict[type[Refusal], int] = {Unauthenticated: 401, Forbidden: 403, RateLimited: 429, OperationTimeout: 503}
CHALLENGE = "WWW-Authenticate"
CHALLENGES = {Flaw.TOKEN: 'Bearer error="invalid_token"'}  # RFC 6750, section 3.1; not only with 401: RFC 9110, 11.6.1


class Unservable(BadUserInput):
    """A request that HTTP has a status of its own for."""

    def __init__(self, status: int, field: str, message: str) -> None:
        super().__init__(field, message)
        self.status = status


async def answer(request: HttpRequest) -> HttpResponse:
    """Answer a request that is there as a whole. Never raises but on cancellation."""
    media_type = preferred(request.headers.get("Accept", ""), MEDIA_TYPES)
    try:
        _require_servable(request, media_type)
        asked = _request_of(request)
        context = await _context(request)
        flaw = context.viewer.flaw
        result = await _result(asked, context, request.method or "")
        response = _response(_payload(result), _status(result, media_type), media_type)
        if flaw in CHALLENGES:
            response[CHALLENGE] = CHALLENGES[flaw]
        return response
    except Refusal as refusal:
        return _refused(refusal, media_type)
    except RequestDataTooBig:
        return _refused(Unservable(413, "body", "The body is too large: ask for less at once."), media_type)
    except TooManyFieldsSent:
        return _refused(BadUserInput("query", "The query string has too many parameters."), media_type)
    except SuspiciousOperation:
        message = "The request is not as clients write it: are its Host and its query string as they should be?"
        return _refused(BadUserInput("body", message), media_type)
    except Exception:
        logger.exception("A request failed outside of its resolvers")
        return _response({"errors": [masked()]}, 500, media_type)


def wants_page(request: HttpRequest) -> bool:
    """Whether this is a browser that was led to the address, which finds GraphiQL there."""
    if request.method != "GET" or not names(request.headers.get("Accept", ""), "text/html"):
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
        raise Unservable(406, "Accept", f"Answers are {GRAPHQL_RESPONSE} or {JSON}: accept one of them.")
    if request.method == "POST":
        _require_json(request)


def _require_json(request: HttpRequest) -> None:
    charset = (request.content_params or {}).get("charset", "")
    if request.content_type != JSON or not is_utf8(charset):
        raise Unservable(415, "Content-Type", f"The body must be {JSON} in UTF-8, and Content-Type say so.")
    if request.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        raise Unservable(415, "Content-Encoding", "The body must not be compressed: send it as it is.")


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


def _is_own_site(request: HttpRequest, *, is_used: bool) -> bool:
    """Whether the request shows that no other site may be using the browser's session.

    Where that is not used an Origin alone shows it: Django writes a line into the log for each token that is missing.
    """
    if _is_of_trusted_origin(request):
        return True
    if not is_used:
        return False
    return _is_same_origin_get(request) if request.method == "GET" else _has_csrf_token(request)


def _is_of_trusted_origin(request: HttpRequest) -> bool:
    origin = request.headers.get("Origin")
    return origin is not None and is_trusted_origin(origin, request.get_host())


def _is_same_origin_get(request: HttpRequest) -> bool:
    """Browsers send no Origin with a GET to their own site, but say that it is (Fetch Metadata), as no page can."""
    return request.headers.get("Origin") is None and request.headers.get("Sec-Fetch-Site") == "same-origin"


def _has_csrf_token(request: HttpRequest) -> bool:
    check = CsrfViewMiddleware(lambda _: HttpResponse())
    check.process_request(request)
    return check.process_view(request, lambda _: HttpResponse(), (), {}) is None


# Doing it


async def _context(request: HttpRequest) -> Context:
    """A session that another site may be using is neither looked at nor changed."""
    bearer = bearer_of(request)
    is_own = settings.SESSION_COOKIE_NAME not in request.COOKIES or _is_own_site(request, is_used=bearer is None)
    if request.session.session_key is not None:
        request.session = session_of(request.session.session_key)
    shown = Credentials(request.session.session_key if is_own else None, bearer)
    return Context(
        viewer=await authenticate(shown) if is_own or bearer is not None else OF_ANOTHER_SITE,
        remember=partial(_remember, request) if is_own else _remember_nothing,
        forget=_forget_nothing if bearer is not None or not is_own else partial(logout, request),
        address=address_of(request),
    )


def bearer_of(request: HttpRequest) -> str | None:
    return bearer_in([request.headers.get("Authorization", "")])


def _remember_nothing(_viewer: Viewer) -> None:
    """Such a client has the token that it is answered."""


def _forget_nothing() -> None:
    """A session that came along with a token is not what was asked to end."""


def _remember(request: HttpRequest, viewer: Viewer) -> None:
    """Keep a guest in the session; an account only where a page of this site asks. Programs have their token."""
    if viewer.guest is not None:
        keep_in_session(request.session, viewer.guest)
    elif viewer.user is not None and _is_of_trusted_origin(request):
        request.session.pop(GUEST_IN_SESSION, None)  # who logs out is nobody, not the guest of before
        login(request, viewer.user)


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
    if not is_request_error(result) and not _is_flawed(result):
        return 200
    refusal = next((found for error in result.errors or [] if (found := refusal_in(error))), None)
    if isinstance(refusal, NotServedHere):
        return 405 if refusal.needs_other_method else 400
    return 200 if media_type == JSON and not isinstance(refusal, Flawed) else _status_of(refusal)


def _is_flawed(result: Result) -> bool:
    """Whether nothing at all is answered, since the credentials that were shown do not count."""
    if isinstance(result, Written) or result.data is not None:
        return False
    return any(isinstance(refusal_in(error), Flawed) for error in result.errors or [])


def _status_of(refusal: Refusal | None) -> int:
    if isinstance(refusal, Unservable):
        return refusal.status
    return next((status for kind, status in STATUS.items() if isinstance(refusal, kind)), 400)


def _refused(refusal: Refusal, media_type: str | None) -> HttpResponse:
    status = _status_of(refusal)
    return _response({"errors": [refusal_presented(refusal)]}, status, media_type)


def _response(payload: dict[str, Any] | bytes, status: int, media_type: str | None) -> HttpResponse:
    text = payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":"))
    response = HttpResponse(text, status=status, content_type=media_type or JSON)
    if status == 405:
        response["Allow"] = ALLOW_HEADER
    return response
