"""The public audit suite of GraphQL over HTTP, npm ``graphql-http``, against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

from tests.services.salas import Salas

FRONTEND = Path(__file__).parents[2] / "frontend"
ENOUGH_SECONDS = 60
NUMBER_OF_AUDITS = 61


async def audited(server: Salas) -> list[dict[str, str]]:
    node = shutil.which("node")
    assert node, "Node is part of what `make test` sets up"
    process = await asyncio.create_subprocess_exec(
        node,
        "tests/audit.mjs",
        cwd=FRONTEND,
        env={**os.environ, "SALAS_URL": server.graphql_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, complaints = await asyncio.wait_for(process.communicate(), ENOUGH_SECONDS)
    assert process.returncode == 0, complaints.decode()
    return [json.loads(line) for line in printed.decode().splitlines()]


async def test_every_audit_passes(embedded_server: Salas) -> None:
    audits = await audited(embedded_server)
    assert [audit for audit in audits if audit["status"] != "ok"] == []
    assert len({audit["id"] for audit in audits}) == NUMBER_OF_AUDITS
