"""``manage.py serve`` as a child process, with the application of these tests."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

from tests.services.guard import is_running
from tests.services.service import Service, wait_until

ROOT = Path(__file__).resolve().parents[2]
LISTENING = re.compile(r"Listening on TCP address 127\.0\.0\.1:(\d+)")
ENOUGH_SECONDS = 10


class Served(Service):
    """``options`` are of the command line, ``limits`` other ones than by default."""

    name = "served"

    def __init__(self, *options: str, **limits: float) -> None:
        super().__init__()
        self._options = options
        self._limits = {f"SALAS_LIMIT_{name.upper()}": str(value) for name, value in limits.items()}

    def command(self) -> list[str]:
        return [sys.executable, "manage.py", "serve", "--port=0", *self._options]

    def is_ready(self) -> bool:
        return LISTENING.search(self.log) is not None

    def environment(self) -> dict[str, str]:
        return (
            os.environ | {"DJANGO_SETTINGS_MODULE": "tests.server.settings", "PYTHONWARNINGS": "error"} | self._limits
        )

    def working_directory(self) -> Path:
        return ROOT

    @property
    def address(self) -> str:
        found = LISTENING.search(self.log)
        assert found
        return f"127.0.0.1:{found[1]}"

    @property
    def url(self) -> str:
        return f"http://{self.address}"

    @property
    def websocket_url(self) -> str:
        return f"ws://{self.address}"

    async def logged(self, text: str, times: int = 1) -> None:
        """Return once ``text`` has been written so often."""
        assert await asyncio.to_thread(wait_until, lambda: self.log.count(text) >= times, ENOUGH_SECONDS), self.log

    async def drain(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Return once the drain has begun."""
        self.signal(number)
        await self.logged("Draining")

    async def ended(self) -> int:
        """Return the exit status once there is one."""
        await asyncio.to_thread(self._reap, ENOUGH_SECONDS)
        return self._running().returncode


async def gone(pid: int) -> None:
    """Return once there is no such process."""
    assert await asyncio.to_thread(wait_until, lambda: not is_running(pid), ENOUGH_SECONDS)
