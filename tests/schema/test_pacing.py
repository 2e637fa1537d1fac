from __future__ import annotations

import random

from schema.pacing import FIRST_WINDOW_BYTES, Window


def window(limit_bytes: int = 100) -> Window:
    return Window(limit_bytes, now=0.0)


def test_a_window_is_full_until_enough_is_confirmed() -> None:
    it = window()
    it.sent(60)
    first = it.ping(now=1)
    it.sent(60)
    assert it.is_full
    it.pong(first, now=2)
    assert not it.is_full


def test_a_pong_confirms_what_was_sent_before_its_ping_and_no_more() -> None:
    it = window()
    it.sent(1, "a", 1)
    it.sent(1, "b", 7)
    it.sent(1, "a", 2)
    number = it.ping(now=0)
    it.sent(1, "a", 3)
    assert it.pong(number, now=0) == {"a": 2, "b": 7}
    assert it.pong(it.ping(now=0), now=0) == {"a": 3}


def test_a_pong_confirms_the_pings_before_it_too() -> None:
    it = window()
    numbers = []
    for position in (1, 2, 3):
        it.sent(1, "a", position)
        numbers.append(it.ping(now=0))
    assert it.pong(numbers[2], now=0) == {"a": 3}
    assert it.pong(numbers[0], now=0) == {}


def test_a_pong_without_a_number_confirms_bytes_and_no_position() -> None:
    it = window(limit_bytes=10)
    it.sent(10, "a", 1)
    it.ping(now=0)
    assert it.is_full
    it.heard_of_oldest(handed_over_bytes=10, now=1)
    assert (it.is_full, it.waiting_since) == (False, None)
    assert it.pong(it.ping(now=1), now=2) == {"a": 1}, "the next receipt confirms it"


def test_it_confirms_nothing_of_what_has_not_left_the_server() -> None:
    it = window(limit_bytes=10)
    it.sent(10)
    it.ping(now=0)
    assert not it.awaits_any(handed_over_bytes=9)
    it.heard_of_oldest(handed_over_bytes=9, now=1)
    assert (it.is_full, it.waiting_since) == (True, 1), "but it is a sign of life"


def test_nor_where_the_client_signs_what_it_confirms() -> None:
    it = window(limit_bytes=10)
    it.pong(it.ping(now=0), now=0)
    it.sent(10)
    it.ping(now=0)
    assert not it.awaits_any(handed_over_bytes=10)
    it.heard_of_oldest(handed_over_bytes=10, now=1)
    assert it.is_full


def test_the_answer_to_a_ping_of_the_websocket_s_own_confirms_bytes_and_no_position() -> None:
    it = window(limit_bytes=10)
    it.sent(4, "a", 1)
    late = it.ping(now=0)
    it.sent(6, "b", 2)
    it.heard(it.probe(now=5), now=6)
    assert (it.is_full, it.is_signed, it.is_answered) == (False, False, True)
    assert (it.pong(late, now=7), it.is_signed) == ({}, True), "a late one shows that the client does sign"
    it.sent(1, "a", 3)
    assert it.pong(it.ping(now=8), now=9) == {"a": 3, "b": 2}


def test_positions_of_receipts_that_are_signed_late_are_confirmed_at_once() -> None:
    it = window()
    it.sent(1, "a", 1)
    late = it.ping(now=0)
    probe = it.probe(now=5)
    assert it.pong(late, now=6) == {"a": 1}
    it.heard(probe, now=7)
    assert it.waiting_since is None


def test_what_has_left_counts_where_answers_are_not_read_and_the_client_owes_nothing_meanwhile() -> None:
    it = window(limit_bytes=10)
    it.sent(10, "a", 1)
    number = it.ping(now=0)
    assert it.take_for_received(handed_over_bytes=5, now=3)
    assert (it.is_full, it.waiting_since) == (False, 3)
    assert not it.take_for_received(handed_over_bytes=5, now=4)
    assert it.waiting_since == 3, "it takes nothing more"
    assert it.take_for_received(handed_over_bytes=10, now=5)
    assert not it.take_for_received(handed_over_bytes=10, now=6)
    assert it.waiting_since == 6, "it has taken everything"
    assert it.pong(number, now=7) == {"a": 1}


def test_numbers_cannot_be_guessed_and_any_client_can_hold_them() -> None:
    it = window()
    numbers = [it.ping(now=0) for _ in range(100)]
    assert numbers != sorted(numbers)
    assert all(0 < number < 2**31 for number in numbers)


def test_a_pong_to_a_ping_that_was_never_sent_confirms_nothing() -> None:
    it = window()
    it.sent(1, "a", 1)
    it.ping(now=0)
    assert [it.pong(number, now=0) for number in (-1, 0, 10**30)] == [{}, {}, {}]
    assert it.waiting_since == 0


def test_nothing_is_confirmed_of_an_operation_that_is_forgotten() -> None:
    it = window()
    it.sent(1, "a", 1)
    number = it.ping(now=0)
    it.sent(1, "a", 2)
    it.forget("a")
    it.sent(1, "b", 3)
    assert it.pong(number, now=0) == {}
    assert it.pong(it.ping(now=0), now=0) == {"b": 3}


def test_how_long_the_client_owes_a_receipt() -> None:
    it = window()
    assert it.waiting_since is None
    first = it.ping(now=5)
    second = it.ping(now=6)
    assert it.waiting_since == 5
    it.pong(first, now=7)
    assert it.waiting_since == 7
    it.pong(second, now=8)
    assert it.waiting_since is None


def test_a_receipt_is_due_at_once_after_a_quarter_of_the_window() -> None:
    it = window(limit_bytes=100)
    it.sent(24)
    assert (it.has_unreceipted, it.wants_receipt_now) == (True, False)
    it.sent(1)
    assert it.wants_receipt_now
    it.ping(now=0)
    assert (it.has_unreceipted, it.wants_receipt_now) == (False, False)


def test_it_begins_small_and_doubles_with_each_receipt() -> None:
    limit = 4 * FIRST_WINDOW_BYTES
    it = window(limit_bytes=limit)
    for allowed in (limit // 4, limit // 2, limit, limit):
        it.sent(allowed // 4)
        assert it.wants_receipt_now
        it.sent(allowed - allowed // 4 - 1)
        assert not it.is_full
        it.sent(1)
        assert it.is_full
        it.pong(it.ping(now=0), now=0)
        assert not it.is_full


def test_whatever_happens_nothing_is_confirmed_before_it_was_sent_and_nothing_falls() -> None:
    for seed in range(300):
        chance, it = random.Random(seed), window()
        sent, confirmed, numbers = 0, 0, [0]
        for _ in range(60):
            event = chance.randrange(5)
            if event == 0:
                sent += 1
                it.sent(chance.randrange(50), "a", sent)
            elif event == 1:
                numbers.append(it.ping(now=0))
            elif event == 2:
                numbers.append(it.probe(now=0))
            elif event == 3:
                it.heard(chance.choice(numbers), now=0)
            else:
                position = it.pong(chance.choice(numbers), now=0).get("a", confirmed)
                assert confirmed <= position <= sent
                confirmed = position
