"""Entries as they go along with a hint: sealed, so that the channel layer can neither read them nor make any up
(``docs/adr/0020``).

Who opens them has what reading the log would have given just then, without reading it. It is for the feed to say
whether they are next in line.

Dependencies: Fernet of ``cryptography`` (AES-CBC and HMAC-SHA-256), the models.
"""

from __future__ import annotations

import json
import logging
import time
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.utils.crypto import salted_hmac

from .hints import ENTRIES_CARRIED
from .log import ENTRIES, SHOWN, put_together
from .models import Entry, Room
from .rows import Rows
from .selectors import MEMBERS, MESSAGES

logger = logging.getLogger(__name__)

BYTES_CARRIED = 16_384
FRESH_SECONDS = 3
"""By the two clocks. Later it is a hint: by then what a message said may have been deleted, and would be shown."""

ROOMS = Rows(Room, deferred={"password"})  # whose hash has no business there
SHAPE = "format, time, room, columns of entries, messages and authors"
FORMAT = sha256("; ".join([SHAPE, *(rows.columns for rows in (ROOMS, *SHOWN))]).encode()).hexdigest()[:8]


class Seal:
    """``keys`` are the installation's secrets: that which seals, and what else may have sealed."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(_derived(key)) for key in keys])
        self._has_warned = False

    def sealed(self, entries: Sequence[Entry]) -> bytes | None:
        """Return ``entries``, which are of one room and the end of its log, sealed; None where they are too much to
        carry. Their messages, authors and room are at hand."""
        if len(entries) > ENTRIES_CARRIED:
            return None
        room = ROOMS.in_json(entries[-1].message.room)  # as it was last: its access, too, is that of all of them
        messages = [entry.message for entry in entries]
        columns = [
            [ENTRIES.in_json(entry) for entry in entries],
            [MESSAGES.in_json(message) for message in messages],
            [MEMBERS.in_json(author) for author in {message.author for message in messages}],
        ]
        text = json.dumps([FORMAT, time.time(), room, columns], ensure_ascii=False, separators=(",", ":")).encode()
        return self._fernet.encrypt(text) if len(text) <= BYTES_CARRIED else None

    def opened(self, room_id: int, sealed: bytes) -> Sequence[Entry]:
        """Return the entries, as ``log.entries_after`` would; none where they can't be taken for what has just been
        appended to that room's log: made up, of another room, late, or by a process that knows other columns."""
        try:
            text = self._fernet.decrypt(sealed)
        except InvalidToken:
            self._warn()
            return ()
        made_as, *said = json.loads(text)
        if made_as != FORMAT:
            return ()
        sealed_at, room, columns = said
        if abs(time.time() - sealed_at) > FRESH_SECONDS:
            self._warn()
            return ()
        found = ROOMS.from_json(room)
        if found.pk != room_id:
            return ()
        entries, messages, authors = (
            [shown.from_json(row) for row in column] for shown, column in zip(SHOWN, columns, strict=True)
        )
        return put_together(found, entries, messages, authors)

    def _warn(self) -> None:
        """Once: it costs speed, nothing else."""
        if not self._has_warned:
            self._has_warned = True
            logger.warning(
                "What came with a hint was late by more than %s s, as by clocks that differ, or sealed with another"
                " SECRET_KEY: the log is read instead",
                FRESH_SECONDS,
            )


def _derived(key: str) -> bytes:
    return urlsafe_b64encode(salted_hmac("rooms.sealing", "", secret=key, algorithm="sha256").digest())
