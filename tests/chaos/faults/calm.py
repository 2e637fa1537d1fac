"""No fault but people: nobody, many, and the same one at both doors."""

from __future__ import annotations

import asyncio

from tests.chaos.scene import Fault, Load, Scene

AT_ONCE = 20
BURST = Load(senders=20, followers=10, pause=(0, 0), messages=1000)
SHORT_BURST = Load(senders=20, followers=4, pause=(0, 0), messages=200)


async def nothing(scene: Scene) -> None:
    await scene.further(scene.either(200, 30))


async def burst(scene: Scene) -> None:
    assert scene.load.messages
    await scene.ledger.acknowledged.reached(scene.load.messages)


async def same_key(scene: Scene) -> None:
    """The same message of the same author, twenty times in parallel over both processes."""
    somebody = scene.senders[0]
    for number in range(scene.either(25, 5)):
        sent = scene.ledger.open(key := f"same {number}", text=f"said under {key}")
        doors = [scene.world.servers[turn % 2] for turn in range(AT_ONCE)]
        ends = await asyncio.gather(*(somebody.attempt(sent, door) for door in doors))
        if not all(ends):
            scene.problems.append(f"{ends.count(False)} of {AT_ONCE} got no answer")


FAULTS = (
    Fault("none", nothing),
    Fault("burst of 1,000 by 20 senders", burst, BURST, SHORT_BURST),
    Fault("the same key 20 times at once", same_key),
)
