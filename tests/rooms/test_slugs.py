"""Slugs: one room for one slug in whatever case, and what a room was called before goes on leading to it."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, OperationalError, transaction
from django.test import Client

from rooms import services, views
from rooms.exceptions import Forbidden, NotFound
from rooms.identity import NOBODY, OPERATOR, Viewer
from rooms.models import Room, RoomAccess, RoomSlug
from rooms.selectors import former_slugs, room_by_slug
from tests.people import PASSWORD, make_guest, make_member, make_room, make_staff
from tests.rooms.admin_pages import add_room, change_room, form_at, page

pytestmark = pytest.mark.django_db


def rename(room: Room, slug: str) -> Room:
    access = RoomAccess(room.access)
    return services.update_room(
        actor=OPERATOR, room_id=room.pk, slug=slug, name=room.name, description=room.description, access=access
    )


def found(slug: str, viewer: Viewer = NOBODY) -> int | None:
    room = room_by_slug(viewer=viewer, slug=slug)
    return None if room is None else room.pk


def formerly(room: Room) -> list[str]:
    return [each.slug for each in former_slugs(room=Room.objects.get(pk=room.pk))]


# Case


@pytest.mark.parametrize("typed", ["lobby", "Lobby", "LOBBY"])
def test_a_slug_is_found_in_any_case(typed: str) -> None:
    room = make_room(slug="lobby")
    assert found(typed) == room.pk
    assert services.join_room(viewer=NOBODY, slug=typed, display_name="Ana").room.pk == room.pk


def test_a_slug_is_stored_in_small_letters() -> None:
    assert make_room(slug="Lobby").slug == "lobby"


def test_no_two_slugs_differ_by_case_alone() -> None:
    make_room(slug="lobby")
    with pytest.raises(ValidationError) as refusal:
        make_room(slug="LOBBY")
    assert list(refusal.value.message_dict) == ["slug"]


@pytest.mark.parametrize("slug", ["Lobby", "caf\u00e9", "a b", "", "lobby\n"])
def test_the_database_takes_no_slug_in_another_form(slug: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Room.objects.create(slug=slug, name="x")


@pytest.mark.parametrize(
    "slug", ["", "a b", "caf\u00e9", "\uff4c\uff4f\uff42\uff42\uff59", "x" * 81, "lobby\n", "\u212a"]
)
def test_what_is_no_slug_names_no_room(slug: str) -> None:
    make_room(slug="lobby")
    assert found(slug) is None
    with pytest.raises(ValidationError):
        make_room(slug=slug or " ")


# Former slugs


def test_a_former_slug_leads_to_its_room() -> None:
    room = make_room(slug="books")
    rename(room, "poems")
    rename(room, "songs")
    assert [found(slug) for slug in ("books", "POEMS", "songs")] == [room.pk] * 3
    assert sorted(formerly(room)) == ["books", "poems"]
    joined = services.join_room(viewer=NOBODY, slug="books", display_name="Ana")
    assert joined.room.slug == "songs"


def test_a_room_may_take_its_former_slug_again() -> None:
    room = make_room(slug="books")
    rename(room, "poems")
    rename(room, "books")
    assert formerly(room) == ["poems"]


def test_another_room_takes_a_former_slug_only_when_it_is_free() -> None:
    room, other = make_room(slug="books"), make_room(slug="other")
    rename(room, "poems")
    with pytest.raises(ValidationError, match="free it"):
        make_room(slug="Books")
    with pytest.raises(ValidationError, match="free it"):
        rename(other, "books")
    services.free_slug(actor=OPERATOR, room_id=room.pk, slug="books")
    assert found("books") is None
    rename(other, "books")
    assert found("books") == other.pk


def test_a_slug_that_a_room_has_is_not_freed() -> None:
    room = make_room(slug="books")
    services.free_slug(actor=OPERATOR, room_id=room.pk, slug="books")
    assert RoomSlug.objects.filter(room=room, slug="books").exists()


def test_only_staff_free_a_slug() -> None:
    room = make_room(slug="books")
    rename(room, "poems")
    with pytest.raises(Forbidden):
        services.free_slug(actor=make_guest(room), room_id=room.pk, slug="books")


def test_two_rooms_never_have_one_slug_whatever_writes_them() -> None:
    rename(make_room(slug="books"), "poems")
    with pytest.raises(IntegrityError), transaction.atomic():
        Room.objects.create(slug="books", name="x")


def test_a_slug_that_is_taken_at_the_same_moment_is_told() -> None:
    rename(make_room(slug="books"), "poems")
    with patch.object(services, "require_free_slug"), pytest.raises(ValidationError, match="just now"):
        make_room(slug="books")


def test_a_room_that_was_written_by_a_process_of_before_keeps_its_slug_too() -> None:
    room = make_room(slug="books")
    RoomSlug.objects.all().delete()
    assert found("books") == room.pk
    rename(room, "poems")
    assert found("books") == room.pk


def test_a_former_slug_of_a_hidden_room_tells_nothing() -> None:
    room = make_room(RoomAccess.MEMBERS, slug="secret")
    member = make_member(room)
    rename(room, "still-secret")
    assert found("secret") is None
    assert found("secret", member) == found("secret", make_staff()) == room.pk
    for password in (None, PASSWORD):
        with pytest.raises(NotFound):
            services.join_room(viewer=NOBODY, slug="secret", display_name="Ana", password=password)


def test_a_former_slug_of_a_hidden_room_costs_what_none_does(django_assert_num_queries: type) -> None:
    rename(make_room(RoomAccess.MEMBERS, slug="secret"), "still-secret")
    for slug in ("secret", "still-secret", "none"):
        with django_assert_num_queries(2):
            assert found(slug) is None


# The page


def test_a_former_address_leads_to_the_room(client: Client) -> None:
    rename(make_room(slug="books"), "poems")
    answer = client.get("/salas/books/?x=1")
    assert (answer.status_code, answer["Location"]) == (302, "/salas/poems/?x=1")
    assert "no-store" in answer["Cache-Control"]  # it may be another room's one day
    assert client.get("/salas/poems/").status_code == 200


def test_an_address_in_capitals_leads_to_the_one_that_is_not(client: Client) -> None:
    for slug in ("Lobby", "LOBBY", "No-Such"):
        assert client.get(f"/salas/{slug}/")["Location"] == f"/salas/{slug.lower()}/"


def test_the_page_is_shown_for_no_room_as_for_a_hidden_one(client: Client, admin_client: Client) -> None:
    rename(make_room(RoomAccess.MEMBERS, slug="secret"), "still-secret")
    answers = [client.get(f"/salas/{slug}/") for slug in ("secret", "still-secret", "none")]
    assert [each.status_code for each in answers] == [200, 200, 200]
    assert len({each.content for each in answers}) == 1
    assert admin_client.get("/salas/secret/")["Location"] == "/salas/still-secret/"


def test_the_page_needs_no_database(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with patch.object(views, "room_by_slug", side_effect=OperationalError("away")):
        assert client.get("/salas/books/").status_code == 200
    assert "without looking for the room" in caplog.text


# The admin


def test_the_admin_shows_former_slugs_and_frees_them(admin_client: Client) -> None:
    room = make_room(slug="books")
    assert "freed_slugs" not in admin_client.get(page("room_change", room.pk)).content.decode()
    assert change_room(admin_client, room, slug="Poems") == {}
    shown = admin_client.get(page("room_change", room.pk)).content.decode()
    assert "Free former slugs" in shown
    assert 'value="books"' in shown
    assert change_room(admin_client, room, freed_slugs="books") == {}
    assert formerly(room) == []


def test_the_admin_says_where_a_taken_slug_leads(admin_client: Client) -> None:
    room = make_room(slug="books")
    rename(room, "poems")
    assert "free it" in str(add_room(admin_client, slug="Books")["slug"])
    assert "already exists" in str(add_room(admin_client, slug="Poems")["slug"])


def test_what_a_service_refuses_after_the_form_is_told(admin_client: Client) -> None:
    room = make_room()
    fields = form_at(admin_client, page("room_change", room.pk))
    with patch.object(services, "_store", side_effect=ValidationError({"slug": "taken just now"})):
        answer = admin_client.post(page("room_change", room.pk), fields | {"name": "Another"}, follow=True)
    assert "Taken just now" in answer.content.decode()
