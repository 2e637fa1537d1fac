"""Every way in which the rooms refuse something.

Each carries the code that clients see as ``extensions.code`` and a message that may be shown to them.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar


class Refusal(Exception):
    """A request that was understood and turned down. Nothing was stored."""

    code: ClassVar[str]
    default_message: ClassVar[str]

    def __init__(self, message: str = "") -> None:
        self.message = message or self.default_message
        super().__init__(self.message)

    @property
    def extensions(self) -> dict[str, Any]:
        return {"code": self.code}


class Unauthenticated(Refusal):
    code = "UNAUTHENTICATED"
    default_message = "Who are you? Join a room or log in first."


class Forbidden(Refusal):
    code = "FORBIDDEN"
    default_message = "You may not do this."


class Banned(Forbidden):
    default_message = "You are banned from this room."

    @property
    def extensions(self) -> dict[str, Any]:
        return {"code": self.code, "isBanned": True}


class Muted(Forbidden):
    """``until`` is when the member may speak again."""

    default_message = "You are muted in this room."

    def __init__(self, until: datetime) -> None:
        super().__init__()
        self.until = until

    @property
    def extensions(self) -> dict[str, Any]:
        return {"code": self.code, "mutedUntil": self.until.isoformat()}


class NotFound(Refusal):
    code = "NOT_FOUND"
    default_message = "There is no such thing, or you may not know of it."


class WrongPassword(Refusal):
    code = "WRONG_PASSWORD"
    default_message = "The room's password is wrong."


class RoomArchived(Refusal):
    code = "ROOM_ARCHIVED"
    default_message = "The room is archived: it can be read, and nothing can be added."


class CursorInvalid(Refusal):
    code = "CURSOR_INVALID"
    default_message = "This is not a cursor of this list."


class CursorAhead(Refusal):
    code = "CURSOR_AHEAD"
    default_message = "The cursor is beyond the end of the room's log. Read the room again and go on from there."


class BadUserInput(Refusal):
    """``field`` names the argument or input field at fault, as the schema spells it."""

    code = "BAD_USER_INPUT"
    default_message = "This is not valid."

    def __init__(self, field: str, message: str = "") -> None:
        super().__init__(message)
        self.field = field

    @property
    def extensions(self) -> dict[str, Any]:
        return {"code": self.code, "field": self.field}


class RateLimited(Refusal):
    """``retry_after`` is in seconds: before that, the same will be refused again."""

    code = "RATE_LIMITED"
    default_message = "Too much at once. Try again a little later."

    def __init__(self, retry_after: float, message: str = "") -> None:
        super().__init__(message)
        self.retry_after = retry_after

    @property
    def extensions(self) -> dict[str, Any]:
        return {"code": self.code, "retryAfter": self.retry_after}


class QueryTooComplex(Refusal):
    code = "QUERY_TOO_COMPLEX"
    default_message = "The document asks for too much at once. Ask for less, or in several requests."


class OperationTimeout(Refusal):
    """Too slow: what was under way goes on to its end or is rolled back, and nobody waits for it."""

    code = "OPERATION_TIMEOUT"
    default_message = "This took too long. It may have been done all the same: the same idempotencyKey tells."
