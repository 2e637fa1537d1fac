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


def test_pongs_without_a_number_are_counted_by_order() -> None:
    it = window()
    for position in (1, 2):
        it.sent(1, "a", position)
        it.ping(now=0)
    assert [it.pong(None, now=0) for _ in range(3)] == [{"a": 1}, {"a": 2}, {}]


def test_a_pong_to_a_ping_that_was_never_sent_confirms_nothing() -> None:
    it = window()
    it.sent(1, "a", 1)
    it.ping(now=0)
    assert [it.pong(number, now=0) for number in (-1, 0, 2, 10**30)] == [{}, {}, {}, {}]
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
            event = chance.randrange(3)
            if event == 0:
                sent += 1
                it.sent(chance.randrange(50), "a", sent)
            elif event == 1:
                numbers.append(it.ping(now=0))
            else:
                position = it.pong(chance.choice([None, *numbers]), now=0).get("a", confirmed)
                assert confirmed <= position <= sent
                confirmed = position
