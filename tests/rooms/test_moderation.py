"""What is done by office: each actor over each target, what follows from it, and the audit log of it all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_network
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import Permission, User
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from rooms import broker, moderation, selectors, services
from rooms.exceptions import (
    BadUserInput,
    Banned,
    Forbidden,
    Muted,
    NotFound,
    RateLimited,
    Refusal,
    RoomArchived,
    Unauthenticated,
    WrongPassword,
)
from rooms.identity import NOBODY, OPERATOR, Viewer
from rooms.models import AuditAction, AuditEntry, Ban, Guest, Member, MemberRole, Message, Room, RoomAccess
from rooms.paging import Span
from rooms.sending import Changed
from tests.people import (
    PASSWORD,
    archive,
    ban,
    make_guest,
    make_member,
    make_room,
    make_staff,
    make_user,
    member_of,
    mute,
    remove,
    send,
)

pytestmark = pytest.mark.django_db

ADDRESS = "198.51.100.4"
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def in_an_hour() -> datetime:
    return timezone.now() + timedelta(hours=1)


def staff_with(*permissions: str) -> Viewer:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return Viewer(user=User.objects.get(pk=user.pk))


def staff_in(room: Room) -> Viewer:
    """Staff who are plain members."""
    staff = make_staff()
    assert staff.user is not None
    services.add_member(actor=OPERATOR, room_id=room.pk, user_id=staff.user.pk, display_name="Clerk")
    return staff


def join(viewer: Viewer, room: Room, address: str | None = None) -> services.Joined:
    return services.join_room(viewer=viewer, slug=room.slug, display_name="Ana", password=PASSWORD, address=address)


def edit(viewer: Viewer, message: Message) -> Changed:
    return services.edit_message(viewer=viewer, message_id=message.pk, text="edited")


def audit(room: Room) -> list[tuple[str, str, str]]:
    entries = AuditEntry.objects.filter(room=room).order_by("id")
    return list(entries.values_list("action", "actor_name", "detail"))


def actions(room: Room) -> list[str]:
    return [action for action, _, _ in audit(room)]


@pytest.fixture
def at_noon() -> Iterator[Any]:
    """A clock that is set by hand."""
    with patch.object(timezone, "now", return_value=NOON) as now:
        yield now


Act = Callable[[Viewer, int], object]
ACTS: dict[str, Act] = {
    "mute": lambda actor, pk: moderation.mute_member(actor=actor, member_id=pk, until=in_an_hour()),
    "unmute": lambda actor, pk: moderation.unmute_member(actor=actor, member_id=pk),
    "remove": lambda actor, pk: moderation.remove_member(actor=actor, member_id=pk),
    "ban": lambda actor, pk: moderation.ban_member(actor=actor, member_id=pk),
    "unban": lambda actor, pk: moderation.unban_member(actor=actor, member_id=pk),
}
each_act = pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)


# Who may do it to whom

MODERATOR = partial(make_member, role=MemberRole.MODERATOR)
OWNER = partial(make_member, role=MemberRole.OWNER)
TARGETS: dict[str, Callable[[Room], Viewer]] = {
    "guest": make_guest,
    "member": make_member,
    "moderator": MODERATOR,
    "owner": OWNER,
    "staff": staff_in,
}
OVER: dict[str, tuple[Callable[[Room], Viewer], set[str]]] = {
    "nobody": (lambda room: NOBODY, set()),
    "stranger": (lambda room: make_user(), set()),
    "guest": (make_guest, set()),
    "member": (make_member, set()),
    "owner elsewhere": (lambda room: OWNER(make_room()), set()),
    "moderator": (MODERATOR, {"guest", "member"}),
    "owner": (OWNER, {"guest", "member", "moderator", "owner"}),
    "staff": (lambda room: staff_with("change_member"), set(TARGETS)),
    "staff without that permission": (lambda room: staff_with("view_message", "change_room"), set()),
    "operator": (lambda room: OPERATOR, set(TARGETS)),
}


@each_act
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("actor", OVER)
def test_who_may_do_what_to_whom(act: Act, actor: str, target: str) -> None:
    room = make_room()
    make, over = OVER[actor]
    member = member_of(TARGETS[target](room), room)
    viewer = make(room)
    before = Member.objects.filter(pk=member.pk).values().get(), actions(room)
    if target in over:
        act(viewer, member.pk)
        return
    with pytest.raises(Unauthenticated if actor == "nobody" else Forbidden):
        act(viewer, member.pk)
    assert (Member.objects.filter(pk=member.pk).values().get(), actions(room)) == before
    assert not Ban.objects.exists()


@each_act
@pytest.mark.parametrize("make", [MODERATOR, OWNER, staff_in])
def test_nobody_does_it_to_themselves(act: Act, make: Callable[[Room], Viewer]) -> None:
    room = make_room()
    viewer = make(room)
    with pytest.raises(Forbidden):
        act(viewer, member_of(viewer, room).pk)
    assert (member_of(viewer, room).left_at, actions(room).count("MEMBER_BANNED")) == (None, 0)


@each_act
@pytest.mark.parametrize("access", [RoomAccess.PASSWORD, RoomAccess.MEMBERS])
def test_a_member_of_a_room_that_one_may_not_read_is_like_none(act: Act, access: RoomAccess) -> None:
    room = make_room(access)
    member = member_of(make_member(room), room)
    for stranger in (NOBODY, make_user(), OWNER(make_room()), staff_with("change_room")):
        stranger.has_permission("")  # Django remembers what it has looked up
        costs = []
        for pk in (member.pk, 2**40):
            with CaptureQueriesContext(connection) as queries, pytest.raises(NotFound):
                act(stranger, pk)
            costs.append(len(queries))
        assert costs[0] == costs[1]


def test_staff_who_may_change_members_do_so_in_every_room() -> None:
    room = make_room(RoomAccess.MEMBERS)
    moderation.remove_member(actor=staff_with("change_member"), member_id=member_of(make_member(room), room).pk)
    assert Room.objects.get(pk=room.pk).member_count == 0


def test_a_moderator_who_was_removed_has_no_office_any_more() -> None:
    room = make_room()
    moderator = MODERATOR(room)
    remove(moderator, room)
    with pytest.raises(Forbidden):
        moderation.ban_member(actor=moderator, member_id=member_of(make_guest(room), room).pk)


def test_an_owner_who_has_left_is_anybody() -> None:
    room = make_room()
    owner = OWNER(room)
    services.leave_room(viewer=owner, room_id=room.pk)
    moderation.ban_member(actor=MODERATOR(room), member_id=member_of(owner, room).pk)
    assert actions(room)[-1] == "MEMBER_BANNED"


# Mutes


def test_who_is_muted_neither_sends_nor_edits_until_then(at_noon: Any) -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room).message
    until = mute(ana, room)
    for attempt in (partial(send, ana, room), partial(edit, ana, message)):
        with pytest.raises(Muted) as refusal:
            attempt()
        assert refusal.value.extensions == {"code": "FORBIDDEN", "mutedUntil": "2026-01-01T13:00:00+00:00"}
    at_noon.return_value = until
    assert (send(ana, room).sequence, edit(ana, message).sequence) == (2, 3)


def test_who_is_muted_still_takes_back_what_they_said() -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room).message
    mute(ana, room)
    assert services.delete_message(viewer=ana, message_id=message.pk).message.text is None


def test_a_message_that_was_acknowledged_is_so_again_whatever_happened_since() -> None:
    room = make_room()
    ana = make_guest(room)
    moderation.set_slow_mode(actor=OPERATOR, room_id=room.pk, seconds=60)
    sent = send(ana, room, key="k")
    mute(ana, room)
    assert send(ana, room, key="k").message == sent.message


@pytest.mark.parametrize("go", [remove, lambda viewer, room: services.leave_room(viewer=viewer, room_id=room.pk)])
def test_leaving_and_coming_back_ends_no_mute(go: Callable[[Viewer, Room], object]) -> None:
    room = make_room()
    ana = make_guest(room)
    mute(ana, room)
    go(ana, room)
    join(ana, room)
    with pytest.raises(Muted):
        send(ana, room)


def test_a_mute_is_ended_early() -> None:
    room = make_room()
    ana = make_guest(room)
    mute(ana, room)
    moderation.unmute_member(actor=OPERATOR, member_id=member_of(ana, room).pk)
    assert send(ana, room).sequence == 1


@pytest.mark.parametrize(
    "until",
    [
        NOON,
        NOON - timedelta(days=1),
        NOON + timedelta(days=4000),
        datetime.max.replace(tzinfo=UTC),
        (NOON + timedelta(days=1)).replace(tzinfo=None),
    ],
)
def test_a_mute_ends_at_a_moment_ahead(at_noon: Any, until: datetime) -> None:
    room = make_room()
    member = member_of(make_guest(room), room)
    with pytest.raises(BadUserInput) as refusal:
        moderation.mute_member(actor=OPERATOR, member_id=member.pk, until=until)
    assert refusal.value.field == "until"


# Slow mode


def test_in_slow_mode_a_member_sends_once_in_so_many_seconds(at_noon: Any) -> None:
    room = make_room()
    ana, rui = make_guest(room), make_guest(room)
    moderation.set_slow_mode(actor=OPERATOR, room_id=room.pk, seconds=30)
    message = send(ana, room).message
    assert send(rui, room).sequence == 2
    at_noon.return_value = NOON + timedelta(seconds=20)
    with pytest.raises(RateLimited) as refusal:
        send(ana, room)
    assert refusal.value.extensions == {"code": "RATE_LIMITED", "retryAfter": 10.0}
    assert edit(ana, message).sequence == 3
    at_noon.return_value = NOON + timedelta(seconds=30)
    assert send(ana, room).sequence == 4


def test_leaving_and_coming_back_is_no_way_around_slow_mode() -> None:
    room = make_room()
    ana = make_guest(room)
    moderation.set_slow_mode(actor=OPERATOR, room_id=room.pk, seconds=3600)
    send(ana, room)
    services.leave_room(viewer=ana, room_id=room.pk)
    join(ana, room)
    with pytest.raises(RateLimited):
        send(ana, room)


@pytest.mark.parametrize("make", [MODERATOR, OWNER])
def test_slow_mode_is_not_for_moderators(make: Callable[[Room], Viewer]) -> None:
    room = make_room()
    moderator = make(room)
    moderation.set_slow_mode(actor=moderator, room_id=room.pk, seconds=3600)
    assert [send(moderator, room).sequence for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("seconds", [-1, 24 * 3600 + 1])
def test_slow_mode_is_a_day_at_most(seconds: int) -> None:
    with pytest.raises(BadUserInput) as refusal:
        moderation.set_slow_mode(actor=OPERATOR, room_id=make_room().pk, seconds=seconds)
    assert refusal.value.field == "seconds"


@pytest.mark.parametrize(
    ("who", "access", "refusal"),
    [
        (lambda room: NOBODY, RoomAccess.OPEN, Unauthenticated),
        (lambda room: make_user(), RoomAccess.OPEN, Forbidden),
        (make_member, RoomAccess.MEMBERS, Forbidden),
        (lambda room: OWNER(make_room()), RoomAccess.PASSWORD, Forbidden),
        (lambda room: make_user(), RoomAccess.MEMBERS, NotFound),
        (lambda room: staff_with("view_message"), RoomAccess.MEMBERS, Forbidden),
    ],
)
def test_others_do_not_slow_a_room(who: Callable[[Room], Viewer], access: RoomAccess, refusal: type[Refusal]) -> None:
    room = make_room(access)
    with pytest.raises(refusal):
        moderation.set_slow_mode(actor=who(room), room_id=room.pk, seconds=1)
    assert Room.objects.get(pk=room.pk).slow_mode_seconds == 0


def test_staff_who_may_change_rooms_slow_every_room() -> None:
    room = make_room(RoomAccess.MEMBERS)
    staff = staff_with("change_room")
    assert moderation.set_slow_mode(actor=staff, room_id=room.pk, seconds=5).slow_mode_seconds == 5


# Removed and banned


def test_who_was_removed_may_come_back_where_the_access_lets_them() -> None:
    for access, comes_back in ((RoomAccess.OPEN, True), (RoomAccess.PASSWORD, True), (RoomAccess.MEMBERS, False)):
        room = make_room(access)
        viewer = make_member(room, MemberRole.OWNER)
        remove(viewer, room)
        if comes_back:
            assert join(viewer, room).member.role == MemberRole.MEMBER
        else:
            with pytest.raises(NotFound):
                join(viewer, room)


@pytest.mark.parametrize(
    ("access", "refusal"), [(RoomAccess.OPEN, Banned), (RoomAccess.PASSWORD, Banned), (RoomAccess.MEMBERS, NotFound)]
)
@pytest.mark.parametrize("make", [make_guest, make_member])
def test_who_is_banned_neither_reads_nor_joins_nor_sends(
    access: RoomAccess, refusal: type[Refusal], make: Callable[[Room], Viewer]
) -> None:
    room = make_room()
    viewer = make(room)
    author = make_guest(room)
    message, own = send(author, room).message, send(viewer, room, key="k").message
    Room.objects.filter(pk=room.pk).update(access=access, password="x")
    room.refresh_from_db()
    ban(viewer, room)
    for attempt in (
        lambda: selectors.room_to_follow(viewer=viewer, room_id=room.pk, after=None),
        lambda: selectors.messages_slice(viewer=viewer, room=room, span=Span(1)),
        lambda: join(viewer, room),
        lambda: send(viewer, room),
        lambda: send(viewer, room, key="k"),
    ):
        with pytest.raises(refusal):
            attempt()
    for message_id in (message.pk, own.pk):
        with pytest.raises(NotFound):
            selectors.message_by_id(viewer=viewer, message_id=message_id)
    with pytest.raises(NotFound):
        selectors.member_by_id(viewer=viewer, member_id=message.author_id)
    assert Room.objects.get(pk=room.pk).member_count == 1


def test_who_is_banned_still_takes_back_what_they_said() -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room).message
    ban(ana, room)
    with pytest.raises(Forbidden):
        edit(ana, message)
    assert services.delete_message(viewer=ana, message_id=message.pk).message.text is None


def test_a_ban_holds_in_its_room_only() -> None:
    room, other = make_room(), make_room()
    ana = make_guest(room)
    ban(ana, room)
    assert send(Viewer(guest=join(ana, other, ADDRESS).guest), other).sequence == 1


def test_who_has_left_already_is_banned_as_well() -> None:
    room = make_room()
    ana = make_guest(room)
    services.leave_room(viewer=ana, room_id=room.pk)
    ban(ana, room)
    with pytest.raises(Banned):
        join(ana, room)
    assert Room.objects.get(pk=room.pk).member_count == 0


def test_a_ban_that_is_lifted_lets_them_join_again_and_makes_them_no_member() -> None:
    room = make_room()
    ana = make_guest(room)
    ban(ana, room)
    member = member_of(ana, room)
    moderation.unban_member(actor=OPERATOR, member_id=member.pk)
    assert member_of(ana, room).left_at is not None
    assert join(ana, room).member.left_at is None


def test_a_banned_guest_s_address_lets_nobody_in_without_an_account() -> None:
    room = make_room()
    ana = Viewer(guest=join(NOBODY, room, ADDRESS).guest)
    rui = Viewer(guest=join(NOBODY, room, ADDRESS).guest)
    elsewhere = make_guest(make_room())
    ban(ana, room)
    for stranger in (NOBODY, elsewhere):
        with pytest.raises(Banned):
            join(stranger, room, ADDRESS)
    assert Guest.objects.count() == 3
    assert join(make_user(), room, ADDRESS).member.left_at is None
    assert join(NOBODY, room, "198.51.100.5").member.left_at is None
    assert join(NOBODY, room, None).member.left_at is None
    assert join(rui, room, ADDRESS).member.left_at is None, "who is a member already stays one"


def test_a_proxy_s_own_address_keeps_nobody_out(settings: Settings) -> None:
    """As where a proxy does not say whose requests it passes on."""
    room = make_room()
    ban(Viewer(guest=join(NOBODY, room, ADDRESS).guest), room)
    settings.TRUSTED_PROXIES = [ip_network(ADDRESS)]
    assert join(NOBODY, room, ADDRESS).member.left_at is None


def test_the_address_is_the_one_that_a_guest_last_joined_from() -> None:
    room, other = make_room(), make_room()
    ana = Viewer(guest=join(NOBODY, room, "198.51.100.5").guest)
    join(ana, other, ADDRESS)
    ban(ana, room)
    assert Ban.objects.get().address == ADDRESS


def test_an_account_is_banned_without_its_address() -> None:
    room = make_room()
    bia = make_user()
    join(bia, room, ADDRESS)
    ban(bia, room)
    assert Ban.objects.get().address is None
    assert join(NOBODY, room, ADDRESS).member.left_at is None


def test_a_banned_account_is_not_added_unless_the_ban_is_lifted() -> None:
    room = make_room()
    bia = make_member(room)
    assert bia.user is not None
    ban(bia, room)
    add = partial(services.add_member, actor=OPERATOR, room_id=room.pk, user_id=bia.user.pk, display_name="Bia")
    with pytest.raises(Forbidden):
        add()
    moderation.unban_member(actor=OPERATOR, member_id=member_of(bia, room).pk)
    assert add().left_at is None


def test_a_ban_does_not_take_from_staff_what_the_operator_permits() -> None:
    room = make_room(RoomAccess.MEMBERS)
    staff = staff_in(room)
    ban(staff, room)
    assert selectors.room_to_follow(viewer=staff, room_id=room.pk, after=None).room == room
    for attempt in (lambda: join(staff, room), lambda: send(staff, room)):
        with pytest.raises(Banned):
            attempt()


def test_who_is_banned_while_the_password_is_checked_does_not_get_in() -> None:
    room = make_room(RoomAccess.PASSWORD)
    ana = make_guest(room)
    remove(ana, room)

    def check(*_: object) -> bool:
        ban(ana, room)
        return True

    with patch.object(services, "is_right", check), pytest.raises(Banned):
        join(ana, room)
    assert member_of(ana, room).left_at is not None


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        ({"access": RoomAccess.PASSWORD, "password": "another"}, WrongPassword),
        ({"access": RoomAccess.MEMBERS}, NotFound),
    ],
)
def test_a_room_that_changes_while_the_password_is_checked_is_not_entered(
    change: dict[str, Any], refusal: type[Refusal]
) -> None:
    room = make_room(RoomAccess.PASSWORD)

    def check(*_: object) -> bool:
        services.update_room(actor=OPERATOR, room_id=room.pk, slug=room.slug, name=room.name, description="", **change)
        return True

    with patch.object(services, "is_right", check), pytest.raises(refusal):
        join(NOBODY, room)
    assert not Guest.objects.exists()


def test_a_room_that_is_archived_while_the_password_is_checked_is_not_entered() -> None:
    room = make_room(RoomAccess.PASSWORD)

    def check(*_: object) -> bool:
        archive(room)
        return True

    with patch.object(services, "is_right", check), pytest.raises(RoomArchived):
        join(NOBODY, room)


# Nobody can tell


def test_a_room_that_one_may_not_know_of_costs_the_same_as_none() -> None:
    room = make_room(RoomAccess.MEMBERS)
    message = send(make_member(room), room).message
    removed = make_member(room)
    remove(removed, room)
    message_id = message.pk
    for stranger in (NOBODY, make_user(), make_guest(make_room()), removed):
        for there, nowhere in (
            (partial(join, stranger, room), partial(join, stranger, Room(slug="nowhere"))),
            (partial(send, stranger, room), partial(send, stranger, Room(pk=2**40))),
            (
                partial(services.leave_room, viewer=stranger, room_id=room.pk),
                partial(services.leave_room, viewer=stranger, room_id=2**40),
            ),
            (partial(edit, stranger, message), partial(edit, stranger, Message(pk=2**40))),
            (
                partial(selectors.room_to_follow, viewer=stranger, room_id=room.pk, after=0),
                partial(selectors.room_to_follow, viewer=stranger, room_id=2**40, after=0),
            ),
            (
                partial(selectors.message_by_id, viewer=stranger, message_id=message_id),
                partial(selectors.message_by_id, viewer=stranger, message_id=2**40),
            ),
            (
                partial(selectors.member_by_id, viewer=stranger, member_id=message.author_id),
                partial(selectors.member_by_id, viewer=stranger, member_id=2**40),
            ),
            (
                partial(moderation.set_slow_mode, actor=stranger, room_id=room.pk, seconds=1),
                partial(moderation.set_slow_mode, actor=stranger, room_id=2**40, seconds=1),
            ),
        ):
            costs = []
            for attempt in (there, nowhere):
                with CaptureQueriesContext(connection) as queries, pytest.raises(NotFound):
                    attempt()
                costs.append(len(queries))
            assert costs[0] == costs[1], there


PEOPLE: dict[str, Callable[[Room], Viewer]] = {
    "nobody": lambda room: NOBODY,
    "stranger": lambda room: make_user(),
    "guest": make_guest,
    "member": make_member,
    "staff": lambda room: make_staff(),
}


@pytest.mark.parametrize("access", RoomAccess)
@pytest.mark.parametrize("fate", [None, remove, ban])
@pytest.mark.parametrize("who", PEOPLE)
def test_what_the_database_finds_is_what_the_standing_says(
    access: RoomAccess, fate: Callable[[Viewer, Room], None] | None, who: str
) -> None:
    room = make_room()
    viewer = PEOPLE[who](room)
    if fate is not None and who in {"guest", "member"}:
        fate(viewer, room)
    author = make_member(room)
    message = send(author, room).message
    Room.objects.filter(pk=room.pk).update(access=access, password="x")
    found = selectors.standing(viewer, Room.objects.get(pk=room.pk))
    assert (selectors.room_by_slug(viewer=viewer, slug=room.slug) is not None) == found.may_know
    for look in (
        partial(selectors.message_by_id, viewer=viewer, message_id=message.pk),
        partial(selectors.member_by_id, viewer=viewer, member_id=message.author_id),
    ):
        if found.may_read:
            assert look().pk
        else:
            with pytest.raises(NotFound):
                look()


# What ends what others follow


def moderate(act: Act, room: Room, viewer: Viewer) -> None:
    act(OPERATOR, member_of(viewer, room).pk)


def change(room: Room, access: RoomAccess) -> None:
    password = PASSWORD if access == RoomAccess.PASSWORD else ""
    services.update_room(
        actor=OPERATOR,
        room_id=room.pk,
        slug=room.slug,
        name=room.name,
        description="",
        access=access,
        password=password,
    )


@pytest.mark.parametrize(
    ("access", "lose", "concerned"),
    [
        (RoomAccess.OPEN, partial(moderate, ACTS["remove"]), "their key"),
        (RoomAccess.OPEN, partial(moderate, ACTS["ban"]), "their key"),
        (RoomAccess.OPEN, lambda room, viewer: services.leave_room(viewer=viewer, room_id=room.pk), "their key"),
        (RoomAccess.OPEN, lambda room, viewer: archive(room), None),
        (RoomAccess.OPEN, lambda room, viewer: change(room, RoomAccess.PASSWORD), None),
        (RoomAccess.OPEN, lambda room, viewer: change(room, RoomAccess.MEMBERS), None),
        (RoomAccess.PASSWORD, lambda room, viewer: change(room, RoomAccess.MEMBERS), None),
    ],
)
@pytest.mark.parametrize("make", [make_guest, make_member])
def test_whatever_takes_the_right_to_read_is_counted_and_announced(
    access: RoomAccess,
    lose: Callable[[Room, Viewer], None],
    concerned: str | None,
    make: Callable[[Room], Viewer],
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    room = make_room(access)
    viewer = make(room)
    with patch.object(broker, "announce_access") as announce, django_capture_on_commit_callbacks(execute=True):
        lose(room, viewer)
    assert Room.objects.get(pk=room.pk).access_version == 1
    key = viewer.key if concerned else None
    announce.assert_called_once_with(room_id=room.pk, version=1, viewer_key=key)


def test_who_has_left_and_is_banned_is_announced_for_they_may_still_read() -> None:
    room = make_room()
    ana = make_guest(room)
    services.leave_room(viewer=ana, room_id=room.pk)
    ban(ana, room)
    assert Room.objects.get(pk=room.pk).access_version == 2


@pytest.mark.parametrize(
    "keep",
    [
        lambda room, viewer: mute(viewer, room),
        lambda room, viewer: services.reopen_room(actor=OPERATOR, room_id=room.pk),
        lambda room, viewer: change(room, RoomAccess.OPEN),
        lambda room, viewer: moderation.set_slow_mode(actor=OPERATOR, room_id=room.pk, seconds=1),
    ],
)
def test_what_takes_no_right_is_not_announced(keep: Callable[[Room, Viewer], None]) -> None:
    room = make_room(RoomAccess.PASSWORD)
    keep(room, make_guest(room))
    assert Room.objects.get(pk=room.pk).access_version == 0


def test_an_announcement_that_fails_takes_nothing_back(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    room = make_room()
    ana = make_guest(room)
    with (
        patch.object(broker, "announce_access", side_effect=ConnectionError),
        django_capture_on_commit_callbacks(execute=True),
    ):
        ban(ana, room)
    assert Ban.objects.count() == 1


# The audit log


def test_each_act_by_office_is_in_the_audit_log_once(at_noon: Any) -> None:
    room = make_room()
    owner = OWNER(room, name="Otto")
    assert owner.user is not None
    ana = make_guest(room)
    pk = member_of(ana, room).pk
    message = send(ana, room).message
    for _ in range(2):
        services.delete_message(viewer=owner, message_id=message.pk)
        moderation.set_slow_mode(actor=owner, room_id=room.pk, seconds=5)
        moderation.mute_member(actor=owner, member_id=pk, until=NOON + timedelta(hours=1))
    for _ in range(2):
        moderation.unmute_member(actor=owner, member_id=pk)
        moderation.remove_member(actor=owner, member_id=pk)
    for _ in range(2):
        moderation.ban_member(actor=owner, member_id=pk)
    for _ in range(2):
        moderation.unban_member(actor=owner, member_id=pk)
    name = owner.user.username
    assert audit(room) == [
        ("ROLE_CHANGED", "operator", "added as OWNER"),
        ("MESSAGE_DELETED", name, ""),
        ("SLOW_MODE_SET", name, "5 s"),
        ("MEMBER_MUTED", name, "until 2026-01-01 13:00:00 UTC"),
        ("MEMBER_UNMUTED", name, ""),
        ("MEMBER_REMOVED", name, ""),
        ("MEMBER_BANNED", name, ""),
        ("MEMBER_UNBANNED", name, ""),
    ]
    entries = AuditEntry.objects.filter(room=room).exclude(action__in=["ROLE_CHANGED", "SLOW_MODE_SET"])
    assert {(entry.actor_user, entry.actor_guest, entry.member_id) for entry in entries} == {(owner.user, None, pk)}
    assert AuditEntry.objects.get(action="MESSAGE_DELETED").message == message


def test_what_staff_change_of_a_room_and_its_members_is_in_the_audit_log() -> None:
    room = make_room(RoomAccess.PASSWORD)
    staff = make_staff()
    member = member_of(make_guest(room), room)
    values = {"actor": staff, "room_id": room.pk, "slug": room.slug, "name": "New", "description": ""}
    services.update_room(**values, access=RoomAccess.PASSWORD)  # type: ignore[arg-type]
    services.update_room(**values, access=RoomAccess.PASSWORD, password="new")  # type: ignore[arg-type]
    services.update_room(**values, access=RoomAccess.MEMBERS)  # type: ignore[arg-type]
    services.update_member(actor=staff, member_id=member.pk, display_name="Ana", role=MemberRole.OWNER)
    services.update_member(actor=staff, member_id=member.pk, display_name="Aninha", role=MemberRole.OWNER)
    for _ in range(2):
        services.archive_room(actor=staff, room_id=room.pk)
    for _ in range(2):
        services.reopen_room(actor=staff, room_id=room.pk)
    assert [(action, detail) for action, _, detail in audit(room)] == [
        ("ACCESS_CHANGED", "another password"),
        ("ACCESS_CHANGED", "PASSWORD to MEMBERS"),
        ("ROLE_CHANGED", "MEMBER to OWNER"),
        ("ROOM_ARCHIVED", ""),
        ("ROOM_REOPENED", ""),
    ]
    assert {entry.actor_user for entry in AuditEntry.objects.all()} == {staff.user}


def test_what_people_do_for_themselves_is_not_in_the_audit_log() -> None:
    room = make_room()
    ana = make_guest(room)
    message = send(ana, room).message
    services.delete_message(viewer=ana, message_id=message.pk)
    services.leave_room(viewer=ana, room_id=room.pk)
    assert audit(room) == []


def test_a_guest_who_moderates_is_named_in_the_audit_log() -> None:
    room = make_room()
    ana = make_guest(room, "Ana")
    services.update_member(
        actor=OPERATOR, member_id=member_of(ana, room).pk, display_name="Ana", role=MemberRole.MODERATOR
    )
    moderation.remove_member(actor=ana, member_id=member_of(make_guest(room), room).pk)
    entry = AuditEntry.objects.get(action=AuditAction.MEMBER_REMOVED)
    assert (entry.actor_user, entry.actor_guest, entry.actor_name) == (None, ana.guest, "Ana")


def test_what_cannot_be_put_on_record_is_not_done() -> None:
    room = make_room()
    ana = make_guest(room)
    with patch.object(AuditEntry.objects, "create", side_effect=IntegrityError), pytest.raises(IntegrityError):
        ban(ana, room)
    assert (Ban.objects.count(), member_of(ana, room).left_at) == (0, None)


def test_the_database_lets_nobody_change_the_audit_log() -> None:
    room = make_room()
    ban(make_guest(room), room)
    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        AuditEntry.objects.update(detail="nothing to see")
    if connection.vendor == "postgresql":
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            AuditEntry.objects.all().delete()
    assert AuditEntry.objects.get().detail == ""


# Services of staff alone


@pytest.mark.parametrize("who", [lambda room: NOBODY, make_member, OWNER, lambda room: staff_with("view_room")])
def test_only_staff_with_the_permission_change_rooms_and_roles(who: Callable[[Room], Viewer]) -> None:
    room = make_room()
    viewer, member = who(room), member_of(make_guest(room), room)
    bia = make_user().user
    assert bia is not None
    before = Room.objects.filter(pk=room.pk).values().get()
    for attempt in (
        lambda: services.archive_room(actor=viewer, room_id=room.pk),
        lambda: services.reopen_room(actor=viewer, room_id=room.pk),
        lambda: services.update_room(
            actor=viewer, room_id=room.pk, slug="x", name="x", description="", access=RoomAccess.MEMBERS
        ),
        lambda: services.add_member(actor=viewer, room_id=room.pk, user_id=bia.pk, display_name="x"),
        lambda: services.update_member(actor=viewer, member_id=member.pk, display_name="x", role=MemberRole.OWNER),
    ):
        with pytest.raises((Forbidden, Unauthenticated)):
            attempt()
    assert Room.objects.filter(pk=room.pk).values().get() == before


# Who is shown what


def test_moderators_are_shown_who_is_banned_the_newest_first() -> None:
    room = make_room()
    people = [make_guest(room, "Ana"), make_member(room, name="Bia"), make_guest(room, "Caio")]
    for viewer in people:
        ban(viewer, room)
    ban(make_guest(other := make_room()), other)
    for viewer in (MODERATOR(room), OWNER(room), make_staff()):
        shown = selectors.banned_members(viewer=viewer, room=room)
        assert [str(member) for member in shown or []] == ["Caio", "Bia", "Ana"]
    for viewer in (NOBODY, make_user(), make_guest(room), people[0], staff_with("view_message"), MODERATOR(other)):
        assert selectors.banned_members(viewer=viewer, room=room) is None
