"""A shared subscription on one socket, from its beginning to its end: checked, seated at the room's feed, in a cohort.

Concurrency: one event loop. ``begun_live`` is awaited by the operation's task; what is live needs no task.
Invariants: nothing is sent before access was checked, and nothing after ``stop``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphql import located_error

from rooms.exceptions import Refusal
from rooms.hub import Seat

from .cohorts import Cohorts, Member
from .context import Context
from .errors import Interrupted, log_unexpected, presented
from .flow import Flow, encoded
from .operations import InTime
from .sharing import Shared
from .subscriptions import Begun, begin
from .tracing import Trace, finish


class Refused(Exception):
    """The subscription does not begin. ``payload`` is that of the protocol's ``error``."""

    def __init__(self, payload: list[dict[str, Any]]) -> None:
        super().__init__(payload)
        self.payload = payload


@dataclass(frozen=True)
class Live:
    """``member`` hears what its ``seat`` at the feed lets it hear; ``trace`` ends with it."""

    seat: Seat
    member: Member
    trace: Trace

    def stop(self) -> None:
        """To be called once."""
        self.member.leave()
        self.seat.leave()
        self.trace.status = self.trace.status or "cancelled"
        finish("Operation", self.trace)


async def begun_live(
    shared: Shared,
    context: Context,
    cohorts: Cohorts,
    flow: Flow,
    operation_id: str,
    fail: Callable[[Exception], None],
    trace: Trace,
) -> Live:
    """Begin, and send nothing yet: that is for ``member.go_on``.

    Raises Refused; Interrupted for a passing reason; and the refusal of who has lost access meanwhile, and was told so.
    """
    begun = await _begun(shared, context)
    seat = await _seat(begun)
    cohort = cohorts.of(seat.feed, shared.key, shared.show(begun.room.pk, begun.room.epoch))
    prefix = encoded({"id": operation_id, "type": "next"})[:-1] + b',"payload":'
    member = Member(cohort, flow, operation_id, prefix, begun.sequence, fail)
    trace.is_left_open = True
    return Live(seat, member, trace)


async def _begun(shared: Shared, context: Context) -> Begun:
    try:
        async with InTime():
            return await begin(context, shared.room_id, shared.after)
    except Interrupted:
        raise
    except Exception as error:
        key = shared.node.alias or shared.node.name
        located = located_error(error, [shared.node], [key.value])
        log_unexpected([located])
        raise Refused([presented(located)]) from error


async def _seat(begun: Begun) -> Seat:
    head = begun.room.sequence
    seat = begun.hub.enter(begun.room.pk, head, begun.follower, begun.room.epoch)
    try:
        await seat.admitted(head)
    except Exception as error:
        seat.leave()
        refusal = begun.follower.refusal
        raise (refusal if isinstance(refusal, Refusal) else Interrupted()) from error
    except BaseException:
        seat.leave()
        raise
    return seat
