"""The page in a real Chromium: people enter a room and talk."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.async_api import Locator, Page, expect

from rooms.identity import OPERATOR, Viewer
from rooms.models import Guest, Message, Room, RoomAccess
from rooms.moderation import set_slow_mode
from tests.people import PASSWORD, archive, ban, make_guest, make_room, mute, remove, send
from tests.plugins.browser import NewPage
from tests.plugins.servers import MakeServers
from tests.services.salas import Salas

from .client import Client


async def fill_in(page: Page, server: Salas, room: str, name: str, password: str | None = None) -> None:
    await page.goto(f"{server.url}/entrar/")
    await page.get_by_label("Sala", exact=True).fill(room)
    if password is not None:
        await page.get_by_label("Senha da sala").fill(password)
    await page.get_by_label("Seu nome").fill(name)


async def enter(page: Page, server: Salas, room: Room, name: str, password: str | None = None) -> Page:
    await fill_in(page, server, room.slug, name, password)
    await page.get_by_role("button", name="Entrar", exact=True).click()
    await page.wait_for_url(f"**/salas/{room.slug}/")
    await page.locator("[data-connection=connected]").wait_for(state="attached")
    return page


async def say(page: Page, text: str) -> None:
    box = page.get_by_role("textbox", name="Mensagem", exact=True)
    await box.fill(text)
    await box.press("Enter")


def log(page: Page) -> Locator:
    return page.get_by_role("log", name="Mensagens")


def texts_of(room: Room) -> list[str | None]:
    return list(Message.objects.filter(room=room).order_by("sequence").values_list("text", flat=True))


def the_guest_of(room: Room) -> Viewer:
    return Viewer(guest=Guest.objects.get(room_members__room=room))


async def test_two_browsers_talk(server: Salas, new_page: NewPage) -> None:
    room = await server.acall(make_room)
    ana = await enter(await new_page(), server, room, "Ana")
    rui = await enter(await new_page(), server, room, "Rui")
    await say(ana, "olá, Rui")
    await expect(log(rui)).to_contain_text("olá, Rui")
    await expect(log(rui)).to_contain_text("Ana")
    await say(rui, "olá, Ana")
    await expect(log(ana)).to_contain_text("olá, Ana")
    assert await server.acall(texts_of, room) == ["olá, Rui", "olá, Ana"]
    for page in (ana, rui):
        await expect(page.locator("[data-message-id]")).to_have_count(2)


async def test_browsers_at_two_processes_talk(scaled_servers: list[Salas], new_page: NewPage) -> None:
    room = await scaled_servers[0].acall(make_room)
    ana, rui = [await enter(await new_page(), server, room, "x") for server in scaled_servers]
    await say(ana, "from one")
    await expect(log(rui)).to_contain_text("from one")
    await say(rui, "from the other")
    await expect(log(ana)).to_contain_text("from the other")


async def test_history_is_there_on_entering(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room)
    await embedded_server.acall(lambda: send(make_guest(room), room, "said before"))
    page = await enter(await new_page(), embedded_server, room, "Rui")
    await expect(log(page)).to_contain_text("said before")


async def test_an_edit_and_a_deletion_are_seen(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room)
    ana = await enter(await new_page(), embedded_server, room, "Ana")
    rui = await enter(await new_page(), embedded_server, room, "Rui")
    ana.on("dialog", lambda dialog: dialog.accept())
    await say(ana, "frist")
    message = ana.locator("[data-message-id]")
    await message.get_by_role("button", name="Editar").click()
    await ana.get_by_label("Editar mensagem").fill("first")
    await ana.get_by_role("button", name="Salvar").click()
    await expect(log(rui)).to_contain_text("first")
    await message.get_by_role("button", name="Apagar").click()
    await expect(log(rui)).not_to_contain_text("first")
    await expect(log(rui)).to_contain_text("mensagem apagada")


async def test_a_wrong_room_or_password_is_said_and_loses_nothing_typed(
    embedded_server: Salas, new_page: NewPage
) -> None:
    room = await embedded_server.acall(make_room, RoomAccess.PASSWORD)
    page = await new_page()
    for slug, password in (("no-such-room", "secret"), (room.slug, "wrong")):
        await fill_in(page, embedded_server, slug, "Ana", password)
        await page.get_by_role("button", name="Entrar", exact=True).click()
        await expect(page.get_by_role("alert")).to_have_text("Sala ou senha errada")
        await expect(page.get_by_label("Sala", exact=True)).to_have_value(slug)
        await expect(page.get_by_label("Senha da sala")).to_have_value(password)
        await expect(page.get_by_label("Seu nome")).to_have_value("Ana")
    await enter(page, embedded_server, room, "Ana", PASSWORD)


async def test_what_is_said_is_shown_as_text(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room)
    page = await enter(await new_page(), embedded_server, room, "<b>Ana</b>")
    await say(page, "<img src=x onerror=alert(1)>")
    await expect(log(page)).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(log(page)).to_contain_text("<b>Ana</b>")
    await expect(log(page).locator("img")).to_have_count(0)


async def test_what_is_said_has_a_direction_of_its_own(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room, name="חדר")
    page = await enter(await new_page(), embedded_server, room, "אנה")
    await say(page, "שלום!")
    for shown in (log(page).get_by_text("אנה"), log(page).get_by_text("שלום!"), page.get_by_role("heading")):
        await expect(shown).to_have_css("direction", "rtl")
        await expect(shown).to_have_css("unicode-bidi", "isolate")
    await expect(page).to_have_title("\u2068חדר\u2069 · Salas")


async def test_what_was_said_while_the_server_was_away_is_heard(make_servers: MakeServers, new_page: NewPage) -> None:
    server = make_servers()[0]
    room = await server.acall(make_room)
    page = await enter(await new_page(), server, room, "Ana")
    await say(page, "before")
    await expect(page.locator("[data-message-id]")).to_have_count(1)
    server.kill()
    await page.locator("[data-connection=reconnecting]").wait_for(state="attached")
    await server.acall(lambda: send(make_guest(room, "Rui"), room, "meanwhile"))
    server.start()
    await expect(log(page)).to_contain_text("meanwhile", timeout=30_000)
    await say(page, "after")
    await expect(page.locator("[data-message-id]")).to_have_count(3)
    assert await server.acall(texts_of, room) == ["before", "meanwhile", "after"]


async def test_a_send_that_is_refused_for_a_mute_or_slow_mode_keeps_its_text(
    embedded_server: Salas, new_page: NewPage
) -> None:
    room = await embedded_server.acall(make_room)
    page = await enter(await new_page(), embedded_server, room, "Ana")
    await embedded_server.acall(set_slow_mode, actor=OPERATOR, room_id=room.pk, seconds=3600)
    await say(page, "first")
    await say(page, "too soon")
    unsent = page.get_by_label("Mensagens não confirmadas")
    await expect(unsent).to_contain_text("too soon")
    await expect(unsent).to_contain_text("Rápido demais")
    await embedded_server.acall(lambda: mute(the_guest_of(room), room))
    await unsent.get_by_role("button", name="Tentar de novo").click()
    await expect(unsent).to_contain_text("Você está em silêncio nesta sala até")
    await expect(unsent).to_contain_text("too soon")
    assert await embedded_server.acall(texts_of, room) == ["first"]


@pytest.mark.parametrize(
    ("access", "lose", "reason"),
    [
        (RoomAccess.OPEN, ban, "Você foi banido desta sala."),
        (RoomAccess.PASSWORD, ban, "Você foi banido desta sala."),
        (RoomAccess.OPEN, remove, "Você não participa mais desta sala."),
    ],
)
async def test_who_loses_the_room_is_sent_to_the_entrance_and_told_why(
    embedded_server: Salas, new_page: NewPage, access: RoomAccess, lose: Callable[[Viewer, Room], None], reason: str
) -> None:
    room = await embedded_server.acall(make_room, access)
    page = await enter(await new_page(), embedded_server, room, "Ana", PASSWORD if access != RoomAccess.OPEN else None)
    await embedded_server.acall(lambda: lose(the_guest_of(room), room))
    await page.wait_for_url("**/entrar/?sala=*")
    await expect(page.get_by_role("alert")).to_have_text(reason)
    await expect(page.get_by_label("Sala", exact=True)).to_have_value(room.slug)


async def test_who_is_in_a_room_that_is_archived_reads_on_and_is_told_so(
    scaled_servers: list[Salas], new_page: NewPage
) -> None:
    """It is archived by another process, whose hint the server hears; an embedded one would find it at its poll."""
    server = scaled_servers[0]
    room = await server.acall(make_room)
    page = await enter(await new_page(), server, room, "Ana")
    await say(page, "said before")
    await expect(page.locator("[data-message-id]")).to_have_count(1)
    await server.acall(archive, room)
    await expect(page.get_by_text("Esta sala está arquivada")).to_be_visible()
    await expect(log(page)).to_contain_text("said before")
    await expect(page.get_by_role("textbox")).to_have_count(0)


async def test_the_first_page_leads_to_entering(embedded_server: Salas, new_page: NewPage) -> None:
    page = await new_page()
    await page.goto(embedded_server.url)
    await page.wait_for_url("**/entrar/")


async def test_nothing_comes_from_outside(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room)
    page = await new_page()
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    await enter(page, embedded_server, room, "Ana")
    assert requested
    assert [url for url in requested if not re.match(rf"{embedded_server.url}/|data:|blob:", url)] == []


async def test_the_same_talk_is_heard_by_a_client_without_a_browser(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room)
    page = await enter(await new_page(), embedded_server, room, "Ana")
    async with Client(embedded_server) as someone:
        rui = await someone.join(room, "Rui")
        async with rui.follow(room) as subscription:
            await say(page, "from the page")
            assert await subscription.texts(1) == ["from the page"]
            await rui.send(room, "from elsewhere")
            await expect(log(page)).to_contain_text("from elsewhere")
