"""Salas below ``/chat/``, behind nginx with the configuration of ``docs/nginx.conf``, in a real Chromium.

nginx passes the whole path on, or cuts the prefix off: the same server takes both.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import trustme
import websockets
from django.contrib.auth import get_user_model
from playwright.async_api import Page, Response, expect
from pytest_django import DjangoDbBlocker

from rooms.models import Room
from schema.transport import PROTOCOL
from tests.people import make_room
from tests.plugins.browser import NewPage
from tests.plugins.servers import Databases
from tests.services.nginx import Nginx
from tests.services.salas import Salas

from .client import ENOUGH_SECONDS
from .test_graphiql import answer, choose, open_graphiql, run
from .test_page import enter, log, say

pytestmark = pytest.mark.end_to_end

HOST = "localhost"
BASE = "/chat"
ENVIRONMENT = {"ALLOWED_HOSTS": HOST, "HTTPS": "on", "TRUSTED_PROXIES": "127.0.0.1", "BASE_PATH": f"{BASE}/"}
PASSWORD = "a password of the admin"


@dataclass(frozen=True)
class Site:
    """What a browser sees: a site whose ``url`` has the prefix."""

    server: Salas
    nginx: Nginx
    lobby: Room

    @property
    def origin(self) -> str:
        return f"https://{HOST}:{self.nginx.https_port}"

    @property
    def url(self) -> str:
        return f"{self.origin}{BASE}"

    @property
    def graphql_url(self) -> str:
        return f"{self.url}/graphql/"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("certificate") / "chain.pem"
    trustme.CA().issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(path)
    return path


@pytest.fixture(scope="module")
def server(databases: Databases, django_db_blocker: DjangoDbBlocker) -> Iterator[Salas]:
    with ExitStack() as stack:
        url = databases.new(stack, scaled=False)
        server = Salas(url, "", ENVIRONMENT, django_db_blocker.unblock, ["--spread-seconds=0"])
        stack.callback(server.close)
        yield server.start()


@pytest.fixture(scope="module")
def lobby(server: Salas) -> Room:
    """Made in a thread, as a loop may be running in this one."""
    with ThreadPoolExecutor() as pool:
        pool.submit(server.call, get_user_model().objects.create_superuser, "admin", password=PASSWORD).result()
        return pool.submit(server.call, make_room, slug="lobby", name="Lobby").result()


@pytest.fixture(scope="module")
def site(server: Salas, lobby: Room, certificate: Path) -> Iterator[Site]:
    """Behind an nginx that passes the whole path on."""
    with closing(Nginx(server.port, certificate, host=HOST, prefix=f"{BASE}/")) as nginx:
        yield Site(server, nginx.start(), lobby)


@pytest.fixture(scope="module")
def cutting_site(server: Salas, lobby: Room, certificate: Path) -> Iterator[Site]:
    """Behind an nginx that cuts the prefix off."""
    with closing(Nginx(server.port, certificate, host=HOST, prefix=f"{BASE}/", cuts_prefix=True)) as nginx:
        yield Site(server, nginx.start(), lobby)


@dataclass
class Visit:
    """A page, with all that it asked for."""

    page: Page
    asked: list[Response]

    def went_well(self) -> None:
        assert self.asked
        assert [it.url for it in self.asked if not f"{urlsplit(it.url).path}/".startswith(f"{BASE}/")] == []
        assert [(it.url, it.status) for it in self.asked if it.status >= 400] == []


async def visit(new_page: NewPage) -> Visit:
    page = await new_page(ignore_https_errors=True)
    asked: list[Response] = []
    page.on("response", lambda response: asked.append(response) if response.url.startswith("http") else None)
    return Visit(page, asked)


@pytest.mark.parametrize("name", ["site", "cutting_site"])
async def test_people_enter_and_talk(request: pytest.FixtureRequest, name: str, new_page: NewPage) -> None:
    site: Site = request.getfixturevalue(name)
    room = await site.server.acall(make_room)
    visits = [await visit(new_page) for _ in range(2)]
    ana, rui = [await enter(it.page, site, room, "x") for it in visits]  # type: ignore[arg-type]
    await say(ana, "olá")
    await expect(log(rui)).to_contain_text("olá")
    await rui.reload()
    await expect(log(rui)).to_contain_text("olá")
    await say(rui, "oi")
    await expect(log(ana)).to_contain_text("oi")
    await ana.get_by_role("link", name="Todas as salas").click()
    await ana.wait_for_url(f"{site.url}/entrar/")
    await ana.go_back()
    await expect(log(ana)).to_contain_text("oi")
    for it in visits:
        it.went_well()


async def test_graphiql_asks_and_follows(site: Site, new_page: NewPage) -> None:
    there = await visit(new_page)
    page = await open_graphiql(there.page, site)  # type: ignore[arg-type]
    await run(page)
    await expect(answer(page)).to_contain_text('"Lobby"')
    await choose(page, "Follow")
    await expect(page.locator(".graphiql-query-editor")).to_contain_text(f"{BASE}/entrar/")
    heard = asyncio.get_running_loop().create_future()
    page.on("websocket", lambda it: it.once("framereceived", lambda frame: heard.set_result((it.url, str(frame)))))
    await run(page)
    url, frame = await asyncio.wait_for(heard, ENOUGH_SECONDS)
    assert url == site.graphql_url.replace("https", "wss")
    assert "connection_ack" in frame
    there.went_well()


async def test_the_admin_lets_in_and_out(site: Site, new_page: NewPage) -> None:
    there = await visit(new_page)
    page = there.page
    await page.goto(f"{site.url}/admin/rooms/room/")
    await page.wait_for_url(f"{site.url}/admin/login/?next={BASE}/admin/rooms/room/")
    await page.get_by_label("Username").fill("admin")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(f"{site.url}/admin/rooms/room/")
    await page.get_by_role("link", name="Lobby").first.click()
    await page.get_by_label("Description").fill("Open to all")
    await page.get_by_role("button", name="Save", exact=True).click()
    await page.get_by_text("was changed successfully").wait_for()
    await page.get_by_role("link", name="View site").click()
    await page.wait_for_url(f"{site.url}/entrar/")
    there.went_well()


async def test_cookies_are_for_the_prefix_alone(site: Site, new_page: NewPage) -> None:
    room = await site.server.acall(make_room)
    page = (await visit(new_page)).page
    await enter(page, site, room, "Ana")  # type: ignore[arg-type]
    (cookie,) = await page.context.cookies()
    assert (cookie["name"], cookie["path"]) == ("__Secure-sessionid.chat", BASE)
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Lax")


@pytest.mark.parametrize("path", ["/chat", "/chat/", "/chat/salas/"])
async def test_the_first_page_leads_to_entering(server: Salas, lobby: Room, path: str) -> None:
    async with httpx.AsyncClient(headers={"Host": HOST, "X-Forwarded-Proto": "https"}) as client:
        answered = await client.get(f"{server.url}{path}")
    assert (answered.status_code, answered.headers["Location"]) == (302, "/chat/entrar/")


@pytest.mark.parametrize("root_path", ["/graphql", "/entrar", "/%FF", "%00"])
async def test_what_a_client_says_of_the_prefix_does_not_count(server: Salas, lobby: Room, root_path: str) -> None:
    headers = {"Host": HOST, "X-Forwarded-Proto": "https", "Daphne-Root-Path": root_path, "X-Script-Name": root_path}
    async with httpx.AsyncClient(headers=headers) as client:
        for url in (f"{server.url}/chat/graphql/", f"{server.url}/graphql/"):
            answered = await client.post(url, json={"query": '{ room(slug: "lobby") { name } }'})
            assert answered.json()["data"] == {"room": {"name": "Lobby"}}
        page = await client.get(f"{server.url}/entrar/")
        assert 'data-base="/chat/"' in page.text
    for path in ("/chat/graphql/", "/graphql/"):
        async with websockets.connect(
            f"ws://{HOST}:{server.port}{path}",
            subprotocols=[websockets.Subprotocol(PROTOCOL)],
            additional_headers={"Daphne-Root-Path": root_path},
            host="127.0.0.1",
            port=server.port,
        ) as socket:
            assert socket.subprotocol == PROTOCOL
