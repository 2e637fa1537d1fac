"""A server that tests start, stop, kill and pause: one child process with its log and its directory.

Lifecycle: ``start`` returns when the server answers; ``stop`` ends it and keeps its directory, so that ``start`` goes
on with the same data at the same address; ``close`` also removes the directory. The guard does the same for a test run
that is killed.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self, TypedDict

from tests.services.guard import new_directory, remove_directory, the_guard

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class ServiceError(Exception):
    """Says in one line what is missing and what mends it, or shows the log of what would not start."""


class Service(ABC):
    """``stop_signal`` is what the server takes for "end now, in order", for which it has ``stop_seconds``."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    stop_seconds: ClassVar[float] = STOP_SECONDS

    def __init__(self) -> None:
        self.directory = new_directory(self.name)
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    def is_ready(self) -> bool: ...

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def working_directory(self) -> Path:
        return self.directory

    def user(self) -> int | None:
        """The user id to run under, where it is not one's own."""
        return None

    @property
    def log_file(self) -> Path:
        return self.directory / "log"

    @property
    def log(self) -> str:
        """Everything that the server has written, over all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        assert not self.is_running, f"{self.name} runs already"
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(),
                cwd=self.working_directory(),
                start_new_session=True,  # Ctrl-C is for the test run, which then stops its servers in order
                **dropped_to(self.user()),
            )
        the_guard().watch_process(self._process.pid, self.stop_signal)
        self._wait_until_ready()
        return self

    def stop(self) -> None:
        """End in order; what does not end in time is killed and reported. One that has ended already is let go."""
        if not self.is_running:
            if self._process is not None:
                self._reap(STOP_SECONDS)  # its number may be somebody else's before long
            return
        self.signal(self.stop_signal)
        self.resume()
        try:
            self._reap(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServiceError(f"{self.name} did not end on {self.stop_signal.name}:\n{self.log[-2000:]}") from None

    def kill(self) -> None:
        """``kill -9``: the server has no say in it."""
        self.signal(signal.SIGKILL)
        self._reap(STOP_SECONDS)

    def restart(self) -> Self:
        self.stop()
        return self.start()

    def pause(self) -> None:
        """Stop the clock for the process: its sockets stay open and nobody answers."""
        self.signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.signal(signal.SIGCONT)

    def close(self) -> None:
        try:
            self.stop()
        finally:
            remove_directory(self.directory)

    def signal(self, number: signal.Signals) -> None:
        self._running().send_signal(number)

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    def _reap(self, seconds: float) -> None:
        process = self._running()
        process.wait(seconds)
        the_guard().forget_process(process.pid)

    def _wait_until_ready(self) -> None:
        if not wait_until(lambda: not self.is_running or self.is_ready(), START_SECONDS) or not self.is_running:
            if self.is_running:
                self.kill()
            raise ServiceError(f"{self.name} did not start:\n{self.log[-2000:]}")


class Account(TypedDict):
    """What ``subprocess`` takes to run a child as another user; all None for oneself."""

    user: int | None
    group: int | None
    extra_groups: list[int] | None


def dropped_to(user: int | None) -> Account:
    """Run a child as ``user``, with no group but the one of that number."""
    return {"user": user, "group": user, "extra_groups": None if user is None else []}


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask until ``condition`` holds, at most ``seconds``; return whether it does."""
    deadline = time.monotonic() + seconds
    while not (holds := condition()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds
