"""How much of everything: each limit has a default, and an environment variable, ``SALAS_LIMIT_`` and its name.

``0`` means none. Nobody needs that in earnest: it is there so that benchmarks and tests can do a thousand times in a
second what people do once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any

from .descriptors import connections_within, sockets_among
from .environment import Environment

PREFIX = "SALAS_LIMIT_"


@dataclass(frozen=True)
class Limits:
    """Sizes are bytes, times seconds, rates per second. ``0`` is no limit."""

    # A GraphQL document
    document_bytes: int = 16 * 1024
    document_tokens: int = 1_000
    document_depth: int = 10
    document_aliases: int = 30
    document_directives: int = 30
    document_root_fields: int = 10
    document_cost: int = 5_000

    # A request, over HTTP or in a frame
    body_bytes: int = 256 * 1024
    json_depth: int = 32
    json_integer_digits: int = 20
    body_seconds: float = 10.0
    operation_seconds: float = 15.0
    statement_seconds: float = 10.0

    # A socket
    handshake_seconds: float = 10.0
    init_seconds: float = 10.0
    socket_operations: int = 50
    socket_waiting_operations: int = 100
    socket_frames_per_second: float = 30.0
    socket_frame_burst: int = 200
    socket_inbound_frames: int = 60
    socket_window_bytes: int = 1024 * 1024
    socket_silence_seconds: float = 30.0

    # All sockets of a process
    sockets_per_viewer: int = 20
    sockets_per_address: int = 100
    sockets: int = 20_000
    reserved_files: int = 128

    # What people do
    send_burst: int = 20
    sends_per_second: float = 5.0
    join_burst: int = 30
    joins_per_second: float = 0.5
    address_join_burst: int = 150
    address_joins_per_second: float = 1.0
    memberships_per_viewer: int = 1_000
    write_burst: int = 100
    writes_per_second: float = 20.0
    logins_per_account: int = 10
    logins_per_address: int = 100
    login_seconds: float = 300.0
    token_seconds: float = 30 * 24 * 3600.0

    @property
    def connections(self) -> int:
        """TCP connections, of any kind, that the process's limit of open files leaves room for."""
        return connections_within(self.reserved_files)

    @property
    def sockets_with_room(self) -> int:
        """``sockets``, or as many as there is room for where that is less."""
        room = sockets_among(self.connections)
        return min(filter(None, (self.sockets, room)), default=0)

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Limits:
        """Raises ImproperlyConfigured for a variable that names no limit, and for a value that is not one."""
        environment = Environment(variables)
        known = {f"{PREFIX}{field.name.upper()}": field for field in fields(cls)}
        unknown = [f"{PREFIX}{name}" for name in environment.named(PREFIX) if f"{PREFIX}{name}" not in known]
        environment.faults += [_unknown(name, list(known)) for name in unknown]
        given: dict[str, Any] = {}
        for name, field in known.items():
            read = environment.whole_number if field.type == "int" else environment.number
            given[field.name] = read(name, getattr(cls, field.name))
        environment.require_no_faults()
        return cls(**given)


def _unknown(name: str, known: Sequence[str]) -> str:
    nearest = get_close_matches(name, known, n=1)
    return f"{name}: there is no such limit" + (f"; {nearest[0]} is one" if nearest else " (docs/limits.md lists them)")
