"""Loaded by the Python of every server of a chaos run, whose PYTHONPATH leads here. The product knows nothing of it.

SIGUSR1: write to stderr how many tasks the loop has. SIGUSR2: put the clock an hour ahead, and the next time right
again; that is what ``time.time`` and Django's ``timezone.now`` tell, by which all of Salas knows the time of day.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from datetime import datetime, timedelta
from types import FrameType

from django.utils import timezone

AN_HOUR = 3600

ahead = 0
right_time, right_time_ns, right_now = time.time, time.time_ns, timezone.now


def shifted_time() -> float:
    return right_time() + ahead


def shifted_time_ns() -> int:
    return right_time_ns() + ahead * 10**9


def shifted_now() -> datetime:
    return right_now() + timedelta(seconds=ahead)


def jump(_number: int, _frame: FrameType | None) -> None:
    global ahead  # noqa: PLW0603 - it is the whole process's clock
    ahead = 0 if ahead else AN_HOUR
    os.write(2, b"chaos: the clock is %d s ahead\n" % ahead)


def tell_tasks(_number: int, _frame: FrameType | None) -> None:
    """Python runs handlers in the main thread, which is the loop's."""
    os.write(2, b"chaos: %d tasks\n" % len(asyncio.all_tasks()))


time.time, time.time_ns, timezone.now = shifted_time, shifted_time_ns, shifted_now
signal.signal(signal.SIGUSR1, tell_tasks)
signal.signal(signal.SIGUSR2, jump)
