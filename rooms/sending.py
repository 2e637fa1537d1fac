"""What is said: all sends that wait at the same time, in one transaction (``docs/adr/0015``).

Each is judged alone, in the order in which they came, and has its own outcome: whether it is refused or fails changes
nothing for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from django.conf import settings
from django.db import DataError, IntegrityError, transaction
from django.utils import timezone

from . import inputs, rates
from .appending import append_new
from .exceptions import BadUserInput, Muted, RateLimited, Refusal, RoomArchived
from .identity import Viewer
from .models import Member, Message, Room
from .selectors import MESSAGES, Standing, require_member, rooms_for_any, rooms_to_change_for_any, standings_of


@dataclass(frozen=True)
class Send:
    """A message as somebody would send it. ``is_counted``: what it takes of their rate has been taken already."""

    viewer: Viewer
    text: str
    idempotency_key: str | None = None
    is_counted: bool = False


@dataclass(frozen=True)
class Changed:
    """A message as it is now, and the position of the change in the room's log."""

    message: Message
    sequence: int


@dataclass(eq=False)
class _Draft:
    """A send to a room that is fit to be stored, and what has become of it."""

    room_id: int
    send: Send
    text: str
    key: str | None
    outcome: Changed | Exception | None = None

    @property
    def viewer(self) -> Viewer:
        return self.send.viewer


Addressed = tuple[int, Send]  # the id of the room that it is for
Authored = Sequence[tuple[_Draft, Member]]
NOT_THERE = Standing(member=None, may_know=False, may_read=False)


def send_messages(*, room_id: int, sends: Sequence[Send]) -> list[Changed | Exception]:
    """Append messages to a room. The same author and key give the message that is there already.

    For each send, in order, its message, or why there is none: NotFound, Unauthenticated, Forbidden (Banned, Muted),
    RoomArchived, RateLimited (slow mode, too), BadUserInput (also for a known key with another text), or what the
    database says of it. What was sent before is answered however often it is asked for; new messages are limited by
    member and room. Raises what the database raises where nothing was stored.
    """
    drafts = _tried([(room_id, send) for send in sends], waits=True)
    return [draft.outcome for draft in drafts if draft.outcome is not None]


def send_where_free(*, sends: Sequence[Addressed]) -> list[Changed | Exception | Send]:
    """The same for many rooms, without waiting for any of them.

    A send to a room that somebody else holds just now, or that is not there for its viewer, comes back as it is, but
    counted: it is for ``send_messages``.
    """
    drafts = _tried(sends, waits=False)
    return [replace(draft.send, is_counted=True) if draft.outcome is None else draft.outcome for draft in drafts]


def _tried(sends: Sequence[Addressed], *, waits: bool) -> list[_Draft]:
    drafts = [_draft(room_id, send) for room_id, send in sends]
    _keep_rates([draft for draft in _undecided(drafts) if not draft.send.is_counted])
    _commit(_undecided(drafts), waits=waits)
    return drafts


def _draft(room_id: int, send: Send) -> _Draft:
    draft = _Draft(room_id, send, send.text, send.idempotency_key)
    try:
        draft.text = inputs.message_text(send.text)
        draft.key = inputs.idempotency_key(send.idempotency_key)
    except BadUserInput as refusal:
        draft.outcome = refusal
    return draft


def _undecided(drafts: Sequence[_Draft]) -> list[_Draft]:
    return [draft for draft in drafts if draft.outcome is None]


# Before the lock


def wait_for_turns(asked: Sequence[tuple[str, Viewer]]) -> list[float]:
    """Return for each the seconds until they may do what they ask for; 0.0 means now. Not to be called under a lock."""
    limits = settings.LIMITS  # whoever nobody is may do nothing of the kind
    keys = [f"{what} {viewer.key}" for what, viewer in asked if viewer.key is not None]
    taken = iter(rates.take(*keys, burst=limits.send_burst, per_second=limits.sends_per_second))
    return [0.0 if viewer.key is None else next(taken) for _, viewer in asked]


def _keep_rates(drafts: Sequence[_Draft]) -> None:
    waits = wait_for_turns([(f"send {draft.room_id}", draft.viewer) for draft in drafts])
    for draft, wait in zip(drafts, waits, strict=True):
        if wait:
            draft.outcome = RateLimited(wait)
    _answer_retries([draft for draft in drafts if draft.outcome and draft.key is not None])


def _answer_retries(drafts: Sequence[_Draft]) -> None:
    """Give to those who ask for what was sent before just that, at any rate. Refuses as a send does.

    No lock is needed: a message never changes its author or key.
    """
    if not drafts:
        return
    authored = _authored(rooms_for_any(asked=_asked(drafts)), drafts)
    sent = _sent_before(authored)
    for draft, author in authored:
        if message := sent.get((author.pk, draft.key)):
            draft.outcome = _as_sent_before(message, author, draft.text)


# Under the lock


def _commit(drafts: Sequence[_Draft], *, waits: bool) -> None:
    """In one transaction; where that fails and one send may be why, in several."""
    if not drafts:
        return
    try:
        with transaction.atomic():
            _send_locked(drafts, waits=waits)
    except (IntegrityError, DataError) as error:
        for draft in drafts:
            draft.outcome = error if len(drafts) == 1 else None  # what they had is rolled back
        _commit_apart(_undecided(drafts), waits=waits)


def _commit_apart(drafts: Sequence[_Draft], *, waits: bool) -> None:
    """Each room by itself; where it is one room, each send, and none after one that finds the room locked."""
    rooms: dict[int, list[_Draft]] = {}
    for draft in drafts:
        rooms.setdefault(draft.room_id, []).append(draft)
    if len(rooms) > 1:
        for part in rooms.values():
            _commit_part(part, waits=waits)
        return
    for draft in drafts:
        _commit_part([draft], waits=waits)
        if draft.outcome is None:
            return


def _commit_part(drafts: Sequence[_Draft], *, waits: bool) -> None:
    try:
        _commit(drafts, waits=waits)
    except Exception as error:  # noqa: BLE001 - the outcome of these, where others are committed already
        for draft in drafts:
            draft.outcome = error


def _send_locked(drafts: Sequence[_Draft], *, waits: bool) -> None:
    rooms = rooms_to_change_for_any(asked=_asked(drafts), skip_locked=not waits)
    authored = _authored(rooms, [draft for draft in drafts if waits or draft.room_id in rooms])
    if not authored:
        return
    batch = _Batch(authored)
    for draft, author in authored:
        draft.outcome = batch.outcome(draft, author)
    batch.store()


class _Batch:
    """The sends of members of rooms, under the locks of these."""

    def __init__(self, authored: Authored) -> None:
        self._sent = _sent_before(authored)
        self._messages: list[Message] = []
        self._ends: dict[int, int] = {}  # of the logs that grow, by room id
        self._slow: list[Member] = []
        self._now = timezone.now()

    def outcome(self, draft: _Draft, author: Member) -> Changed | Refusal:
        if draft.key is not None and (message := self._sent.get((author.pk, draft.key))):
            return _as_sent_before(message, author, draft.text)
        try:
            require_open_log(author.room)
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
            append_new(self._messages)

    def _keep_slow_mode(self, author: Member) -> None:
        """Let ``author`` send once in the room's seconds; moderators are never slow."""
        seconds = author.room.slow_mode_seconds
        if not seconds or author.is_moderator:
            return
        next_turn = author.last_sent_at and author.last_sent_at + timedelta(seconds=seconds)
        if next_turn is not None and self._now < next_turn:
            raise RateLimited((next_turn - self._now).total_seconds(), "The room is in slow mode. Wait a little.")
        author.last_sent_at = self._now
        self._slow.append(author)

    def _new(self, draft: _Draft, author: Member) -> Changed:
        room = author.room
        sequence = self._ends[room.pk] = self._ends.get(room.pk, room.sequence) + 1
        message = Message(
            room=room,
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


def _authored(rooms: Mapping[int, Room], drafts: Sequence[_Draft]) -> Authored:
    """Each with its author. What comes from anybody but members is refused."""
    authored: list[tuple[_Draft, Member]] = []
    found = iter(standings_of([(rooms[draft.room_id], draft.viewer) for draft in drafts if draft.room_id in rooms]))
    for draft in drafts:
        standing = next(found) if draft.room_id in rooms else NOT_THERE
        try:
            authored.append((draft, require_member(draft.viewer, standing)))
        except Refusal as refusal:
            draft.outcome = refusal
    return authored


def _sent_before(authored: Authored) -> dict[tuple[int, str | None], Message]:
    """What is there already under the keys that were given, by author and key."""
    given = {(author.pk, draft.key) for draft, author in authored if draft.key is not None}
    if not given:
        return {}
    pairs = ", ".join(["(%s, %s)"] * len(given))  # one look-up in the index for each, and not one for every combination
    condition = f"(author_id, idempotency_key) IN (VALUES {pairs})"
    found = MESSAGES.where(condition, [value for pair in given for value in pair])
    return {(message.author_id, message.idempotency_key): message for message in found}


def _as_sent_before(message: Message, author: Member, text: str) -> Changed | BadUserInput:
    message.room, message.author = author.room, author
    is_as_sent = message.edited_at is None and message.deleted_at is None
    if is_as_sent and message.text != text:
        return BadUserInput("idempotencyKey", "This key was used for a message with another text.")
    return Changed(message, message.sequence)


def _asked(drafts: Sequence[_Draft]) -> list[tuple[int, Viewer]]:
    return [(draft.room_id, draft.viewer) for draft in drafts]


def require_open_log(room: Room) -> None:
    if room.is_archived:
        raise RoomArchived


def require_voice(member: Member) -> None:
    if (until := member.mute) is not None:
        raise Muted(until)
