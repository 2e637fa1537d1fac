from __future__ import annotations

import asyncio

import pytest

from rooms.tail import Tail


def tail_of(*items: str, head: int = 0, capacity: int = 3) -> Tail[str]:
    tail: Tail[str] = Tail(head, capacity)
    for sequence, item in enumerate(items, head + 1):
        tail.append(sequence, item)
    return tail


def test_gives_the_item_next_after_a_cursor() -> None:
    assert [tail_of("a", "b").after(cursor) for cursor in (0, 1)] == ["a", "b"]


def test_says_none_where_it_has_nothing() -> None:
    tail = tail_of("a", "b", "c", "d", head=5)
    assert tail.after(4) is None, "before it began"
    assert tail.after(5) is None, "left the tail"
    assert tail.after(tail.head) is None, "yet to come"


def test_keeps_no_more_than_its_capacity() -> None:
    assert list(tail_of(*"abcdef", capacity=3).items()) == ["d", "e", "f"]


@pytest.mark.parametrize("sequence", [0, 1, 3])
def test_refuses_what_is_not_next_in_line(sequence: int) -> None:
    tail = tail_of("a")
    with pytest.raises(ValueError, match="expected sequence 2"):
        tail.append(sequence, "x")
    assert tail.head == 1


async def test_wakes_everyone_who_waits() -> None:
    tail = tail_of()
    waiting = [asyncio.create_task(tail.past(0)) for _ in range(3)]
    await asyncio.sleep(0)
    tail.append(1, "a")
    await asyncio.gather(*waiting)


async def test_does_not_wake_who_waits_for_more() -> None:
    tail = tail_of()
    waiting = asyncio.create_task(tail.past(1))
    tail.append(1, "a")
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    tail.append(2, "b")
    await waiting


async def test_tells_its_listeners_once_however_many_items_have_come() -> None:
    tail = tail_of()
    heads: list[int] = []
    tail.listen(lambda: heads.append(tail.head))
    tail.append(1, "a")
    tail.append(2, "b")
    assert heads == [], "not from within"
    await asyncio.sleep(0)
    tail.append(3, "c")
    await asyncio.sleep(0)
    assert heads == [2, 3]


async def test_tells_nobody_who_has_gone_meanwhile() -> None:
    tail = tail_of()
    told: list[str] = []

    def first() -> None:
        told.append("first")
        tail.unlisten(second)

    def second() -> None:
        told.append("second")

    tail.listen(first)
    tail.listen(second)
    tail.append(1, "a")
    await asyncio.sleep(0)
    assert told == ["first"]
