"""What becomes of unmodified clients from npm, and of ten lines more, while 1,000 messages are sent."""

from __future__ import annotations

from functools import partial

from tests.chaos.faults.servers import terminated
from tests.chaos.npm import NpmFollower
from tests.chaos.people import Follower
from tests.chaos.scene import Fault, Load, Scene
from tests.end_to_end.npm import RESUMABLE, UNMODIFIED

HANDSHAKE_BYTES = 1000
CLIENTS = (*UNMODIFIED, RESUMABLE)
FULL = Load(followers=2 * len(CLIENTS), by_front=True)
SHORT = Load(senders=3, followers=len(CLIENTS), by_front=True)


def npm(scene: Scene, number: int, *, is_stubborn: bool = False) -> Follower:
    """A client with the options that it comes with; the stubborn one has those that we recommend."""
    name, token = CLIENTS[number % len(CLIENTS)], scene.probes[0].token
    return NpmFollower(name, scene.world.front, scene.room, token, is_stubborn=is_stubborn)


async def cut_at_random_bytes(scene: Scene) -> None:
    """Each connection is cut once it has carried so many bytes to its client, senders' included.

    Not before it is open: with their own options these clients take a handshake that fails for the last word.
    """
    await cut(scene, at_least=HANDSHAKE_BYTES)


async def cut_at_any_byte(scene: Scene) -> None:
    """In the midst of the handshake as well."""
    await cut(scene, at_least=1)


async def cut(scene: Scene, at_least: int) -> None:
    front, at_most = scene.world.front, scene.either(40_000, 15_000)
    front.cut_at(lambda: scene.chance.randint(at_least, at_most))
    await scene.further(1)
    await scene.all_hear(1)
    await scene.further(scene.either(1000, 150))
    front.cut_at(None)
    front.cut_all(at_least)
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
    Fault("npm clients, stubborn, cut at any byte", cut_at_any_byte, FULL, None, partial(npm, is_stubborn=True)),
    Fault("npm clients, SIGTERM", server_ends, Load(followers=len(CLIENTS), by_front=True), None, npm),
)
