"""GraphQL over HTTP through Django's view, so that its middleware applies. Browsers find GraphiQL at its address."""

from __future__ import annotations

import asyncio
import json
import logging
from functools import partial
from typing import Any

from cross_web import HTTPException
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.middleware.csrf import CsrfViewMiddleware
from django.shortcuts import render
from django.views.decorators.csrf import csrf_exempt
from strawberry.django.views import AsyncGraphQLView
from strawberry.exceptions import MissingQueryError
from strawberry.http import GraphQLHTTPResponse, GraphQLRequestData
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult
from strawberry.types.graphql import OperationType

from rooms.exceptions import BadUserInput, Forbidden, Refusal, Unauthenticated
from rooms.identity import Viewer
from rooms.threads import in_database, stay_in_request_thread

from .addresses import client_address
from .context import Context, authenticate, keep_in_session, session_of
from .errors import MASKED, presented, refusal_presented
from .origins import is_trusted_origin
from .requests import json_object, operation_request
from .schema import schema
from .tracing import traced

logger = logging.getLogger(__name__)

STATUS = {Unauthenticated: 401, Forbidden: 403}


class GraphQLView(AsyncGraphQLView[Context, None]):
    """One GraphQL request, JSON in and JSON out; every refusal is JSON too.

    Who asks with a session cookie must show that it is not another site that asks: by the Origin that browsers send, or
    by Django's CSRF token. A bearer token shows it by itself.
    """

    page_template: str | None = None

    async def dispatch(  # type: ignore[override]  # as in Strawberry: the view is marked as asynchronous
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        if self.page_template and _wants_page(request):
            return render(request, self.page_template)
        if request.method != "POST":
            response = _refused(405, BadUserInput("method", "GraphQL is asked by POST; browsers find GraphiQL here."))
            response["Allow"] = "POST"
            return response
        stay_in_request_thread()
        try:
            _require_own_site(request)
            return await self.run(request=request)
        except Refusal as refusal:
            return _refused(STATUS.get(type(refusal), 400), refusal)
        except HTTPException as error:
            return _refused(error.status_code, BadUserInput("body", error.reason))
        except SuspiciousOperation as error:
            return _refused(400, BadUserInput("body", str(error)))
        except Exception:
            logger.exception("A request failed outside of its resolvers")
            return JsonResponse({"errors": [MASKED]}, status=500)

    async def execute_single(self, *, context: Context, request_data: GraphQLRequestData, **_: Any) -> ExecutionResult:  # type: ignore[override]
        try:
            return await self.schema.execute(
                request_data.query,
                variable_values=request_data.variables,
                context_value=context,
                operation_name=request_data.operation_name,
                operation_extensions=request_data.extensions,
                allowed_operation_types=(OperationType.QUERY, OperationType.MUTATION),
            )
        except InvalidOperationTypeError as error:
            raise BadUserInput("query", "Subscriptions go over WebSocket, at the same address.") from error
        except CannotGetOperationTypeError as error:
            raise BadUserInput("operationName", "There is no such operation in the document.") from error
        except MissingQueryError as error:
            raise BadUserInput("query", "There is no document.") from error

    async def get_context(self, request: HttpRequest, response: HttpResponse) -> Context:
        if request.session.session_key is not None:
            request.session = session_of(request.session.session_key)
        viewer = await in_database(authenticate, request.session, request.headers.get("Authorization"))
        address = client_address(request.META.get("REMOTE_ADDR"), request.headers.get("X-Forwarded-For"))
        return Context(viewer=viewer, remember=partial(_remember, request), address=address)

    async def process_result(self, request: HttpRequest, result: ExecutionResult) -> GraphQLHTTPResponse:
        response: GraphQLHTTPResponse = {"data": result.data}
        if result.errors:
            response["errors"] = [presented(error) for error in result.errors]
        if result.extensions:
            response["extensions"] = result.extensions
        return response

    def parse_json(self, data: str | bytes) -> Any:
        try:
            body = json_object(data)
        except ValueError as error:
            raise HTTPException(400, f"The body must be a JSON object: {error}") from error
        operation_request(body)
        return body

    def encode_json(self, data: object) -> str:
        return json.dumps(data, separators=(",", ":"))


def graphql_view(page_template: str) -> Any:
    """The view for ``/graphql/``. It checks for itself what CsrfViewMiddleware would answer in HTML."""
    view = GraphQLView.as_view(
        schema=schema, graphql_ide=None, allow_queries_via_get=False, page_template=page_template
    )
    return csrf_exempt(_traced(view))


def _traced(view: Any) -> Any:
    """The view, with a line in the log for each request."""

    async def serve(request: HttpRequest) -> HttpResponseBase:
        with traced("HTTP") as trace:
            response: HttpResponseBase = await view(request)
            trace.status = response.status_code
            return response

    return serve


def undisturbed(application: Any) -> Any:
    """Django's ASGI application, but that it doesn't hear of a client that leaves once its request is there.

    Told of it, Django gives the request up at once, while a view that runs in a thread goes on and may open a database
    connection that nobody returns to the pool. What was asked for is done; the answer goes nowhere.
    """

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        complete = False

        async def receive_request() -> Any:
            nonlocal complete
            if complete:
                await asyncio.Event().wait()
            event = await receive()
            complete = event["type"] == "http.request" and not event.get("more_body", False)
            return event

        await application(scope, receive_request, send)

    return serve


def _wants_page(request: HttpRequest) -> bool:
    return request.method == "GET" and "text/html" in request.headers.get("Accept", "")


def _require_own_site(request: HttpRequest) -> None:
    """Raises Forbidden where another site may be using the browser's session."""
    if "Authorization" in request.headers or settings.SESSION_COOKIE_NAME not in request.COOKIES:
        return
    origin = request.headers.get("Origin")
    if origin is not None and is_trusted_origin(origin, request.get_host()):
        return
    if _has_csrf_token(request):
        return
    raise Forbidden("A session counts only with its site's own Origin header or with Django's CSRF token.")


def _has_csrf_token(request: HttpRequest) -> bool:
    check = CsrfViewMiddleware(lambda _: HttpResponse())
    check.process_request(request)
    return check.process_view(request, lambda _: HttpResponse(), (), {}) is None


def _remember(request: HttpRequest, viewer: Viewer) -> None:
    if viewer.guest is not None:
        keep_in_session(request.session, viewer.guest)


def _refused(status: int, refusal: Refusal) -> JsonResponse:
    return JsonResponse({"errors": [refusal_presented(refusal)]}, status=status)
