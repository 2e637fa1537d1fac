"""What is shared is what everybody would have been given: random documents, compiled, against executions."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strawberry.types import ExecutionResult

from rooms import selectors
from rooms.hub import Hub
from rooms.identity import NOBODY, Viewer
from rooms.models import Guest, Member, Message, Room
from rooms.selectors import Following, Reader
from schema import projection
from schema.context import Context
from schema.documents import Document, document_of
from schema.ids import encode_id
from schema.operations import events, prepared
from schema.requests import OperationRequest
from schema.schema import schema
from schema.sharing import Shared, shared_in
from tests.rooms.fakes import FakeBroker, FakeLog

CORE = schema._schema
OF_THE_VIEWER = {
    ("Room", "cursor"),
    ("Room", "viewerMember"),
    ("Room", "bannedMembers"),
    ("Room", "messages"),
    ("Member", "mutedUntil"),
}
LEAVES = {
    "MessageEvent": ("cursor", "sequence", "kind", "__typename"),
    "Message": ("id", "sequence", "changedSequence", "text", "sentAt", "editedAt", "deletedAt", "idempotencyKey"),
    "Member": ("id", "displayName", "isGuest", "role", "joinedAt", "__typename", "mutedUntil"),
    "Room": ("id", "slug", "name", "description", "access", "isArchived", "createdAt", "slowModeSeconds", "cursor"),
}
OBJECTS = {
    "MessageEvent": {"message": "Message"},
    "Message": {"author": "Member", "room": "Room"},
    "Member": {"room": "Room"},
    "Room": {"viewerMember": "Member"},
}
VIEWERS = (NOBODY, *(Viewer(guest=Guest(pk=number, display_name=name)) for number, name in ((1, "Ana"), (2, "Rui"))))
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


# Documents


@dataclass(frozen=True)
class Selection:
    """A field, or an inline fragment (``name`` is empty). ``condition``: a directive with a variable or a literal."""

    parent: str
    name: str
    alias: str
    condition: tuple[str, str]
    children: tuple[Selection, ...] = ()

    def __str__(self) -> str:
        directive = f" @{self.condition[0]}(if: {self.condition[1]})" if self.condition[0] else ""
        children = f" {{ {' '.join(map(str, self.children))} }}" if self.children else ""
        return f"{self.alias}{self.name or '... on ' + self.parent}{directive}{children}"

    def selected(self, variables: dict[str, bool]) -> Iterator[tuple[str, str]]:
        """The fields that an answer has, by type and name."""
        kind, value = self.condition
        given = {"true": True, "false": False, **{f"${name}": each for name, each in variables.items()}}
        if kind and given[value] is not (kind == "include"):
            return
        if self.name:
            yield self.parent, self.name
        for child in self.children:
            yield from child.selected(variables)


@st.composite
def selections(draw: st.DrawFn, parent: str, depth: int) -> tuple[Selection, ...]:
    return tuple(draw(selection(parent, depth)) for _ in range(draw(st.integers(1, 3))))


@st.composite
def selection(draw: st.DrawFn, parent: str, depth: int) -> Selection:
    condition = draw(
        st.one_of(
            st.just(("", "")),
            st.tuples(st.sampled_from(["skip", "include"]), st.sampled_from(["$yes", "$no", "true", "false"])),
        )
    )
    if depth and draw(st.integers(0, 9)) == 0:
        return Selection(parent, "", "", condition, draw(selections(parent, depth - 1)))
    names = [*LEAVES[parent], *(OBJECTS[parent] if depth else ())]
    name = draw(st.sampled_from(names))
    alias = draw(st.sampled_from(["", "", f"a_{name}: "]))
    kind = OBJECTS[parent].get(name)
    return Selection(parent, name, alias, condition, draw(selections(kind, depth - 1)) if kind else ())


def document_with(fields: tuple[Selection, ...]) -> str:
    """The last of several fields stands in a fragment."""
    *some, last = map(str, fields)
    return (
        "subscription S($roomId: ID!, $after: String, $yes: Boolean!, $no: Boolean = false) {"
        f" it: messages(roomId: $roomId, after: $after) {{ sequence {' '.join(some)} ...Last }} }}"
        f" fragment Last on MessageEvent {{ cursor @include(if: $yes) cursor @skip(if: $no) {last} }}"
    )


# Events


@st.composite
def logs(draw: st.DrawFn) -> FakeLog:
    """One message, sent, and perhaps edited or deleted."""
    moment = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
    room = Room(pk=1, slug="lobby", name=draw(TEXTS), description=draw(TEXTS), created_at=draw(moment))
    author = Member(pk=2, room=room, user_id=draw(st.none() | st.just(3)), guest_id=4, display_name=draw(TEXTS))
    author.role, author.joined_at = draw(st.sampled_from(["MEMBER", "MODERATOR", "OWNER"])), draw(moment)
    message = Message(pk=5, room=room, author=author, sequence=1, changed_sequence=1, sent_at=draw(moment))
    message.text, message.idempotency_key = draw(st.none() | TEXTS), draw(st.none() | TEXTS)
    message.edited_at, message.deleted_at = draw(st.none() | moment), draw(st.none() | moment)
    log = FakeLog()
    log.append(message=message)
    log.entries[0].kind = draw(st.sampled_from(["SENT", "EDITED", "DELETED"]))
    return log


async def shared_text(shared: Shared, log: FakeLog) -> str:
    (entry,) = await log.after(1, 0, 1)
    return shared.show(1)(entry).decode()


async def own_text(viewer: Viewer, log: FakeLog, document: str, variables: dict[str, Any]) -> str:
    """What the viewer is given where nothing is shared."""

    def found(**_: Any) -> list[Following]:
        return [Following(Room(pk=1, sequence=1), 0, Reader(viewer, is_member=True))]

    hub = Hub(log, FakeBroker())
    context = Context(viewer, remember=_nothing, forget=_nothing, hub=hub, on_lost=_nothing)
    request = OperationRequest(document, None, variables, None)
    try:
        with patch.object(selectors, "rooms_to_follow", found):
            found_valid = prepared(schema, request, context)
            assert isinstance(found_valid, Document)
            async with aclosing(events(schema, found_valid, request, context)) as results:
                result = await anext(results)
    finally:
        await hub.close()
    assert isinstance(result, ExecutionResult)
    assert not result.errors, result.errors
    return json.dumps({"data": result.data}, separators=(",", ":"))


def _nothing(*_: object) -> None:
    """Nobody comes to be anybody here."""


def shared_of(text: str, variables: dict[str, Any] | None = None) -> Shared | None:
    return shared_in(document_of(text, None, CORE), {"roomId": encode_id("Room", 1), **(variables or {})})


@settings(max_examples=200, deadline=None)
@given(st.deferred(lambda: selections("MessageEvent", 3)), st.booleans(), st.booleans(), logs())
def test_everybody_is_given_byte_for_byte_what_an_execution_of_their_own_gives(
    fields: tuple[Selection, ...], yes: bool, no: bool, log: FakeLog
) -> None:
    document, switches = document_with(fields), {"yes": yes, "no": no}
    variables = {"roomId": encode_id("Room", 1), **switches}
    shared = shared_in(document_of(document, None, CORE), variables)
    depends = OF_THE_VIEWER.intersection(found for each in fields for found in each.selected(switches))
    assert (shared is None) == bool(depends), depends
    if shared is not None:
        expected = asyncio.run(shared_text(shared, log))
        for viewer in VIEWERS:
            assert asyncio.run(own_text(viewer, log, document, variables)) == expected


def test_no_field_of_the_viewer_has_come_to_the_schema_unnoticed() -> None:
    """A new field is either plain, or it is to be named above."""
    dependent = set()
    for name in LEAVES:
        for field, definition in CORE.type_map[name].fields.items():  # type: ignore[attr-defined]
            try:
                projection.getter_of(definition)
            except projection.Unprojectable:
                dependent.add((name, field))
    assert dependent == OF_THE_VIEWER


FOLLOW = "subscription ($roomId: ID!, $after: String) { messages(roomId: $roomId, after: $after) %s }"


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("{ viewer { isGuest } }", {}),
        (FOLLOW % "{ nonsense }", {}),
        (FOLLOW % "{ sequence }", {"roomId": 1.5}),
        (FOLLOW % "{ sequence }", {"after": []}),
        ("subscription { ...M } fragment M on Subscription { messages(roomId: 1) { sequence } }", {}),
        ("subscription ($x: Boolean!) { messages(roomId: 1) @skip(if: $x) { sequence } }", {"x": False}),
        (FOLLOW % "{ message { room { messages(first: 1) { edges { cursor } } } } }", {}),
    ],
    ids=["a query", "no such field", "no id", "no cursor", "in a fragment", "conditional", "with arguments"],
)
def test_what_is_not_known_to_be_the_same_for_all_is_not_shared(text: str, variables: dict[str, Any]) -> None:
    assert shared_of(text, variables) is None


def test_the_key_tells_documents_operations_and_switches_apart_and_no_cursors() -> None:
    conditional = (
        "subscription ($roomId: ID!, $x: Boolean!) { messages(roomId: $roomId) { sequence kind @skip(if: $x) } }"
    )
    asked = [
        shared_of(conditional, {"x": True}),
        shared_of(conditional, {"x": False}),
        shared_of(FOLLOW % "{ sequence }"),
        shared_of(FOLLOW % "{ cursor }"),
    ]
    assert len({each.key for each in asked if each}) == len(asked)
    one, other = (shared_of(FOLLOW % "{ sequence }", {"after": after}) for after in ("a", "b"))
    assert one is not None
    assert other is not None
    assert (one.key, one.after, other.after) == (other.key, "a", "b")


def test_what_fails_is_executed_and_says_so_as_any_execution(caplog: pytest.LogCaptureFixture) -> None:
    log = FakeLog()
    log.append()  # of no message
    shared = shared_of(FOLLOW % "{ sequence message { text } }")
    assert shared is not None
    payload = json.loads(asyncio.run(shared_text(shared, log)))
    assert payload["data"] is None
    assert payload["errors"][0]["path"] == ["messages", "message"]
    assert payload["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert "Cannot return null" in caplog.text


def test_a_field_that_must_be_waited_for_is_not_taken_for_a_plain_one() -> None:
    with pytest.raises(projection.Unprojectable):
        projection.getter_of(CORE.type_map["Room"].fields["viewerMember"])  # type: ignore[attr-defined]


def test_a_directive_that_is_not_known_is_not_compiled() -> None:
    parsed = document_of(FOLLOW % "{ sequence kind @include(if: true) }", None, CORE)
    with patch.dict(projection.CONDITIONS, clear=True), pytest.raises(projection.Unprojectable, match="@include"):
        projection.projection_of(CORE, parsed.parsed, parsed.operation, {})
