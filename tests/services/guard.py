"""Cleans up behind a test run that was killed: no process and no directory outlives the one that started it.

What it is: a child process that holds the reading end of a pipe. The kernel closes the other end when the test run is
gone, however it ended; the guard then stops what is left. It runs as a plain script, without the project's packages.
Lines on the pipe: ``process <pid> <signal>``, ``directory <path>``, and ``forget process <pid>`` and so on once done.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from threading import Lock

PATIENCE_SECONDS = 5.0

starting = Lock()


class Guard:
    """The side of the test run. Whatever is watched must be forgotten once it has ended: pids are used again."""

    def __init__(self) -> None:
        self._speaking = Lock()
        self._child = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__], stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def watch_process(self, pid: int, stop_signal: signal.Signals) -> None:
        self._say(f"process {pid} {stop_signal.value}")

    def forget_process(self, pid: int) -> None:
        self._say(f"forget process {pid}")

    def watch_directory(self, path: Path) -> None:
        self._say(f"directory {path}")

    def forget_directory(self, path: Path) -> None:
        self._say(f"forget directory {path}")

    def close(self) -> None:
        """Have everything stopped that is still watched."""
        self._child.communicate()

    def _say(self, line: str) -> None:
        assert self._child.stdin
        with self._speaking:
            self._child.stdin.write(f"{line}\n")
            self._child.stdin.flush()


def the_guard() -> Guard:
    """Return the one of this run, started when first asked for, from whatever thread."""
    with starting:
        return only_guard()


@cache
def only_guard() -> Guard:
    guard = Guard()
    atexit.register(guard.close)
    return guard


def new_directory(name: str) -> Path:
    """Make a directory that is gone after the run; ``remove_directory`` is for those who are done earlier."""
    directory = Path(tempfile.mkdtemp(prefix=f"salas-{name}-"))
    the_guard().watch_directory(directory)
    return directory


def remove_directory(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
    the_guard().forget_directory(directory)


def read(lines: Iterable[str]) -> tuple[dict[int, int], set[str]]:
    """Return what is still watched at the end of ``lines``: signals by pid, and directories."""
    processes: dict[int, int] = {}
    directories: set[str] = set()
    for line in lines:
        match line.rstrip("\n").split(" ", 2):
            case ["process", pid, number]:
                processes[int(pid)] = int(number)
            case ["forget", "process", pid]:
                processes.pop(int(pid), None)
            case ["directory", *path]:
                directories.add(" ".join(path))
            case ["forget", "directory", path]:
                directories.discard(path)
    return processes, directories


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not is_zombie(pid)


def is_zombie(pid: int) -> bool:
    """Whether ``pid`` has ended and only waits for its parent, as far as this system tells."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return False


def send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def stop(processes: dict[int, int]) -> None:
    """Ask each to stop as it likes to be asked, also when it was paused; kill what does not."""
    for pid, number in processes.items():
        send(pid, number)
        send(pid, signal.SIGCONT)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(map(is_running, processes)) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in filter(is_running, processes):
        send(pid, signal.SIGKILL)


if __name__ == "__main__":
    watched, left_behind = read(sys.stdin)
    stop(watched)
    for directory in left_behind:
        shutil.rmtree(directory, ignore_errors=True)
