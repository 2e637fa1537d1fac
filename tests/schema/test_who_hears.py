"""Who hears what happens after something has changed: everybody who may follow, each change, each kind of room.

A table says what becomes of each of them: ``hears`` what happens next, ``-`` where the change cannot be made, else the
code with which the subscription (``no``, ``not found`` …) or the socket (4403) ends, and then nothing more is heard. So
it is where announcements arrive, and where they are lost: then a change of the room comes with the next entry of its
log, and one of the account is found by the sweep.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Group, Permission, User

from config import asgi
from config.limits import Limits
from rooms import accounts, broker, services, tokens
from rooms.feed import Entry
from rooms.hints import AccessChange
from rooms.identity import OPERATOR, Viewer
from rooms.log import DatabaseLog
from rooms.models import Member, MemberRole, Message, Room, RoomAccess
from rooms.threads import in_database
from schema.closing import FORBIDDEN
from schema.cursors import log_cursor
from schema.limits import Pace
from schema.presence import OpenSockets
from tests.people import PASSWORD, archive, ban, make_member, make_room, mute, remove, send
from tests.rooms.fakes import run_loop

from .api import id_of
from .sockets import Socket, opened
from .test_identity import Sleeper, authorization
from .test_who_may_do_what import SHORT, lines_of, somebody, token_of

pytestmark = pytest.mark.django_db(transaction=True)

FOLLOW = "subscription ($roomId: ID!, $after: String) { messages(roomId: $roomId, after: $after) { %s } }"
SELECTIONS = {
    "shared": "sequence",
    "own": "sequence message { room { viewerMember { id } } }",
}
"""Each followed twice on one socket: what is made once for all who hear it, and what depends on who does."""

FOLLOWERS = ("anonymous", "guest", "stranger", "member", "moderator", "former", "staff")


class DoesNotApply(Exception):
    """The change cannot be made to this somebody."""


@dataclass
class Scene:
    """A room whose author will take back a message after the change, and one who follows it."""

    room: Room
    author: Viewer
    message: Message
    viewer: Viewer
    token: str | None
    heard: int


def made(access: RoomAccess, who: str) -> Scene:
    room = make_room(access)
    author = make_member(room, name="Author")
    message = send(author, room, "hello").message
    viewer, _ = somebody(room, who)
    room.refresh_from_db()
    return Scene(room, author, message, viewer, token_of(viewer), room.sequence)


def take_back(scene: Scene) -> None:
    """What happens next, in archived rooms too."""
    services.delete_message(viewer=scene.author, message_id=scene.message.pk)


# What changes


def leave(scene: Scene) -> None:
    services.leave_room(viewer=scene.viewer, room_id=scene.room.pk)


def by_office(act: Callable[[Viewer, Room], object]) -> Callable[[Scene], None]:
    """What is done to somebody who is, or was, in the room."""

    def change(scene: Scene) -> None:
        if scene.viewer.key is None:
            raise DoesNotApply
        try:
            act(scene.viewer, scene.room)
        except Member.DoesNotExist:
            raise DoesNotApply from None

    return change


def demote(viewer: Viewer, room: Room) -> None:
    member = Member.objects.get(room=room, user=viewer.user, left_at=None, role=MemberRole.MODERATOR)
    services.update_member(actor=OPERATOR, member_id=member.pk, display_name="x", role=MemberRole.MEMBER)


def make_it(access: RoomAccess) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        services.update_room(
            actor=OPERATOR,
            room_id=scene.room.pk,
            slug=scene.room.slug,
            name=scene.room.name,
            description="",
            access=access,
            password=PASSWORD if access == RoomAccess.PASSWORD else "",
        )

    return change


def log_out(scene: Scene) -> None:
    if scene.token is None:
        raise DoesNotApply
    accounts.log_out(viewer=Viewer(user=scene.viewer.user, guest=scene.viewer.guest, token=scene.token))


def revoke_all(scene: Scene) -> None:
    if scene.token is None:
        raise DoesNotApply
    tokens.revoke_tokens_of(scene.viewer)


def to_account(act: Callable[[User], object], *, of_staff: bool = False) -> Callable[[Scene], None]:
    def change(scene: Scene) -> None:
        user = scene.viewer.user
        if user is None or (of_staff and not user.is_staff):
            raise DoesNotApply
        act(user)

    return change


def deactivate(user: User) -> None:
    user.is_active = False
    user.save()


def change_password(user: User) -> None:
    user.set_password("another password")
    user.save()


def dismiss(user: User) -> None:
    user.is_staff = False
    user.save()


OF_THE_ROOM: dict[str, Callable[[Scene], None]] = {
    "leaves": leave,
    "removed": by_office(remove),
    "banned": by_office(ban),
    "muted": by_office(mute),
    "demoted": by_office(demote),
    "archived": lambda scene: archive(scene.room),
    "to open": make_it(RoomAccess.OPEN),
    "to password": make_it(RoomAccess.PASSWORD),
    "to members": make_it(RoomAccess.MEMBERS),
}
OF_THE_ACCOUNT: dict[str, Callable[[Scene], None]] = {
    "logged out": log_out,
    "revoked": revoke_all,
    "deactivated": to_account(deactivate),
    "new password": to_account(change_password),
    "dismissed": to_account(dismiss, of_staff=True),
}
CHANGES = OF_THE_ROOM | OF_THE_ACCOUNT


# What becomes of it


@contextmanager
def announcing(socket: Socket, sockets: OpenSockets, *, arrives: bool) -> Iterator[None]:
    """What is announced reaches this process as it does in life, but for changes of access where none ``arrives``."""
    loop = asyncio.get_running_loop()

    def access(*, room_id: int | None = None, version: int = 0, viewer_key: str | None = None) -> None:
        if arrives:
            loop.call_soon_threadsafe(asgi.heed, AccessChange(room_id, version, viewer_key))

    def grown(*, room_id: int, sequence: int, entries: Sequence[Entry]) -> None:
        loop.call_soon_threadsafe(socket.hub.offer, room_id, entries)

    with ExitStack() as stack:
        for module, name, stand_in in (
            (asgi, "hub", socket.hub),
            (asgi, "sockets", sockets),
            (broker, "announce_access", access),
            (broker, "announce", grown),
        ):
            stack.enter_context(patch.object(module, name, stand_in))
        yield


async def begin(socket: Socket, scene: Scene) -> None:
    """Follow in both ways, and hear all that was said until now."""
    await socket.init(authorization(scene.token) if scene.token else None)
    for way in SELECTIONS:
        await follow(socket, scene, way)
        for sequence in range(1, scene.heard + 1):
            message = await socket.receive()
            assert (message["id"], message["payload"]["data"]["messages"]["sequence"]) == (way, sequence)


async def follow(socket: Socket, scene: Scene, way: str) -> None:
    document = FOLLOW % SELECTIONS[way]
    await socket.subscribe(way, document, roomId=id_of(scene.room), after=log_cursor(scene.room.pk, 0))


async def hears_nothing_more(socket: Socket) -> None:
    """Though all that is under way has had time: what is asked of the database is answered meanwhile."""
    for number in range(3):
        await run_loop(20)
        await socket.subscribe(f"meanwhile {number}", "{ viewer { members { id } } }")
        answer = [await socket.receive() for _ in range(2)]
        assert [(each["id"], each["type"]) for each in answer] == [
            (f"meanwhile {number}", "next"),
            (f"meanwhile {number}", "complete"),
        ]


async def becomes(socket: Socket) -> str:
    """The next that a follower is told, the same in both ways, and that there is no more."""
    messages = [await socket.receive() for _ in SELECTIONS]
    await hears_nothing_more(socket)
    assert {message["id"] for message in messages} == set(SELECTIONS)
    (outcome,) = {outcome_in(message) for message in messages}
    return outcome


def outcome_in(message: dict[str, Any]) -> str:
    if message["type"] == "next":
        assert "errors" not in message["payload"]
        return "hears"
    (error,) = message["payload"]
    code = error["extensions"]["code"]
    return SHORT.get(code, str(code))


async def outcome(access: RoomAccess, who: str, change: str, *, arrives: bool) -> str:
    scene = await in_database(made, access, who)
    sleeper = Sleeper()
    sockets = OpenSockets(sleep=sleeper)
    async with opened(DatabaseLog(), sockets=sockets) as socket:
        with announcing(socket, sockets, arrives=arrives):
            await begin(socket, scene)
            try:
                await in_database(CHANGES[change], scene)
            except DoesNotApply:
                return "-"
            if change in OF_THE_ACCOUNT:
                if not arrives:
                    sleeper.end()
                return str(await socket.closed())
            await in_database(take_back, scene)
            return await becomes(socket)


TABLES = {
    RoomAccess.OPEN: """
              anonymous  guest      stranger   member    moderator  former     staff
leaves        hears      hears      hears      no        no         hears      hears
removed       -          -          -          no        no         hears      -
banned        -          -          -          no        no         no         -
muted         -          -          -          hears     hears      hears      -
demoted       -          -          -          -         hears      -          -
archived      archived   archived   archived   archived  archived   archived   archived
to open       hears      hears      hears      hears     hears      hears      hears
to password   who?       no         no         hears     hears      no         hears
to members    not found  not found  not found  hears     hears      not found  hears
logged out    -          4403       4403       4403      4403       4403       4403
revoked       -          4403       4403       4403      4403       4403       4403
deactivated   -          -          4403       4403      4403       4403       4403
new password  -          -          4403       4403      4403       4403       4403
dismissed     -          -          -          -         -          -          4403
""",
    RoomAccess.PASSWORD: """
              member    moderator  staff
leaves        no        no         hears
removed       no        no         -
banned        no        no         -
muted         hears     hears      -
demoted       -         hears      -
archived      archived  archived   archived
to open       hears     hears      hears
to password   hears     hears      hears
to members    hears     hears      hears
logged out    4403      4403       4403
revoked       4403      4403       4403
deactivated   4403      4403       4403
new password  4403      4403       4403
dismissed     -         -          4403
""",
    RoomAccess.MEMBERS: """
              member     moderator  staff
leaves        not found  not found  hears
removed       not found  not found  -
banned        not found  not found  -
muted         hears      hears      -
demoted       -          hears      -
archived      archived   archived   archived
to open       hears      hears      hears
to password   hears      hears      hears
to members    hears      hears      hears
logged out    4403       4403       4403
revoked       4403       4403       4403
deactivated   4403       4403       4403
new password  4403       4403       4403
dismissed     -          -          4403
""",
}


@pytest.mark.parametrize("arrives", [True, False], ids=["announced", "unheard"])
@pytest.mark.parametrize("access", RoomAccess)
async def test_everybody_hears_what_the_table_says_and_no_more(access: RoomAccess, arrives: bool) -> None:
    followers = [who for who in FOLLOWERS if access == RoomAccess.OPEN or who in ("member", "moderator", "staff")]
    rows = [[change, *[await outcome(access, who, change, arrives=arrives) for who in followers]] for change in CHANGES]
    assert lines_of([["", *followers], *rows]) == TABLES[access].strip("\n")


@pytest.mark.parametrize("way", SELECTIONS)
async def test_what_waited_for_a_slow_reader_is_not_sent_to_who_was_banned_meanwhile(way: str) -> None:
    scene = await in_database(made, RoomAccess.OPEN, "member")
    sockets = OpenSockets()
    one_at_a_time = Limits(socket_window_bytes=1)
    async with opened(DatabaseLog(), sockets=sockets, limits=one_at_a_time, pace=Pace(receipt_seconds=60)) as socket:
        with announcing(socket, sockets, arrives=True):
            socket.signs_receipts = False
            await socket.init(authorization(scene.token or ""))
            await follow(socket, scene, way)
            assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "ping"]
            await in_database(ban, scene.viewer, scene.room)
            message = await socket.receive()
            assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "FORBIDDEN")
            socket.signs_receipts = True
            await socket.send(type="pong")
            await hears_nothing_more(socket)


# What staff are permitted


def permit(user: User, *, by_group: bool) -> None:
    permission = Permission.objects.get(codename="view_message", content_type__app_label="rooms")
    if by_group:
        group = Group.objects.create(name="readers")
        group.permissions.add(permission)
        user.groups.add(group)
    else:
        user.user_permissions.add(permission)


TAKEN: list[Callable[[User], object]] = [
    lambda user: user.user_permissions.clear(),
    lambda _: Permission.objects.get(codename="view_message").user_set.set([]),
    lambda user: user.groups.clear(),
    lambda _: Group.objects.get().user_set.set([]),
    lambda _: Group.objects.get().permissions.clear(),
    lambda _: Group.objects.get().delete(),
]


@pytest.mark.parametrize("arrives", [True, False], ids=["announced", "unheard"])
@pytest.mark.parametrize("taken", range(len(TAKEN)))
async def test_staff_follow_what_they_are_permitted_however_that_is_taken(taken: int, arrives: bool) -> None:
    def furnish() -> tuple[Scene, User]:
        scene = made(RoomAccess.MEMBERS, "stranger")
        user = scene.viewer.user
        assert user is not None
        user.is_staff = True
        user.save()
        permit(user, by_group=taken >= 2)
        return scene, user

    scene, user = await in_database(furnish)
    sleeper = Sleeper()
    sockets = OpenSockets(sleep=sleeper)
    async with opened(DatabaseLog(), sockets=sockets) as socket:
        with announcing(socket, sockets, arrives=arrives):
            await begin(socket, scene)
            await in_database(TAKEN[taken], user)
            if not arrives:
                sleeper.end()
            assert await socket.closed() == FORBIDDEN
