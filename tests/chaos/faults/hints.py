"""Between two processes stands somebody who loses hints, repeats, delays and reorders them, and changes what they say.

Each process has a Redis of its own, and what is said at one goes to the other through the meddler only.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer
from redis.asyncio import Redis as Connection

from tests.chaos.scene import Fault, Load, Scene
from tests.services.redis import Redis

GROUPS = "*__group__salas.*"
LATEST_SECONDS = 5.0  # beyond what is taken as fresh

Hint = dict[str, Any]
Trick = Callable[["Meddler", Hint], Sequence[bytes]]


def nothing(meddler: Meddler, hint: Hint) -> Sequence[bytes]:
    return []


def as_it_was(meddler: Meddler, hint: Hint) -> Sequence[bytes]:
    return [meddler.packed(hint)]


def twice(meddler: Meddler, hint: Hint) -> Sequence[bytes]:
    return [meddler.packed(hint)] * 2


def altered(meddler: Meddler, hint: Hint) -> Sequence[bytes]:
    entries = bytearray(hint.get("entries", b"nothing"))
    entries[meddler.chance.randrange(len(entries))] ^= 1 << meddler.chance.randrange(8)
    return [meddler.packed(hint | {"from": "somebody", "entries": bytes(entries)})]


def with_other_entries(meddler: Meddler, hint: Hint) -> Sequence[bytes]:
    return [meddler.packed(meddler.chance.choice(meddler.heard) | {"sequence": hint["sequence"]})]


def far_ahead(meddler: Meddler, hint: Hint) -> Sequence[bytes]:
    return [meddler.packed(hint | {"sequence": hint["sequence"] + meddler.chance.randrange(1, 1000)})]


def nonsense(meddler: Meddler, hint: Hint) -> Sequence[bytes]:
    return [meddler.chance.choice([b"", b"\xc1", meddler.packed({"type": "hint"}), meddler.packed({})])]


TRICKS: dict[Trick, int] = {  # and how often: after nonsense a process hears nothing for a second
    as_it_was: 40,
    twice: 15,
    nothing: 15,
    altered: 10,
    with_other_entries: 10,
    far_ahead: 8,
    nonsense: 2,
}
DELAYS: dict[float, int] = {0: 70, 0.05: 20, LATEST_SECONDS: 10}


class Meddler:
    """Carries hints from each Redis to the other. ``heard`` are all that there were."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.heard: list[Hint] = []
        self.tricks: Counter[str] = Counter()
        self._layer = RedisPubSubChannelLayer()
        self._own: Counter[tuple[Connection, bytes]] = Counter()

    def packed(self, hint: Hint) -> bytes:
        return bytes(self._layer.serialize(hint))

    async def carry(self, source: Connection, target: Connection) -> None:
        """Until cancelled."""
        async with source.pubsub() as pubsub, asyncio.TaskGroup() as group:
            await pubsub.psubscribe(GROUPS)
            async for message in pubsub.listen():
                if message["type"] == "pmessage" and not self._is_own(source, message["data"]):
                    for data in self._changed(message["data"]):
                        group.create_task(self._say(target, message["channel"], data))

    def _changed(self, data: bytes) -> Sequence[bytes]:
        """What a hint becomes. What else processes say to each other goes on as it is."""
        said: Hint = self._layer.deserialize(data)
        if said["type"] != "hint":
            return [data]
        self.heard.append(said)
        (trick,) = self.chance.choices(list(TRICKS), list(TRICKS.values()))
        self.tricks[trick.__name__] += 1
        return trick(self, said)

    async def _say(self, target: Connection, channel: bytes, data: bytes) -> None:
        (latest,) = self.chance.choices(list(DELAYS), list(DELAYS.values()))
        await asyncio.sleep(self.chance.uniform(0, latest))
        self._own[target, data] += 1
        await target.publish(channel, data)

    def _is_own(self, source: Connection, data: bytes) -> bool:
        """What the meddler has said there itself."""
        is_own = self._own[source, data] > 0
        self._own[source, data] -= is_own
        return is_own


@asynccontextmanager
async def meddling(scene: Scene, meddler: Meddler) -> AsyncIterator[None]:
    link, other = scene.world.links[1], Redis()
    await asyncio.to_thread(other.start)
    ours = Connection.from_url(scene.world.redis.url)
    theirs = Connection.from_url(other.url)
    carrying = [asyncio.create_task(meddler.carry(*way)) for way in ((ours, theirs), (theirs, ours))]
    link.backends = [other.url]
    link.cut_all()
    try:
        yield
        if any(task.done() for task in carrying):
            scene.problems.append("the meddler gave up")
    finally:
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)
        await asyncio.gather(ours.aclose(), theirs.aclose())
        link.backends = [scene.world.redis.url]
        link.cut_all()
        await asyncio.to_thread(other.close)


async def meddled_with(scene: Scene) -> None:
    meddler = Meddler(random.Random(scene.chance.random()))
    await scene.further(20)  # the processes know of each other by then
    async with meddling(scene, meddler):
        await scene.further(scene.either(500, 100))
    scene.notes.append(", ".join(f"{name} × {number}" for name, number in meddler.tricks.items()))
    if not any("entries" in hint for hint in meddler.heard):
        scene.problems.append("nothing went along with hints")


FAULTS = (
    # followers enough for both processes to have some
    Fault("hints lost, doubled, late, altered", meddled_with, Load(followers=8), Load(senders=3, followers=8)),
)
