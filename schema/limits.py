"""What a socket may take, and at what pace it is asked whether it still listens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class SocketLimits(Protocol):
    """The part of ``settings.LIMITS`` that is about sockets. ``0`` is no limit."""

    @property
    def init_seconds(self) -> float: ...

    @property
    def socket_operations(self) -> int: ...

    @property
    def socket_waiting_operations(self) -> int: ...

    @property
    def body_bytes(self) -> int: ...

    @property
    def socket_frames_per_second(self) -> float: ...

    @property
    def socket_frame_burst(self) -> int: ...

    @property
    def socket_window_bytes(self) -> int: ...

    @property
    def socket_silence_seconds(self) -> float: ...

    @property
    def sockets_with_room(self) -> int: ...

    @property
    def sockets_per_address(self) -> int: ...

    @property
    def sockets_per_viewer(self) -> int: ...


@dataclass(frozen=True)
class Pace:
    """At what pace sockets are asked, in seconds.

    A burst is over, and its receipt due, when nothing has been sent for ``receipt_seconds``; where nothing is sent at
    all a ping goes every ``heartbeat_seconds``. In a drain what runs has ``drain_seconds`` to end. Who a client is was
    found out at most ``identity_seconds`` ago when it asks for something.
    """

    receipt_seconds: float = 0.25
    heartbeat_seconds: float = 8.0
    drain_seconds: float = 4.0
    identity_seconds: float = 1.0
