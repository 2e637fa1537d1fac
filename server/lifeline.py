"""What ties a worker to its parent: a pair of connected sockets.

The worker says on it that it serves. When the parent is gone, however it ended, the kernel closes its end, and the
worker drains. This works on every system and, since a thread waits for it, also while the event loop is held up.
"""

from __future__ import annotations

import os
import signal
import socket
import threading

READY = b"r"


class Lifeline:
    """The worker's end. ``kill_seconds`` is how long it may live on without a parent."""

    def __init__(self, handle: int, kill_seconds: float) -> None:
        self._end = socket.socket(fileno=handle)
        self._kill_seconds = kill_seconds
        threading.Thread(target=self._watch, name="lifeline", daemon=True).start()

    def say_ready(self) -> None:
        self._end.send(READY)

    def _watch(self) -> None:
        self._end.recv(1)  # the parent never says anything
        signal.setitimer(signal.ITIMER_REAL, self._kill_seconds)  # should the main thread not come to handle the signal
        os.kill(os.getpid(), signal.SIGTERM)
