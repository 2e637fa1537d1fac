"""What the server takes from the network before any application is asked."""

from __future__ import annotations

from typing import Protocol


class Limits(Protocol):
    """The part of ``settings.LIMITS`` that the server keeps. Sizes are bytes; ``0`` is no limit."""

    @property
    def body_bytes(self) -> int:
        """Of a request, and of a message on a socket."""
        ...

    @property
    def body_seconds(self) -> float:
        """From a request's headers to its end."""
        ...

    @property
    def handshake_seconds(self) -> float:
        """From the beginning of a connection or request to the end of its headers, and of a socket's handshake."""
        ...

    @property
    def connections(self) -> int:
        """That may be open at a time, of any kind."""
        ...

    @property
    def sockets(self) -> int:
        """That applications may have open."""
        ...

    @property
    def sockets_with_room(self) -> int:
        """The same, or less where the process may not have as many files open."""
        ...

    @property
    def socket_inbound_frames(self) -> int:
        """That wait for a socket's application."""
        ...
