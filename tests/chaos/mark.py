"""A number that only grows, and a way to wait until it has."""

from __future__ import annotations

import asyncio


class Mark:
    """One event loop."""

    def __init__(self) -> None:
        self.value = 0
        self._grown = asyncio.Event()

    def raise_to(self, value: int) -> None:
        """Grow, and wake who waits; a lower number changes nothing."""
        if value > self.value:
            self.value = value
            self._grown.set()
            self._grown = asyncio.Event()

    async def reached(self, value: int) -> None:
        while self.value < value:
            await self._grown.wait()
