"""Salas with a user model of the operator's own: UUIDs for keys, an e-mail address for a user name."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.plugins.services import database_server_key
from tests.services.guard import new_directory, remove_directory
from tests.services.salas import ROOT, Salas, server_environment

from .client import FOLLOW

pytestmark = pytest.mark.end_to_end

SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.accounts.settings"}
EMAIL, PASSWORD = "ana@example.org", "correct horse battery staple"
LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { token viewer { displayName } } }"
JOIN = "mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { member { id role } room { id cursor } } }"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { author { displayName } } } }"
ME = "{ viewer { displayName members { id displayName } } }"


@dataclass(frozen=True)
class Site:
    """``said`` is what ``first_run`` has printed."""

    server: Salas
    said: str

    @property
    def admin(self) -> dict[str, str]:
        found = re.search(r"user (\S+), password (\S+)", self.said)
        assert found, self.said
        return {"username": found[1], "password": found[2]}


def managed(server: Salas, *arguments: str, **environment: str) -> str:
    """What ``manage.py`` prints with these arguments, which succeeds."""
    given = server_environment(server.database_url, server.redis_url) | SETTINGS | environment
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module", params=["embedded", "scaled"])
def site(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Iterator[Site]:
    with ExitStack() as stack:
        database, redis = f"sqlite:///{new_sqlite(stack)}", ""
        if request.param == "scaled":
            upstream, name = pytestconfig.stash[database_server_key], f"accounts_{uuid4().hex[:8]}"
            stack.callback(upstream.drop_database, name)
            database, redis = upstream.create_database(name), request.getfixturevalue("redis_url")
        server = Salas(database, redis, SETTINGS, serve=["--spread-seconds=0"])
        stack.callback(server.close)
        said = managed(server, "first_run", "--port=0")
        managed(server, "createsuperuser", "--noinput", f"--email={EMAIL}", DJANGO_SUPERUSER_PASSWORD=PASSWORD)
        yield Site(server.start(), said)


def new_sqlite(stack: ExitStack) -> str:
    directory = new_directory("accounts")
    stack.callback(remove_directory, directory)
    return str(directory / "db.sqlite3")


async def asked(site: Site, query: str, token: str = "", **given: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    variables = {"input": given} if given else {}
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(
            site.server.graphql_url, json={"query": query, "variables": variables}, headers=headers
        )
    found: dict[str, Any] = answer.json()
    assert "errors" not in found, found
    data: dict[str, Any] = found["data"]
    return data


async def logged_in(site: Site, **given: str) -> str:
    found = await asked(site, LOGIN, **(given or {"username": EMAIL, "password": PASSWORD}))
    token: str = found["login"]["token"]
    return token


async def test_an_account_joins_sends_and_is_known_again(site: Site) -> None:
    token = await logged_in(site)
    joined = (await asked(site, JOIN, token, slug="lobby", displayName="Ana"))["joinRoom"]
    sent = await asked(site, SEND, token, roomId=joined["room"]["id"], text="olá")
    assert sent["sendMessage"]["message"]["author"]["displayName"] == "Ana"
    (member,) = (await asked(site, ME, token))["viewer"]["members"]
    assert member == {"id": joined["member"]["id"], "displayName": "Ana"}


async def test_nobody_is_shown_the_address(site: Site) -> None:
    found = await asked(site, LOGIN, username=EMAIL, password=PASSWORD)
    assert found["login"]["viewer"] == {"displayName": "ana"}


async def test_it_follows_over_a_socket(site: Site) -> None:
    token = await logged_in(site)
    joined = (await asked(site, JOIN, token, slug="lobby", displayName="Ana"))["joinRoom"]
    from tests.chaos.sockets import connected, next_message

    async with connected(site.server, token) as socket:
        payload = {"query": FOLLOW, "variables": {"roomId": joined["room"]["id"], "after": joined["room"]["cursor"]}}
        await tell(socket, payload)
        await asked(site, SEND, token, roomId=joined["room"]["id"], text="heard")
        message: dict[str, Any] = {"type": "ping"}
        while message["type"] == "ping":
            message = await next_message(socket, keepalive=20)
    assert message["payload"]["data"]["messages"]["message"]["text"] == "heard"


async def test_the_first_account_works_in_the_admin(site: Site) -> None:
    async with httpx.AsyncClient(base_url=site.server.url, follow_redirects=True, timeout=30) as client:
        page = await client.get("/admin/login/")
        await client.post("/admin/login/?next=/admin/", data=site.admin | {"csrfmiddlewaretoken": token_in(page)})
        for address in ("", "rooms/room/", "rooms/room/1/change/", "rooms/member/?q=ana", "rooms/token/?q=ana"):
            page = await client.get(f"/admin/{address}")
            assert (page.status_code, "Log in" in page.text) == (200, False), address
        page = await client.get("/admin/rooms/identity/?q=ana")
        assert page.status_code == 200
        assert (await client.get(f"/admin/rooms/member/?q={EMAIL}")).status_code == 200


def token_in(page: httpx.Response) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert found
    return found[1]


async def tell(socket: Any, payload: dict[str, Any]) -> None:
    import json

    await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
