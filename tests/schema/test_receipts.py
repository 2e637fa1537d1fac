"""What is remembered of a client, with its cache and without."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid1, uuid4

import pytest
from django.core.cache.backends import base as django_base
from django.core.cache.backends import locmem as django_locmem
from django.core.cache.backends.locmem import LocMemCache

from rooms.epochs import LogPosition
from rooms.identity import NOBODY, Viewer
from rooms.models import FIRST_EPOCH, Guest
from schema import receipts as receipts_module
from schema.receipts import REFRESH_SECONDS, Progress, Receipts, operation_key
from schema.requests import OperationRequest

ENOUGH_SECONDS = 10
Process = Callable[["Cache"], Receipts]

MADE_ID = "5f0c1e0a-6b1d-4c7e-9d51-0b7f6f3a2c11"  # as graphql-ws makes them, once for each operation

ANA, RUI = Viewer(guest=Guest(pk=1)), Viewer(guest=Guest(pk=2))


class Cache(LocMemCache):
    """A cache of its own, which can be away."""

    def __init__(self) -> None:
        super().__init__(uuid4().hex, {})
        self.is_away = False
        self.refused = threading.Event()
        self.written = threading.Event()
        self.writes: list[dict[str, Any]] = []

    def _here(self) -> None:
        if self.is_away:
            self.refused.set()
            raise ConnectionError("the cache is away")

    def get(self, *args: Any, **kwargs: Any) -> Any:
        self._here()
        return super().get(*args, **kwargs)

    def set_many(self, data: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        self._here()
        failed = super().set_many(data, *args, **kwargs)
        self.writes.append(data)
        self.written.set()
        return failed


class Clock:
    """In the place of the module ``time``."""

    now = 1_000_000.0

    def time(self) -> float:
        return self.now

    monotonic = time


def request(room: str = "r", query: str = "subscription", name: str | None = None) -> OperationRequest:
    return OperationRequest(query=query, operation_name=name, variables={"roomId": room}, extensions=None)


def progress(receipts: Receipts, viewer: Viewer = ANA, operation_id: str = MADE_ID, **named: Any) -> Progress:
    return Progress(receipts, lambda: operation_key(viewer, operation_id, request(**named)))


async def recalled(found: Progress) -> int | None:
    """The sequence that is remembered, of the first epoch."""
    position = await found.recall()
    assert position is None or position.epoch == FIRST_EPOCH
    return None if position is None else position.sequence


@pytest.fixture
async def process() -> AsyncIterator[Process]:
    """What makes the memory of a process, with its end."""
    made: list[Receipts] = []

    def make(cache: Cache) -> Receipts:
        made.append(receipts := Receipts(cache))
        return receipts

    yield make
    for receipts in made:
        await receipts.close()


async def written(receipts: Receipts) -> None:
    """Wait until everything due is in the cache, and not for what would come meanwhile."""
    if receipts._lingering is not None:
        receipts._write_soon()
    while receipts._writing is not None and not receipts._writing.done():
        await asyncio.wait_for(receipts._writing, ENOUGH_SECONDS)


async def test_who_comes_back_goes_on_after_what_was_confirmed(process: Process) -> None:
    receipts = process(Cache())
    before = progress(receipts)
    before.begin(3)
    before.confirm(5)
    before.end(forget=False)
    assert await recalled(progress(receipts)) == 5


async def test_another_process_knows_it_too(process: Process) -> None:
    cache = Cache()
    one, other = process(cache), process(cache)
    before = progress(one)
    before.begin(3)
    before.confirm(5)
    await written(one)
    assert await recalled(progress(other)) == 5


async def test_what_is_confirmed_while_sockets_last_is_written_together_and_soon(process: Process) -> None:
    cache = Cache()
    receipts = process(cache)
    several = [progress(receipts, operation_id=str(uuid4())) for _ in range(5)]
    for each in several:
        each.begin(3)
    await written(receipts)
    cache.writes.clear()
    cache.written.clear()
    for position in (4, 5):
        for each in several:
            each.confirm(position)
            await asyncio.sleep(0)  # a turn of the loop each, as the pongs of many sockets have
    assert await asyncio.to_thread(cache.written.wait, ENOUGH_SECONDS)
    assert [sorted(write.values()) for write in cache.writes] == [[5] * 5]


async def test_where_a_socket_ends_nothing_lingers(process: Process) -> None:
    cache = Cache()
    receipts = process(cache)
    before = progress(receipts)
    before.begin(3)
    await written(receipts)
    before.confirm(5)
    assert receipts._lingering is not None
    before.end(forget=False)
    assert receipts._lingering is None
    await written(receipts)
    assert await recalled(progress(process(cache))) == 5


@pytest.mark.parametrize(
    "named",
    [
        {"viewer": RUI},
        {"operation_id": "0190163d-8694-739b-aea5-966c26f8ad91"},
        {"room": "other"},
        {"query": "other"},
        {"name": "Other"},
    ],
)
async def test_another_operation_does_not(process: Process, named: dict[str, Any]) -> None:
    receipts = process(Cache())
    before = progress(receipts)
    before.begin(3)
    before.end(forget=False)
    assert await recalled(progress(receipts, **named)) is None


@pytest.mark.parametrize(
    "operation_id",
    [
        "1",
        "42",
        "messages",
        "subscription-000000000001",
        "MessagesSubscription-room-1",
        "1732764000000-0001",
        "00000000-0000-0000-0000-000000000001",  # no version
        "2ed6657d-e927-568b-95e1-2665a8aea6a2",  # version 5: made of a name, the same wherever it is made
        "5f0c1e0a-6b1d-4c7e-9d51-0b7f6f3a2c11-1",
        "5f0c1e0a6b1d-4c7e-9d51-0b7f6f3a2c11",
        "5f0c1e0a-6b1d-4c7e-9d51-0b7f6f3a2c1\u0661",
    ],
)
async def test_nothing_is_remembered_under_an_id_that_may_be_made_twice(process: Process, operation_id: str) -> None:
    receipts = process(Cache())
    before = progress(receipts, operation_id=operation_id)
    before.begin(3)
    before.confirm(5)
    before.end(forget=False)
    assert await recalled(progress(receipts, operation_id=operation_id)) is None
    assert receipts._writing is None


@pytest.mark.parametrize(
    "operation_id",
    [
        MADE_ID,
        MADE_ID.upper(),
        MADE_ID.replace("-", ""),
        str(uuid1()),
        "1ec9414c-232a-6b00-b3c8-9e6bdeced846",  # version 6
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f",  # version 7
    ],
)
async def test_an_id_that_is_made_once_is_remembered(process: Process, operation_id: str) -> None:
    receipts = process(Cache())
    before = progress(receipts, operation_id=operation_id)
    before.begin(3)
    before.end(forget=False)
    assert await recalled(progress(receipts, operation_id=operation_id)) == 3


@pytest.mark.parametrize("where", ["in the process", "in the cache"])
async def test_a_position_is_one_of_its_epoch(process: Process, where: str) -> None:
    cache = Cache()
    one = process(cache)
    before = progress(one)
    before.begin(3, epoch=77)
    before.confirm(5)
    before.end(forget=False)
    await written(one)
    assert await progress(one if where == "in the process" else process(cache)).recall() == LogPosition(77, 5)


async def test_nobody_is_remembered(process: Process) -> None:
    receipts = process(Cache())
    before = progress(receipts, NOBODY)
    before.begin(3)
    before.end(forget=False)
    assert await recalled(progress(receipts, NOBODY)) is None
    assert receipts._writing is None


async def test_what_is_complete_is_forgotten_everywhere(process: Process) -> None:
    cache = Cache()
    one, other = process(cache), process(cache)
    before = progress(one)
    before.begin(3)
    await written(one)
    before.end(forget=True)
    await written(one)
    assert await recalled(progress(one)) is None
    assert await recalled(progress(other)) is None


@pytest.mark.parametrize("where", ["in another process", "in the same process"])
async def test_a_socket_left_half_open_does_not_disturb_who_took_over(process: Process, where: str) -> None:
    cache = Cache()
    one = process(cache)
    other = one if where == "in the same process" else process(cache)
    old = progress(one)
    old.begin(3)
    await written(one)
    new = progress(other)
    new.begin(await recalled(new) or 0)
    new.confirm(9)
    await written(other)
    old.confirm(4)
    old.end(forget=True)
    await written(one)
    assert await recalled(progress(process(cache))) == 9


@pytest.mark.parametrize(("minutes", "position"), [(10, 5), (15, None)])
@pytest.mark.parametrize("is_the_cache_there", [True, False])
async def test_it_is_remembered_for_ten_minutes_after_the_last_contact_and_not_for_long(
    process: Process, monkeypatch: pytest.MonkeyPatch, is_the_cache_there: bool, minutes: int, position: int | None
) -> None:
    """The process dies shortly before it would have renewed everything."""
    clock = Clock()
    for module in (receipts_module, django_base, django_locmem):
        monkeypatch.setattr(module, "time", clock)
    cache = Cache()
    cache.is_away = not is_the_cache_there
    receipts = process(cache)
    before = progress(receipts)
    before.begin(3)
    before.confirm(5)
    if is_the_cache_there:
        await written(receipts)
    clock.now += REFRESH_SECONDS - 1
    if not is_the_cache_there:
        before.end(forget=False)
    clock.now += 60 * minutes
    assert await recalled(progress(process(cache) if is_the_cache_there else receipts)) == position


async def test_without_the_cache_the_process_remembers(process: Process, caplog: pytest.LogCaptureFixture) -> None:
    cache = Cache()
    cache.is_away = True
    receipts = process(cache)
    before = progress(receipts)
    before.begin(3)
    before.confirm(5)
    before.end(forget=False)
    assert await recalled(progress(receipts)) == 5
    assert "away" in caplog.text


async def test_what_could_not_be_written_is_written_later(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts_module, "RETRY_SECONDS", 0.01)
    cache = Cache()
    cache.is_away = True
    receipts = process(cache)
    progress(receipts).begin(3)
    await asyncio.to_thread(cache.refused.wait, ENOUGH_SECONDS)
    cache.is_away = False
    await written(receipts)
    assert await recalled(progress(process(cache))) == 3


async def test_a_process_that_is_behind_believes_the_cache(process: Process) -> None:
    cache = Cache()
    one, other = process(cache), process(cache)
    before = progress(one)
    before.begin(3)
    before.end(forget=False)
    await written(one)
    elsewhere = progress(other)
    elsewhere.begin(7)
    await written(other)
    assert await recalled(progress(one)) == 7


async def test_what_live_sockets_hold_does_not_run_out(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts_module, "REFRESH_SECONDS", 0.01)
    cache = Cache()
    receipts = process(cache)
    held = progress(receipts)
    held.begin(3)
    await written(receipts)
    cache.delete(receipts_module._position_of(held.holder))
    cache.written.clear()
    assert await asyncio.to_thread(cache.written.wait, ENOUGH_SECONDS)
    assert cache.get(receipts_module._position_of(held.holder)) == 3
    held.end(forget=True)
    assert receipts._refreshing is not None
    await asyncio.wait_for(receipts._refreshing, ENOUGH_SECONDS)


async def test_many_who_come_back_at_once_are_remembered_in_few_calls(process: Process) -> None:
    cache, ids = CountingCache(), [str(uuid4()) for _ in range(20)]
    one = process(cache)
    for number, operation_id in enumerate(ids):
        begun = progress(one, operation_id=operation_id)
        begun.begin(0)
        begun.confirm(number)
    await written(one)
    cache.calls.clear()
    other = process(cache)
    asked = [progress(other, operation_id=operation_id) for operation_id in [*ids, str(uuid4())]]
    found = await asyncio.gather(*map(recalled, asked))
    assert found == [*range(20), None]
    assert len(cache.calls) <= 4, "the first one goes alone, and the others together; holders, then positions"


class CountingCache(Cache):
    def __init__(self) -> None:
        super().__init__()
        self.calls: list[int] = []

    def get_many(self, keys: Any, version: int | None = None) -> Any:
        self.calls.append(len(list(keys)))
        return super().get_many(keys, version)
