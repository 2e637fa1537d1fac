"""Moderation in the admin: on the pages of members and rooms, in the list of bans, and the audit log that shows it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from rooms import moderation, services
from rooms.exceptions import Forbidden
from rooms.identity import OPERATOR, Viewer
from rooms.models import AuditEntry, Ban, Member, MemberRole, Message, Room, RoomAccess
from tests.people import ban, make_guest, make_member, make_room, member_of, mute, send
from tests.rooms.admin_pages import add_room, change_room, form_at, page, run_action, submit

from .test_admin import client_of

pytestmark = pytest.mark.django_db

TOMORROW = timezone.localtime() + timedelta(days=1)
MUTE = {"muted_until_0": TOMORROW.strftime("%Y-%m-%d"), "muted_until_1": "12:00:00"}
UNMUTE = {"muted_until_0": "", "muted_until_1": ""}


def audit() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("id").values_list("action", "actor_name"))


@pytest.fixture
def room() -> Room:
    return make_room()


@pytest.fixture
def ana(room: Room) -> Member:
    return member_of(make_guest(room, "Ana"), room)


def test_a_member_is_muted_and_may_speak_again_on_their_page(admin_client: Client, ana: Member) -> None:
    url = page("member_change", ana.pk)
    assert submit(admin_client, url, **MUTE) == {}
    ana.refresh_from_db()
    assert ana.muted_until == datetime(TOMORROW.year, TOMORROW.month, TOMORROW.day, 12, tzinfo=UTC)
    assert submit(admin_client, url, display_name="Aninha") == {}
    assert submit(admin_client, url, **UNMUTE) == {}
    assert Member.objects.values_list("muted_until", "display_name").get() == (None, "Aninha")
    assert audit() == [("MEMBER_MUTED", "admin"), ("MEMBER_UNMUTED", "admin")]


def test_a_mute_that_is_over_hinders_no_other_change(admin_client: Client, ana: Member) -> None:
    Member.objects.update(muted_until=datetime(2026, 1, 1, tzinfo=UTC))
    assert submit(admin_client, page("member_change", ana.pk), role="MODERATOR") == {}
    ana.refresh_from_db()
    assert ana.role == MemberRole.MODERATOR


def test_a_mute_ends_ahead(admin_client: Client, ana: Member) -> None:
    given = {**MUTE, "muted_until_0": "2020-01-01"}
    errors = submit(admin_client, page("member_change", ana.pk), **given)
    assert errors == {"muted_until": ["A moment ahead, ten years at most."]}


def test_a_member_is_banned_on_their_page(admin_client: Client, ana: Member) -> None:
    assert submit(admin_client, page("member_change", ana.pk), banned="on") == {}
    ana.refresh_from_db()
    assert (ana.left_at is None, Ban.objects.get().guest_id) == (False, ana.guest_id)
    assert audit() == [("MEMBER_BANNED", "admin")]


def test_a_member_is_banned_and_removed_on_the_page_of_the_room(admin_client: Client, room: Room, ana: Member) -> None:
    assert change_room(admin_client, room, **{"members-0-banned": "on"}) == {}
    assert Ban.objects.get().guest_id == ana.guest_id
    make_member(room)
    assert change_room(admin_client, room, **{"members-0-removed": "on"}) == {}
    assert [action for action, _ in audit()] == ["MEMBER_BANNED", "MEMBER_REMOVED"]


def test_a_mute_is_kept_when_the_room_is_changed(admin_client: Client, room: Room) -> None:
    viewer = make_guest(room)
    until = mute(viewer, room)
    assert change_room(admin_client, room, **{"members-0-role": "OWNER"}) == {}
    assert member_of(viewer, room).muted_until == until


@pytest.mark.parametrize("given", [{"banned": "on"}, {"removed": "on"}, MUTE])
def test_nobody_does_it_to_themselves(admin_client: Client, room: Room, given: dict[str, str]) -> None:
    user = User.objects.get(username="admin")
    member = services.add_member(actor=OPERATOR, room_id=room.pk, user_id=user.pk, display_name="Me")
    errors = submit(admin_client, page("member_change", member.pk), **given)
    assert errors == {"__all__": ["This is you: nobody mutes, removes or bans themselves."]}
    assert submit(admin_client, page("member_change", member.pk), display_name="I") == {}
    shown = run_action(admin_client, "member", "ban", member.pk)
    assert "0 members were banned." in shown
    assert "Me: Nothing was changed" in shown or "I: Nothing was changed" in shown
    assert not Ban.objects.exists()


def test_what_a_service_refuses_is_said_and_changes_nothing(admin_client: Client, ana: Member) -> None:
    url = page("member_change", ana.pk)
    with patch.object(moderation, "ban_member", side_effect=Forbidden):
        response = admin_client.post(url, form_at(admin_client, url) | {"banned": "on", "role": "OWNER"}, follow=True)
    assert "Nothing was changed" in response.content.decode()
    ana.refresh_from_db()
    assert ana.role == MemberRole.MEMBER
    assert audit() == []


def test_members_are_muted_banned_and_let_back_in_their_list(admin_client: Client, room: Room) -> None:
    viewers = [make_guest(room), make_member(room)]
    members = [member_of(viewer, room).pk for viewer in viewers]
    assert "2 members were muted." in run_action(admin_client, "member", "mute_for_a_day", *members)
    assert "2 members were unmuted." in run_action(admin_client, "member", "unmute", *members)
    assert "0 members were unmuted." in run_action(admin_client, "member", "unmute", *members)
    assert "2 members were banned." in run_action(admin_client, "member", "ban", *members)
    assert Room.objects.get().member_count == 0
    left = f"{page('member_changelist')}?left=yes"
    for action, said in (("ban", "0 members were banned."), ("unban", "2 bans were lifted."), ("unban", "0 bans were")):
        chosen = {"_selected_action": [str(pk) for pk in members], "action": action, "index": "0"}
        assert said in admin_client.post(left, chosen, follow=True).content.decode()
    assert not Ban.objects.exists()


def test_a_ban_is_shown_with_its_address_and_lifted(admin_client: Client, room: Room) -> None:
    ban(make_guest(room, "Ana"), room)
    kept = Ban.objects.get()
    for url in (page("ban_changelist"), page("ban_change", kept.pk)):
        assert str(kept.address) in admin_client.get(url).content.decode()
    assert "1 ban was lifted." in run_action(admin_client, "ban", "lift", kept.pk)
    assert not Ban.objects.exists()
    assert audit()[-1] == ("MEMBER_UNBANNED", "admin")


def test_bans_are_lifted_by_those_who_may_change_members(room: Room) -> None:
    ban(make_guest(room), room)
    client = client_of("view_ban", "delete_ban", "change_ban")
    run_action(client, "ban", "lift", Ban.objects.get().pk)
    run_action(client, "ban", "delete_selected", Ban.objects.get().pk, post="yes")
    assert client.post(page("ban_delete", Ban.objects.get().pk), {"post": "yes"}).status_code == 302
    assert client.get(page("ban_add")).status_code == 403
    assert Ban.objects.exists()


def test_who_is_banned_is_not_added_as_a_new_member(admin_client: Client, room: Room) -> None:
    bia = make_member(room)
    assert bia.user is not None
    ban(bia, room)
    errors = change_room(admin_client, room, **{"members-2-0-user": str(bia.user.pk)})
    assert errors == {"user": ["Is banned from this room: lift the ban first."]}


def test_slow_mode_is_set_on_the_page_of_the_room(admin_client: Client, room: Room) -> None:
    assert change_room(admin_client, room, slow_mode_seconds="30") == {}
    assert change_room(admin_client, room, name="New name") == {}
    room.refresh_from_db()
    assert (room.slow_mode_seconds, audit()) == (30, [("SLOW_MODE_SET", "admin")])
    assert list(change_room(admin_client, room, slow_mode_seconds="86401")) == ["slow_mode_seconds"]
    assert change_room(admin_client, room, slow_mode_seconds="") == {}
    room.refresh_from_db()
    assert room.slow_mode_seconds == 0


def test_a_new_room_has_no_slow_mode(admin_client: Client) -> None:
    assert add_room(admin_client) == {}
    assert Room.objects.get().slow_mode_seconds == 0


def test_what_the_admin_does_by_its_older_pages_is_in_the_audit_log(admin_client: Client, room: Room) -> None:
    message = send(make_guest(room), room).message
    change_room(admin_client, room, access="MEMBERS", **{"members-0-role": "OWNER"})
    admin_client.post(page("message_delete", message.pk), {"post": "yes"})
    run_action(admin_client, "room", "archive", room.pk)
    run_action(admin_client, "room", "reopen", room.pk)
    run_action(admin_client, "member", "remove_from_room", message.author_id)
    assert audit() == [
        ("ACCESS_CHANGED", "admin"),
        ("ROLE_CHANGED", "admin"),
        ("MESSAGE_DELETED", "admin"),
        ("ROOM_ARCHIVED", "admin"),
        ("ROOM_REOPENED", "admin"),
        ("MEMBER_REMOVED", "admin"),
    ]


def test_staff_who_may_change_members_but_read_nothing_do_so_in_a_members_room() -> None:
    room = make_room(RoomAccess.MEMBERS)
    member = member_of(make_member(room), room)
    client = client_of("change_member", "view_member")
    assert submit(client, page("member_change", member.pk), role="MODERATOR", **MUTE) == {}
    assert audit() == [("ROLE_CHANGED", "clerk"), ("MEMBER_MUTED", "clerk")]


def test_the_audit_log_is_shown_and_changed_by_nobody(admin_client: Client, room: Room, ana: Member) -> None:
    submit(admin_client, page("member_change", ana.pk), removed="on")
    entry = AuditEntry.objects.get()
    assert "member removed" in admin_client.get(page("auditentry_changelist")).content.decode()
    assert "Ana" in admin_client.get(page("auditentry_change", entry.pk)).content.decode()
    assert admin_client.get(page("auditentry_add")).status_code == 403
    assert admin_client.post(page("auditentry_change", entry.pk), {"detail": "x"}).status_code == 403
    assert admin_client.post(page("auditentry_delete", entry.pk), {"post": "yes"}).status_code == 302
    run_action(admin_client, "auditentry", "delete_selected", entry.pk, post="yes")
    assert AuditEntry.objects.get().detail == ""


def test_the_audit_log_is_for_staff_who_may_view_it(room: Room) -> None:
    assert client_of("view_room").get(page("auditentry_changelist")).status_code == 403


def test_a_text_that_is_gone_is_not_in_the_audit_log(admin_client: Client, room: Room) -> None:
    message = send(make_guest(room), room, "so it was said").message
    services.delete_message(viewer=Viewer(user=User.objects.get(username="admin")), message_id=message.pk)
    assert Message.objects.get().text is None
    entry = AuditEntry.objects.get()
    assert "so it was said" not in admin_client.get(page("auditentry_change", entry.pk)).content.decode()
