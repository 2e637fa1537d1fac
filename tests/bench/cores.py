"""Which core does what, and what it has cost: processor time and memory as the operating system counts them (proc(5)).

A server and its Redis share one core. The other has the load generator and PostgreSQL, which waits for the disk most
of the time; how busy that core was is a figure of every measurement, so that nobody takes its limit for a server's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

SERVER_CORE, LOAD_CORE = 0, 1
NICENESS = -15
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class TooFewCores(Exception):
    """The benchmark wants two."""


def take_load_core() -> None:
    """Keep this process, and what it starts, to the load's core, before whatever else wants it."""
    if not {SERVER_CORE, LOAD_CORE} <= os.sched_getaffinity(0):
        raise TooFewCores(f"the benchmark needs cores {SERVER_CORE} and {LOAD_CORE}, and may use only one of them")
    os.sched_setaffinity(0, {LOAD_CORE})
    prefer(os.getpid())


def prefer(pid: int) -> None:
    """Let a process and its threads come before what else runs on the machine, where we may ask for that.

    The kernel weighs sessions against each other before it weighs the processes in them (sched(7), autogroup).
    """
    for task in _tasks(pid):
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, int(task.name), NICENESS)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS))


@contextmanager
def on_server_core() -> Iterator[None]:
    """A process that is started within inherits the affinity of the thread that starts it (sched_setaffinity(2))."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def with_descendants(pid: int) -> list[int]:
    """``pid`` and every process below it."""
    below = [int(child) for task in _tasks(pid) for child in _read(task / "children").split()]
    return [pid, *(found for child in below for found in with_descendants(child))]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Processor time of the processes so far, user and system, of all their threads."""
    return sum(_cpu_ticks(pid) for pid in pids) / TICKS_PER_SECOND


def waited_seconds(pids: Iterable[int]) -> float:
    """For how long their threads could have run and did not (proc(5), schedstat)."""
    tasks = (task for pid in pids for task in _tasks(pid))
    return sum(int((_read(task / "schedstat").split() or ["0", "0"])[1]) for task in tasks) / 1e9


def resident_bytes(pids: Iterable[int]) -> int:
    return sum(int((_read(Path(f"/proc/{pid}/statm")).split() or ["0", "0"])[1]) * PAGE_BYTES for pid in pids)


@dataclass(frozen=True)
class CoreTime:
    """Ticks of one core so far."""

    busy: int
    all: int

    @classmethod
    def of(cls, core: int) -> CoreTime:
        line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} "))
        user, nice, system, idle, waiting, *rest = map(int, line.split()[1:9])
        busy = user + nice + system + sum(rest)
        return cls(busy, busy + idle + waiting)

    def busy_share_until(self, later: CoreTime) -> float:
        return (later.busy - self.busy) / max(later.all - self.all, 1)


class Meter:
    """What passes until ``stop``: time, processor time of ``pids``, and what the cores did meanwhile.

    ``load_core_share`` says whether the load's core was the limit. ``disturbed_share`` is for how much of the time the
    server waited for its core while something had it that has nothing to do with this run: where that is more than a
    little, the figures are worth little. What others get while the server has nothing to do is no disturbance.
    """

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._server_core, self._load_core = CoreTime.of(SERVER_CORE), CoreTime.of(LOAD_CORE)
        self._cpu, self._waited = cpu_seconds(pids), waited_seconds(pids)
        self._began = perf_counter()
        self.seconds = self.cpu_seconds = self.load_core_share = self.disturbed_share = 0.0

    def stop(self) -> None:
        self.seconds = perf_counter() - self._began
        self.cpu_seconds = cpu_seconds(self._pids) - self._cpu
        self.load_core_share = self._load_core.busy_share_until(CoreTime.of(LOAD_CORE))
        busy = self._server_core.busy_share_until(CoreTime.of(SERVER_CORE))
        others = max(0.0, busy - self.cpu_seconds / self.seconds)
        waited = max(0.0, waited_seconds(self._pids) - self._waited) / self.seconds
        self.disturbed_share = min(others, waited)


def _cpu_ticks(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12]) if fields else 0


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _read(path: Path) -> str:
    """Nothing for a process that has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
