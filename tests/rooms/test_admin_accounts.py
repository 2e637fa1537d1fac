"""Accounts in the admin: what can be deleted is, and what cannot is told, with what to do instead."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from rooms import broker, deleting, moderation, sessions, tokens
from rooms.exceptions import Forbidden
from rooms.identity import OPERATOR, Viewer
from rooms.models import Ban, Identity, Member, Room, Session, Token, user_key
from tests.people import ban, make_guest, make_member, make_room, make_staff, make_user, member_of, remove, send
from tests.rooms.admin_pages import page

pytestmark = pytest.mark.django_db

LIST = "/admin/auth/user/"


def user_of(viewer: Viewer) -> User:
    assert viewer.user is not None
    return viewer.user


def delete_page(user: User) -> str:
    return f"{LIST}{user.pk}/delete/"


def act(client: Client, action: str, *users: User, **more: str) -> str:
    chosen = {"action": action, "_selected_action": [str(user.pk) for user in users]}
    return client.post(LIST, chosen | more, follow=True).content.decode()


def staff_with(*permissions: str) -> Client:
    user = User.objects.create_user("limited", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def open_session(user: User) -> None:
    Client().force_login(user)
    assert Session.objects.filter(viewer_key=user_key(user.pk)).exists()


def test_an_account_without_messages_goes_with_all_that_is_its_own(admin_client: Client) -> None:
    room, other = make_room(), make_room()
    viewer = make_member(room)
    user = user_of(viewer)
    tokens.issue_token(user)
    Identity.objects.create(user=user, issuer="i", subject="s")
    Ban.objects.create(room=other, user=user)
    open_session(user)
    shown = admin_client.get(delete_page(user)).content.decode()
    assert "Members: 1" in shown
    assert "Tokens: 1" in shown
    assert admin_client.post(delete_page(user), {"post": "yes"}).status_code == 302
    for model in (Token, Identity, Member, Ban):
        assert not model.objects.exists()
    assert not User.objects.filter(pk=user.pk).exists()
    assert not Session.objects.filter(viewer_key=user_key(user.pk)).exists()
    assert Room.objects.get(pk=room.pk).member_count == 0


def test_an_account_that_left_a_room_goes_too(admin_client: Client) -> None:
    room = make_room()
    user = user_of(make_member(room))
    Member.objects.filter(user=user).update(left_at="2026-01-01T00:00Z")
    Room.objects.update(member_count=0)
    admin_client.post(delete_page(user), {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()
    assert Room.objects.get(pk=room.pk).member_count == 0


def test_who_follows_is_told_of_the_account_that_goes(django_capture_on_commit_callbacks: type) -> None:
    room = make_room()
    user = user_of(make_member(room))
    with patch.object(broker, "announce_access") as announce, django_capture_on_commit_callbacks(execute=True):
        deleting.delete_account(actor=OPERATOR, user_id=user.pk)
    told = [call.kwargs for call in announce.call_args_list]
    assert any(each.get("room_id") == room.pk and each["viewer_key"] == user_key(user.pk) for each in told)
    assert {"viewer_key": user_key(user.pk)} in told


@pytest.mark.parametrize("kind", ["messages", "audited", "office"])
def test_an_account_that_must_stay_is_told_why_and_what_to_do(admin_client: Client, kind: str) -> None:
    room = make_room()
    viewer = make_member(room)
    if kind == "messages":
        send(viewer, room)
    elif kind == "audited":
        remove(viewer, room)
    else:
        viewer = make_staff()
        moderation.set_slow_mode(actor=viewer, room_id=room.pk, seconds=5)
    user = user_of(viewer)
    reason = "has written messages" if kind == "messages" else "is in the audit log"
    for shown in (
        admin_client.get(delete_page(user)).content.decode(),
        admin_client.post(delete_page(user), {"post": "yes"}).content.decode(),
        act(admin_client, "delete_selected", user, make_user().user or user, post="yes"),
    ):
        assert reason in shown
        assert "Deactivate instead" in shown
        assert "permission" not in shown
        assert 'name="action" value="deactivate"' in shown
    assert User.objects.filter(pk=user.pk).exists()
    with pytest.raises(Forbidden):
        deleting.delete_account(actor=OPERATOR, user_id=user.pk)


def test_several_accounts_go_at_once(admin_client: Client) -> None:
    room = make_room()
    users = [user_of(make_member(room)) for _ in range(3)]
    assert "Are you sure" in act(admin_client, "delete_selected", *users)
    assert "Successfully deleted 3 users" in act(admin_client, "delete_selected", *users, post="yes")
    assert not Member.objects.exists()


def test_what_is_written_while_one_is_asked_keeps_the_account(admin_client: Client) -> None:
    room = make_room()
    viewer = make_member(room)
    user = user_of(viewer)
    send(viewer, room)
    with patch("rooms.admin.account.why_kept", return_value=""):
        assert admin_client.post(delete_page(user), {"post": "yes"})["Location"] == delete_page(user)
        assert "cannot" not in act(admin_client, "delete_selected", user, post="yes")
    assert User.objects.filter(pk=user.pk).exists()


def test_deactivating_ends_tokens_sessions_and_sockets(
    admin_client: Client, django_capture_on_commit_callbacks: type
) -> None:
    user = user_of(make_user())
    secret = tokens.issue_token(user).secret
    client = Client()
    client.force_login(user)
    key = client.session.session_key or ""
    with patch.object(broker, "announce_access") as announce, django_capture_on_commit_callbacks(execute=True):
        assert "1 account was deactivated." in act(admin_client, "deactivate", user)
    announce.assert_called_once_with(viewer_key=user_key(user.pk))
    assert tokens.viewer_by_token(secret) is None
    assert not sessions.viewers_by_session_key([key])[key].is_authenticated
    assert "0 accounts were deactivated." in act(admin_client, "deactivate", user)


def test_nobody_deactivates_themselves(admin_client: Client, admin_user: User) -> None:
    assert "nobody deactivates themselves" in act(admin_client, "deactivate", admin_user)
    assert User.objects.get(pk=admin_user.pk).is_active


def test_each_needs_its_permission() -> None:
    user = user_of(make_user())
    client = staff_with("view_user", "delete_user")
    assert "deactivated." not in act(client, "deactivate", user)
    assert User.objects.get(pk=user.pk).is_active
    client.post(delete_page(user), {"post": "yes"})
    assert not User.objects.filter(pk=user.pk).exists()
    for do in (deleting.delete_account, deleting.deactivate_account):
        with pytest.raises(Forbidden):
            do(actor=make_user(), user_id=user.pk)


def test_a_group_goes_and_its_accounts_stay(admin_client: Client) -> None:
    group = Group.objects.create(name="moderators")
    user = user_of(make_user())
    user.groups.add(group)
    assert admin_client.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Group.objects.exists()
    assert User.objects.filter(pk=user.pk).exists()


def test_what_is_never_deleted_says_so_on_its_page(admin_client: Client) -> None:
    room = make_room()
    guest = make_guest(room)
    message = send(guest, room).message
    member = member_of(guest, room)
    ban(guest, room)
    rows = {
        "room": (room.pk, "Archive it instead"),
        "guest": (member.guest_id, "revoke their tokens"),
        "member": (member.pk, "Remove the member from the room instead"),
        "ban": (Ban.objects.get().pk, "Lift selected bans"),
        "token": (Token.objects.get().pk, "Revoke selected tokens"),
        "auditentry": (room.audit.get().pk, "only added to"),
        "identity": (Identity.objects.create(user=user_of(make_user()), issuer="i", subject="s").pk, "deactivate"),
    }
    for name, (pk, reason) in rows.items():
        answer = admin_client.post(page(f"{name}_delete", pk), {"post": "yes"}, follow=True)
        assert answer.redirect_chain == [(page(f"{name}_change", pk), 302)], name
        assert reason in answer.content.decode(), name
    admin_client.post(page("message_delete", message.pk), {"post": "yes"})
    answer = admin_client.post(page("message_delete", message.pk), {"post": "yes"}, follow=True)
    assert "The message is deleted already." in answer.content.decode()


def test_staff_who_lack_the_permission_to_delete_a_message_are_told_so() -> None:
    room = make_room()
    message = send(make_guest(room), room).message
    answer = staff_with("view_message").get(page("message_delete", message.pk), follow=True)
    assert "lacks the permission to delete messages" in answer.content.decode()
