"""The sockets that servers listen on: open before any process serves, so that one port stands for all of them."""

from __future__ import annotations

import socket
import sys

BACKLOG = 2048


def listen(host: str, port: int, count: int) -> list[socket.socket]:
    """Return ``count`` sockets that listen at one address; port 0 is one that is free. Raises OSError.

    On Linux each has a queue of its own, among which the kernel spreads connections evenly, however busy each server
    is; what waits in a queue survives its server when the socket does. Elsewhere it is one socket, several times.
    """
    if count == 1 or sys.platform != "linux":
        return [listening(host, port)] * count
    with bound(host, port) as free:  # fails where somebody listens, which those that share a port would not
        port = free.getsockname()[1]
    return [listening(host, port, share=True) for _ in range(count)]


def listening(host: str, port: int, *, share: bool = False) -> socket.socket:
    listener = bound(host, port, share=share)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener


def bound(host: str, port: int, *, share: bool = False) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except BaseException:
        bound.close()
        raise
    return bound


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
