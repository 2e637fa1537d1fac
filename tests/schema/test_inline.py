"""Django's middleware on the event loop: what it does in Django's own handler, and nothing in a thread."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.core.handlers.base import BaseHandler
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.utils.deprecation import MiddlewareMixin
from pytest_django import Settings

from rooms.sessions import SessionStore, session_of
from rooms.threads import in_database
from schema.endpoint import FOR_PAGES
from schema.inline import within_middleware

HERE = f"{__name__}."
OURS = [name for name in settings.MIDDLEWARE if name not in FOR_PAGES]


class Noted(MiddlewareMixin):
    """Notes on the request what it is asked to do, and in which thread."""

    def process_request(self, request: Any) -> HttpResponse | None:
        self._note(request, "request")
        return HttpResponse("early") if request.headers.get("Stop") == type(self).__name__ else None

    def process_response(self, request: Any, response: HttpResponse) -> HttpResponse:
        self._note(request, f"response {response.status_code}")
        response[type(self).__name__] = "seen"
        return response

    def _note(self, request: Any, what: str) -> None:
        request.notes.append(f"{type(self).__name__} {what}")
        request.threads.add(threading.current_thread())


class Outer(Noted):
    pass


class Inner(Noted):
    pass


class Suspicious(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> None:
        raise SuspiciousOperation("of this request")


class Broken(MiddlewareMixin):
    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        raise ZeroDivisionError("secret detail")


class Asking(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> None:
        User.objects.exists()


class Synchronous:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response


class Asynchronous:
    """Middleware of the other kind: one call around the rest."""

    async_capable = True

    def __new__(cls, get_response: Callable[[HttpRequest], Awaitable[HttpResponse]]) -> Any:
        async def middleware(request: HttpRequest) -> HttpResponse:
            response = await get_response(request)
            response["Asynchronous"] = "seen"
            return response

        return middleware


def request_of(**headers: str) -> Any:
    request: Any = RequestFactory().post("/graphql/", headers=headers)
    request.notes, request.threads = [], set()
    return request


async def ok(request: Any) -> HttpResponse:
    return HttpResponse("ok")


async def answered(*names: str, request: Any = None, handler: Any = ok) -> Any:
    served: Any = within_middleware(handler, [name if "." in name else HERE + name for name in names])
    return await served(request or request_of())


async def test_the_first_is_outermost_and_none_leaves_this_thread() -> None:
    request = request_of()
    response = await answered("Outer", "Asynchronous", "Inner", request=request)
    assert request.notes == ["Outer request", "Inner request", "Inner response 200", "Outer response 200"]
    assert request.threads == {threading.current_thread()}
    assert [response[name] for name in ("Outer", "Asynchronous", "Inner")] == ["seen"] * 3


async def test_one_that_answers_by_itself_lets_nothing_through() -> None:
    request = request_of(Stop="Inner")
    response = await answered("Outer", "Inner", request=request, handler=never)
    assert response.content == b"early"
    assert request.notes[-2:] == ["Inner response 200", "Outer response 200"]


async def never(_request: HttpRequest) -> HttpResponse:
    raise AssertionError("it was answered before")


async def test_what_is_raised_is_a_response_to_those_around(caplog: pytest.LogCaptureFixture) -> None:
    request = request_of()
    response = await answered("Outer", "Suspicious", "Inner", request=request)
    assert (response.status_code, response["Outer"]) == (400, "seen")
    assert request.notes == ["Outer request", "Outer response 400"]


async def test_a_fault_of_ours_is_one_too(caplog: pytest.LogCaptureFixture) -> None:
    response = await answered("Outer", "Broken")
    assert (response.status_code, response["Outer"]) == (500, "seen")
    assert b"secret" not in response.content
    assert "ZeroDivisionError: secret detail" in caplog.text


@pytest.mark.django_db
async def test_one_that_asks_the_database_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    assert (await answered("Asking")).status_code == 500
    assert "SynchronousOnlyOperation" in caplog.text


def test_one_that_is_synchronous_is_an_error_at_the_start() -> None:
    with pytest.raises(ImproperlyConfigured, match="Synchronous"):
        within_middleware(ok, [f"{HERE}Synchronous"])


@pytest.mark.django_db(transaction=True)
async def test_a_session_is_saved_in_a_thread_for_the_database() -> None:
    where: list[str] = []
    save = SessionStore.save

    def noted(session: SessionStore, **options: Any) -> None:
        where.append(threading.current_thread().name.partition("_")[0])
        save(session, **options)

    async def remembering(request: Any) -> HttpResponse:
        await in_database(request.session.__setitem__, "guest_id", 1)
        return HttpResponse()

    with patch.object(SessionStore, "save", noted):
        response = await answered("django.contrib.sessions.middleware.SessionMiddleware", handler=remembering)
    assert where == ["database"] * len(where) != []
    assert await in_database(session_of(response.cookies["sessionid"].value).get, "guest_id") == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://app.example"},
        {"Cookie": "sessionid=" + "a" * 32},
        {"Cookie": "sessionid=\x00; csrftoken=" + "a" * 32 + "; messages=x"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "https://app.example"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["post", "options"])
async def test_an_answer_has_the_headers_that_django_s_own_handler_gives_it(
    headers: dict[str, str], method: str, settings: Settings
) -> None:
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example"]
    settings.SECURE_HSTS_SECONDS = 10
    handler = BaseHandler()

    async def looked_at(request: Any) -> HttpResponse:
        found: SessionStore = request.session
        return HttpResponse(str(await in_database(found.get, "guest_id")))

    handler._get_response_async = looked_at  # type: ignore[attr-defined]
    settings.MIDDLEWARE = OURS
    handler.load_middleware(is_async=True)
    served: Any = within_middleware(looked_at, OURS)
    asked = [getattr(RequestFactory(), method)("/graphql/", headers=headers, secure=True) for _ in range(2)]
    theirs: Any = await handler._middleware_chain(asked[0])  # type: ignore[attr-defined]
    ours: Any = await served(asked[1])
    assert (ours.status_code, dict(ours.items())) == (theirs.status_code, dict(theirs.items()))
    assert ours.cookies.output() == theirs.cookies.output()
    assert "Strict-Transport-Security" in ours


async def test_who_speaks_no_https_is_sent_where_it_is_spoken(settings: Settings) -> None:
    settings.SECURE_SSL_REDIRECT = True
    served: Any = within_middleware(never, OURS)
    response = await served(request_of())
    assert (response.status_code, response["Location"]) == (301, "https://testserver/graphql/")
