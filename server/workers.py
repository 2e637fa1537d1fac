"""The parent of several serving processes on one port.

Concurrency: one event loop, one task per worker.
Lifecycle: ready once every worker is. A worker that ends by itself is replaced, until SIGTERM or SIGINT: both are
passed on, the workers drain, and ``run`` returns when all are gone. Workers have process groups of their own, so that
Ctrl-C in a terminal reaches them once, from here.
Invariants: a listening socket outlives its workers, so what waits in its queue is served by the next one. No worker
outlives the parent: see ``lifeline``.
Dependencies: the standard library.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from asyncio.subprocess import Process
from collections.abc import Callable, Sequence

SIGNALS = (signal.SIGTERM, signal.SIGINT)
STEADY_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0

Command = Callable[[int, int], Sequence[str]]
Say = Callable[[str], None]


def pause_seconds(deaths_in_a_row: int) -> float:
    """How long to wait before a worker is replaced: not at all the first time, then longer and longer."""
    if deaths_in_a_row <= 1:
        return 0.0
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (deaths_in_a_row - 2), LONGEST_PAUSE_SECONDS)


class Workers:
    """One worker for each of ``listeners``. ``command`` takes the handles of a listener and of a lifeline.

    ``kill_seconds`` after the signal, what has not ended is killed.
    """

    def __init__(
        self,
        command: Command,
        listeners: Sequence[socket.socket],
        environment: dict[str, str],
        *,
        kill_seconds: float,
        on_ready: Callable[[], None],
        say: Say,
    ) -> None:
        self._command = command
        self._listeners = listeners
        self._environment = environment
        self._kill_seconds = kill_seconds
        self._on_ready = on_ready
        self._say = say
        self._ready: set[int] = set()
        self._processes: set[Process] = set()
        self._ending = asyncio.Event()
        self._status = 0

    async def run(self) -> int:
        """Serve until the end; return the exit status, 0 when every worker ended in order."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._end)
        try:
            await asyncio.gather(*(self._keep(number) for number in range(len(self._listeners))))
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)
        self._say("Ended")
        return self._status

    async def _keep(self, number: int) -> None:
        """Keep one worker running, until the end."""
        deaths = 0
        while not self._ending.is_set():
            began = asyncio.get_running_loop().time()
            status = await self._run(number)
            if self._ending.is_set():
                self._note(number, status)
            elif number not in self._ready:
                self._say(f"Worker {number + 1} could not start ({status})")
                self._status = 1
                self._end()
            else:
                steady = asyncio.get_running_loop().time() - began >= STEADY_SECONDS
                deaths = 1 if steady else deaths + 1
                self._say(f"Worker {number + 1} ended ({status}): starting another")
                await self._pause(pause_seconds(deaths))

    async def _run(self, number: int) -> int:
        """Start a worker and return its status when it has ended."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours:
            process = await self._spawn(number, theirs)
            self._processes.add(process)
            try:
                if self._ending.is_set():
                    process.send_signal(signal.SIGTERM)
                if await asyncio.get_running_loop().sock_recv(ours, 1):
                    self._note_ready(number)
                return await process.wait()
            finally:
                self._processes.discard(process)

    async def _spawn(self, number: int, lifeline: socket.socket) -> Process:
        with lifeline:
            handles = (self._listeners[number].fileno(), lifeline.fileno())
            return await asyncio.create_subprocess_exec(
                *self._command(*handles), pass_fds=handles, process_group=0, env=self._environment
            )

    def _note_ready(self, number: int) -> None:
        was_ready = len(self._ready) == len(self._listeners)
        self._ready.add(number)
        if not was_ready and len(self._ready) == len(self._listeners):
            self._on_ready()

    def _note(self, number: int, status: int) -> None:
        """A worker that was told to end before it served has nothing to drain."""
        if status and number in self._ready:
            self._say(f"Worker {number + 1} did not end in order ({status})")
            self._status = 1

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    def _end(self) -> None:
        """The first time: no new connections, and a drain. The second time the workers end at once.

        Two signals of a kind may arrive as one, so the second is not passed on as it is.
        """
        if self._ending.is_set():
            self._signal(signal.SIGKILL)
            return
        self._say("Draining: no new connections")
        self._ending.set()
        for listener in self._listeners:
            listener.close()
        asyncio.get_running_loop().call_later(self._kill_seconds, self._signal, signal.SIGKILL)
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.send_signal(number)
