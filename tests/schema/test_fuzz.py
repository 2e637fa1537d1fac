"""Documents that nobody would write: whatever is asked, the answer is JSON, nothing of it is our fault, and what is
others' is not in it.

Schemathesis makes them of ``schema.graphql``: every field, with arguments of the right type and any value. Others ask
for what is hidden by its very ids, and not always in GraphQL, over HTTP and WebSocket. Frames that are no messages are
thrown at sockets in ``test_transport``. Bounded and seeded: the same ones each time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooms import exceptions
from rooms.identity import Viewer
from rooms.models import MemberRole, RoomAccess
from rooms.threads import in_database
from rooms.tokens import issue_token
from schema.cursors import log_cursor
from tests.people import make_guest, make_member, make_room, make_user, send

from .api import Api, id_of
from .sockets import opened

pytestmark = pytest.mark.django_db(transaction=True)

SCHEMA = Path(__file__).parents[2] / "schema" / "schema.graphql"
DOCUMENTS = 150
BOUNDED = settings(max_examples=DOCUMENTS, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
CODES = {each.code for each in vars(exceptions).values() if isinstance(each, type) and hasattr(each, "code")}
SECRET = "what only members may read"


def require_harmless(answer: str) -> None:
    found = json.loads(answer)
    assert SECRET not in answer
    assert all(error["extensions"]["code"] in CODES for error in found.get("errors", [])), answer


# Of the schema


def operations(kind: str) -> st.SearchStrategy[Any]:
    """Documents with one root field of ``kind``, Query or Mutation."""
    schema = schemathesis.graphql.from_file(SCHEMA.read_text())
    return st.one_of(*(operation.as_strategy() for operation in schema[kind].values()))


@pytest.fixture
def people() -> list[Api]:
    room = make_room()
    moderator, guest = make_member(room, MemberRole.MODERATOR), make_guest(room)
    send(guest, room, "hello")
    return [Api(), Api(guest), Api(moderator)]


@pytest.mark.parametrize("kind", ["Query", "Mutation"])
def test_whatever_is_asked_nothing_is_our_fault(kind: str, people: list[Api]) -> None:
    asked = 0

    @BOUNDED
    @given(case=operations(kind), who=st.sampled_from(people))
    def ask(case: Any, who: Api) -> None:
        nonlocal asked
        asked += 1
        response = who.post({"query": case.body})
        assert response.status_code < 500, case.body
        require_harmless(response.content.decode())

    ask()
    assert asked >= DOCUMENTS


# For what is hidden

INNER = "{ id __typename ... on Room { name } ... on Message { text } ... on Member { displayName } }"
ROOM = "{ name cursor messages(first: 2) { edges { node { text author { displayName } } } } }"
MESSAGE = "{ text author { displayName } room { name } }"
ASKED = {
    "query": (
        ("node(id: %s)", INNER),
        ("room(slug: %s)", ROOM),
        ("rooms(first: 5, search: %s)", f"{{ edges {{ node {ROOM} }} }}"),
        ("rooms(first: 5, after: %s)", f"{{ edges {{ node {ROOM} }} }}"),
    ),
    "mutation": (
        ('editMessage(input: {messageId: %s, text: "x"})', f"{{ message {MESSAGE} }}"),
        ("deleteMessage(input: {messageId: %s})", f"{{ message {MESSAGE} }}"),
        ('sendMessage(input: {roomId: %s, text: "x"})', f"{{ message {MESSAGE} }}"),
        ('joinRoom(input: {slug: %s, displayName: "x"})', f"{{ room {ROOM} }}"),
        ("leaveRoom(input: {roomId: %s})", f"{{ room {ROOM} }}"),
        ("setSlowMode(input: {roomId: %s, seconds: 1})", f"{{ room {ROOM} }}"),
        ("removeMember(input: {memberId: %s})", "{ member { displayName } }"),
    ),
    "subscription": (("messages(roomId: %s)", f"{{ message {MESSAGE} }}"),),
}
NOISE = ("{", "}", '"', "@skip(if: true)", "...F", "\ufeff", "#", "\x00", "é", "9" * 30, "$x", "query {", INNER)


def plain_documents(hidden: list[str]) -> Iterator[str]:
    """Each field, asked with each of the names."""
    for (kind, fields), name in product(ASKED.items(), hidden):
        yield from (f"{kind} {{ {field % name} {inner} }}" for field, inner in fields)


@st.composite
def documents(draw: st.DrawFn, hidden: list[str]) -> str:
    """Most of them GraphQL, and some with noise among it."""
    values = st.sampled_from([*hidden, *hidden, "null", "1", '""', "{}", "[1]", "X"])
    kind = draw(st.sampled_from(list(ASKED)))
    asked = draw(st.lists(st.sampled_from(ASKED[kind]), min_size=1, max_size=2))
    fields = [f"a{number}: {field % draw(values)} {inner}" for number, (field, inner) in enumerate(asked)]
    parts = [kind, "{", *fields, "}"]
    if draw(st.integers(0, 3)) == 0:
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from(NOISE)))
    return " ".join(parts)


def furnish() -> tuple[Viewer, list[str]]:
    """A stranger, and the names of a room of which they may know nothing, of who is in it and what was said."""
    room = make_room(RoomAccess.MEMBERS, name=SECRET)
    message = send(make_member(room, name=SECRET), room, SECRET).message
    user = make_user().user
    assert user is not None
    names = (id_of(room), id_of(message.author), id_of(message), room.slug, log_cursor(room.pk, 0))
    return Viewer(user=user, token=issue_token(user).secret), [json.dumps(name) for name in names]


async def test_whatever_a_stranger_asks_for_what_is_hidden_stays_so() -> None:
    stranger, hidden = await in_database(furnish)
    asked = 0

    async def ask(document: str) -> None:
        response = await in_database(Api(stranger).post, {"query": document})
        assert response.status_code < 500, document
        require_harmless(response.content.decode())
        async with opened() as socket:
            await socket.init({"authorization": f"Bearer {stranger.token}"})
            await socket.subscribe("1", document)
            answer = await socket.receive()
            assert answer["type"] in ("next", "error")
            errors = answer["payload"] if answer["type"] == "error" else answer["payload"].get("errors", [])
            require_harmless(json.dumps({"errors": errors, "all": answer}))

    for document in (*plain_documents(hidden), *examples(documents(hidden))):
        asked += 1
        await ask(document)
    assert asked >= DOCUMENTS


def examples(strategy: st.SearchStrategy[str]) -> list[str]:
    """The same each time."""
    found: list[str] = []

    @BOUNDED
    @given(strategy)
    def note(example: str) -> None:
        found.append(example)

    note()
    return found
