"""What ten who never read cost 990 others, and the server: an inside view of Salas, with the tests' own client."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing
from statistics import median

import django

from tests.bench.contestants import LIFTED, Contestant, DurablePostgres
from tests.bench.cores import on_server_core
from tests.bench.results import Figures
from tests.services.redis import Redis
from tests.services.salas import Salas, migrate

from .common import Scale, Scenario

NAME = "slow-readers"


def measure(_contestant: Contestant, _scale: Scale) -> Figures:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.update(LIFTED)  # the room is filled from this process
    django.setup()
    from . import mute_readers

    with closing(DurablePostgres().start()) as postgres, closing(Redis().start()) as redis:
        database_url = postgres.create_database("slow_readers")
        migrate(database_url)
        with on_server_core():
            server = Salas(database_url, redis.url, serve=[]).start()
        with closing(server):
            alone, beside = asyncio.run(mute_readers.measured(server))
    return {
        "p99 with, over without": beside.p99 / alone.p99,
        "median without, ms": alone.median,
        "median with, ms": beside.median,
        "p99 without, ms": alone.p99,
        "p99 with, ms": beside.p99,
        "memory that the ten take, MiB": median(beside.growth),
    }


SLOW_READERS = Scenario(
    NAME,
    "Latency of 990 who read, without and with ten who never do",
    "p99 with, over without",
    measure,
    frozenset({"salas"}),
    more_is_better=False,
    once=True,
)
