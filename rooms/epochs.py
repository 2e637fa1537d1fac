"""Epochs: which history of the logs a position belongs to (``docs/adr/0021``).

A backup that was restored makes another history: the entries that were lost are replaced by others with the same
numbers. ``begin_epoch`` gives every room a new epoch, so that a position of the lost history is known as one.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple

from django.db import transaction

from .exceptions import CursorInvalid
from .models import FIRST_EPOCH, Epoch, Room

LARGEST_EPOCH = 2**40
OTHER_EPOCH = (
    "This cursor is from before the server's data was restored from a backup: what it stood for may be gone. Read the"
    " room again and go on from there."
)


class LogPosition(NamedTuple):
    """A place in a room's log: ``sequence``, in the history named ``epoch``."""

    epoch: int
    sequence: int


def require_epoch(epoch: int, of_cursor: int) -> None:
    """Raises CursorInvalid for a cursor of another epoch than the room's."""
    if of_cursor != epoch:
        raise CursorInvalid(OTHER_EPOCH)


def current_epoch() -> int:
    """The epoch that a new room begins in: room ids are used again after a restore, as sequences are."""
    newest = Epoch.objects.order_by("-id").first()
    return FIRST_EPOCH if newest is None else newest.number


@transaction.atomic
def begin_epoch() -> int:
    """Begin a new epoch in every room; return how many rooms there are.

    Its number is random: the same backup may be restored twice.
    """
    epoch = Epoch.objects.create(number=1 + secrets.randbelow(LARGEST_EPOCH))
    return Room.objects.update(epoch=epoch.number)
