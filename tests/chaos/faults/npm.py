"""What becomes of unmodified clients from npm, and of ten lines more, while 1,000 messages are sent."""

from __future__ import annotations

from tests.chaos.faults.servers import terminated
from tests.chaos.npm import NpmFollower
from tests.chaos.people import Follower
from tests.chaos.scene import Fault, Load, Scene
from tests.end_to_end.npm import RESUMABLE, UNMODIFIED

CLIENTS = (*UNMODIFIED, RESUMABLE)
FULL = Load(followers=2 * len(CLIENTS), by_front=True)
SHORT = Load(senders=3, followers=len(CLIENTS), by_front=True)


def npm(scene: Scene, number: int) -> Follower:
    return NpmFollower(CLIENTS[number % len(CLIENTS)], scene.world.front, scene.room, scene.probes[0].token)


async def cut_at_random_bytes(scene: Scene) -> None:
    """Every connection through the proxy is cut after a random number of bytes to the client, senders' included."""
    front = scene.world.front
    front.cut_at(lambda: scene.chance.randint(1, scene.either(40_000, 15_000)))
    await scene.further(1)
    await scene.all_hear(1)
    await scene.further(scene.either(1000, 150))
    front.cut_at(None)
    front.cut_all()
    note_what_came_again(scene)


async def server_ends(scene: Scene) -> None:
    await terminated(scene)
    note_what_came_again(scene)


def note_what_came_again(scene: Scene) -> None:
    for number, follower in enumerate(scene.followers):
        sequences = [said.sequence for stretch in follower.hearing.stretches for said in stretch.said]
        again, returns = len(sequences) - len(set(sequences)), len(follower.hearing.stretches) - 1
        scene.notes.append(f"{CLIENTS[number % len(CLIENTS)]}: back {returns} times, {again} heard again")


FAULTS = (
    Fault("npm clients cut at byte N", cut_at_random_bytes, FULL, SHORT, npm),
    Fault("npm clients, SIGTERM", server_ends, Load(followers=len(CLIENTS), by_front=True), None, npm),
)
