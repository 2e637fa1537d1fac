from __future__ import annotations

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import check_password
from django.contrib.auth.models import Permission, User
from django.test import Client
from pytest_django import DjangoCaptureOnCommitCallbacks

from rooms import broker
from rooms.models import Entry, Guest, Member, MemberRole, Message, Room, RoomAccess
from tests.people import PASSWORD, archive, make_guest, make_member, make_room, make_user, send
from tests.rooms.admin_pages import add_room, change_room, form_at, page, run_action, submit

pytestmark = pytest.mark.django_db

MEMBERS_SHOWN = 50


def the_room() -> Room:
    return Room.objects.get()


def the_members(room: Room) -> list[tuple[str, str]]:
    return list(Member.objects.filter(room=room, left_at=None).order_by("id").values_list("display_name", "role"))


def message_in(room: Room, text: str = "hello") -> Message:
    return send(make_guest(room), room, text).message


def client_of(*permissions: str) -> Client:
    user = User.objects.create_user("clerk", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


# Rooms


def test_an_admin_makes_an_open_room(admin_client: Client) -> None:
    assert add_room(admin_client, description="We read.") == {}
    room = the_room()
    assert (room.name, room.slug, room.description, room.access) == ("Books", "books", "We read.", RoomAccess.OPEN)


def test_the_slug_is_filled_in_from_the_name(admin_client: Client) -> None:
    assert "&quot;slug&quot;" in admin_client.get(page("room_add")).content.decode()


def test_a_room_with_a_password_is_stored_with_its_hash(admin_client: Client) -> None:
    assert add_room(admin_client, access="PASSWORD", new_password=" pä ss", new_password_again=" pä ss") == {}
    assert check_password(" pä ss", the_room().password)


def test_a_room_with_password_access_needs_one(admin_client: Client) -> None:
    assert add_room(admin_client, access="PASSWORD") == {"new_password": ["A room with this access needs a password."]}
    assert not Room.objects.exists()


def test_two_passwords_that_differ_are_refused(admin_client: Client) -> None:
    errors = add_room(admin_client, access="PASSWORD", new_password="one", new_password_again="two")
    assert errors == {"new_password": ["The two passwords differ."]}
    assert not Room.objects.exists()


def test_a_password_for_another_access_is_refused(admin_client: Client) -> None:
    errors = add_room(admin_client, new_password="one", new_password_again="one")
    assert errors == {"new_password": ["Only a room with the access “password” has one."]}


def test_a_slug_that_is_taken_is_refused(admin_client: Client) -> None:
    make_room(slug="books")
    assert list(add_room(admin_client)) == ["slug"]


def test_neither_password_nor_hash_is_shown(admin_client: Client) -> None:
    room = make_room(RoomAccess.PASSWORD)
    pages = [page("room_change", room.pk), page("room_changelist"), page("room_history", room.pk)]
    shown = "".join(admin_client.get(url).content.decode() for url in pages)
    assert room.password not in shown
    assert PASSWORD not in shown


def test_a_mistyped_password_is_not_sent_back(admin_client: Client) -> None:
    form = form_at(admin_client, page("room_add")) | {"new_password": "typed-once", "name": "Books", "slug": "books"}
    assert b"typed-once" not in admin_client.post(page("room_add"), form).content


def test_a_password_left_empty_is_kept(admin_client: Client) -> None:
    room = make_room(RoomAccess.PASSWORD)
    assert change_room(admin_client, room, name="New name") == {}
    room.refresh_from_db()
    assert room.name == "New name"
    assert check_password(PASSWORD, room.password)


def test_a_password_is_changed(admin_client: Client) -> None:
    room = make_room(RoomAccess.PASSWORD)
    assert change_room(admin_client, room, new_password="new", new_password_again="new") == {}
    room.refresh_from_db()
    assert check_password("new", room.password)


def test_changing_to_password_access_needs_a_password(admin_client: Client) -> None:
    room = make_room()
    errors = change_room(admin_client, room, access="PASSWORD")
    assert errors == {"new_password": ["A room with this access needs a password."]}
    assert change_room(admin_client, room, access="PASSWORD", new_password="x", new_password_again="x") == {}


def test_another_access_forgets_the_password(admin_client: Client) -> None:
    room = make_room(RoomAccess.PASSWORD)
    assert change_room(admin_client, room, access="MEMBERS") == {}
    room.refresh_from_db()
    assert (room.access, room.password) == (RoomAccess.MEMBERS, "")


def test_changing_a_room_keeps_what_happened_in_it_meanwhile(admin_client: Client) -> None:
    room = make_room()
    form = form_at(admin_client, page("room_change", room.pk))
    message_in(room)
    admin_client.post(page("room_change", room.pk), form | {"name": "New name"})
    room.refresh_from_db()
    assert (room.name, room.sequence, room.message_count, room.member_count) == ("New name", 1, 1, 1)


def test_a_room_is_archived_and_reopened_on_its_page(admin_client: Client) -> None:
    room = make_room()
    assert change_room(admin_client, room, archived="on") == {}
    assert the_room().is_archived
    form = form_at(admin_client, page("room_change", room.pk))
    admin_client.post(page("room_change", room.pk), {name: form[name] for name in form if name != "archived"})
    assert not the_room().is_archived


def test_rooms_are_archived_and_reopened_in_the_list(admin_client: Client) -> None:
    room, before = make_room(), make_room()
    archive(before)
    assert "1 room was archived." in run_action(admin_client, "room", "archive", room.pk, before.pk)
    assert Room.objects.filter(archived_at=None).count() == 0
    assert "2 rooms were reopened." in run_action(admin_client, "room", "reopen", room.pk, before.pk)
    assert Room.objects.filter(archived_at=None).count() == 2


def test_rooms_cannot_be_deleted(admin_client: Client) -> None:
    room = make_room()
    assert admin_client.post(page("room_delete", room.pk), {"post": "yes"}).status_code == 302
    run_action(admin_client, "room", "delete_selected", room.pk, post="yes")
    assert Room.objects.exists()


def test_a_room_links_to_its_page(admin_client: Client) -> None:
    room = make_room(slug="books")
    for url in (page("room_changelist"), page("room_change", room.pk)):
        assert 'href="/salas/books/"' in admin_client.get(url).content.decode()


def test_who_may_only_view_rooms_sees_no_password_field_and_changes_nothing() -> None:
    room, client = make_room(), client_of("view_room")
    assert "new_password" not in client.get(page("room_change", room.pk)).content.decode()
    assert client.post(page("room_change", room.pk), {"name": "New name"}).status_code == 403
    run_action(client, "room", "archive", room.pk)
    assert not the_room().is_archived


# Members


def test_a_room_is_made_together_with_a_member(admin_client: Client) -> None:
    user = User.objects.create_user("bia", first_name="Bia", last_name="Lima")
    assert add_room(admin_client, **{"members-0-user": str(user.pk), "members-0-role": "OWNER"}) == {}
    assert the_members(the_room()) == [("Bia Lima", "OWNER")]
    assert the_room().member_count == 1


def test_a_member_without_a_full_name_is_called_by_the_user_name(admin_client: Client) -> None:
    room, user = make_room(), User.objects.create_user("b" * 50)
    assert change_room(admin_client, room, **{"members-2-0-user": str(user.pk)}) == {}
    assert the_members(room) == [("b" * 40, "MEMBER")]


def test_a_member_is_added_with_a_display_name(admin_client: Client) -> None:
    room, user = make_room(), User.objects.create_user("bia")
    new = {"members-2-0-user": str(user.pk), "members-2-0-display_name": "Bibi", "members-2-0-role": "MODERATOR"}
    assert change_room(admin_client, room, **new) == {}
    assert the_members(room) == [("Bibi", "MODERATOR")]


def test_who_is_a_member_is_not_added_again(admin_client: Client) -> None:
    room = make_room()
    user = make_member(room).user
    assert user is not None
    errors = change_room(admin_client, room, **{"members-2-0-user": str(user.pk)})
    assert errors == {"user": ["Is a member of this room already."]}


def test_who_has_left_is_added_again(admin_client: Client) -> None:
    room = make_room()
    member = Member.objects.get(user=make_member(room).user)
    change_room(admin_client, room, **{"members-0-removed": "on"})
    assert change_room(admin_client, room, **{"members-2-0-user": str(member.user_id)}) == {}
    room.refresh_from_db()
    assert room.member_count == 1
    assert list(Member.objects.filter(left_at=None)) == [member]


def test_a_new_member_needs_an_account(admin_client: Client) -> None:
    room = make_room()
    make_guest(room)
    errors = change_room(admin_client, room, **{"members-2-0-display_name": "Somebody"})
    assert errors == {"user": ["This field is required."]}


def test_role_and_display_name_are_changed_on_the_room(admin_client: Client) -> None:
    room = make_room()
    make_guest(room, "Ana")
    changed = {"members-0-display_name": "Aninha", "members-0-role": "MODERATOR"}
    assert change_room(admin_client, room, **changed) == {}
    assert the_members(room) == [("Aninha", "MODERATOR")]


def test_who_is_removed_keeps_what_they_wrote(admin_client: Client) -> None:
    room = make_room()
    message = message_in(room)
    assert change_room(admin_client, room, **{"members-0-removed": "on"}) == {}
    room.refresh_from_db()
    assert (room.member_count, the_members(room)) == (0, [])
    assert Message.objects.get().text == message.text


def test_a_change_to_who_left_meanwhile_is_refused(admin_client: Client) -> None:
    room = make_room()
    make_guest(room)
    form = form_at(admin_client, page("room_change", room.pk))
    run_action(admin_client, "member", "remove_from_room", Member.objects.get().pk)
    response = admin_client.post(page("room_change", room.pk), form | {"members-0-role": "OWNER"})
    assert b"Has left the room in the meantime." in response.content


def test_others_may_come_and_go_while_a_room_is_changed(admin_client: Client) -> None:
    room = make_room()
    make_guest(room, "Ana")
    form = form_at(admin_client, page("room_change", room.pk))
    for _ in range(MEMBERS_SHOWN):
        make_guest(room)
    response = admin_client.post(page("room_change", room.pk), form | {"members-0-role": "OWNER"})
    assert response.status_code == 302
    assert the_members(room)[0] == ("Ana", "OWNER")


def test_a_large_room_shows_only_members_with_a_role(admin_client: Client) -> None:
    room = make_room()
    make_member(room, MemberRole.MODERATOR, "Rui")
    for _ in range(MEMBERS_SHOWN):
        make_guest(room, "One of many")
    shown = admin_client.get(page("room_change", room.pk)).content.decode()
    assert "Rui" in shown
    assert "One of many" not in shown
    assert f"{page('member_changelist')}?room__id__exact={room.pk}" in shown


def test_a_member_is_changed_and_removed_on_a_page_of_their_own(admin_client: Client) -> None:
    room = make_room()
    make_guest(room, "Ana")
    url = page("member_change", Member.objects.get().pk)
    assert submit(admin_client, url, role="OWNER", display_name=" Aninha ") == {}
    assert the_members(room) == [("Aninha", "OWNER")]
    assert submit(admin_client, url, removed="on") == {}
    assert the_members(room) == []
    assert admin_client.post(url, {"display_name": "Back", "role": "OWNER"}).status_code == 403


def test_members_are_removed_in_their_list(admin_client: Client) -> None:
    room = make_room()
    make_guest(room)
    make_guest(room)
    pks = list(Member.objects.values_list("pk", flat=True))
    assert "2 members were removed." in run_action(admin_client, "member", "remove_from_room", *pks)
    room.refresh_from_db()
    assert room.member_count == 0


def test_members_are_neither_added_nor_deleted_in_their_list(admin_client: Client) -> None:
    make_guest(make_room())
    assert admin_client.get(page("member_add")).status_code == 403
    assert admin_client.post(page("member_delete", Member.objects.get().pk), {"post": "yes"}).status_code == 302


def test_who_may_not_change_members_sees_them_on_the_room_and_changes_nothing() -> None:
    room = make_room()
    make_guest(room, "Ana")
    client = client_of("change_room", "view_member")
    form = form_at(client, page("room_change", room.pk))
    sent = {"members-0-id": str(Member.objects.get().pk), "members-0-role": "OWNER", "members-0-display_name": "X"}
    client.post(page("room_change", room.pk), form | sent)
    assert the_members(room) == [("Ana", "MEMBER")]


# Messages


def test_a_message_is_deleted_by_the_service(
    admin_client: Client,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    announced: list[tuple[int, int]] = []
    monkeypatch.setattr(broker, "announce", lambda *, room_id, sequence, entries: announced.append((room_id, sequence)))
    room = make_room()
    message = message_in(room)
    with django_capture_on_commit_callbacks(execute=True):
        response = admin_client.post(page("message_delete", message.pk), {"post": "yes"})
    assert response.headers["Location"] == page("message_changelist")
    message.refresh_from_db()
    assert (message.text, message.deleted_at is None) == (None, False)
    assert list(Entry.objects.order_by("sequence").values_list("kind", flat=True)) == ["SENT", "DELETED"]
    assert announced == [(room.pk, 2)]


def test_deleting_one_message_is_asked_about_truthfully(admin_client: Client) -> None:
    message = message_in(make_room(), "so it was said")
    asked = admin_client.get(page("message_delete", message.pk)).content.decode()
    assert "so it was said" in asked
    assert "Its text will be erased for good" in asked
    assert "related" not in asked


def test_selected_messages_are_deleted_after_a_question(admin_client: Client) -> None:
    room = make_room()
    messages = [message_in(room, text) for text in ("one", "two", "three")]
    chosen = [message.pk for message in messages[:2]]
    asked = run_action(admin_client, "message", "delete_selected", *chosen)
    assert "Their texts will be erased for good" in asked
    assert Message.objects.filter(deleted_at=None).count() == 3
    assert "2 messages were deleted." in run_action(admin_client, "message", "delete_selected", *chosen, post="yes")
    assert Message.objects.get(deleted_at=None).text == "three"
    assert LogEntry.objects.filter(content_type__model="message").count() == 2


def test_only_ticked_messages_are_deleted_even_when_all_are_asked_for(admin_client: Client) -> None:
    room = make_room()
    messages = [message_in(room) for _ in range(2)]
    everything = {"post": "yes", "select_across": "1"}
    run_action(admin_client, "message", "delete_selected", messages[0].pk, **everything)
    assert Message.objects.filter(deleted_at=None).count() == 1


def test_a_deleted_message_is_not_deleted_again(admin_client: Client) -> None:
    message = message_in(make_room())
    run_action(admin_client, "message", "delete_selected", message.pk, post="yes")
    assert "0 messages were deleted." in run_action(admin_client, "message", "delete_selected", message.pk, post="yes")
    assert admin_client.post(page("message_delete", message.pk), {"post": "yes"}).status_code == 302
    assert Entry.objects.count() == 2


def test_a_deleted_message_is_shown_without_a_text(admin_client: Client) -> None:
    message = message_in(make_room(), "secret")
    run_action(admin_client, "message", "delete_selected", message.pk, post="yes")
    for url in (page("message_changelist"), page("message_change", message.pk)):
        shown = admin_client.get(url).content.decode()
        assert "(deleted)" in shown
        assert "secret" not in shown


def test_a_message_is_shown_as_text(admin_client: Client) -> None:
    message = message_in(make_room(), "<script>alert(1)</script>")
    for url in (page("message_changelist"), page("message_change", message.pk), page("message_delete", message.pk)):
        shown = admin_client.get(url).content.decode()
        assert "<script>alert(1)" not in shown
        assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;</bdi>" in shown


def test_a_name_is_shown_as_text_with_a_direction_of_its_own(admin_client: Client) -> None:
    room = make_room()
    message = send(make_guest(room, "<i>Ana"), room).message
    for url in (page("message_changelist"), page("message_delete", message.pk)):
        shown = admin_client.get(url).content.decode()
        assert "<i>Ana" not in shown
        assert "<bdi>&lt;i&gt;Ana</bdi>" in shown


def test_messages_are_neither_written_nor_changed(admin_client: Client) -> None:
    message = message_in(make_room())
    assert admin_client.get(page("message_add")).status_code == 403
    assert admin_client.post(page("message_change", message.pk), {"text": "changed"}).status_code == 403


@pytest.mark.parametrize("permissions", [["view_message"], ["delete_message"], ["change_message", "delete_message"]])
def test_deleting_needs_the_permissions_to_view_and_to_delete(permissions: list[str]) -> None:
    message, client = message_in(make_room(RoomAccess.PASSWORD)), client_of(*permissions)
    told_why = 302 if "view_message" in permissions else 403
    assert client.post(page("message_delete", message.pk), {"post": "yes"}).status_code == told_why
    run_action(client, "message", "delete_selected", message.pk, post="yes")
    message.refresh_from_db()
    assert message.deleted_at is None


def test_who_may_view_and_delete_messages_deletes_in_every_room() -> None:
    message = message_in(make_room(RoomAccess.PASSWORD))
    client = client_of("view_message", "delete_message")
    assert client.post(page("message_delete", message.pk), {"post": "yes"}).status_code == 302
    message.refresh_from_db()
    assert message.deleted_at is not None


# Guests and who may enter


def test_a_guest_is_shown_with_their_rooms(admin_client: Client) -> None:
    room = make_room(name="Reading room")
    make_guest(room, "Ana")
    guest = Guest.objects.get()
    assert "Reading room" in admin_client.get(page("guest_change", guest.pk)).content.decode()
    assert admin_client.get(page("guest_add")).status_code == 403
    assert admin_client.post(page("guest_delete", guest.pk), {"post": "yes"}).status_code == 302


def test_the_admin_is_for_staff(client: Client) -> None:
    user = make_user().user
    assert user is not None
    client.force_login(user)
    assert client.get(page("room_changelist")).status_code == 302
