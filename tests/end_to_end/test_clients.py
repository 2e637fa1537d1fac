"""The npm clients against a real server, with the very code that README shows."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from tests.people import make_room
from tests.plugins.servers import MakeServers
from tests.services.salas import Salas

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "frontend"
EXAMPLES = sorted((FRONTEND / "examples").glob("*.mjs"))
CLIENTS = [example for example in EXAMPLES if example.name != "node-websocket.mjs"]
ENOUGH_SECONDS = 60


async def run_example(example: Path, server: Salas) -> list[dict[str, object]]:
    """Run a client's program against ``server`` and return what it printed."""
    node = shutil.which("node")
    assert node, "Node is part of what `make test` sets up"
    process = await asyncio.create_subprocess_exec(
        node,
        "--import",
        "./examples/node-websocket.mjs",
        str(example),
        cwd=FRONTEND,
        env={**os.environ, "SALAS_URL": server.graphql_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await asyncio.wait_for(process.communicate(), ENOUGH_SECONDS)
    assert process.returncode == 0, complaints.decode()
    return [json.loads(line) for line in printed.decode().splitlines()]


@pytest.mark.parametrize("example", CLIENTS, ids=lambda example: example.stem)
async def test_a_client_queries_sends_and_hears_itself(example: Path, make_servers: MakeServers) -> None:
    server = make_servers()[0]
    await server.acall(make_room, slug="lobby", name="Lobby")
    heard = await run_example(example, server)
    assert [event["sequence"] for event in heard] == [1]


def test_there_is_an_example_for_each_client() -> None:
    assert {example.stem for example in CLIENTS} == {"apollo", "graphql-ws", "urql"}


@pytest.mark.parametrize("name", ["apollo", "urql"])
def test_readme_shows_the_code_that_was_run(name: str) -> None:
    assert (FRONTEND / "examples" / f"{name}.mjs").read_text().strip() in (ROOT / "README.md").read_text()
