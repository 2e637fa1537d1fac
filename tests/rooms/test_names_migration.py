"""What was stored before there was a rule is mended by the upgrade, on whichever database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from rooms.identity import NOBODY
from rooms.models import Guest, Member, Room, RoomSlug, SearchText
from rooms.paging import Span
from rooms.selectors import room_by_slug, rooms_slice

BEFORE = [("rooms", "0005_identity")]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def before() -> Iterator[object]:
    """The models as they were; at the end the database is as it is for every other test."""
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    yield executor.loader.project_state(BEFORE).apps
    call_command("migrate", "rooms", verbosity=0)


def upgrade() -> None:
    call_command("migrate", "rooms", verbosity=0)


def test_names_slugs_and_searched_texts_are_brought_into_form(before: object, caplog: pytest.LogCaptureFixture) -> None:
    rooms = before.get_model("rooms", "Room").objects  # type: ignore[attr-defined]
    guests = before.get_model("rooms", "Guest").objects  # type: ignore[attr-defined]
    small = rooms.create(slug="lobby", name="\u200b")
    capital = rooms.create(slug="Lobby", name="Cafe\u0301\u202e  bar", description="\u202eAc\u0327a\u0303o\r\nb")
    other = rooms.create(slug="LOBBY", name="Z" + "\u030d" * 40)
    alone = rooms.create(slug="Books", name="x" * 80)
    guest = guests.create(display_name="\u2067Ana\u2069")
    nothing = guests.create(display_name="\u200b\u200d")
    member = before.get_model("rooms", "Member").objects.create(  # type: ignore[attr-defined]
        room=capital, guest=guest, display_name="Ana\u00a0 Lima\u200d"
    )
    upgrade()
    names = dict(Room.objects.values_list("pk", "name"))
    assert names == {small.pk: "\ufffd", capital.pk: "Café bar", other.pk: "Z" + "\u030d" * 4, alone.pk: "x" * 80}
    slugs = dict(Room.objects.values_list("pk", "slug"))
    assert slugs == {small.pk: "lobby", capital.pk: "lobby-2", other.pk: "lobby-3", alone.pk: "books"}
    assert dict(RoomSlug.objects.values_list("slug", "room")) == {slug: pk for pk, slug in slugs.items()}
    assert Room.objects.get(pk=capital.pk).description == "Ação\nb"
    assert [Guest.objects.get(pk=each.pk).display_name for each in (guest, nothing)] == ["Ana", "\ufffd"]
    assert Member.objects.get(pk=member.pk).display_name == "Ana Lima"
    assert SearchText.objects.count() == 4
    assert [room.pk for room in rooms_slice(viewer=NOBODY, span=Span(5), search="acao cafe").items] == [capital.pk]
    assert room_by_slug(viewer=NOBODY, slug="BOOKS") == Room.objects.get(pk=alone.pk)
    assert "/salas/lobby-2/" in caplog.text
    for model in (Room, Guest, Member):
        for row in model.objects.all():
            row.validate_constraints()


def test_the_upgrade_goes_on_after_an_interruption(before: object) -> None:
    before.get_model("rooms", "Room").objects.create(slug="Books", name="\u202ex")  # type: ignore[attr-defined]
    migration = MigrationExecutor(connection).loader.get_migration("rooms", "0008_names_mended")
    whole = migration.operations
    try:
        migration.operations = whole[: len(whole) // 2]  # type: ignore[misc]
        state = MigrationExecutor(connection)
        state.migrate([("rooms", "0007_names")])
        with connection.schema_editor(atomic=False) as editor:
            migration.apply(state.loader.project_state([("rooms", "0007_names")]), editor)
    finally:
        migration.operations = whole  # type: ignore[misc]
    upgrade()
    assert Room.objects.get().slug == "books"
