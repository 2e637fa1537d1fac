from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ValidationError
from pytest_django import DjangoAssertNumQueries

from rooms import services
from rooms.exceptions import (
    BadUserInput,
    Forbidden,
    NotFound,
    Refusal,
    RoomArchived,
    Unauthenticated,
    WrongPassword,
)
from rooms.identity import NOBODY, OPERATOR, Viewer
from rooms.models import Entry, EntryKind, Guest, MemberRole, Message, Room, RoomAccess, Token
from rooms.tokens import TOKENS_KEPT, viewer_by_token
from tests.people import (
    PASSWORD,
    archive,
    make_guest,
    make_member,
    make_room,
    make_staff,
    make_user,
    member_of,
    queries_to_store,
    send,
)

pytestmark = pytest.mark.django_db


def log_of(room: Room) -> list[tuple[int, str, int]]:
    entries = Entry.objects.filter(room=room).order_by("sequence")
    return list(entries.values_list("sequence", "kind", "message__sequence"))


def join(viewer: Viewer, room: Room, name: str = "Ana", password: str | None = None) -> services.Joined:
    return services.join_room(viewer=viewer, slug=room.slug, display_name=name, password=password)


# Joining


def test_joining_makes_a_guest_with_a_token_that_is_stored_hashed() -> None:
    joined = join(NOBODY, make_room())
    assert joined.token is not None
    viewer = viewer_by_token(joined.token)
    assert viewer is not None
    assert viewer.guest == joined.guest
    assert not Token.objects.filter(digest=joined.token).exists()


def test_a_guest_enters_other_rooms_as_the_same_guest_with_the_same_token() -> None:
    guest = make_guest(make_room())
    joined = join(guest, make_room())
    assert (joined.guest, joined.token) == (guest.guest, guest.token)


def test_a_guest_known_by_a_session_gets_a_token_and_keeps_the_newest_few() -> None:
    room = make_room()
    by_session = Viewer(guest=make_guest(room).guest)
    tokens = [join(by_session, room).token for _ in range(TOKENS_KEPT + 1)]
    assert [bool(viewer_by_token(token or "")) for token in tokens] == [False] + [True] * TOKENS_KEPT


def test_an_account_joins_without_a_token() -> None:
    viewer = make_user()
    joined = join(viewer, make_room())
    assert (joined.member.user, joined.guest, joined.token) == (viewer.user, None, None)


def test_entering_again_changes_the_display_name_and_nothing_more() -> None:
    room = make_room(RoomAccess.PASSWORD)
    owner = make_member(room, MemberRole.OWNER)
    before = member_of(owner, room)
    join(owner, room, name="Bianca")
    after = member_of(owner, room)
    assert after.display_name == "Bianca"
    assert (after.pk, after.role, after.joined_at) == (before.pk, MemberRole.OWNER, before.joined_at)
    assert Room.objects.get(pk=room.pk).member_count == 1


def test_members_are_counted() -> None:
    room = make_room()
    ana = make_guest(room)
    make_guest(room, "Rui")
    services.leave_room(viewer=ana, room_id=room.pk)
    services.leave_room(viewer=ana, room_id=room.pk)
    assert Room.objects.get(pk=room.pk).member_count == 1


def test_who_comes_back_is_the_same_member_without_the_role_of_before() -> None:
    room = make_room()
    moderator = make_member(room, MemberRole.MODERATOR)
    before = member_of(moderator, room)
    services.leave_room(viewer=moderator, room_id=room.pk)
    after = join(moderator, room).member
    assert (after.pk, after.role, after.left_at) == (before.pk, MemberRole.MEMBER, None)


@pytest.mark.parametrize("password", [None, "", "wrong", "\0", "\ud800", PASSWORD + " "])
def test_a_password_room_takes_only_its_password(password: str | None) -> None:
    room = make_room(RoomAccess.PASSWORD)
    with pytest.raises(WrongPassword):
        join(NOBODY, room, password=password)
    assert not Guest.objects.exists()
    assert join(NOBODY, room, password=PASSWORD).member.room == room


@pytest.mark.parametrize("slug", ["nowhere", "", "\0", "\ud800", "x" * 1000])
def test_no_such_room_is_not_found(slug: str) -> None:
    with pytest.raises(NotFound):
        services.join_room(viewer=NOBODY, slug=slug, display_name="Ana")


def test_a_members_room_cannot_be_told_from_none() -> None:
    room = make_room(RoomAccess.MEMBERS)
    for stranger in (NOBODY, make_user(), make_guest(make_room())):
        with pytest.raises(NotFound):
            join(stranger, room)


def test_staff_do_not_join_a_members_room_unless_added() -> None:
    with pytest.raises(Forbidden):
        join(make_staff(), make_room(RoomAccess.MEMBERS))


def test_an_archived_room_is_not_joined() -> None:
    room = make_room()
    archive(room)
    with pytest.raises(RoomArchived):
        join(NOBODY, room)
    assert not Guest.objects.exists()


@pytest.mark.parametrize(
    "name",
    ["", "  ", "x" * 41, "a\0b", "\udfff", "\u200b", "\u00ad", "\u2800", "a\nb", "\u202eadmin", "\u2066x"],
)
def test_a_display_name_has_1_to_40_characters(name: str) -> None:
    room = make_room()
    with pytest.raises(BadUserInput) as refusal:
        join(NOBODY, room, name=name)
    assert refusal.value.extensions == {"code": "BAD_USER_INPUT", "field": "displayName"}
    assert not Guest.objects.exists()
    assert join(NOBODY, room, name="x" * 40).member.display_name == "x" * 40


def test_a_room_that_would_break_an_invariant_is_refused() -> None:
    with pytest.raises(ValidationError):
        services.create_room(slug="x", name="x", access=RoomAccess.PASSWORD)


def test_the_password_of_a_room_is_stored_hashed() -> None:
    assert PASSWORD not in make_room(RoomAccess.PASSWORD).password


# Sending


def test_every_change_is_the_next_entry_of_the_log() -> None:
    room = make_room()
    ana = make_guest(room)
    first, second = send(ana, room, "one"), send(ana, room, "two")
    edited = services.edit_message(viewer=ana, message_id=first.message.pk, text="1")
    deleted = services.delete_message(viewer=ana, message_id=second.message.pk)
    assert [change.sequence for change in (first, second, edited, deleted)] == [1, 2, 3, 4]
    assert log_of(room) == [
        (1, EntryKind.SENT, 1),
        (2, EntryKind.SENT, 2),
        (3, EntryKind.EDITED, 1),
        (4, EntryKind.DELETED, 2),
    ]
    found = Room.objects.get(pk=room.pk)
    assert (found.sequence, found.message_count) == (4, 2)
    assert found.last_used_at is not None


def test_rooms_count_for_themselves() -> None:
    one, other = make_room(), make_room()
    assert [send(make_guest(room), room).sequence for room in (one, other)] == [1, 1]


def test_the_same_key_gives_the_same_message() -> None:
    room = make_room()
    ana = make_guest(room)
    first, again = send(ana, room, "hi", "k"), send(ana, room, "hi", "k")
    assert (again.message, again.sequence) == (first.message, first.sequence)
    assert len(log_of(room)) == 1


def test_the_same_key_gives_the_same_message_when_it_has_changed_since() -> None:
    room = make_room()
    ana = make_guest(room)
    edited, deleted = send(ana, room, "hi", "k1").message, send(ana, room, "ho", "k2").message
    services.edit_message(viewer=ana, message_id=edited.pk, text="hello")
    services.delete_message(viewer=ana, message_id=deleted.pk)
    assert [send(ana, room, text, key).message for text, key in (("hi", "k1"), ("ho", "k2"))] == [edited, deleted]


def test_the_same_key_gives_the_same_message_when_the_room_is_archived_since() -> None:
    room = make_room()
    ana = make_guest(room)
    sent = send(ana, room, key="k")
    archive(room)
    assert send(ana, room, key="k").message == sent.message


def test_the_same_key_with_another_text_is_refused() -> None:
    room = make_room()
    ana = make_guest(room)
    send(ana, room, "hi", "k")
    with pytest.raises(BadUserInput) as refusal:
        send(ana, room, "something else", "k")
    assert refusal.value.field == "idempotencyKey"
    assert len(log_of(room)) == 1


def test_keys_are_their_author_s_own() -> None:
    room = make_room()
    assert [send(make_guest(room, name), room, name, "k").sequence for name in ("Ana", "Rui")] == [1, 2]


@pytest.mark.parametrize(
    "text", ["", " \n\t ", "x" * 4001, "a\0b", "\ud83d", "\u2003", "\u200b", "\u2800", "\u3164", "\u200d\ufeff"]
)
def test_a_text_that_cannot_be_said_is_refused(text: str) -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room, "before").message
    with pytest.raises(BadUserInput) as sent:
        send(ana, room, text)
    with pytest.raises(BadUserInput) as edited:
        services.edit_message(viewer=ana, message_id=message.pk, text=text)
    assert (sent.value.field, edited.value.field) == ("text", "text")
    assert len(log_of(room)) == 1
    message.refresh_from_db()
    assert message.text == "before"


@pytest.mark.parametrize("text", ["x" * 4000, "  as\ttyped\n", "👩‍👩‍👧‍👦 ção", "<b>&amp;"])
def test_a_text_is_stored_as_it_was_typed(text: str) -> None:
    room = make_room()
    sent = send(make_guest(room), room, text)
    assert Message.objects.get(pk=sent.message.pk).text == text


@pytest.mark.parametrize("key", ["", "k" * 201, "a\0", "\ud800"])
def test_a_key_that_cannot_be_stored_is_refused(key: str) -> None:
    room = make_room()
    with pytest.raises(BadUserInput) as refusal:
        send(make_guest(room), room, key=key)
    assert refusal.value.field == "idempotencyKey"
    assert log_of(room) == []


@pytest.mark.parametrize(
    ("access", "who", "refusal"),
    [
        (RoomAccess.OPEN, lambda: NOBODY, Unauthenticated),
        (RoomAccess.OPEN, make_user, Forbidden),
        (RoomAccess.OPEN, make_staff, Forbidden),
        (RoomAccess.PASSWORD, lambda: NOBODY, Unauthenticated),
        (RoomAccess.PASSWORD, make_user, Forbidden),
        (RoomAccess.MEMBERS, lambda: NOBODY, NotFound),
        (RoomAccess.MEMBERS, make_user, NotFound),
    ],
)
def test_only_members_send(access: RoomAccess, who: object, refusal: type[Refusal]) -> None:
    room = make_room(access)
    with pytest.raises(refusal):
        send(who(), room)  # type: ignore[operator]
    assert log_of(room) == []


def test_who_has_left_sends_no_more() -> None:
    room = make_room()
    ana = make_guest(room)
    services.leave_room(viewer=ana, room_id=room.pk)
    with pytest.raises(Forbidden):
        send(ana, room)


def test_nothing_is_sent_to_an_archived_room_until_it_is_opened_again() -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room).message
    archive(room)
    with pytest.raises(RoomArchived):
        send(ana, room)
    with pytest.raises(RoomArchived):
        services.edit_message(viewer=ana, message_id=message.pk, text="x")
    services.reopen_room(actor=OPERATOR, room_id=room.pk)
    assert send(ana, room).sequence == 2


def test_a_send_costs_the_same_few_queries_in_a_large_room(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    room = make_room()
    ana = make_guest(room)
    for number in range(20):
        send(make_guest(room, f"guest {number}"), room)
    with django_assert_num_queries(4 + queries_to_store()):  # with savepoint and release: the test is in a transaction
        send(ana, room)
    with django_assert_num_queries(5 + queries_to_store()):
        send(ana, room, key="k")


# Editing and deleting


def test_only_the_author_edits() -> None:
    room = make_room()
    message = send(make_guest(room), room).message
    for viewer, refusal in (
        (make_guest(room, "Rui"), Forbidden),
        (make_member(room, MemberRole.OWNER), Forbidden),
        (make_staff(), Forbidden),
        (NOBODY, Unauthenticated),
    ):
        with pytest.raises(refusal):
            services.edit_message(viewer=viewer, message_id=message.pk, text="x")


def test_a_deleted_message_is_not_edited() -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room).message
    services.delete_message(viewer=ana, message_id=message.pk)
    with pytest.raises(BadUserInput):
        services.edit_message(viewer=ana, message_id=message.pk, text="x")


@pytest.mark.parametrize("role", [MemberRole.MODERATOR, MemberRole.OWNER])
def test_moderators_delete(role: MemberRole) -> None:
    room = make_room()
    message = send(make_guest(room), room).message
    assert services.delete_message(viewer=make_member(room, role), message_id=message.pk).message.text is None


def test_staff_delete_if_the_admin_lets_them() -> None:
    room = make_room(RoomAccess.MEMBERS)
    message = send(make_member(room), room).message
    user = User.objects.create_user("some-staff", is_staff=True)
    with pytest.raises(NotFound):
        services.delete_message(viewer=Viewer(user=user), message_id=message.pk)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_message", "delete_message"]))
    trusted = Viewer(user=User.objects.get(pk=user.pk))
    assert services.delete_message(viewer=trusted, message_id=message.pk).message.deleted_at is not None


def test_others_do_not_delete() -> None:
    room = make_room()
    message = send(make_guest(room), room).message
    elsewhere = make_member(make_room(), MemberRole.OWNER)
    for viewer, refusal in ((make_guest(room, "Rui"), Forbidden), (elsewhere, Forbidden), (NOBODY, Unauthenticated)):
        with pytest.raises(refusal):
            services.delete_message(viewer=viewer, message_id=message.pk)
    message.refresh_from_db()
    assert message.text == "hello"


def test_deleting_again_changes_nothing() -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room).message
    first = services.delete_message(viewer=ana, message_id=message.pk)
    again = services.delete_message(viewer=ana, message_id=message.pk)
    assert (again.sequence, len(log_of(room))) == (first.sequence, 2)


@pytest.mark.parametrize("access", [RoomAccess.OPEN, RoomAccess.PASSWORD])
def test_who_has_left_can_still_take_back_what_they_said(access: RoomAccess) -> None:
    room = make_room(access)
    ana = make_guest(room)
    message = send(ana, room).message
    services.leave_room(viewer=ana, room_id=room.pk)
    with pytest.raises(Forbidden):
        services.edit_message(viewer=ana, message_id=message.pk, text="x")
    assert services.delete_message(viewer=ana, message_id=message.pk).message.text is None


def test_what_was_said_in_an_archived_room_can_still_be_deleted() -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room).message
    archive(room)
    assert services.delete_message(viewer=ana, message_id=message.pk).message.text is None


def test_a_message_that_one_may_not_read_is_not_found() -> None:
    room = make_room(RoomAccess.PASSWORD)
    message = send(make_guest(room), room).message
    for stranger in (NOBODY, make_user()):
        with pytest.raises(NotFound):
            services.delete_message(viewer=stranger, message_id=message.pk)
        with pytest.raises(NotFound):
            services.edit_message(viewer=stranger, message_id=message.pk, text="x")
