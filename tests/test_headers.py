"""What every answer tells browsers, errors and static files included."""

from __future__ import annotations

import pytest
from django.test import Client

from config.headers import GRAPHIQL_POLICY, POLICY

pytestmark = pytest.mark.django_db

HTML = {"Accept": "text/html"}
PLACES = ["/", "/entrar/", "/salas/lobby/", "/admin/", "/admin/login/", "/nowhere/", "/static/admin/css/base.css"]


@pytest.mark.parametrize("path", PLACES)
def test_every_answer_is_locked_down(path: str) -> None:
    response = Client().get(path, headers=HTML)
    response.close()  # a file is open otherwise
    headers = response.headers
    assert headers["Content-Security-Policy"] == POLICY
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in headers["Permissions-Policy"]
    assert "Access-Control-Allow-Origin" not in headers


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    assert "unsafe" not in POLICY
    assert "http" not in POLICY + GRAPHIQL_POLICY
    assert "default-src 'none'" in POLICY
    assert "frame-ancestors 'none'" in POLICY
    assert GRAPHIQL_POLICY.count("unsafe") == 1
    assert "style-src 'self' 'unsafe-inline'" in GRAPHIQL_POLICY


def test_graphiql_alone_has_its_own_policy() -> None:
    assert Client().get("/graphql/", headers=HTML).headers["Content-Security-Policy"] == GRAPHIQL_POLICY


@pytest.mark.parametrize("host", ["evil.example", "a b"])
def test_a_host_that_is_not_ours_is_told_so_too(host: str) -> None:
    response = Client(raise_request_exception=False).get("/entrar/", headers={"Host": host})
    assert response.status_code == 400
    assert response.headers["Content-Security-Policy"] == POLICY
