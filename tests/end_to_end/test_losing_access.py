"""Who loses a room, or themselves, at one process hears of it at every other: within a second, as is promised."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
from django.contrib.auth.models import User
from websockets.exceptions import ConnectionClosed

from rooms.identity import Viewer
from rooms.models import MemberRole
from schema.closing import FORBIDDEN
from schema.ids import encode_id
from tests.people import PASSWORD, archive, make_member, make_room, member_of, remove
from tests.services.salas import Salas

from .client import Client, Subscription

PROMISED_SECONDS = 1.0
BAN = "mutation ($input: BanMemberInput!) { banMember(input: $input) { member { id } } }"
LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { token } }"
LOGOUT = "mutation { logout(everywhere: true) { viewer { isAuthenticated } } }"


class Scene:
    """A room of two accounts, rosa's and a moderator's."""

    def __init__(self) -> None:
        self.room = make_room()
        self.rosa, self.moderator = make_member(self.room), make_member(self.room, MemberRole.MODERATOR)
        self.member = member_of(self.rosa, self.room)
        for viewer in (self.rosa, self.moderator):
            assert viewer.user is not None
            viewer.user.set_password(PASSWORD)
            viewer.user.save()


@asynccontextmanager
async def logged_in(viewer: Viewer, server: Salas) -> AsyncIterator[Client]:
    assert viewer.user is not None
    async with Client(server) as client:
        given = {"username": viewer.user.get_username(), "password": PASSWORD}
        client.token = (await client.data(LOGIN, input=given))["login"]["token"]
        yield client


@dataclass
class People:
    """At the first process, by tokens of their own."""

    rosa: Client
    moderator: Client


# What is done, at the first process or by a shell


async def ban_by_mutation(scene: Scene, people: People) -> None:
    await people.moderator.data(BAN, input={"memberId": encode_id("Member", scene.member.pk)})


async def remove_by_shell(scene: Scene, people: People) -> None:
    await people.rosa.server.acall(remove, scene.rosa, scene.room)


async def archive_by_shell(scene: Scene, people: People) -> None:
    await people.rosa.server.acall(archive, scene.room)


async def log_out_everywhere(scene: Scene, people: People) -> None:
    await people.rosa.data(LOGOUT)


async def deactivate_by_shell(scene: Scene, people: People) -> None:
    def deactivate() -> None:
        user = User.objects.get(pk=scene.rosa.user.pk)  # type: ignore[union-attr]
        user.is_active = False
        user.save()

    await people.rosa.server.acall(deactivate)


Way = Callable[[Scene, People], Awaitable[None]]


@asynccontextmanager
async def talk(scene: Scene, moderator: Client) -> AsyncIterator[None]:
    """Somebody talks all the time, until the room is archived."""

    async def go_on() -> None:
        with suppress(AssertionError):  # of ``data``, where a message is refused
            while True:
                await moderator.send(scene.room, "and so on")

    talking = asyncio.create_task(go_on())
    yield
    talking.cancel()
    await asyncio.gather(talking, return_exceptions=True)


async def end_of(subscription: Subscription) -> tuple[Any, float]:
    """How a subscription ends, and when: the code of its error, or that of the socket's close."""
    try:
        while (message := await subscription.message())["type"] == "next":
            pass
    except ConnectionClosed as closed:
        return closed.rcvd and closed.rcvd.code, time.monotonic()
    assert message["type"] == "error", message
    return message["payload"][0]["extensions"]["code"], time.monotonic()


@pytest.mark.parametrize(
    ("way", "code"),
    [
        (ban_by_mutation, "FORBIDDEN"),
        (remove_by_shell, "FORBIDDEN"),
        (archive_by_shell, "ROOM_ARCHIVED"),
        (log_out_everywhere, FORBIDDEN),
        (deactivate_by_shell, FORBIDDEN),
    ],
)
async def test_every_process_ends_it_within_a_second(scaled_servers: list[Salas], way: Way, code: Any) -> None:
    """Of the moment at which it is asked for, while others go on talking."""
    one = scaled_servers[0]
    scene = await one.acall(Scene)
    async with AsyncExitStack() as stack:
        rosa = await stack.enter_async_context(logged_in(scene.rosa, one))
        moderator = await stack.enter_async_context(logged_in(scene.moderator, one))
        followed = [await stack.enter_async_context(rosa.at(server).follow(scene.room)) for server in scaled_servers]
        await stack.enter_async_context(talk(scene, moderator))
        for subscription in followed:
            await subscription.event()
        ends = [asyncio.create_task(end_of(subscription)) for subscription in followed]
        asked = time.monotonic()
        await way(scene, People(rosa, moderator))
        for found, ended in await asyncio.gather(*ends):
            assert found == code
            assert ended - asked < PROMISED_SECONDS
