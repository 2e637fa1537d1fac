"""Who may do what: everybody, with everything, in every kind of room, over both transports.

A table says what each is answered: ``ok``, ``none`` (null, as for what is not there), or the code of the refusal. Each
row is an operation, each column somebody; what is in no table is not tested, so a test compares the rows with the
schema. ``follow`` is the start of a subscription: who goes on hearing, and until when, is in ``test_who_hears``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce
from typing import Any

import pytest
from django.utils import timezone

from rooms import services
from rooms.identity import NOBODY, Viewer
from rooms.log import DatabaseLog
from rooms.models import Member, MemberRole, Message, Room, RoomAccess
from rooms.threads import in_database
from rooms.tokens import issue_token
from schema.cursors import log_cursor
from schema.schema import schema as strawberry_schema
from tests.people import (
    PASSWORD,
    archive,
    ban,
    make_guest,
    make_member,
    make_room,
    make_staff,
    make_user,
    send,
)

from .api import Api, id_of
from .sockets import Socket, opened

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = ("anonymous", "guest", "stranger", "member", "moderator", "former", "banned", "staff")

ROOMS = {
    "open": RoomAccess.OPEN,
    "password": RoomAccess.PASSWORD,
    "members": RoomAccess.MEMBERS,
    "archived": RoomAccess.OPEN,
}

Answer = dict[str, Any]


@dataclass
class Scene:
    """A room with somebody in it who has said something, and the one who asks, with a message of their own if any."""

    room: Room
    viewer: Viewer
    victim: Member
    message: Message
    own: Message


def made(kind: str, who: str) -> Scene:
    room = make_room(ROOMS[kind])
    author = make_member(room, name="Author")
    message = send(author, room, "hello").message
    viewer, own = somebody(room, who)
    if kind == "archived":
        archive(room)
    return Scene(room, viewer, message.author, message, own or message)


def somebody(room: Room, who: str) -> tuple[Viewer, Message | None]:
    """Whoever ``who`` names, with what they have said if they were ever in the room."""
    match who:
        case "anonymous":
            return NOBODY, None
        case "guest":
            return make_guest(make_room()), None
        case "stranger":
            return make_user(), None
        case "staff":
            return make_staff(), None
    viewer = make_member(room, MemberRole.MODERATOR if who == "moderator" else MemberRole.MEMBER)
    own = send(viewer, room, "mine").message
    if who == "former":
        services.leave_room(viewer=viewer, room_id=room.pk)
    if who == "banned":
        ban(viewer, room)
    return viewer, own


# What they try


@dataclass(frozen=True)
class Attempt:
    """``shown`` is where in the data the answer is, that may be null."""

    document: str
    variables: Callable[[Scene], dict[str, Any]]
    shown: str


def of_room(selection: str, shown: str) -> Attempt:
    document = f"query ($slug: String!) {{ room(slug: $slug) {{ slug {selection} }} }}"
    return Attempt(document, lambda it: {"slug": it.room.slug}, shown)


def of_node(pick: Callable[[Scene], Room | Member | Message], selection: str = "id", shown: str = "node") -> Attempt:
    return Attempt(f"query ($id: ID!) {{ node(id: $id) {{ {selection} }} }}", lambda it: {"id": id_of(pick(it))}, shown)


def mutation(name: str, given: Callable[[Scene], dict[str, Any]]) -> Attempt:
    kind = name[0].upper() + name[1:]
    document = f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ __typename }} }}"
    return Attempt(document, lambda it: {"input": given(it)}, name)


def in_an_hour() -> str:
    return (timezone.now() + timedelta(hours=1)).isoformat()


ATTEMPTS = {
    "viewer": Attempt("{ viewer { members { id } } }", lambda _: {}, "viewer"),
    "room": of_room("", "room"),
    "room.cursor": of_room("cursor", "room.cursor"),
    "room.viewerMember": of_room("viewerMember { id }", "room.viewerMember"),
    "room.messages": of_room("messages { edges { node { text } } }", "room.messages"),
    "room.bannedMembers": of_room("bannedMembers { id }", "room.bannedMembers"),
    "rooms": Attempt(
        "query ($search: String!) { rooms(search: $search) { edges { node { id } } } }",
        lambda it: {"search": it.room.slug},
        "rooms.edges.0",
    ),
    "node, room": of_node(lambda it: it.room),
    "node, member": of_node(lambda it: it.victim),
    "node, message": of_node(lambda it: it.message),
    "follow": Attempt(
        "subscription ($roomId: ID!, $after: String) { messages(roomId: $roomId, after: $after) { sequence } }",
        lambda it: {"roomId": id_of(it.room), "after": log_cursor(it.room.pk, 0)},
        "messages",
    ),
    "sendMessage": mutation("sendMessage", lambda it: {"roomId": id_of(it.room), "text": "hi"}),
    "editMessage": mutation("editMessage", lambda it: {"messageId": id_of(it.message), "text": "changed"}),
    "editMessage, own": mutation("editMessage", lambda it: {"messageId": id_of(it.own), "text": "new"}),
    "deleteMessage": mutation("deleteMessage", lambda it: {"messageId": id_of(it.message)}),
    "deleteMessage, own": mutation("deleteMessage", lambda it: {"messageId": id_of(it.own)}),
    "muteMember": mutation("muteMember", lambda it: {"memberId": id_of(it.victim), "until": in_an_hour()}),
    "mutedUntil": of_node(lambda it: it.victim, "... on Member { mutedUntil }", "node.mutedUntil"),
    "unmuteMember": mutation("unmuteMember", lambda it: {"memberId": id_of(it.victim)}),
    "setSlowMode": mutation("setSlowMode", lambda it: {"roomId": id_of(it.room), "seconds": 1}),
    "removeMember": mutation("removeMember", lambda it: {"memberId": id_of(it.victim)}),
    "banMember": mutation("banMember", lambda it: {"memberId": id_of(it.victim)}),
    "unbanMember": mutation("unbanMember", lambda it: {"memberId": id_of(it.victim)}),
    "joinRoom": mutation("joinRoom", lambda it: {"slug": it.room.slug, "displayName": "Rui"}),
    "joinRoom, password": mutation(
        "joinRoom", lambda it: {"slug": it.room.slug, "displayName": "Rui", "password": PASSWORD}
    ),
    "leaveRoom": mutation("leaveRoom", lambda it: {"roomId": id_of(it.room)}),
    "login": Attempt(
        'mutation { login(input: {username: "nobody", password: "wrong"}) { __typename } }', lambda _: {}, "login"
    ),
    "logout": Attempt("mutation { logout { __typename } }", lambda _: {}, "logout"),
}
"""In this order, by the same somebody in the same room: what changes who they are to it comes last."""

SHORT = {
    "UNAUTHENTICATED": "who?",
    "FORBIDDEN": "no",
    "NOT_FOUND": "not found",
    "WRONG_PASSWORD": "password?",
    "ROOM_ARCHIVED": "archived",
}


def told(answer: Answer, shown: str) -> str:
    """``ok``, ``none``, or the code of the one error."""
    codes = {error["extensions"]["code"] for error in answer.get("errors") or []}
    if codes:
        assert len(codes) == 1, answer
        return str(codes.pop())
    found = reduce(part_of, shown.split("."), answer["data"])
    return "none" if found is None else "ok"


def part_of(found: Any, name: str) -> Any:
    if isinstance(found, list):
        return found[int(name)] if found else None
    return found and found[name]


def over_http(kind: str, who: str) -> dict[str, str]:
    """A room of its own, so that nothing is known yet of what is tried over the other transport."""
    scene = made(kind, who)
    api = Api(Viewer(token=token_of(scene.viewer)))
    return {
        name: told(api.execute(attempt.document, **attempt.variables(scene)), attempt.shown)
        for name, attempt in ATTEMPTS.items()
        if name != "follow"
    }


async def over_websocket(kind: str, who: str) -> dict[str, str]:
    scene = await in_database(made, kind, who)
    token = await in_database(token_of, scene.viewer)
    found = {}
    async with opened(DatabaseLog()) as socket:
        await socket.init({"authorization": f"Bearer {token}"} if token else None)
        for name, attempt in ATTEMPTS.items():
            await socket.subscribe(name, attempt.document, **attempt.variables(scene))
            found[name] = told(await first_answer(socket, name), attempt.shown)
            await socket.send(type="complete", id=name)
    return found


async def first_answer(socket: Socket, operation_id: str) -> Answer:
    """The first result of an operation; what is left of others is passed over."""
    while (message := await socket.receive())["id"] != operation_id:
        pass
    return {"errors": message["payload"]} if message["type"] == "error" else message["payload"]


def token_of(viewer: Viewer) -> str | None:
    holder = viewer.user or viewer.guest
    return None if holder is None else issue_token(holder).secret


# What they are answered


def table_of(found: dict[str, dict[str, str]]) -> str:
    """As below: a row for each attempt, a column for each of the people."""
    rows = [[name, *(SHORT.get(found[who][name], found[who][name]) for who in PEOPLE)] for name in ATTEMPTS]
    return lines_of([["", *PEOPLE], *rows])


def lines_of(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


TABLES = {
    "open": """
                    anonymous  guest  stranger  member  moderator  former  banned     staff
viewer              ok         ok     ok        ok      ok         ok      ok         ok
room                ok         ok     ok        ok      ok         ok      ok         ok
room.cursor         ok         ok     ok        ok      ok         ok      none       ok
room.viewerMember   none       none   none      ok      ok         none    none       none
room.messages       ok         ok     ok        ok      ok         ok      no         ok
room.bannedMembers  none       none   none      none    ok         none    none       ok
rooms               ok         ok     ok        ok      ok         ok      ok         ok
node, room          ok         ok     ok        ok      ok         ok      ok         ok
node, member        ok         ok     ok        ok      ok         ok      none       ok
node, message       ok         ok     ok        ok      ok         ok      none       ok
follow              ok         ok     ok        ok      ok         ok      no         ok
sendMessage         who?       no     no        ok      ok         no      no         no
editMessage         who?       no     no        no      no         no      not found  no
editMessage, own    who?       no     no        ok      ok         no      no         no
deleteMessage       who?       no     no        no      ok         no      not found  ok
deleteMessage, own  who?       no     no        ok      ok         ok      ok         ok
muteMember          who?       no     no        no      ok         no      not found  ok
mutedUntil          none       none   none      none    ok         none    none       ok
unmuteMember        who?       no     no        no      ok         no      not found  ok
setSlowMode         who?       no     no        no      ok         no      no         ok
removeMember        who?       no     no        no      ok         no      not found  ok
banMember           who?       no     no        no      ok         no      not found  ok
unbanMember         who?       no     no        no      ok         no      not found  ok
joinRoom            ok         ok     ok        ok      ok         ok      no         ok
joinRoom, password  ok         ok     ok        ok      ok         ok      no         ok
leaveRoom           ok         ok     ok        ok      ok         ok      ok         ok
login               who?       who?   who?      who?    who?       who?    who?       who?
logout              ok         ok     ok        ok      ok         ok      ok         ok
""",
    "password": """
                    anonymous  guest      stranger   member  moderator  former     banned     staff
viewer              ok         ok         ok         ok      ok         ok         ok         ok
room                ok         ok         ok         ok      ok         ok         ok         ok
room.cursor         none       none       none       ok      ok         none       none       ok
room.viewerMember   none       none       none       ok      ok         none       none       none
room.messages       who?       no         no         ok      ok         no         no         ok
room.bannedMembers  none       none       none       none    ok         none       none       ok
rooms               ok         ok         ok         ok      ok         ok         ok         ok
node, room          ok         ok         ok         ok      ok         ok         ok         ok
node, member        none       none       none       ok      ok         none       none       ok
node, message       none       none       none       ok      ok         none       none       ok
follow              who?       no         no         ok      ok         no         no         ok
sendMessage         who?       no         no         ok      ok         no         no         no
editMessage         not found  not found  not found  no      no         not found  not found  no
editMessage, own    not found  not found  not found  ok      ok         no         no         no
deleteMessage       not found  not found  not found  no      ok         not found  not found  ok
deleteMessage, own  not found  not found  not found  ok      ok         ok         ok         ok
muteMember          not found  not found  not found  no      ok         not found  not found  ok
mutedUntil          none       none       none       none    ok         none       none       ok
unmuteMember        not found  not found  not found  no      ok         not found  not found  ok
setSlowMode         who?       no         no         no      ok         no         no         ok
removeMember        not found  not found  not found  no      ok         not found  not found  ok
banMember           not found  not found  not found  no      ok         not found  not found  ok
unbanMember         not found  not found  not found  no      ok         not found  not found  ok
joinRoom            password?  password?  password?  ok      ok         password?  no         password?
joinRoom, password  ok         ok         ok         ok      ok         ok         no         ok
leaveRoom           ok         ok         ok         ok      ok         ok         ok         ok
login               who?       who?       who?       who?    who?       who?       who?       who?
logout              ok         ok         ok         ok      ok         ok         ok         ok
""",
    "members": """
                    anonymous  guest      stranger   member  moderator  former     banned     staff
viewer              ok         ok         ok         ok      ok         ok         ok         ok
room                none       none       none       ok      ok         none       none       ok
room.cursor         none       none       none       ok      ok         none       none       ok
room.viewerMember   none       none       none       ok      ok         none       none       none
room.messages       none       none       none       ok      ok         none       none       ok
room.bannedMembers  none       none       none       none    ok         none       none       ok
rooms               none       none       none       ok      ok         none       none       ok
node, room          none       none       none       ok      ok         none       none       ok
node, member        none       none       none       ok      ok         none       none       ok
node, message       none       none       none       ok      ok         none       none       ok
follow              not found  not found  not found  ok      ok         not found  not found  ok
sendMessage         not found  not found  not found  ok      ok         not found  not found  no
editMessage         not found  not found  not found  no      no         not found  not found  no
editMessage, own    not found  not found  not found  ok      ok         no         no         no
deleteMessage       not found  not found  not found  no      ok         not found  not found  ok
deleteMessage, own  not found  not found  not found  ok      ok         ok         ok         ok
muteMember          not found  not found  not found  no      ok         not found  not found  ok
mutedUntil          none       none       none       none    ok         none       none       ok
unmuteMember        not found  not found  not found  no      ok         not found  not found  ok
setSlowMode         not found  not found  not found  no      ok         not found  not found  ok
removeMember        not found  not found  not found  no      ok         not found  not found  ok
banMember           not found  not found  not found  no      ok         not found  not found  ok
unbanMember         not found  not found  not found  no      ok         not found  not found  ok
joinRoom            not found  not found  not found  ok      ok         not found  not found  no
joinRoom, password  not found  not found  not found  ok      ok         not found  not found  no
leaveRoom           not found  not found  not found  ok      ok         not found  not found  ok
login               who?       who?       who?       who?    who?       who?       who?       who?
logout              ok         ok         ok         ok      ok         ok         ok         ok
""",
    "archived": """
                    anonymous  guest     stranger  member    moderator  former    banned     staff
viewer              ok         ok        ok        ok        ok         ok        ok         ok
room                ok         ok        ok        ok        ok         ok        ok         ok
room.cursor         ok         ok        ok        ok        ok         ok        none       ok
room.viewerMember   none       none      none      ok        ok         none      none       none
room.messages       ok         ok        ok        ok        ok         ok        no         ok
room.bannedMembers  none       none      none      none      ok         none      none       ok
rooms               ok         ok        ok        ok        ok         ok        ok         ok
node, room          ok         ok        ok        ok        ok         ok        ok         ok
node, member        ok         ok        ok        ok        ok         ok        none       ok
node, message       ok         ok        ok        ok        ok         ok        none       ok
follow              archived   archived  archived  archived  archived   archived  no         archived
sendMessage         who?       no        no        archived  archived   no        no         no
editMessage         who?       no        no        no        no         no        not found  no
editMessage, own    who?       no        no        archived  archived   no        no         no
deleteMessage       who?       no        no        no        ok         no        not found  ok
deleteMessage, own  who?       no        no        ok        ok         ok        ok         ok
muteMember          who?       no        no        no        ok         no        not found  ok
mutedUntil          none       none      none      none      ok         none      none       ok
unmuteMember        who?       no        no        no        ok         no        not found  ok
setSlowMode         who?       no        no        no        ok         no        no         ok
removeMember        who?       no        no        no        ok         no        not found  ok
banMember           who?       no        no        no        ok         no        not found  ok
unbanMember         who?       no        no        no        ok         no        not found  ok
joinRoom            archived   archived  archived  archived  archived   archived  no         archived
joinRoom, password  archived   archived  archived  archived  archived   archived  no         archived
leaveRoom           ok         ok        ok        ok        ok         ok        ok         ok
login               who?       who?      who?      who?      who?       who?      who?       who?
logout              ok         ok        ok        ok        ok         ok        ok         ok
""",
}


@pytest.mark.parametrize("kind", ROOMS)
async def test_everybody_may_do_what_the_table_says_and_no_more(kind: str) -> None:
    by_socket = {who: await over_websocket(kind, who) for who in PEOPLE}
    by_http = {who: await in_database(over_http, kind, who) for who in PEOPLE}
    assert table_of(by_socket) == TABLES[kind].strip("\n")
    for who in PEOPLE:
        by_http[who]["follow"] = by_socket[who]["follow"]  # over HTTP nobody follows: see test_http
    assert table_of(by_http) == TABLES[kind].strip("\n")


def test_every_field_of_the_schema_is_in_the_tables() -> None:
    core = strawberry_schema._schema
    fields = {name for kind in (core.query_type, core.mutation_type) if kind for name in kind.fields}
    assert fields <= {name.partition(",")[0] for name in ATTEMPTS}
    assert core.subscription_type
    assert list(core.subscription_type.fields) == [ATTEMPTS["follow"].shown]
