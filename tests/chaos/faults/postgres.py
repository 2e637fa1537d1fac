"""Faults of PostgreSQL. Nothing can be sent meanwhile, and nothing that was acknowledged may be gone afterwards."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress

import psycopg

from tests.chaos.scene import Fault, Scene
from tests.chaos.world import DATABASE, MAX_CONNECTIONS

AWAY_SECONDS = 5.0
LONG_AWAY_SECONDS = 35.0
OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


async def restarted(scene: Scene) -> None:
    """Stopped in order, which ends every session, and started at once."""
    await scene.further(10)
    await asyncio.to_thread(scene.world.postgres.restart)


async def killed(scene: Scene) -> None:
    """``kill -9``: it recovers from its write-ahead log."""
    await scene.further(10)
    await asyncio.to_thread(scene.world.postgres.kill)
    await asyncio.to_thread(scene.world.postgres.start)


async def away(scene: Scene) -> None:
    """Gone for longer than anybody waits for an answer or a connection."""
    await scene.further(10)
    await asyncio.to_thread(scene.world.postgres.stop)
    await asyncio.sleep(LONG_AWAY_SECONDS)
    await asyncio.to_thread(scene.world.postgres.start)


async def paused(scene: Scene) -> None:
    """SIGSTOP for all its processes: sessions stay open and nobody answers."""
    await scene.further(10)
    await asyncio.to_thread(scene.world.postgres.pause)
    await asyncio.sleep(scene.either(AWAY_SECONDS, 2))
    await asyncio.to_thread(scene.world.postgres.resume)


async def out_of_connections(scene: Scene) -> None:
    """Somebody else has all of them."""
    await scene.further(10)
    with ExitStack() as stack:
        await asyncio.to_thread(hoard, scene.world.postgres.url("postgres"), stack)
        on_the_way = len(scene.senders)  # each may still get the answer to what was stored before
        before = scene.ledger.acknowledged.value
        await asyncio.sleep(scene.either(AWAY_SECONDS, 1))
        if scene.ledger.acknowledged.value > before + on_the_way:
            scene.problems.append("somebody had a connection left")


def hoard(url: str, stack: ExitStack) -> None:
    """Take every connection there is. ``url`` is of another database, whose door stays open meanwhile."""

    def take() -> psycopg.Connection:
        return stack.enter_context(psycopg.connect(url, autocommit=True))

    first = take()
    first.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS false")
    first.execute("SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity WHERE datname = %s", [DATABASE])
    with suppress(psycopg.OperationalError):
        for _ in range(MAX_CONNECTIONS):
            take()
    first.execute(f"ALTER DATABASE {DATABASE} ALLOW_CONNECTIONS true")


async def sessions_ended(scene: Scene) -> None:
    """Every session is ended from the other side, as a firewall or an administrator may do."""
    for _ in range(scene.either(5, 2)):
        await scene.further(10)
        await asyncio.to_thread(end_sessions, scene.world.database_url)


def end_sessions(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"SELECT pg_terminate_backend(pid) {OTHERS}")


FAULTS = (
    Fault("PostgreSQL restarted", restarted),
    Fault("PostgreSQL killed", killed),
    Fault("PostgreSQL away for 35 s", away, short_load=None),
    Fault("PostgreSQL paused", paused),
    Fault("PostgreSQL out of connections", out_of_connections),
    Fault("PostgreSQL ends all sessions", sessions_ended),
)
