"""The only readers, with ``log``. Who may know of a room and who may read it is decided here and nowhere else.

A function that takes a ``viewer`` raises ``NotFound`` for what the viewer may not know of, as for what is not there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, TypeVar

from django.conf import settings
from django.db import connection
from django.db.models import Exists, Model, OuterRef, Q, QuerySet

from .epochs import require_epoch
from .exceptions import Banned, CursorAhead, Forbidden, NotFound, Refusal, RoomArchived, Unauthenticated
from .identity import Viewer, as_of_now, flaw_refused
from .inputs import search_words
from .models import FIRST_EPOCH, Ban, Member, Message, Room, RoomAccess, RoomSlug
from .paging import Slice, Span, slice_of
from .rows import Rows, in_sql, marks, selected
from .texts import slug as slug_in

M = TypeVar("M", bound=Model)
P = TypeVar("P", Member, Ban)
Key = tuple[Any, ...]
Place = tuple[int, str | None]  # a room, and the key of who is there

BANNED_SHOWN = 100
MEMBERSHIPS_SHOWN = 100
ROOMS_PER_QUERY = 100  # of which messages are read at a time: SQLite takes 500 parts of a compound

ROOMS, MEMBERS, BANS, MESSAGES = Rows(Room), Rows(Member), Rows(Ban), Rows(Message)

# What staff need to be permitted in the admin, here as there, in every room.
VIEW_EVERYTHING = "rooms.view_message"
CHANGE_MEMBERS = "rooms.change_member"

IDS_PER_QUERY = 500


@dataclass(frozen=True)
class Standing:
    """What a viewer is to a room. ``member`` is None for those who never joined, have left, or are banned.

    ``may_moderate`` says that they hold an office there: over whom is another question.
    """

    member: Member | None
    may_know: bool
    may_read: bool
    is_banned: bool = False
    may_moderate: bool = False


@dataclass(frozen=True)
class Reader:
    """Somebody who follows a room. Who began as a member ends with the membership, in an open room too."""

    viewer: Viewer
    is_member: bool


@dataclass(frozen=True)
class Asked:
    """What ``viewer`` wants to follow, and from where: ``after``, or the end of the log if that is None.

    ``epoch`` is that of ``after``.
    """

    viewer: Viewer
    room_id: int
    after: int | None
    epoch: int = FIRST_EPOCH


@dataclass(frozen=True)
class Following:
    """A room that ``reader`` may follow, and the sequence to go on from."""

    room: Room
    sequence: int
    reader: Reader


# Access


def standing(viewer: Viewer, room: Room) -> Standing:
    return standings(viewer, [room])[room.pk]


def standings(viewer: Viewer, rooms: Collection[Room]) -> dict[int, Standing]:
    """What ``viewer`` is to each of ``rooms``, by room id, in two queries however many they are.

    A ban ends the membership, so it is looked for only where there is none. ``_known_rooms`` and ``_readable_rooms``
    put the same rules to the database.
    """
    members = {member.room_id: member for member in _memberships(viewer).filter(room__in=[room.pk for room in rooms])}
    outside = [room.pk for room in rooms if room.pk not in members]
    banned = set(_bans(viewer).filter(room__in=outside).values_list("room_id", flat=True)) if outside else set()
    return {room.pk: _standing(viewer, room, members.get(room.pk), is_banned=room.pk in banned) for room in rooms}


def standings_of(asked: Sequence[tuple[Room, Viewer]]) -> list[Standing]:
    """What each viewer is to that room, in two queries however many they are."""
    places = [(room.pk, viewer) for room, viewer in asked]
    members = {(member.room_id, member.viewer_key): member for member in _at(places, MEMBERS, "left_at IS NULL AND ")}
    outside = [(room_id, viewer) for room_id, viewer in places if (room_id, viewer.key or "") not in members]
    banned = {(ban.room_id, ban.viewer_key) for ban in _at(outside, BANS)}
    return [
        _standing(viewer, room, members.get((room.pk, viewer.key or "")), is_banned=(room.pk, viewer.key) in banned)
        for room, viewer in asked
    ]


def are_members(*, asked: Sequence[tuple[int, Viewer]]) -> list[bool]:
    """Whether each is a member of the room with that id, in as many queries for a thousand as for one."""
    members = _members().filter(room__in={room_id for room_id, _ in asked})
    inside = _places(members, [viewer for _, viewer in asked])
    return [(room_id, viewer.key) in inside for room_id, viewer in asked]


def _standing(viewer: Viewer, room: Room, member: Member | None, *, is_banned: bool) -> Standing:
    """A ban does not take from staff what the operator permits them."""
    if member is not None:
        member.room = room
    inside = member is not None or viewer.has_permission(VIEW_EVERYTHING)
    moderates = member is not None and member.is_moderator
    return Standing(
        member=member,
        may_know=inside or room.access != RoomAccess.MEMBERS,
        may_read=inside or (room.access == RoomAccess.OPEN and not is_banned),
        is_banned=is_banned,
        may_moderate=moderates or viewer.has_permission(CHANGE_MEMBERS),
    )


def require_readable(viewer: Viewer, found: Standing) -> None:
    """Raise unless the room may be read: NotFound, Unauthenticated, Forbidden (Banned)."""
    if not found.may_know:
        raise NotFound
    if not found.may_read:
        if found.is_banned:
            raise Banned
        raise turned_away(viewer, "Only members of this room may read it.")


def turned_away(viewer: Viewer, message: str) -> Refusal:
    """For whoever may know of something and not do this to it."""
    return Forbidden(message) if viewer.is_authenticated else flaw_refused(viewer) or Unauthenticated()


def require_member(viewer: Viewer, found: Standing) -> Member:
    """Return the viewer's membership, or raise NotFound, Unauthenticated, Forbidden (Banned)."""
    if not found.may_know:
        raise NotFound
    if found.is_banned:
        raise Banned
    if found.member is None:
        raise turned_away(viewer, "Join the room first.")
    return found.member


def _members() -> QuerySet[Member]:
    return Member.objects.filter(left_at=None)


def _memberships(viewer: Viewer) -> QuerySet[Member]:
    return _memberships_ever(viewer).filter(left_at=None)


def _memberships_ever(viewer: Viewer) -> QuerySet[Member]:
    if viewer.user is not None:
        return Member.objects.filter(user_id=viewer.user.pk)
    if viewer.guest is not None:
        return Member.objects.filter(guest_id=viewer.guest.pk)
    return Member.objects.none()


def _bans(viewer: Viewer) -> QuerySet[Ban]:
    if viewer.user is not None:
        return Ban.objects.filter(user_id=viewer.user.pk)
    if viewer.guest is not None:
        return Ban.objects.filter(guest_id=viewer.guest.pk)
    return Ban.objects.none()


def _at(asked: Iterable[tuple[int, Viewer]], rows: Rows[P], condition: str = "") -> list[P]:
    """Those of the rows who are one of the viewers in the room that is named with them."""
    places, values = _places_in_sql(asked)
    return rows.where(condition + places, values) if values else []


def _places_in_sql(asked: Iterable[tuple[int, Viewer]]) -> tuple[str, list[Any]]:
    """Whether a row is of such a room and of one who is named with it: a condition, and its values.

    No column has its table before it: in a subquery that has another name.
    """
    places: dict[tuple[int, str], set[Any]] = {}
    for room_id, viewer in asked:
        if viewer.user is not None:
            places.setdefault((room_id, "user_id"), set()).add(in_sql(viewer.user))
        elif viewer.guest is not None:
            places.setdefault((room_id, "guest_id"), set()).add(viewer.guest.pk)
    conditions = [f"room_id = %s AND {column} IN ({marks(ids)})" for (_, column), ids in places.items()]
    values = [value for (room_id, _), ids in places.items() for value in (room_id, *ids)]
    return f"({' OR '.join(conditions) or 'FALSE'})", values


def is_banned_address(*, room: Room, address: str | None) -> bool:
    """Whether a guest was banned with it. A proxy's own is no client's: with it all behind that would be kept out."""
    if address is None or any(ip_address(address) in network for network in settings.TRUSTED_PROXIES):
        return False
    return Ban.objects.filter(room=room, address=address).exists()


def _known_rooms(viewer: Viewer) -> QuerySet[Room]:
    if viewer.has_permission(VIEW_EVERYTHING):
        return Room.objects.all()
    return Room.objects.filter(~Q(access=RoomAccess.MEMBERS) | _is_entered_by(viewer))


def _readable_rooms(viewer: Viewer) -> QuerySet[Room]:
    if viewer.has_permission(VIEW_EVERYTHING):
        return Room.objects.all()
    is_banned = Q(pk__in=_bans(viewer).values("room_id"))
    return Room.objects.filter((Q(access=RoomAccess.OPEN) & ~is_banned) | _is_entered_by(viewer))


def _is_entered_by(viewer: Viewer) -> Q:
    return Q(pk__in=_memberships(viewer).values("room_id"))


# Rooms


def room_by_slug(*, viewer: Viewer, slug: str) -> Room | None:
    """The room that has this slug or, if there is none, had it. Upper and lower case are one.

    As many queries for a room that the viewer may not know of as for none.
    """
    slug = slug_in(slug) or ""
    if not slug:
        return None
    rooms = _known_rooms(viewer)
    return rooms.filter(slug=slug).first() or rooms.filter(slugs__slug=slug).first()


def former_slugs(*, room: Room) -> QuerySet[RoomSlug]:
    """The slugs that lead to the room besides its own, the newest first."""
    return RoomSlug.objects.filter(room=room).exclude(slug=room.slug).order_by("-created_at", "slug")


def room_by_id(*, viewer: Viewer, room_id: int) -> Room:
    room = _known_rooms(viewer).filter(pk=room_id).first()
    if room is None:
        raise NotFound
    return room


def room_to_change(*, viewer: Viewer, room_id: int, permission: str | None = None) -> Room:
    """The room, locked against every other change to its log and its members until the transaction ends.

    Found by those who may know of it and by staff with that permission. For everybody else it is not there: they
    neither wait for its lock nor hold it. Raises NotFound.
    """
    by_office = permission is not None and viewer.has_permission(permission)
    rooms = Room.objects.all() if by_office else _known_rooms(viewer)
    room = rooms.select_for_update(no_key=True).filter(pk=room_id).first()
    if room is None:
        raise NotFound
    return room


def rooms_to_change_for_any(*, asked: Sequence[tuple[int, Viewer]], skip_locked: bool = False) -> dict[int, Room]:
    """As ``room_to_change``, for several rooms and viewers at once, by room id.

    What none of those who ask for it may know of is left out and not locked; and, if ``skip_locked``, what somebody
    else has locked just now. They are locked in one order, so that two who do this never wait for each other.
    """
    lock = ""
    if connection.features.has_select_for_update:  # SQLite has one writer at a time, and no locks of rows
        lock = connection.ops.for_update_sql(skip_locked=skip_locked, no_key=True)
    return _known_to_any(asked, lock)


def rooms_for_any(*, asked: Sequence[tuple[int, Viewer]]) -> dict[int, Room]:
    """Those of the rooms that somebody who asks for it may know of. What each is to it, ``standings_of`` says."""
    return _known_to_any(asked)


def _known_to_any(asked: Sequence[tuple[int, Viewer]], lock: str = "") -> dict[int, Room]:
    ids = {room_id for room_id, _ in asked}
    by_office = {room_id for room_id, viewer in asked if viewer.has_permission(VIEW_EVERYTHING)}
    places, inside = _places_in_sql(asked)
    entered = f"SELECT room_id FROM {MEMBERS.table} WHERE left_at IS NULL AND {places}"  # noqa: S608 - marks
    is_known = f"access <> %s OR id IN ({marks(by_office) or 'NULL'}) OR id IN ({entered})"
    values = [*ids, RoomAccess.MEMBERS.value, *by_office, *inside]
    found = ROOMS.where(f"id IN ({marks(ids)}) AND ({is_known}) ORDER BY id {lock}", values)
    return {room.pk: room for room in found}


def rooms_slice(
    *,
    viewer: Viewer,
    span: Span,
    after: tuple[str, int] | None = None,
    before: tuple[str, int] | None = None,
    search: str = "",
    archived: bool | None = None,
) -> Slice[Room]:
    """The rooms that ``viewer`` may know of by (name, id); ``after`` and ``before`` are such pairs.

    Raises BadUserInput for a ``search`` that is no text.
    """
    rooms = _known_rooms(viewer)
    if archived is not None:
        rooms = rooms.filter(archived_at__isnull=not archived)
    for word in search_words(search):
        rooms = rooms.filter(_matches(word))
    return slice_of(rooms, ("name", "id"), span, after, before)


def _matches(word: str) -> Q:
    """Whether a room's name or description has a folded word; what a process of before wrote is not folded."""
    is_unfolded = Q(search_text=None)
    return Q(search_text__text__contains=word) | (
        is_unfolded & (Q(name__icontains=word) | Q(description__icontains=word))
    )


def room_to_follow(*, viewer: Viewer, room_id: int, after: int | None) -> Following:
    """Raises NotFound, Unauthenticated, Forbidden, RoomArchived, and CursorAhead for ``after`` beyond the log's end."""
    (found,) = rooms_to_follow(asked=[Asked(viewer, room_id, after)])
    if isinstance(found, Refusal):
        raise found
    return found


def rooms_to_follow(*, asked: Sequence[Asked]) -> list[Following | Refusal]:
    """The same for many: what each may follow, or why not.

    As many queries for a thousand as for one, for rooms that are not there as for others, and a few for each who is
    staff.
    """
    room_ids = {each.room_id for each in asked}
    rooms = Room.objects.in_bulk(room_ids)
    viewers = [each.viewer for each in asked]
    inside = _places(Member.objects.filter(room__in=room_ids, left_at=None), viewers)
    banned = _places(Ban.objects.filter(room__in=room_ids), viewers)
    return [_following(each, rooms.get(each.room_id), inside, banned) for each in asked]


def _following(asked: Asked, room: Room | None, inside: set[Place], banned: set[Place]) -> Following | Refusal:
    viewer, place = asked.viewer, (asked.room_id, asked.viewer.key)
    if room is None:
        return NotFound()
    member = Member(room=room) if place in inside else None  # its details do not matter here
    try:
        _require_to_follow(viewer, room, _standing(viewer, room, member, is_banned=place in banned))
        if asked.after is not None:
            require_epoch(room.epoch, asked.epoch)
        require_within_log(room, asked.after)
    except Refusal as refusal:
        return refusal
    sequence = room.sequence if asked.after is None else asked.after
    return Following(room, sequence, Reader(viewer, member is not None))


def refusals(*, room_id: int, readers: Sequence[Reader]) -> list[Refusal | None]:
    """Why each of ``readers`` may not follow the room any more, or None where they may.

    As many queries for a thousand readers as for one, and a few for each who is staff.
    """
    room = Room.objects.get(pk=room_id)
    viewers = [reader.viewer for reader in readers]
    inside = _places(Member.objects.filter(room=room, left_at=None), viewers)
    banned = _places(Ban.objects.filter(room=room), viewers)
    return [_refusal(room, reader, inside, banned) for reader in readers]


def _refusal(room: Room, reader: Reader, inside: set[Place], banned: set[Place]) -> Refusal | None:
    """A membership's details do not matter here, so a bare one stands for it."""
    place, viewer = (room.pk, reader.viewer.key), as_of_now(reader.viewer)
    member = Member(room=room) if place in inside else None
    found = _standing(viewer, room, member, is_banned=place in banned)
    try:
        _require_to_follow(viewer, room, found)
    except Refusal as refusal:
        return refusal
    if reader.is_member and member is None and not viewer.has_permission(VIEW_EVERYTHING):
        return Forbidden("You are not a member of this room any more.")
    return None


def _require_to_follow(viewer: Viewer, room: Room, found: Standing) -> None:
    require_readable(viewer, found)
    if room.is_archived:
        raise RoomArchived


def _places(people: QuerySet[Any], viewers: Sequence[Viewer]) -> set[Place]:
    """Where ``viewers`` are among ``people``, rows of a room that have a user or a guest."""
    users = {viewer.user.pk: viewer.key for viewer in viewers if viewer.user is not None}
    guests = {viewer.guest.pk: viewer.key for viewer in viewers if viewer.guest is not None}
    return {*_among(people, "user_id", users), *_among(people, "guest_id", guests)}


def _among(people: QuerySet[Any], field: str, keys: Mapping[Any, str | None]) -> Iterator[Place]:
    """A page of ids at a time: a query has room for so many parameters."""
    ids = list(keys)
    for start in range(0, len(ids), IDS_PER_QUERY):
        page = ids[start : start + IDS_PER_QUERY]
        for room_id, pk in people.filter(**{f"{field}__in": page}).values_list("room_id", field):
            yield room_id, keys[pk]


def require_within_log(room: Room, *sequences: int | None) -> None:
    if any(sequence is not None and sequence > room.sequence for sequence in sequences):
        raise CursorAhead


# Members and messages


def is_own(viewer: Viewer, member: Member) -> bool:
    """Whether this is, or was, the viewer's own membership."""
    if viewer.user is not None:
        return member.user_id == viewer.user.pk
    return viewer.guest is not None and member.guest_id == viewer.guest.pk


def memberships(*, viewer: Viewer) -> list[Member]:
    """The viewer's own memberships by room name; of more than ``MEMBERSHIPS_SHOWN`` those that began last."""
    newest = _memberships(viewer).order_by("-joined_at", "-id")[:MEMBERSHIPS_SHOWN]
    shown = Member.objects.filter(pk__in=newest.values("pk"))
    return list(shown.select_related("room").order_by("room__name", "id"))


def memberships_slice(
    *, viewer: Viewer, span: Span, after: tuple[str, int] | None = None, before: tuple[str, int] | None = None
) -> Slice[Member]:
    """The viewer's own memberships by (room name, id); ``after`` and ``before`` are such pairs."""
    found = _memberships(viewer).select_related("room")
    return slice_of(found, ("room__name", "id"), span, after, before)


def has_memberships(viewer: Viewer, number: int) -> bool:
    """Whether the viewer is in that many rooms."""
    return _memberships(viewer)[number - 1 : number].exists()


def member_by_id(*, viewer: Viewer, member_id: int) -> Member:
    """A member of a room that ``viewer`` may read. Raises NotFound."""
    return _one_of(Member.objects.select_related("room").filter(room__in=_readable_rooms(viewer)), member_id)


def member_to_change(*, viewer: Viewer, member_id: int) -> Member:
    """A member of a room that ``viewer`` may read, and any member for staff who may change them. Raises NotFound."""
    if viewer.has_permission(CHANGE_MEMBERS):
        return _one_of(Member.objects.all(), member_id)
    return member_by_id(viewer=viewer, member_id=member_id)


def banned_members(*, viewer: Viewer, room: Room) -> list[Member] | None:
    """Who was banned last, the newest first, at most ``BANNED_SHOWN``; None for who does not moderate the room."""
    if not standing(viewer, room).may_moderate:
        return None
    bans = list(Ban.objects.filter(room=room).order_by("-id")[:BANNED_SHOWN])
    users, guests = ({getattr(ban, field) for ban in bans} - {None} for field in ("user_id", "guest_id"))
    members = Member.objects.filter(Q(user__in=users) | Q(guest__in=guests), room=room)
    found = {member.viewer_key: member for member in members}
    for member in members:
        member.room = room
    return [found[ban.viewer_key] for ban in bans if ban.viewer_key in found]


def banned(members: QuerySet[Member]) -> QuerySet[Member]:
    """Those of ``members`` who are banned from their room."""
    bans = Ban.objects.filter(room=OuterRef("room"))
    return members.filter(Exists(bans.filter(user=OuterRef("user"))) | Exists(bans.filter(guest=OuterRef("guest"))))


def message_by_id(*, viewer: Viewer, message_id: int) -> Message:
    """A message of a room that ``viewer`` may read. Raises NotFound."""
    return _message(Q(room__in=_readable_rooms(viewer)), message_id)


def message_to_change(*, viewer: Viewer, message_id: int) -> Message:
    """As ``message_by_id``, and one's own wherever it is: whoever said it may take it back."""
    is_own = Q(author__in=_memberships_ever(viewer))
    return _message(is_own | Q(room__in=_readable_rooms(viewer)), message_id)


def _message(condition: Q, message_id: int) -> Message:
    message = _one_of(Message.objects.select_related("room", "author").filter(condition), message_id)
    message.author.room = message.room
    return message


def _one_of(items: QuerySet[M], pk: int) -> M:
    """One query, whether it is not there or not for this viewer: not even the time it takes tells which."""
    item = items.filter(pk=pk).first()
    if item is None:
        raise NotFound
    return item


def messages_slice(
    *, viewer: Viewer, room: Room, span: Span, after: int | None = None, before: int | None = None
) -> Slice[Message]:
    """Messages of ``room`` in sending order; ``after`` and ``before`` are positions in its log.

    Raises NotFound, Unauthenticated, Forbidden, CursorAhead.
    """
    require_readable(viewer, standing(viewer, room))
    require_within_log(room, after, before)
    messages = Message.objects.filter(room_id=room.pk).select_related("author")
    found = slice_of(
        messages,
        ("sequence",),
        span,
        None if after is None else (after,),
        None if before is None else (before,),
    )
    for message in found.items:
        message.room = message.author.room = room
    return found


def message_pages(*, viewer: Viewer, asked: Sequence[tuple[Room, Span]]) -> list[Slice[Message] | Refusal]:
    """As ``messages_slice`` without positions, for many rooms: for each its page, or why there is none.

    Two queries for all, and one for each span and ``ROOMS_PER_QUERY`` rooms.
    """
    found = standings(viewer, list(dict.fromkeys(room for room, _ in asked)))
    refused = {room_id: refusal for room_id, each in found.items() if (refusal := _unreadable(viewer, each))}
    pages: dict[tuple[int, Span], list[Message]] = {}
    for span in dict.fromkeys(span for _, span in asked):
        ids = list(dict.fromkeys(room.pk for room, each in asked if each == span and room.pk not in refused))
        for start in range(0, len(ids), ROOMS_PER_QUERY):
            for message in _edges_of_logs(ids[start : start + ROOMS_PER_QUERY], span):
                pages.setdefault((message.room_id, span), []).append(message)
    return [refused.get(room.pk) or _page(room, span, pages.get((room.pk, span), [])) for room, span in asked]


def _unreadable(viewer: Viewer, found: Standing) -> Refusal | None:
    try:
        require_readable(viewer, found)
    except Refusal as refusal:
        return refusal
    return None


def _edges_of_logs(room_ids: Sequence[int], span: Span) -> list[Message]:
    """One more message of each room than ``span`` is long, if there are, with their authors, by one statement."""
    order = f"ORDER BY sequence {'DESC' if span.backwards else 'ASC'} LIMIT %s"
    if connection.vendor == "postgresql":
        rooms = ", ".join(["(%s)"] * len(room_ids))
        one = f"SELECT * FROM {MESSAGES.table} WHERE room_id = asked.id {order}"  # noqa: S608 - the models' own names
        pages = f"(VALUES {rooms}) AS asked (id) CROSS JOIN LATERAL ({one}) AS {MESSAGES.table}"
        values = [*room_ids, span.size + 1]
    else:  # SQLite: no LATERAL, and a limit of its own only for a part that is a subquery
        one = f"SELECT * FROM (SELECT * FROM {MESSAGES.table} WHERE room_id = %s {order})"  # noqa: S608 - as above
        pages = f"({' UNION ALL '.join([one] * len(room_ids))}) AS {MESSAGES.table}"
        values = [value for room_id in room_ids for value in (room_id, span.size + 1)]
    authors = f"JOIN {MEMBERS.table} ON {MEMBERS.table}.id = {MESSAGES.table}.author_id"
    rows = selected([MESSAGES, MEMBERS], f"FROM {pages} {authors}", values)
    messages = MESSAGES.made([row[: MESSAGES.width] for row in rows])
    for message, author in zip(messages, MEMBERS.made([row[MESSAGES.width :] for row in rows]), strict=True):
        message.author = author
    return messages


def _page(room: Room, span: Span, found: list[Message]) -> Slice[Message]:
    """What ``slice_of`` makes of the items that it reads."""
    ordered = sorted(found, key=lambda message: message.sequence, reverse=span.backwards)
    more, items = len(ordered) > span.size, ordered[: span.size]
    for message in items:
        message.room = message.author.room = room
    if span.backwards:
        return Slice(items[::-1], has_next=False, has_previous=more)
    return Slice(items, has_next=more, has_previous=False)
