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
    def socket_frames_per_second(self) -> float: ...

    @property
    def socket_frame_burst(self) -> int: ...

    @property
    def socket_window_bytes(self) -> int: ...

    @property
    def socket_silence_seconds(self) -> float: ...

    @property
    def sockets(self) -> int: ...

    @property
    def sockets_per_address(self) -> int: ...

    @property
    def sockets_per_viewer(self) -> int: ...


@dataclass(frozen=True)
class Pace:
    """``receipt_seconds`` pass between a message and the ping that asks to confirm it, ``heartbeat_seconds`` between
    pings where nothing is sent; in a drain what runs has ``drain_seconds`` to end."""

    receipt_seconds: float = 0.1
    heartbeat_seconds: float = 8.0
    drain_seconds: float = 4.0
