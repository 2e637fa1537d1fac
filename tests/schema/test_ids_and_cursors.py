from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rooms.epochs import LARGEST_EPOCH, LogPosition
from rooms.exceptions import BadUserInput, CursorInvalid
from rooms.models import FIRST_EPOCH, Room
from schema.cursors import MAX_SEQUENCE, log_cursor, position_in, room_key_in, rooms_cursor, sequence_in
from schema.ids import MAX_KEY, decode_any_id, decode_id, encode_id, opaque, plain_of

keys = st.integers(1, MAX_KEY)
sequences = st.integers(0, MAX_SEQUENCE)
epochs = st.integers(FIRST_EPOCH, LARGEST_EPOCH)

OTHER_SPELLINGS = [" {}", "{} ", "{}=", "{}\n", "{}é", "\u200b{}", "{}\ud800", "{}\0"]


@given(keys)
def test_an_id_comes_back(key: int) -> None:
    assert decode_id("Room", encode_id("Room", key), field="id") == key


@given(keys, sequences)
def test_a_log_cursor_comes_back(room_id: int, sequence: int) -> None:
    assert sequence_in(log_cursor(room_id, sequence), room_id) == sequence


@given(keys, sequences, epochs)
def test_it_says_of_which_epoch_it_is(room_id: int, sequence: int, epoch: int) -> None:
    assert position_in(log_cursor(room_id, sequence, epoch), room_id) == LogPosition(epoch, sequence)


@given(sequences, epochs, epochs)
def test_a_cursor_of_another_epoch_is_none_of_this_one(sequence: int, epoch: int, other: int) -> None:
    assume(epoch != other)
    with pytest.raises(CursorInvalid, match="Read the room again"):
        sequence_in(log_cursor(1, sequence, epoch), 1, other)


def test_a_cursor_from_before_there_were_epochs_is_one_of_the_first() -> None:
    assert position_in(opaque("log:1:2"), 1) == LogPosition(FIRST_EPOCH, 2)


@given(keys, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=80))
def test_a_cursor_of_the_list_of_rooms_comes_back(room_id: int, name: str) -> None:
    assert room_key_in(rooms_cursor(Room(pk=room_id, name=name))) == (name, room_id)


@given(st.text(max_size=60))
def test_whatever_else_is_refused_or_the_one_spelling_of_something(text: str) -> None:
    plain = plain_of(text)
    assert plain is None or opaque(plain) == text


@pytest.mark.parametrize("spelling", OTHER_SPELLINGS)
def test_nothing_has_two_spellings(spelling: str) -> None:
    with pytest.raises(BadUserInput):
        decode_id("Room", spelling.format(encode_id("Room", 1)), field="id")
    with pytest.raises(CursorInvalid):
        sequence_in(spelling.format(log_cursor(1, 2)), 1)


@pytest.mark.parametrize(
    "plain",
    [
        "Room:0",
        "Room:01",
        "Room:+1",
        "Room: 1",
        "Room:-1",
        "Room:1 ",
        "Room:",
        ":1",
        "Room:\u0661",
        "Room:\uff11",
        "Room:1\n",
        "Room:1\0",
        "Room:1_0",
        "Room:0x1",
        "Room:1e1",
        "\uff32oom:1",
        " Room:1",
        "Room:1:1",
        f"Room:{MAX_KEY + 1}",
        "",
    ],
)
def test_an_id_names_a_type_and_a_row(plain: str) -> None:
    with pytest.raises(BadUserInput):
        decode_any_id(opaque(plain), field="id")


def test_an_id_of_another_type_is_refused_by_the_field_s_name() -> None:
    with pytest.raises(BadUserInput) as refusal:
        decode_id("Room", encode_id("Message", 1), field="roomId")
    assert refusal.value.field == "roomId"


@pytest.mark.parametrize(
    "plain",
    [
        "log:\u0661:1",
        "log:1:\u0661",
        "log:1:1\n",
        " log:1:1",
        "LOG:1:1",
        "log:1:+1",
        "log:1:1:1",
        "log:1:1_0",
        "log:1:-1",
        "log:1:01",
        "log:0:1",
        "log:1:",
        "log:1",
        f"log:1:{MAX_SEQUENCE + 1}",
        "rooms:1:x",
        "log:2:1",
        "log:1:e0:1",
        "log:1:e01:1",
        "log:1:e:1",
        "log:1:e1",
        "log:1:1:e1",
        "log:1:E1:1",
        "log:1:e\u0661:1",
        f"log:1:e{LARGEST_EPOCH + 1}:1",
    ],
)
def test_a_cursor_is_of_this_room_s_log(plain: str) -> None:
    with pytest.raises(CursorInvalid):
        sequence_in(opaque(plain), 1)


@pytest.mark.parametrize(
    "plain",
    ["rooms:1:", "rooms:\u0661:y", "rooms:01:y", "Rooms:1:y", "rooms:x:y", "rooms:0:y", "rooms:1:a\0", "log:1:1"],
)
def test_a_cursor_of_rooms_is_one(plain: str) -> None:
    with pytest.raises(CursorInvalid):
        room_key_in(opaque(plain))
