"""The clients from npm as they come, each in a child process that follows a room from its beginning."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from rooms.models import Room
from schema.cursors import log_cursor

from .client import room_id

FRONTEND = Path(__file__).parents[2] / "frontend"
UNMODIFIED = ("graphql-ws", "apollo", "urql")
RESUMABLE = "resumable"  # graphql-ws with the ten lines of frontend/src/resumable.ts


class NpmClient:
    """``lines`` are the JSON objects that a program of frontend/tests/ prints, until it ends."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        assert self.process.stdout
        async for line in self.process.stdout:
            yield json.loads(line)


@asynccontextmanager
async def npm_client(
    name: str, graphql_url: str, token: str, room: Room, *, until: int | None = None, is_stubborn: bool = False
) -> AsyncIterator[NpmClient]:
    """Client ``name``, which ends by itself, with status 0, after the sequence ``until``; with 1 when it gives up.

    A stubborn one has the options that docs/guarantees.md recommends, and does not give up.
    """
    variables = {
        "SALAS_URL": graphql_url,
        "TOKEN": token,
        "ROOM_ID": room_id(room),
        "AFTER": log_cursor(room.pk, 0, room.epoch),
    }
    if until is not None:
        variables["UNTIL"] = str(until)
    if is_stubborn:
        variables["STUBBORN"] = "yes"
    async with npm_program("follow.mjs", variables, name) as client:
        yield client


@asynccontextmanager
async def npm_program(program: str, variables: Mapping[str, str], *arguments: str) -> AsyncIterator[NpmClient]:
    """``program`` of frontend/tests/, with ``variables`` in its environment; killed at the end if it still runs."""
    node = shutil.which("node")
    assert node, "Node is part of what `make test` sets up"
    process = await asyncio.create_subprocess_exec(
        *(node, "--import", "./examples/node-websocket.mjs", f"tests/{program}", *arguments),
        cwd=FRONTEND,
        env={**os.environ, **variables},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield NpmClient(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
