"""Pages that are ready at the same time are completed one in each iteration of the loop."""

from __future__ import annotations

import asyncio
from contextvars import Context

from rooms.threads import enter_lane
from schema.time_slices import time_slice


def pages(order: list[str], lane: str, number: int) -> list[asyncio.Task[None]]:
    async def page() -> None:
        enter_lane(lane)
        await time_slice()
        order.append(lane)

    return [asyncio.create_task(page(), context=Context()) for _ in range(number)]


async def test_other_work_goes_on_between_two_pages() -> None:
    order: list[str] = []
    tasks = pages(order, "ana", 3)

    async def other() -> None:
        while not all(task.done() for task in tasks):
            order.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(other(), *tasks)
    first, second, third = (at for at, what in enumerate(order) if what == "ana")
    assert "other" in order[first:second]
    assert "other" in order[second:third]


async def test_viewers_take_turns() -> None:
    order: list[str] = []
    await asyncio.gather(*pages(order, "ana", 3), *pages(order, "bia", 2))
    assert order == ["ana", "ana", "bia", "ana", "bia"]


async def test_a_page_that_nobody_waits_for_takes_no_turn() -> None:
    order: list[str] = []
    first, second, third = pages(order, "ana", 3)
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(first, third)
    assert order == ["ana", "ana"]


async def test_a_page_alone_waits_for_nothing() -> None:
    page = time_slice()
    try:
        page.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")
