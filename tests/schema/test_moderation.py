"""Moderation as clients see it, over HTTP."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from rooms import moderation
from rooms.identity import OPERATOR, Viewer
from rooms.models import AuditEntry, Ban, Member, MemberRole, RoomAccess
from schema.ids import encode_id
from tests.people import ban, make_guest, make_member, make_room, make_staff, make_user, member_of, mute, remove, send

from .api import Api, id_of

pytestmark = pytest.mark.django_db

NAMES = ["muteMember", "unmuteMember", "removeMember", "banMember", "unbanMember"]
SET_SLOW_MODE = """
mutation ($input: SetSlowModeInput!) { setSlowMode(input: $input) { room { slug slowModeSeconds } } }
"""
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { cursor } }"
EDIT = "mutation ($input: EditMessageInput!) { editMessage(input: $input) { cursor } }"
JOIN = "mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { token member { mutedUntil } } }"
ROOM = """
query ($slug: String!) {
  room(slug: $slug) { bannedMembers { displayName } viewerMember { mutedUntil } messages { edges { cursor } } }
}
"""
MEMBER = "query ($id: ID!) { node(id: $id) { ... on Member { mutedUntil } } }"


def document(name: str) -> str:
    kind = name[0].upper() + name[1:]
    return f"mutation ($input: {kind}Input!) {{ {name}(input: $input) {{ member {{ id mutedUntil }} }} }}"


def in_an_hour() -> str:
    return (timezone.now() + timedelta(hours=1)).isoformat()


def act(api: Api, name: str, member: Member | str) -> dict[str, object]:
    """The whole answer."""
    member_id = member if isinstance(member, str) else id_of(member)
    until = {"until": in_an_hour()} if name == "muteMember" else {}
    return api.execute(document(name), input={"memberId": member_id, **until})


def code(answer: dict[str, object]) -> object:
    errors = answer["errors"]
    assert isinstance(errors, list)
    return errors[0]["extensions"]["code"]


@pytest.mark.parametrize("name", NAMES)
def test_a_moderator_does_it_by_mutation(name: str) -> None:
    room = make_room()
    member = member_of(make_guest(room), room)
    answer = act(Api(make_member(room, MemberRole.MODERATOR)), name, member)
    assert "errors" not in answer
    assert answer["data"][name]["member"]["id"] == id_of(member)  # type: ignore[index]


@pytest.mark.parametrize("name", NAMES)
def test_what_may_not_be_done_is_refused_by_code(name: str) -> None:
    open_room, hidden = make_room(), make_room(RoomAccess.MEMBERS)
    member, unseen = member_of(make_guest(open_room), open_room), member_of(make_member(hidden), hidden)
    assert code(act(Api(), name, member)) == "UNAUTHENTICATED"
    for viewer in (make_user(), make_guest(open_room), make_member(open_room), make_member(hidden, MemberRole.OWNER)):
        assert code(act(Api(viewer), name, member)) == "FORBIDDEN"
    stranger = Api(make_user())
    assert act(stranger, name, unseen) == act(stranger, name, encode_id("Member", 2**40))
    assert code(act(stranger, name, unseen)) == "NOT_FOUND"
    assert code(act(stranger, name, id_of(open_room))) == "BAD_USER_INPUT"
    assert (AuditEntry.objects.exclude(action="ROLE_CHANGED").count(), Ban.objects.count()) == (0, 0)


@pytest.mark.parametrize("until", ["2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "2027-01-01T00:00:00"])
def test_a_mute_ends_at_a_moment_ahead_with_its_time_zone(until: str) -> None:
    room = make_room()
    member = member_of(make_guest(room), room)
    given = {"memberId": id_of(member), "until": until}
    refusal = Api(make_staff()).refusal(document("muteMember"), input=given)
    assert refusal == {"code": "BAD_USER_INPUT", "field": "until"}


@pytest.mark.parametrize("until", ["tomorrow", "", "9999-99-99T00:00:00Z", 0, True, None])
def test_what_is_no_moment_is_a_fault_of_the_request(until: object) -> None:
    given = {"memberId": encode_id("Member", 1), "until": until}
    answer = Api(make_staff()).post({"query": document("muteMember"), "variables": {"input": given}}).json()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]


def test_who_is_muted_is_told_until_when() -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room).message
    until = mute(ana, room).isoformat()
    assert Api(ana).refusal(SEND, input={"roomId": id_of(room), "text": "x"}) == {
        "code": "FORBIDDEN",
        "mutedUntil": until,
    }
    assert Api(ana).refusal(EDIT, input={"messageId": id_of(message), "text": "x"})["mutedUntil"] == until


def test_a_mute_is_shown_to_whom_it_concerns() -> None:
    room = make_room()
    ana = make_guest(room)
    until = mute(ana, room).isoformat()
    member_id = id_of(member_of(ana, room))
    for viewer in (ana, make_member(room, MemberRole.MODERATOR), make_staff()):
        assert Api(viewer).data(MEMBER, id=member_id) == {"node": {"mutedUntil": until}}
    for stranger in (None, make_user(), make_guest(room), make_member(make_room(), MemberRole.OWNER)):
        assert Api(stranger).data(MEMBER, id=member_id) == {"node": {"mutedUntil": None}}
    moderation.unmute_member(actor=OPERATOR, member_id=member_of(ana, room).pk)
    assert Api(ana).data(MEMBER, id=member_id) == {"node": {"mutedUntil": None}}


def test_slow_mode_is_set_shown_and_kept_to() -> None:
    room = make_room()
    moderator, ana = Api(make_member(room, MemberRole.MODERATOR)), Api(make_guest(room))
    found = moderator.data(SET_SLOW_MODE, input={"roomId": id_of(room), "seconds": 3600})["setSlowMode"]["room"]
    assert found == {"slug": room.slug, "slowModeSeconds": 3600}
    given = {"roomId": id_of(room), "text": "x"}
    ana.data(SEND, input=given)
    refusal = ana.refusal(SEND, input=given)
    assert (refusal["code"], 3500 < refusal["retryAfter"] <= 3600) == ("RATE_LIMITED", True)
    assert Api().data("query ($slug: String!) { room(slug: $slug) { slowModeSeconds } }", slug=room.slug) == {
        "room": {"slowModeSeconds": 3600}
    }


@pytest.mark.parametrize("seconds", [-1, 86_401])
def test_a_slow_mode_that_cannot_be_is_refused(seconds: int) -> None:
    room = make_room()
    refusal = Api(make_staff()).refusal(SET_SLOW_MODE, input={"roomId": id_of(room), "seconds": seconds})
    assert refusal == {"code": "BAD_USER_INPUT", "field": "seconds"}


def test_who_is_banned_is_told_so_and_shown_nothing() -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room).message
    ban(ana, room)
    answer = Api(ana).execute(ROOM, slug=room.slug)
    assert answer["data"]["room"] == {"bannedMembers": None, "viewerMember": None, "messages": None}
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "FORBIDDEN", "isBanned": True}]
    for given in ({"slug": room.slug, "displayName": "Ana"},):
        assert Api(ana).refusal(JOIN, input=given) == {"code": "FORBIDDEN", "isBanned": True}
    given = {"roomId": id_of(room), "text": "x"}
    assert Api(ana).refusal(SEND, input=given) == {"code": "FORBIDDEN", "isBanned": True}
    for thing in (message, message.author):
        assert Api(ana).data("query ($id: ID!) { node(id: $id) { id } }", id=id_of(thing)) == {"node": None}


@pytest.mark.parametrize("fate", [remove, ban])
def test_a_members_room_that_one_was_sent_out_of_is_like_none(fate: object) -> None:
    room = make_room(RoomAccess.MEMBERS)
    bia = make_member(room)
    message = send(bia, room).message
    fate(bia, room)  # type: ignore[operator]
    assert Api(bia).data(ROOM, slug=room.slug) == {"room": None}
    assert Api(bia).data("{ viewer { members { id } } rooms { edges { cursor } } }") == {
        "viewer": {"members": []},
        "rooms": {"edges": []},
    }
    for thing in (room, message, message.author):
        assert Api(bia).data("query ($id: ID!) { node(id: $id) { id } }", id=id_of(thing)) == {"node": None}
    given = {"roomId": id_of(room), "text": "x"}
    assert Api(bia).refusal(SEND, input=given) == {"code": "NOT_FOUND"}


def test_the_address_of_a_guest_is_noted_and_bans_those_who_come_from_it() -> None:
    room = make_room()
    given = {"slug": room.slug, "displayName": "Ana"}
    Api().data(JOIN, input=given)
    member = Member.objects.select_related("guest").get(room=room)
    assert member.guest is not None
    assert member.guest.address == "127.0.0.1"
    ban(Viewer(guest=member.guest), room)
    assert Api().refusal(JOIN, input=given) == {"code": "FORBIDDEN", "isBanned": True}
    assert Api(make_user()).data(JOIN, input=given)["joinRoom"]["token"] is None


def test_moderators_see_who_is_banned_and_others_do_not() -> None:
    room = make_room()
    for name in ("Ana", "Rui"):
        ban(make_guest(room, name), room)
    shown = Api(make_member(room, MemberRole.MODERATOR)).data(ROOM, slug=room.slug)["room"]["bannedMembers"]
    assert shown == [{"displayName": "Rui"}, {"displayName": "Ana"}]
    for viewer in (None, make_user(), make_guest(room)):
        assert Api(viewer).data(ROOM, slug=room.slug)["room"]["bannedMembers"] is None
