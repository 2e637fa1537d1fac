"""Whose turn it is."""

from __future__ import annotations

import asyncio
import random

from schema.turns import Turns

ENOUGH_SECONDS = 10


async def test_as_many_work_as_may_and_the_others_follow_in_their_order() -> None:
    turns = Turns(2, 0, 0)
    first, second, third, fourth = [turns.enter(1) for _ in range(4)]
    await asyncio.gather(first.come(), second.come())
    waiting = [asyncio.create_task(each.come()) for each in (third, fourth)]
    await asyncio.sleep(0)
    assert [task.done() for task in waiting] == [False, False]
    second.over()
    second.over()
    await waiting[0]
    assert not waiting[1].done()
    first.over()
    await waiting[1]


async def test_one_that_gives_up_is_passed_over() -> None:
    turns = Turns(1, 0, 0)
    first, second, third = [turns.enter(1) for _ in range(3)]
    giving_up, waiting = asyncio.create_task(second.come()), asyncio.create_task(third.come())
    await asyncio.sleep(0)
    giving_up.cancel()
    second.over()
    first.over()
    await asyncio.wait_for(waiting, ENOUGH_SECONDS)


async def test_it_is_full_by_number_or_by_size_until_one_of_those_that_wait_goes() -> None:
    for turns in (Turns(1, 2, 0), Turns(1, 0, 10)):
        first = turns.enter(100)
        assert not turns.is_full, "it does not wait"
        following = [turns.enter(5) for _ in range(2)]
        assert turns.is_full
        room = asyncio.create_task(turns.room(ENOUGH_SECONDS))
        await asyncio.sleep(0)
        first.over()
        await room
        assert not turns.is_full
        assert following[0].coming is not None
        assert following[0].coming.done()


async def test_room_is_waited_for_no_longer_than_that() -> None:
    turns = Turns(1, 1, 0)
    for _ in range(2):
        turns.enter(1)
    await turns.room(0.001)
    assert turns.is_full


async def test_without_limits_all_work_at_once() -> None:
    turns = Turns(0, 0, 0)
    for _ in range(500):
        await turns.enter(1000).come()
    assert not turns.is_full


async def test_whatever_happens_no_more_work_than_may_and_each_has_its_turn() -> None:
    for seed in range(100):
        chance, turns, at_work, most = random.Random(seed), Turns(3, 0, 0), 0, 0
        came = gave_up = 0

        async def work(chance: random.Random, turns: Turns) -> None:
            nonlocal at_work, most, came
            turn = turns.enter(1)
            try:
                await turn.come()
                at_work += 1
                came += 1
                most = max(most, at_work)
                try:
                    for _ in range(chance.randrange(4)):
                        await asyncio.sleep(0)
                finally:
                    at_work -= 1
            finally:
                turn.over()

        tasks = [asyncio.create_task(work(chance, turns)) for _ in range(30)]
        for task in chance.sample(tasks, 10):
            await asyncio.sleep(0)
            gave_up += task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), ENOUGH_SECONDS)
        assert most <= 3
        assert came >= 30 - gave_up
        assert not turns.is_full
