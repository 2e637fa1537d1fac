"""One normal form of origins: what is listed in any spelling counts for fetch, sockets and the admin's forms."""

from __future__ import annotations

import pytest
from django.test import Client
from pytest_django import Settings

from schema.origins import is_trusted_origin, normal_origin
from tests.people import make_user
from tests.settings_of import settings_with

from .api import Api
from .client import Client as AsgiClient
from .sockets import opened

SPELLINGS = [
    "https://app.example",
    "https://app.example/",
    " https://app.example",
    "https://other.example, https://app.example",
    "HTTPS://App.Example",
    "https://app.example:443",
    '"https://app.example"',
]
AS_BROWSERS_SEND_IT = "https://app.example"
VIEWER = {"query": "{ viewer { isAuthenticated } }"}
spelt_in_any_way = pytest.mark.parametrize("spelling", SPELLINGS)


@spelt_in_any_way
@pytest.mark.django_db
def test_a_listed_page_fetches(settings: Settings, spelling: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = settings_with(CORS_ALLOWED_ORIGINS=spelling).CORS_ALLOWED_ORIGINS
    api = Api(make_user(), client=AsgiClient(enforce_csrf_checks=True))
    response = api.post(VIEWER, Origin=AS_BROWSERS_SEND_IT)
    assert response.json()["data"] == {"viewer": {"isAuthenticated": True}}
    assert response["Access-Control-Allow-Origin"] == AS_BROWSERS_SEND_IT


@spelt_in_any_way
@pytest.mark.parametrize("variable", ["CORS_ALLOWED_ORIGINS", "CSRF_TRUSTED_ORIGINS"])
async def test_a_listed_page_opens_a_socket(settings: Settings, spelling: str, variable: str) -> None:
    setattr(settings, variable, getattr(settings_with(**{variable: spelling}), variable))
    async with opened(headers={"origin": AS_BROWSERS_SEND_IT}) as socket:
        await socket.init()


@spelt_in_any_way
@pytest.mark.django_db
def test_a_listed_page_sends_the_admin_s_forms(settings: Settings, spelling: str) -> None:
    settings.CSRF_TRUSTED_ORIGINS = settings_with(CSRF_TRUSTED_ORIGINS=spelling).CSRF_TRUSTED_ORIGINS
    client = Client(enforce_csrf_checks=True)
    token = client.get("/admin/login/").cookies["csrftoken"].value
    form = {"username": "x", "password": "x", "csrfmiddlewaretoken": token}
    assert client.post("/admin/login/", form, headers={"Origin": AS_BROWSERS_SEND_IT}).status_code == 200
    assert client.post("/admin/login/", form, headers={"Origin": "https://evil.example"}).status_code == 403


@pytest.mark.parametrize("origin", ["https://App.example:443", "https://app.example/", "HTTPS://app.example"])
def test_a_client_s_own_spelling_is_understood(settings: Settings, origin: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [AS_BROWSERS_SEND_IT]
    assert is_trusted_origin(origin, "chat.example")


@pytest.mark.parametrize(
    "origin",
    [
        "http://app.example",
        "https://app.example:8443",
        "https://app.example.evil.example",
        "https://evil.example/https://app.example",
        "https://app.example@evil.example",
        "https://app.example\\.evil.example",
        "app.example",
        "null",
        "",
    ],
)
def test_another_origin_is_not_the_listed_one(settings: Settings, origin: str) -> None:
    settings.CORS_ALLOWED_ORIGINS = [AS_BROWSERS_SEND_IT]
    assert not is_trusted_origin(origin, "chat.example")


@pytest.mark.parametrize(
    ("origin", "host", "is_its"),
    [
        ("https://chat.example", "Chat.Example:443", True),
        ("http://chat.example:8000", "chat.example:8000", True),
        ("http://[::1]:8000", "[0::1]:8000", True),
        ("https://chat.example", "chat.example:8443", False),
        ("https://chat.example", "", False),
        ("https://chat.example", "chat.example:port", False),
    ],
)
def test_an_origin_is_of_the_host_that_is_asked(origin: str, host: str, is_its: bool) -> None:
    assert is_trusted_origin(origin, host) == is_its


def test_a_normal_origin_stays_as_it_is() -> None:
    for origin in ("https://app.example", "http://app.example:8000", "https://[::1]", "capacitor://localhost"):
        assert normal_origin(origin) == origin
