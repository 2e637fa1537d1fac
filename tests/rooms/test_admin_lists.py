from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from rooms.admin import lists
from rooms.models import Guest, Member, Message, Room, RoomAccess
from tests.people import archive, ban, make_guest, make_member, make_room, mute, send
from tests.rooms.admin_pages import page

pytestmark = pytest.mark.django_db

LISTS = ["room", "member", "message", "guest", "ban", "auditentry"]
AtMost = Callable[[int], AbstractContextManager[CaptureQueriesContext]]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of ten rows, of which there are three."""
    monkeypatch.setattr(lists.ListAdmin, "list_per_page", 10)
    monkeypatch.setattr(lists, "PAGES", 3)


def fill(room: Room, count: int) -> None:
    author = make_guest(room)
    ban(make_guest(room), room)
    for number in range(count):
        send(author, room, f"message {number:03}")


def rows(client: Client, name: str, **query: str | int) -> list[str]:
    response = client.get(page(f"{name}_changelist"), query)
    assert response.status_code == 200
    return [str(row.text) if isinstance(row, Message) else str(row) for row in response.context["cl"].result_list]


def shown(client: Client, name: str, **query: str | int) -> str:
    return client.get(page(f"{name}_changelist"), query).content.decode()


def numbers(*ends: int) -> list[str]:
    return [f"message {number:03}" for number in range(*ends)]


# Without counting


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_as_many_queries_for_many_rows_as_for_few(
    admin_client: Client, django_assert_max_num_queries: AtMost, name: str
) -> None:
    for _ in range(3):
        fill(make_room(), 5)
    with django_assert_max_num_queries(4):  # session, user, rooms to choose from, rows
        shown(admin_client, name)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("query", ["", "?p=2", "?q=message", "?all=1", "?_facets=True"])
def test_no_list_counts(admin_client: Client, name: str, query: str) -> None:
    fill(make_room(), 25)
    with CaptureQueriesContext(connection) as queries:
        admin_client.get(page(f"{name}_changelist") + query, follow=True)
    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"].upper()]


def test_a_room_costs_few_queries_whatever_is_in_it(
    admin_client: Client, django_assert_max_num_queries: AtMost
) -> None:
    room = make_room()
    for _ in range(20):
        make_member(room)
    with django_assert_max_num_queries(7):
        admin_client.get(page("room_change", room.pk))


def test_no_more_than_a_page_and_a_row_is_read(admin_client: Client) -> None:
    fill(make_room(), 25)
    with CaptureQueriesContext(connection) as queries:
        shown(admin_client, "message")
    assert [query["sql"] for query in queries if 'FROM "rooms_message"' in query["sql"] and "LIMIT 11" in query["sql"]]


# By pages


def test_messages_come_from_the_newest_page_by_page(admin_client: Client) -> None:
    fill(make_room(), 25)
    pages = [rows(admin_client, "message", p=number) for number in (1, 2, 3)]
    assert [len(each) for each in pages] == [10, 10, 5]
    assert [text for each in pages for text in each] == numbers(25)[::-1]


def test_a_list_tells_only_what_it_knows_of_its_length(admin_client: Client) -> None:
    fill(make_room(), 25)
    assert "more than 10 messages" in shown(admin_client, "message")
    assert "more than 20 messages" in shown(admin_client, "message", p=2)
    last = shown(admin_client, "message", p=3)
    assert "25 messages" in last
    assert "more than" not in last


def test_a_list_links_to_the_page_after_this_one_and_to_none_beyond(admin_client: Client) -> None:
    fill(make_room(), 25)
    first = shown(admin_client, "message")
    assert "?p=2" in first
    assert "?p=3" not in first


def test_an_empty_list_says_so(admin_client: Client) -> None:
    assert "0 rooms" in shown(admin_client, "room")


def test_a_single_row_is_one(admin_client: Client) -> None:
    make_room()
    assert "1 room<" in shown(admin_client, "room")


def test_all_rows_of_all_pages_are_never_offered_for_an_action(admin_client: Client) -> None:
    fill(make_room(), 25)
    assert 'class="question' not in shown(admin_client, "message", p=2)


@pytest.mark.parametrize("number", ["0", "-1", "3", "4", "99999999999999999999999"])
def test_a_page_that_is_not_there_leads_to_the_first(admin_client: Client, number: str) -> None:
    fill(make_room(), 15)
    response = admin_client.get(page("message_changelist"), {"p": number})
    assert response.headers["Location"] == f"{page('message_changelist')}?e=1"
    assert rows(admin_client, "message", e=1, p="") == numbers(5, 15)[::-1]


def test_pages_end_where_skipping_rows_would_become_slow(admin_client: Client) -> None:
    fill(make_room(), 45)
    third = shown(admin_client, "message", p=3)
    assert "more than 30 messages" in third
    assert "?p=4" not in third
    assert admin_client.get(page("message_changelist"), {"p": 4}).status_code == 302


@pytest.mark.parametrize("in_one_room", [False, True])
def test_beyond_the_last_page_one_goes_on_from_its_last_row(admin_client: Client, in_one_room: bool) -> None:
    room = make_room()
    fill(room, 45)
    query = {"room__id__exact": room.pk} if in_one_room else {}
    list_ = admin_client.get(page("message_changelist"), {**query, "p": 3}).context["cl"]
    older = admin_client.get(page("message_changelist") + list_.further_query_string())
    assert [row.text for row in older.context["cl"].result_list] == numbers(5, 15)[::-1]
    assert "id__lt" not in older.context["cl"].get_query_string()
    assert "sequence__lt" not in older.context["cl"].get_query_string()
    assert "__lt" in older.context["cl"].get_query_string({"p": 2})
    assert ">Newest<" in older.content.decode()
    assert '__lt" value=' not in older.content.decode()  # a search begins at the newest again


def test_rooms_by_name_go_on_nowhere_beyond_the_last_page(admin_client: Client) -> None:
    for _ in range(31):
        make_room()
    third = admin_client.get(page("room_changelist"), {"p": 3})
    assert third.context["cl"].further_query_string() is None


# Order


def test_rooms_come_by_name_and_may_be_had_by_slug_and_use(admin_client: Client) -> None:
    make_room(slug="c", name="A")
    send_to = [make_room(slug="b", name="B"), make_room(slug="a", name="C")]
    for day, room in enumerate(send_to, start=1):
        Room.objects.filter(pk=room.pk).update(last_used_at=datetime(2026, 1, day, tzinfo=UTC))
    assert rows(admin_client, "room") == ["A", "B", "C"]
    assert rows(admin_client, "room", o=2) == ["C", "B", "A"]
    assert rows(admin_client, "room", o="-6") == ["C", "B", "A"]
    assert rows(admin_client, "room", o="6") == ["A", "B", "C"]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("column", range(8))
def test_no_list_is_sorted_by_what_has_no_index(admin_client: Client, name: str, column: int) -> None:
    make_guest(make_room())
    response = admin_client.get(page(f"{name}_changelist"), {"o": column})
    order = str(response.context["cl"].queryset.query.order_by)
    assert not any(field in order for field in ("text", "display_name", "member_count", "message_count", "sent_at"))


# Narrowed


def test_messages_are_those_of_one_room(admin_client: Client) -> None:
    room, other = make_room(), make_room()
    fill(room, 2)
    fill(other, 1)
    assert rows(admin_client, "message", room__id__exact=room.pk) == ["message 001", "message 000"]


def test_the_rooms_used_last_are_offered_and_the_one_chosen(admin_client: Client) -> None:
    used, unused = make_room(name="Used room"), make_room(name="Unused room")
    fill(used, 1)
    assert "Unused room" not in shown(admin_client, "message")
    narrowed = shown(admin_client, "message", room__id__exact=unused.pk)
    assert "Unused room" in narrowed
    assert "Used room" in narrowed


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 30, "", "\uff11"])
@pytest.mark.parametrize("name", ["message", "member", "ban", "auditentry"])
def test_a_room_that_is_no_number_leads_to_the_whole_list(admin_client: Client, name: str, value: str) -> None:
    response = admin_client.get(page(f"{name}_changelist"), {"room__id__exact": value})
    assert response.headers["Location"] == f"{page(f'{name}_changelist')}?e=1"


def test_messages_are_found_by_their_words_and_by_their_author(admin_client: Client) -> None:
    room = make_room()
    send(make_guest(room, "Ana Lima"), room, "the cat and the hat")
    send(make_guest(room, "Rui"), room, "the dog")
    assert rows(admin_client, "message", q="HAT cat") == ["the cat and the hat"]
    assert rows(admin_client, "message", q="lima") == ["the cat and the hat"]
    assert rows(admin_client, "message", q="rui the") == ["the dog"]
    assert rows(admin_client, "message", q="100%") == []
    assert rows(admin_client, "message", q="rui", room__id__exact=room.pk) == ["the dog"]


def test_a_search_with_nul_finds_everything_and_says_why(admin_client: Client) -> None:
    fill(make_room(), 1)
    response = admin_client.get(page("message_changelist"), {"q": "a\0b"})
    assert "Null characters are not allowed." in response.content.decode()


def test_rooms_are_found_by_name_slug_and_description(admin_client: Client) -> None:
    make_room(name="Books", slug="read")
    room = make_room(name="Music", slug="play")
    Room.objects.filter(pk=room.pk).update(description="Songs of all kinds")
    assert rows(admin_client, "room", q="book") == ["Books"]
    assert rows(admin_client, "room", q="play") == ["Music"]
    assert rows(admin_client, "room", q="songs kinds") == ["Music"]


def test_rooms_are_narrowed_by_access_and_state(admin_client: Client) -> None:
    make_room(name="A")
    archived = make_room(RoomAccess.PASSWORD, name="B")
    archive(archived)
    assert rows(admin_client, "room", access="PASSWORD") == ["B"]
    assert rows(admin_client, "room", archived="yes") == ["B"]
    assert rows(admin_client, "room", archived="no") == ["A"]
    assert rows(admin_client, "room", archived="x", access="x") == []


def test_who_has_left_is_listed_apart(admin_client: Client) -> None:
    room = make_room()
    make_guest(room, "Ana")
    make_guest(room, "Rui")
    Member.objects.filter(display_name="Rui").update(left_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert rows(admin_client, "member") == ["Ana"]
    assert rows(admin_client, "member", left="yes") == ["Rui"]


def test_members_are_found_and_narrowed(admin_client: Client) -> None:
    room = make_room()
    make_guest(room, "Ana")
    bia = make_member(room, name="Bia")
    assert bia.user is not None
    assert rows(admin_client, "member", q="an") == ["Ana"]
    assert rows(admin_client, "member", q=bia.user.username) == ["Bia"]
    assert rows(admin_client, "member", person="guest") == ["Ana"]
    assert rows(admin_client, "member", person="account") == ["Bia"]
    assert rows(admin_client, "member", role__exact="MEMBER", room__id__exact=room.pk) == ["Bia", "Ana"]


def test_bans_and_the_audit_log_are_narrowed(admin_client: Client) -> None:
    room, other = make_room(), make_room()
    for name, where in (("Ana", room), ("Rui", other)):
        guest = make_guest(where, name)
        mute(guest, where)
        ban(guest, where)
    assert rows(admin_client, "ban", room__id__exact=room.pk) == ["Ana"]
    assert rows(admin_client, "ban", person="account") == []
    log = ["member banned", "member muted"]
    assert rows(admin_client, "auditentry", room__id__exact=room.pk) == log
    assert rows(admin_client, "auditentry", room__id__exact=room.pk, action__exact="MEMBER_MUTED") == log[1:]


def test_guests_are_found_by_name(admin_client: Client) -> None:
    Guest.objects.create(display_name="Ana")
    Guest.objects.create(display_name="Rui")
    assert rows(admin_client, "guest", q="an") == ["Ana"]
