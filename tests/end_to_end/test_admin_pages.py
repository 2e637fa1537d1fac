"""The admin in a real Chromium, under the Content-Security-Policy: the fixture fails what is against it."""

from __future__ import annotations

from django.contrib.auth.models import User
from playwright.async_api import Page, expect

from rooms.identity import Viewer
from rooms.models import AuditEntry
from tests.people import ban, make_guest, make_member, make_room, send
from tests.plugins.browser import NewPage
from tests.services.salas import Salas

PAGES = [
    "rooms/room/",
    "rooms/room/add/",
    "rooms/member/",
    "rooms/guest/",
    "rooms/message/",
    "rooms/ban/",
    "rooms/auditentry/",
    "rooms/token/",
    "rooms/identity/",
    "auth/user/",
    "auth/user/add/",
    "auth/group/add/",
    "password_change/",
    "no/such/page/",
]
PASSWORD = "correct horse battery staple"


async def log_in(page: Page, server: Salas, name: str) -> None:
    await page.goto(f"{server.url}/admin/")
    await page.get_by_label("Username").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Site administration")).to_be_visible()


async def test_every_kind_of_page(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room, name="Books")
    await embedded_server.acall(make_member, room)
    guest = await embedded_server.acall(make_guest, room)
    message = (await embedded_server.acall(send, guest, room)).message
    await embedded_server.acall(ban, guest, room)
    act = await embedded_server.acall(AuditEntry.objects.get, member=message.author)
    await embedded_server.acall(lambda: User.objects.create_superuser("pages", password=PASSWORD))
    page = await new_page()
    await log_in(page, embedded_server, "pages")
    changes = [
        f"rooms/room/{room.pk}/change/",
        f"rooms/member/{message.author_id}/change/",
        f"rooms/guest/{message.author.guest_id}/change/",
        f"rooms/message/{message.pk}/change/",
        f"rooms/message/{message.pk}/delete/",
        f"rooms/auditentry/{act.pk}/change/",
    ]
    for path in [*PAGES, *changes]:
        await page.goto(f"{embedded_server.url}/admin/{path}")
        await expect(page.locator("h1, #site-name").first).to_be_visible()


async def test_a_room_is_made_with_the_help_of_scripts(embedded_server: Salas, new_page: NewPage) -> None:
    await embedded_server.acall(lambda: User.objects.create_superuser("maker", password=PASSWORD))
    page = await new_page()
    await log_in(page, embedded_server, "maker")
    await page.goto(f"{embedded_server.url}/admin/rooms/room/add/")
    await page.get_by_label("Name:").press_sequentially("Poems and songs")
    await expect(page.get_by_label("Slug:")).to_have_value("poems-and-songs")
    await page.get_by_role("button", name="Save and continue editing").click()
    await expect(page.locator(".messagelist")).to_contain_text("Poems and songs")


async def test_an_account_that_must_stay_is_deactivated_instead(embedded_server: Salas, new_page: NewPage) -> None:
    room = await embedded_server.acall(make_room, name="Poems")
    author = (await embedded_server.acall(make_member, room)).user
    assert author is not None
    await embedded_server.acall(send, Viewer(user=author), room)
    await embedded_server.acall(lambda: User.objects.create_superuser("deleter", password=PASSWORD))
    page = await new_page()
    await log_in(page, embedded_server, "deleter")
    await page.goto(f"{embedded_server.url}/admin/auth/user/{author.pk}/delete/")
    await expect(page.locator("#deleted-objects")).to_contain_text("has written messages")
    await page.get_by_role("button", name="Deactivate", exact=True).click()
    await expect(page.locator(".messagelist")).to_contain_text("1 account was deactivated.")
    assert not await embedded_server.acall(lambda: User.objects.get(pk=author.pk).is_active)
