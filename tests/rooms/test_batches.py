from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any

import pytest

from rooms.batches import SEVERAL, Batches

from .fakes import run_loop

SCHEDULES = 300

someone: ContextVar[str] = ContextVar("someone", default="nobody")


class Desk:
    """Does work when the test says so. ``answer`` makes the result of an item, or raises what all of them get."""

    def __init__(self, *, max_size: int = 10, answer: Callable[[Any], Any] = str) -> None:
        self.begun: list[list[Any]] = []
        self.answer = answer
        self._opened = asyncio.Event()
        self.batches: Batches[Any, Any] = Batches(self._work, max_size=max_size)

    async def _work(self, items: Sequence[Any]) -> Sequence[Any]:
        self.begun.append(list(items))
        await self._opened.wait()
        return [self.answer(item) for item in items]

    def ask(self, *items: Any) -> list[asyncio.Task[Any]]:
        return [asyncio.create_task(self.batches.do(item)) for item in items]

    async def open(self, steps: int = 10) -> None:
        """Let the batch that is being worked on, and no other, be done."""
        self._opened.set()
        self._opened = asyncio.Event()
        await run_loop(steps)

    async def begin(self, *items: Any) -> list[asyncio.Task[Any]]:
        tasks = self.ask(*items)
        await run_loop(3)
        return tasks


async def results_of(*tasks: asyncio.Task[Any]) -> list[Any]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_arrives_in_one_turn_of_the_loop_goes_together() -> None:
    desk = Desk()
    tasks = await desk.begin(1, 2, 3)
    await desk.open()
    assert await results_of(*tasks) == ["1", "2", "3"]
    assert desk.begun == [[1, 2, 3]]


async def test_what_arrives_while_a_batch_runs_goes_together_in_the_next() -> None:
    desk = Desk()
    tasks = await desk.begin(1)
    tasks += await desk.begin(2)
    tasks += await desk.begin(3)
    assert desk.begun == [[1]]
    await desk.open()
    assert desk.begun == [[1], [2, 3]]
    await desk.open()
    assert await results_of(*tasks) == ["1", "2", "3"]


async def test_each_is_answered_when_its_own_batch_is_done() -> None:
    desk = Desk()
    first = await desk.begin(1)
    second = await desk.begin(2)
    await desk.open()
    assert [task.done() for task in (*first, *second)] == [True, False]
    await desk.open()
    assert await results_of(*second) == ["2"]


async def test_a_batch_is_no_larger_than_it_may_be() -> None:
    desk = Desk(max_size=2)
    tasks = await desk.begin(1, 2, 3, 4, 5)
    for _ in range(3):
        await desk.open()
    assert desk.begun == [[1, 2], [3, 4], [5]]
    assert await results_of(*tasks) == ["1", "2", "3", "4", "5"]


async def test_an_exception_among_the_results_is_raised_for_its_item_alone() -> None:
    desk = Desk(answer=lambda item: KeyError(item) if item == 2 else item)
    tasks = await desk.begin(1, 2, 3)
    await desk.open()
    found = await results_of(*tasks)
    assert isinstance(found[1], KeyError)
    assert [found[0], found[2]] == [1, 3]


async def test_work_that_fails_fails_each_of_its_items_and_none_of_the_next() -> None:
    desk = Desk(answer=lambda item: 1 / item)
    first = await desk.begin(1, 0)
    second = await desk.begin(2)
    await desk.open()
    await desk.open()
    assert [type(found) for found in await results_of(*first)] == [ZeroDivisionError, ZeroDivisionError]
    assert await results_of(*second) == [0.5]


async def test_work_that_gives_too_few_results_leaves_nobody_waiting() -> None:
    async def forgetful(items: Sequence[int]) -> Sequence[int]:
        return items[1:]

    batches = Batches(forgetful, max_size=10)
    found = await asyncio.gather(batches.do(1), batches.do(2), return_exceptions=True)
    assert [type(each) for each in found] == [ValueError, ValueError]


async def test_who_stops_waiting_stops_neither_the_work_nor_the_others() -> None:
    desk = Desk()
    first, second = await desk.begin(1, 2)
    first.cancel()
    await run_loop(3)
    assert (first.cancelled(), second.done()) == (True, False)
    await desk.open()
    assert await second == "2"
    assert desk.begun == [[1, 2]]


async def test_what_nobody_waits_for_any_more_is_not_begun() -> None:
    desk = Desk()
    tasks = await desk.begin(1)
    gone, stays = await desk.begin(2, 3)
    gone.cancel()
    await desk.open()
    await desk.open()
    assert desk.begun == [[1], [3]]
    assert await results_of(*tasks, stays) == ["1", "3"]


async def test_nothing_is_left_running_where_nobody_waits() -> None:
    desk = Desk()
    assert desk.batches.is_idle
    (task,) = await desk.begin(1)
    assert not desk.batches.is_idle
    await desk.open()
    assert await task == "1"
    assert desk.batches.is_idle


async def test_no_item_is_done_as_whoever_came_first() -> None:
    async def who(items: Sequence[int]) -> Sequence[str]:
        return [someone.get() for _ in items]

    someone.set("ana")
    assert await Batches(who, max_size=10).do(1) == "nobody"


async def test_when_the_loop_ends_nobody_waits_for_ever() -> None:
    desk = Desk()
    before = asyncio.all_tasks()
    tasks = await desk.begin(1)
    tasks += await desk.begin(2)
    (working,) = asyncio.all_tasks() - before - set(tasks)
    working.cancel()
    await run_loop(5)
    assert [task.cancelled() for task in tasks] == [True, True]


async def course(seed: int) -> None:
    """Some thirty items that come, and in part go, at random, while batches end at random."""
    chance = random.Random(seed)
    desk = Desk(max_size=chance.randint(1, 5))
    tasks: dict[int, asyncio.Task[Any]] = {}
    for item in range(30):
        tasks[item] = desk.ask(item)[0]
        await run_loop(chance.randrange(3))
        if chance.random() < 0.2:
            tasks[chance.randrange(len(tasks))].cancel()
        if chance.random() < 0.3:
            await desk.open(chance.randrange(4))
    await run_loop(3)
    while not desk.batches.is_idle:
        await desk.open()
    begun = [item for batch in desk.begun for item in batch]
    assert begun == sorted(set(begun)), "in order, none twice"
    assert max(map(len, desk.begun)) <= desk.batches._max_size
    for item, task in tasks.items():
        assert task.cancelled() or (item in begun and await task == str(item))


async def test_whoever_waits_is_answered_once_and_in_order_in_every_course() -> None:
    for seed in range(SCHEDULES):
        await course(seed)


async def test_a_task_that_is_cancelled_as_its_answer_comes_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(answer=KeyError)
    (task,) = await desk.begin(1)
    desk._opened.set()
    await run_loop(1)
    task.cancel()
    await run_loop(3)
    assert task.cancelled()
    assert not caplog.records


# Lingering

FOR_EVER = 3600.0


class Answered:
    """Takes whatever there is at once. ``sizes`` are those of its batches."""

    def __init__(self, linger_seconds: float, max_size: int = 100) -> None:
        self.sizes: list[int] = []
        self.batches: Batches[int, int] = Batches(self._work, max_size=max_size, linger_seconds=linger_seconds)

    async def _work(self, items: Sequence[int]) -> Sequence[int]:
        self.sizes.append(len(items))
        return items

    async def ask_again(self, number: int, times: int) -> None:
        """As a client does: some turns of the loop after the answer, not all at the same time."""
        for _ in range(times):
            await self.batches.do(number)
            await run_loop(1 + number)


async def test_who_asks_again_at_once_goes_with_the_others_again() -> None:
    answered = Answered(FOR_EVER)
    async with asyncio.timeout(10):
        await asyncio.gather(*(answered.ask_again(number, 3) for number in range(SEVERAL)))
    assert answered.sizes == [SEVERAL] * 3


async def test_nobody_waits_after_few() -> None:
    answered = Answered(FOR_EVER)
    async with asyncio.timeout(10):
        await asyncio.gather(*(answered.ask_again(number, 3) for number in range(SEVERAL - 1)))
    assert sum(answered.sizes) == 3 * (SEVERAL - 1)
    assert len(answered.sizes) > 3


async def test_nobody_waits_where_no_more_fit() -> None:
    answered = Answered(FOR_EVER, max_size=SEVERAL)
    async with asyncio.timeout(10):
        await asyncio.gather(*(answered.batches.do(number) for number in range(2 * SEVERAL)))
    assert answered.sizes == [SEVERAL, SEVERAL]


async def test_where_the_others_do_not_come_back_it_goes_on_without_them() -> None:
    answered = Answered(0.001)
    await asyncio.gather(*(answered.batches.do(number) for number in range(SEVERAL)))
    async with asyncio.timeout(10):
        assert await answered.batches.do(1) == 1
    assert answered.sizes == [SEVERAL, 1]
