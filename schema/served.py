"""What a socket needs of whom it belongs to: the transport of its process, and the server below it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypedDict

from strawberry.schema import BaseSchema

from rooms.hub import Hub

from .beginnings import Beginnings
from .cohorts import Cohorts
from .identities import Identities
from .limits import Pace, SocketLimits
from .pacemaker import Pacemaker
from .presence import OpenSockets
from .receipts import Receipts


class Notice(Protocol):
    """Something that begins at some time."""

    def call(self, call: Callable[[], None], /) -> None:
        """Call it once, soon after that."""
        ...


class Drain(TypedDict):
    """The ASGI extension ``salas.drain`` of a server that can end in order."""

    began: Notice
    delay_seconds: float


class Served(Protocol):
    """What a socket needs of the transport that it belongs to."""

    @property
    def schema(self) -> BaseSchema: ...

    @property
    def hub(self) -> Hub: ...

    @property
    def receipts(self) -> Receipts: ...

    @property
    def limits(self) -> SocketLimits: ...

    @property
    def pace(self) -> Pace: ...

    @property
    def sockets(self) -> OpenSockets: ...

    @property
    def identities(self) -> Identities: ...

    @property
    def beginnings(self) -> Beginnings: ...

    @property
    def cohorts(self) -> Cohorts: ...

    @property
    def pacemaker(self) -> Pacemaker: ...
