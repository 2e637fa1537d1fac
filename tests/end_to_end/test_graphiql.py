"""GraphiQL in a real Chromium, served by us and by nobody else."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import suppress

from playwright.async_api import Locator, Page, expect

from rooms.models import Room
from tests.people import make_room
from tests.plugins.browser import NewPage
from tests.plugins.servers import MakeServers
from tests.services.salas import Salas

from .client import ENOUGH_SECONDS, Client


async def open_graphiql(page: Page, server: Salas) -> Page:
    await page.goto(server.graphql_url)
    await page.locator(".graphiql-query-editor .view-line").first.wait_for()
    return page


async def choose(page: Page, tab: str) -> None:
    chosen = page.get_by_role("tab", name=re.compile(f"^{tab}"))  # the chosen one is also named for its close button
    await chosen.click()
    await expect(chosen).to_have_attribute("aria-selected", "true")
    await expect(page.locator(".graphiql-query-editor")).to_contain_text(tab)


async def run(page: Page) -> None:
    await page.get_by_role("button", name=re.compile("Execute query")).click()


def answer(page: Page) -> Locator:
    return page.locator(".graphiql-response")


async def lobby_server(make_servers: MakeServers) -> tuple[Salas, Room]:
    server = make_servers()[0]
    return server, await server.acall(make_room, slug="lobby", name="Lobby")


async def say_until_heard(rui: Client, room: Room, page: Page) -> None:
    """A subscription without ``after`` begins when the server has read it, and nothing tells when that is."""
    for attempt in range(20):
        await rui.send(room, f"live {attempt}")
        with suppress(AssertionError):
            return await expect(answer(page)).to_contain_text("live", timeout=500)
    raise AssertionError("nothing was heard")


async def test_the_example_works_as_it_is(make_servers: MakeServers, new_page: NewPage) -> None:
    server, _ = await lobby_server(make_servers)
    page = await new_page()
    requested: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    await open_graphiql(page, server)
    await run(page)
    await expect(answer(page)).to_contain_text('"Lobby"')
    assert [url for url in requested if not re.match(rf"{server.url}/|data:|blob:", url)] == []
    assert complaints == []


async def test_a_query_a_mutation_and_a_live_subscription(make_servers: MakeServers, new_page: NewPage) -> None:
    server, room = await lobby_server(make_servers)
    page = await open_graphiql(await new_page(), server)
    await choose(page, "Join")
    await run(page)
    await expect(answer(page)).to_contain_text("joinRoom")
    await choose(page, "Follow")
    await run(page)
    await page.get_by_role("button", name=re.compile("Stop query")).wait_for()
    async with Client(server) as someone:
        rui = await someone.join(room, "Rui")
        await say_until_heard(rui, room, page)
    await choose(page, "Say")
    await run(page)
    await expect(answer(page)).to_contain_text("sendMessage")


async def test_headers_reach_http_and_websocket(make_servers: MakeServers, new_page: NewPage) -> None:
    server, room = await lobby_server(make_servers)
    async with Client(server) as someone:
        authorization = f"Bearer {(await someone.join(room, 'Rui')).token}"
    page = await open_graphiql(await new_page(), server)
    await type_headers(page, {"Authorization": authorization})
    async with page.expect_request(lambda request: request.headers.get("authorization") == authorization):
        await run(page)
    await choose(page, "Follow")
    await type_headers(page, {"Authorization": authorization})
    init = asyncio.get_running_loop().create_future()
    page.on("websocket", lambda socket: socket.once("framesent", lambda frame: init.set_result(json.loads(frame))))
    await run(page)
    assert await asyncio.wait_for(init, ENOUGH_SECONDS) == {
        "type": "connection_init",
        "payload": {"Authorization": authorization},
    }


async def type_headers(page: Page, headers: dict[str, str]) -> None:
    await page.get_by_role("button", name="Headers").click()
    await page.locator(".graphiql-editor-tool .graphiql-editor .view-lines").last.click()
    await page.keyboard.insert_text(json.dumps(headers))
