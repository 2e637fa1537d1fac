"""One serving process, from its start to its end.

Concurrency: the signal handlers run in the main thread, between any two steps of the event loop.
Lifecycle: SIGTERM or SIGINT begins the drain. From then on a signal ends the process at once, as does the system when
the time for the drain is over and something holds up the event loop.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from types import FrameType
from typing import Any, NoReturn

from .daphne import Server, keep_steady_time
from .drain import Timetable
from .lifeline import Lifeline
from .limits import Limits

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Serving:
    """``address`` is what to call the listener; with a ``lifeline`` the parent speaks for this process."""

    def __init__(
        self,
        application: Any,
        listener: Any,
        address: str,
        timetable: Timetable,
        limits: Limits,
        lifeline: Lifeline | None,
        **options: Any,
    ) -> None:
        self._address = address
        self._timetable = timetable
        self._lifeline = lifeline
        self._drain_began = 0.0
        self._server = Server(
            application,
            listener,
            timetable=timetable,
            limits=limits,
            on_ready=self._ready,
            on_drain=self._drains,
            **options,
        )

    def run(self) -> NoReturn:
        """Serve until the end, and exit: with status 0 when no application had to be cancelled.

        The interpreter's own way to end would wait for threads, of which one may be in the middle of a long query.
        """
        for number in SIGNALS:
            signal.signal(number, self._begin_drain)
        keep_steady_time()
        self._server.run()
        self._say(f"Ended after {time.monotonic() - self._drain_began:.1f} s")
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if self._server.cancelled else 0)

    def _begin_drain(self, _number: int, _frame: FrameType | None) -> None:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, self._timetable.kill)
        self._drain_began = time.monotonic()
        self._server.drain()

    def _ready(self) -> None:
        if self._lifeline is not None:
            self._lifeline.say_ready()
        self._say(f"Listening on TCP address {self._address}")

    def _drains(self, sockets: int) -> None:
        self._say(f"Draining: no new connections, {sockets} sockets are sent elsewhere")

    def _say(self, line: str) -> None:
        if self._lifeline is None:
            say(line)


def say(line: str) -> None:
    """Tell the operator."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
