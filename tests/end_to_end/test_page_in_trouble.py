"""What the page says where it cannot do what it is there for: never nothing, and what there is to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext, Route, WebSocketRoute, async_playwright, expect

from rooms.models import Guest, Room
from tests.people import make_room
from tests.plugins.browser import NewPage
from tests.plugins.servers import MakeServers
from tests.services import chromium
from tests.services.salas import Salas

from .test_page import enter, fill_in, log, say

NO_COOKIES = {"profile": {"default_content_setting_values": {"cookies": 2}}}
REFUSED_HANDSHAKES = """
window.WebSocket = class {
  constructor() {
    setTimeout(() => this.onclose(new CloseEvent('close', { code: 1006 })));
  }
};
"""


@pytest_asyncio.fixture(loop_scope="session")
async def without_cookies(tmp_path: Path) -> AsyncIterator[BrowserContext]:
    """A browser whose user has blocked cookies, and with them every storage."""
    (tmp_path / "Default").mkdir()
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(NO_COOKIES))
    program = await asyncio.to_thread(chromium.find)
    async with async_playwright() as playwright:
        yield await playwright.chromium.launch_persistent_context(
            tmp_path, executable_path=program, args=chromium.ARGUMENTS, handle_sigint=False
        )


def guests_of(room: Room) -> int:
    return Guest.objects.filter(room_members__room=room).count()


@pytest.mark.end_to_end
async def test_without_cookies_one_talks_in_this_tab_as_one_guest(
    embedded_server: Salas, new_page: NewPage, without_cookies: BrowserContext
) -> None:
    room = await embedded_server.acall(make_room)
    rui = await enter(await new_page(), embedded_server, room, "Rui")
    ana = await enter(await without_cookies.new_page(), embedded_server, room, "Ana")
    await expect(ana.get_by_role("alert")).to_contain_text("não aceita cookies")
    await say(ana, "sem cookies")
    await expect(log(rui)).to_contain_text("sem cookies")
    await say(rui, "e com")
    await expect(log(ana)).to_contain_text("e com")
    await ana.get_by_role("link", name="Todas as salas").click()
    await ana.get_by_role("button", name="Entrar", exact=True).wait_for()
    await ana.get_by_label("Sala", exact=True).fill(room.slug)
    await ana.get_by_label("Seu nome").fill("Ana")
    await ana.get_by_role("button", name="Entrar", exact=True).click()
    await expect(log(ana)).to_contain_text("e com")
    assert await embedded_server.acall(guests_of, room) == 2


async def test_graphiql_works_where_no_storage_is_allowed(
    embedded_server: Salas, without_cookies: BrowserContext
) -> None:
    page = await without_cookies.new_page()
    await page.goto(embedded_server.graphql_url)
    await page.locator(".graphiql-query-editor .view-line").first.wait_for()


async def test_of_too_many_tabs_the_last_says_so_and_goes_on_when_one_is_closed(
    make_servers: MakeServers, new_page: NewPage
) -> None:
    server = make_servers(environment={"SALAS_LIMIT_SOCKETS_PER_VIEWER": "2"})[0]
    room = await server.acall(make_room)
    first = await enter(await new_page(), server, room, "Ana")
    tabs = [await first.context.new_page() for _ in range(2)]
    for tab in tabs:
        await tab.goto(f"{server.url}/salas/{room.slug}/")
        await expect(tab.get_by_role("heading", name=room.name)).to_be_visible()
    connected = tabs[0]
    await connected.locator("[data-connection=connected]").wait_for(state="attached")
    last = tabs[1]
    await expect(last.get_by_role("status")).to_contain_text("Feche uma delas")
    await first.close()
    await expect(last.locator("[data-connection=connected]")).to_be_attached(timeout=60_000)
    await say(connected, "há lugar")
    await expect(log(last)).to_contain_text("há lugar")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (4400, "Recarregue a página"),
        (4403, "não reconhece mais"),
        (1012, "reiniciando"),
        (3999, "3999 for reasons of its own"),
    ],
)
async def test_a_close_is_explained(embedded_server: Salas, new_page: NewPage, code: int, words: str) -> None:
    room = await embedded_server.acall(make_room)
    page = await new_page()
    tried: list[WebSocketRoute] = []

    async def close(socket: WebSocketRoute) -> None:
        tried.append(socket)
        await socket.close(code=code, reason="for reasons of its own")

    await page.route_web_socket("**/graphql/", close)
    await fill_in(page, embedded_server, room.slug, "Ana")
    await page.get_by_role("button", name="Entrar", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text(words)
    assert tried


async def test_a_handshake_that_fails_again_is_explained(embedded_server: Salas, new_page: NewPage) -> None:
    """As browsers show it where a proxy blocks WebSockets, and where the server answers 403, 429 or 503."""
    room = await embedded_server.acall(make_room)
    page = await new_page()
    await page.add_init_script(REFUSED_HANDSHAKES)
    await fill_in(page, embedded_server, room.slug, "Ana")
    await page.get_by_role("button", name="Entrar", exact=True).click()
    await expect(page.get_by_role("status")).to_contain_text("bloqueia WebSockets")
    await expect(page.get_by_role("status")).to_contain_text("Reconectando")


@pytest.mark.parametrize("path", ["no-such-room", "S%C3%A3o%20Jo%C3%A3o", "%E0%A4%A"])
async def test_a_link_to_a_room_that_is_not_there_says_so(embedded_server: Salas, new_page: NewPage, path: str) -> None:
    page = await new_page()
    await page.goto(f"{embedded_server.url}/salas/{path}/")
    await page.wait_for_url("**/entrar/?sala=*")
    await expect(page.get_by_role("alert")).to_contain_text("não existe, mudou de endereço")


async def test_a_link_to_a_room_one_is_not_in_yet_leads_to_entering_without_complaint(
    embedded_server: Salas, new_page: NewPage
) -> None:
    room = await embedded_server.acall(make_room)
    page = await new_page()
    await page.goto(f"{embedded_server.url}/salas/{room.slug}/")
    await page.wait_for_url(f"**/entrar/?sala={room.slug}")
    await expect(page.get_by_label("Sala", exact=True)).to_have_value(room.slug)
    await expect(page.get_by_role("alert")).to_have_count(0)


async def test_a_fault_of_the_page_leaves_words_and_a_way_out(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room)
    page = await enter(await new_page(), embedded_server, room, "Ana")
    await say(page, "olá")
    await expect(page.locator("[data-message-id]")).to_have_count(1)

    async def spoil(route: Route) -> None:
        if "query Room(" not in (route.request.post_data or ""):
            return await route.continue_()
        response = await route.fetch()
        spoilt = (await response.text()).replace('"sentAt":"2', '"sentAt":"no date 2')
        return await route.fulfill(response=response, body=spoilt)

    await page.route("**/graphql/", spoil)
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("Esta página teve um problema")
    await page.unroute("**/graphql/", spoil)
    await page.get_by_role("button", name="Recarregar").click()
    await expect(log(page)).to_contain_text("olá")


async def test_a_page_whose_code_is_gone_says_what_to_do(embedded_server: Salas, new_page: NewPage) -> None:
    """As after an upgrade, where an old page was kept."""
    page = await new_page()
    await page.route("**/static/salas/assets/main-*.js", lambda route: route.fulfill(status=404))
    await page.goto(f"{embedded_server.url}/entrar/")
    await expect(page.get_by_text("recarregue a página")).to_be_visible()
    await page.unroute("**/static/salas/assets/main-*.js")
    await page.get_by_role("link", name="recarregue a página").click()
    await expect(page.get_by_role("button", name="Entrar", exact=True)).to_be_visible()


@pytest.mark.parametrize(("status", "words"), [(429, "Pedidos demais"), (502, "fora do ar")])
async def test_what_a_proxy_answers_for_the_server_is_explained(
    embedded_server: Salas, new_page: NewPage, status: int, words: str
) -> None:
    page = await new_page()
    await fill_in(page, embedded_server, "lobby", "Ana")
    answer = {"status": status, "content_type": "text/html", "body": "<h1>No</h1>"}
    await page.route("**/graphql/", lambda route: route.fulfill(**answer))
    await page.get_by_role("button", name="Entrar", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text(words)
