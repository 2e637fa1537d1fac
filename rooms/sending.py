"""What is said: all sends to a room that wait at the same time, in one transaction (``docs/adr/0015``).

Each is judged alone, in the order in which they came, and has its own outcome: whether it is refused or fails changes
nothing for the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from . import inputs, rates
from .exceptions import BadUserInput, Muted, RateLimited, Refusal, RoomArchived
from .identity import Viewer
from .locked import append
from .models import EntryKind, Member, Message, Room
from .selectors import Standing, require_member, room_for_any, room_to_change_for_any, standings_in


@dataclass(frozen=True)
class Send:
    """A message as somebody would send it."""

    viewer: Viewer
    text: str
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Changed:
    """A message as it is now, and the position of the change in the room's log."""

    message: Message
    sequence: int


@dataclass(eq=False)
class _Draft:
    """A send that is fit to be stored, and what has become of it."""

    viewer: Viewer
    text: str
    key: str | None
    outcome: Changed | Exception | None = None


Authored = Sequence[tuple[_Draft, Member]]
NOT_THERE = Standing(member=None, may_know=False, may_read=False)


def send_messages(*, room_id: int, sends: Sequence[Send]) -> list[Changed | Exception]:
    """Append messages to a room. The same author and key give the message that is there already.

    For each send, in order, its message, or why there is none: NotFound, Unauthenticated, Forbidden (Banned, Muted),
    RoomArchived, RateLimited (slow mode, too), BadUserInput (also for a known key with another text), or what the
    database says of it. What was sent before is answered however often it is asked for; new messages are limited by
    member and room. Raises what the database raises where nothing was stored.
    """
    drafts = [_draft(send) for send in sends]
    _keep_rates(room_id, _undecided(drafts))
    _commit(room_id, _undecided(drafts))
    return [draft.outcome for draft in drafts if draft.outcome is not None]


def _draft(send: Send) -> _Draft:
    draft = _Draft(send.viewer, send.text, send.idempotency_key)
    try:
        draft.text = inputs.message_text(send.text)
        draft.key = inputs.idempotency_key(send.idempotency_key)
    except BadUserInput as refusal:
        draft.outcome = refusal
    return draft


def _undecided(drafts: Sequence[_Draft]) -> list[_Draft]:
    return [draft for draft in drafts if draft.outcome is None]


# Before the lock


def wait_for_turns(viewers: Sequence[Viewer], what: str) -> list[float]:
    """Return for each the seconds until they may do this; 0.0 means now. Not to be called under a lock."""
    limits = settings.LIMITS
    keys = [viewer.key for viewer in viewers if viewer.key is not None]  # whoever nobody is may do nothing of the kind
    waits = rates.take(*(f"{what} {key}" for key in keys), burst=limits.send_burst, per_second=limits.sends_per_second)
    taken = iter(waits)
    return [0.0 if viewer.key is None else next(taken) for viewer in viewers]


def _keep_rates(room_id: int, drafts: Sequence[_Draft]) -> None:
    waits = wait_for_turns([draft.viewer for draft in drafts], f"send {room_id}")
    for draft, wait in zip(drafts, waits, strict=True):
        if wait:
            draft.outcome = RateLimited(wait)
    _answer_retries(room_id, [draft for draft in drafts if draft.outcome and draft.key is not None])


def _answer_retries(room_id: int, drafts: Sequence[_Draft]) -> None:
    """Give to those who ask for what was sent before just that, at any rate. Refuses as a send does.

    No lock is needed: a message never changes its author or key.
    """
    if not drafts:
        return
    authored = _authored(room_for_any(viewers=_viewers(drafts), room_id=room_id), drafts)
    sent = _sent_before(authored)
    for draft, author in authored:
        if message := sent.get((author.pk, draft.key)):
            draft.outcome = _as_sent_before(message, author, draft.text)


# Under the lock


def _commit(room_id: int, drafts: Sequence[_Draft]) -> None:
    """In one transaction; where that fails and one send may be why, each in its own."""
    if not drafts:
        return
    try:
        with transaction.atomic():
            _send_locked(room_id, drafts)
    except (IntegrityError, DataError) as error:
        if len(drafts) == 1:
            drafts[0].outcome = error
            return
        for draft in drafts:
            _commit_alone(room_id, draft)


def _commit_alone(room_id: int, draft: _Draft) -> None:
    try:
        _commit(room_id, [draft])
    except Exception as error:  # noqa: BLE001 - the outcome of this one, where others are committed already
        draft.outcome = error


def _send_locked(room_id: int, drafts: Sequence[_Draft]) -> None:
    room = room_to_change_for_any(viewers=_viewers(drafts), room_id=room_id)
    authored = _authored(room, drafts)
    if room is None or not authored:
        return
    batch = _Batch(room, authored)
    for draft, author in authored:
        draft.outcome = batch.outcome(draft, author)
    batch.store()


class _Batch:
    """The sends of members of a room, under its lock."""

    def __init__(self, room: Room, authored: Authored) -> None:
        self._room = room
        self._sent = _sent_before(authored)
        self._messages: list[Message] = []
        self._slow: list[Member] = []
        self._now = timezone.now()

    def outcome(self, draft: _Draft, author: Member) -> Changed | Refusal:
        if draft.key is not None and (message := self._sent.get((author.pk, draft.key))):
            return _as_sent_before(message, author, draft.text)
        try:
            require_open_log(self._room)
            require_voice(author)
            self._keep_slow_mode(author)
        except Refusal as refusal:
            return refusal
        return self._new(draft, author)

    def store(self) -> None:
        if self._slow:
            slow = [author.pk for author in self._slow]
            Member.objects.filter(pk__in=slow).update(last_sent_at=self._now)
        if self._messages:
            Message.objects.bulk_create(self._messages)
            append(self._room, EntryKind.SENT, self._messages)

    def _keep_slow_mode(self, author: Member) -> None:
        """Let ``author`` send once in the room's seconds; moderators are never slow."""
        seconds = self._room.slow_mode_seconds
        if not seconds or author.is_moderator:
            return
        next_turn = author.last_sent_at and author.last_sent_at + timedelta(seconds=seconds)
        if next_turn is not None and self._now < next_turn:
            raise RateLimited((next_turn - self._now).total_seconds(), "The room is in slow mode. Wait a little.")
        author.last_sent_at = self._now
        self._slow.append(author)

    def _new(self, draft: _Draft, author: Member) -> Changed:
        sequence = self._room.sequence + len(self._messages) + 1
        message = Message(
            room=self._room,
            author=author,
            sequence=sequence,
            changed_sequence=sequence,
            text=draft.text,
            idempotency_key=draft.key,
        )
        self._messages.append(message)
        if draft.key is not None:
            self._sent[author.pk, draft.key] = message
        return Changed(message, sequence)


def _authored(room: Room | None, drafts: Sequence[_Draft]) -> Authored:
    """Each with its author. What comes from anybody but members is refused."""
    authored: list[tuple[_Draft, Member]] = []
    found = [NOT_THERE for _ in drafts] if room is None else standings_in(room, _viewers(drafts))
    for draft, standing in zip(drafts, found, strict=True):
        try:
            authored.append((draft, require_member(draft.viewer, standing)))
        except Refusal as refusal:
            draft.outcome = refusal
    return authored


def _sent_before(authored: Authored) -> dict[tuple[int, str | None], Message]:
    """What is there already under the keys that were given, by author and key."""
    keys = {draft.key for draft, _ in authored if draft.key is not None}
    if not keys:
        return {}
    authors = {author.pk for _, author in authored}
    found = Message.objects.filter(author_id__in=authors, idempotency_key__in=keys)
    return {(message.author_id, message.idempotency_key): message for message in found}


def _as_sent_before(message: Message, author: Member, text: str) -> Changed | BadUserInput:
    message.room, message.author = author.room, author
    is_as_sent = message.edited_at is None and message.deleted_at is None
    if is_as_sent and message.text != text:
        return BadUserInput("idempotencyKey", "This key was used for a message with another text.")
    return Changed(message, message.sequence)


def _viewers(drafts: Sequence[_Draft]) -> list[Viewer]:
    return [draft.viewer for draft in drafts]


def require_open_log(room: Room) -> None:
    if room.is_archived:
        raise RoomArchived


def require_voice(member: Member) -> None:
    if (until := member.mute) is not None:
        raise Muted(until)
