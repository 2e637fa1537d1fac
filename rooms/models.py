"""The tables. An invariant that the database can keep is a constraint here, so that the code may lean on it."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Length
from django.db.models.lookups import LessThanOrEqual
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .constraints import CONTROLS_BUT_NEW_LINE_AND_TAB, fit, named, slugged

SLUG_MAX_LENGTH = 80
ROOM_NAME_MAX_LENGTH = 80
DESCRIPTION_MAX_LENGTH = 1000
DISPLAY_NAME_MAX_LENGTH = 40
TEXT_MAX_LENGTH = 4000
TEXT_MAX_LENGTH_WITH_WHITE_SPACE = 8000
IDEMPOTENCY_KEY_MAX_LENGTH = 200
IDENTITY_MAX_LENGTH = 255

FIRST_EPOCH = 0


class RoomAccess(models.TextChoices):
    OPEN = "OPEN", _("open: anyone may read, and join with a display name")
    PASSWORD = "PASSWORD", _("password: anyone who knows it may join; only members read")
    MEMBERS = "MEMBERS", _("members: only people added here; nobody else can tell that it exists")


class MemberRole(models.TextChoices):
    MEMBER = "MEMBER", _("member")
    MODERATOR = "MODERATOR", _("moderator")
    OWNER = "OWNER", _("owner")


class EntryKind(models.TextChoices):
    SENT = "SENT", _("sent")
    EDITED = "EDITED", _("edited")
    DELETED = "DELETED", _("deleted")


class Epoch(models.Model):
    """A history of the logs, begun after a backup was restored; that of before the first one is ``FIRST_EPOCH``."""

    number = models.BigIntegerField(unique=True, editable=False)
    began_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("epoch")
        verbose_name_plural = _("epochs")

    def __str__(self) -> str:
        return str(self.number)


class Room(models.Model):
    """A room, the head of its log, and what lists show of it without counting.

    ``sequence``, ``message_count`` and ``last_used_at`` (every few seconds) change under the room's row lock, in the
    transaction that appends an entry; ``member_count`` in the one that changes a membership. ``access_version`` grows
    in every transaction that may take the right to read from somebody: who follows is checked anew when it has.
    ``epoch`` names the history that the log belongs to: see ``epochs``.
    """

    slug = models.SlugField(
        _("slug"), max_length=SLUG_MAX_LENGTH, unique=True, help_text=_("Its place in links: /salas/…/")
    )
    name = models.CharField(_("name"), max_length=ROOM_NAME_MAX_LENGTH)
    description = models.TextField(_("description"), blank=True, default="", max_length=DESCRIPTION_MAX_LENGTH)
    access = models.CharField(_("access"), max_length=8, choices=RoomAccess, default=RoomAccess.OPEN)
    password = models.CharField(_("password"), max_length=128, blank=True, default="", editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    archived_at = models.DateTimeField(_("archived at"), null=True, blank=True, editable=False)
    slow_mode_seconds = models.PositiveIntegerField(
        _("slow mode"), default=0, help_text=_("Seconds between two messages of one member; 0: no slow mode.")
    )

    sequence = models.PositiveIntegerField(_("sequence"), default=0, editable=False)
    message_count = models.PositiveIntegerField(_("messages"), default=0, editable=False)
    member_count = models.PositiveIntegerField(_("members"), default=0, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True, editable=False)
    access_version = models.PositiveIntegerField(default=0, editable=False)
    epoch = models.BigIntegerField(default=FIRST_EPOCH, db_default=FIRST_EPOCH, editable=False)

    class Meta:
        verbose_name = _("room")
        verbose_name_plural = _("rooms")
        ordering = ("name", "id")
        constraints = (
            models.CheckConstraint(name="room_access_known", condition=Q(access__in=RoomAccess.values)),
            models.CheckConstraint(
                name="room_password_where_needed",
                condition=~Q(access=RoomAccess.PASSWORD) | ~Q(password=""),
                violation_error_message=_("A room with this access needs a password."),
            ),
            named("name", "room_name_fit", max_length=ROOM_NAME_MAX_LENGTH),
            slugged("slug", "room_slug_fit"),
            models.CheckConstraint(name="room_counts_within_log", condition=Q(message_count__lte=F("sequence"))),
        )
        indexes = (
            models.Index(fields=("name", "id"), name="room_by_name"),
            models.Index(fields=("last_used_at",), name="room_by_last_use"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def is_archived(self) -> bool:
        return self.archived_at is not None


class RoomSlug(models.Model):
    """A slug that a room has or had: it leads to that room, and to no other until staff free it.

    One table for both, so that the database itself keeps two rooms from one slug. A room whose slug is not here was
    written by a process of before; that slug leads to it all the same.
    """

    slug = models.SlugField(_("slug"), max_length=SLUG_MAX_LENGTH, primary_key=True)
    room = models.ForeignKey(Room, on_delete=models.CASCADE, related_name="slugs", verbose_name=_("room"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("slug")
        verbose_name_plural = _("slugs")
        constraints = (slugged("slug", "slug_fit"),)

    def __str__(self) -> str:
        return self.slug


class SearchText(models.Model):
    """What ``rooms(search:)`` looks for a word in: the room's name and description, folded (``texts.folded``).

    Python folds it, because engines differ in what they take for the same letter. A table of its own: what reads a
    room does not read this.
    """

    room = models.OneToOneField(
        Room, on_delete=models.CASCADE, primary_key=True, related_name="search_text", verbose_name=_("room")
    )
    text = models.TextField(editable=False)

    def __str__(self) -> str:
        return self.text


class Guest(models.Model):
    """Somebody without an account, made by ``joinRoom``.

    ``display_name`` is the one used last, in whatever room; ``address`` the IP address that they last joined one from.
    """

    display_name = models.CharField(_("display name"), max_length=DISPLAY_NAME_MAX_LENGTH)
    address = models.GenericIPAddressField(_("address"), null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("guest")
        verbose_name_plural = _("guests")
        constraints = (named("display_name", "guest_named", max_length=DISPLAY_NAME_MAX_LENGTH),)

    def __str__(self) -> str:
        return self.display_name


class Token(models.Model):
    """The bearer token of an account or of a guest. Only its SHA-256 is stored: it is random, so a digest is enough.

    ``session_auth_hash`` is the account's at the time (Django's ``get_session_auth_hash``): a token ends with the
    password that it was given for. It is empty for guests.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        related_name="room_tokens",
        verbose_name=_("user"),
    )
    guest = models.ForeignKey(
        Guest, on_delete=models.CASCADE, null=True, related_name="tokens", verbose_name=_("guest")
    )
    digest = models.CharField(_("digest"), max_length=64, unique=True, editable=False)
    session_auth_hash = models.CharField(max_length=128, default="", editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)
    expires_at = models.DateTimeField(_("expires at"), null=True, editable=False)
    last_used_at = models.DateTimeField(_("last used"), null=True, editable=False)

    class Meta:
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        constraints = (
            models.CheckConstraint(
                name="token_is_users_or_guests",
                condition=Q(user__isnull=False, guest__isnull=True) | Q(user__isnull=True, guest__isnull=False),
            ),
        )

    def __str__(self) -> str:
        return f"{self.digest[:8]}…"


class Session(AbstractBaseSession):
    """A browser's session. ``viewer_key`` says whose it is, so that all of somebody's can be found; empty: nobody's."""

    viewer_key = models.CharField(max_length=40, db_index=True, default="", editable=False)

    class Meta(AbstractBaseSession.Meta):
        pass

    @classmethod
    def get_session_store_class(cls) -> Any:
        from .sessions import SessionStore

        return SessionStore


class Identity(models.Model):
    """An account that the operator's own provider vouches for: its tokens' ``iss`` and ``sub``."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="room_identity", verbose_name=_("user")
    )
    issuer = models.CharField(_("issuer"), max_length=IDENTITY_MAX_LENGTH, editable=False)
    subject = models.CharField(_("subject"), max_length=IDENTITY_MAX_LENGTH, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("identity")
        verbose_name_plural = _("identities")
        constraints = (models.UniqueConstraint(fields=("issuer", "subject"), name="identity_once"),)

    def __str__(self) -> str:
        return self.subject


class Member(models.Model):
    """A user or a guest in a room. Who leaves keeps the row, with ``left_at``, because messages name their author.

    ``last_sent_at`` is kept where the room's slow mode needs it.
    """

    room = models.ForeignKey(
        Room,
        on_delete=models.PROTECT,
        related_name="members",
        db_index=False,  # member_once_by_user begins with it
        verbose_name=_("room"),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="room_members",
        verbose_name=_("user"),
    )
    guest = models.ForeignKey(
        Guest,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="room_members",
        verbose_name=_("guest"),
    )
    display_name = models.CharField(_("display name"), max_length=DISPLAY_NAME_MAX_LENGTH)
    role = models.CharField(_("role"), max_length=9, choices=MemberRole, default=MemberRole.MEMBER)
    joined_at = models.DateTimeField(_("joined at"), default=timezone.now, editable=False)
    left_at = models.DateTimeField(_("left at"), null=True, blank=True, editable=False)
    muted_until = models.DateTimeField(_("muted until"), null=True, blank=True)
    last_sent_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = (
            models.UniqueConstraint(fields=("room", "user"), name="member_once_by_user"),
            models.UniqueConstraint(fields=("room", "guest"), name="member_once_by_guest"),
            models.CheckConstraint(
                name="member_is_user_or_guest",
                condition=Q(user__isnull=False, guest__isnull=True) | Q(user__isnull=True, guest__isnull=False),
            ),
            models.CheckConstraint(name="member_role_known", condition=Q(role__in=MemberRole.values)),
            named("display_name", "member_named", max_length=DISPLAY_NAME_MAX_LENGTH),
        )

    def __str__(self) -> str:
        return self.display_name

    @property
    def is_guest(self) -> bool:
        return self.guest_id is not None

    @property
    def is_moderator(self) -> bool:
        return self.role in {MemberRole.MODERATOR, MemberRole.OWNER}

    @property
    def viewer_key(self) -> str:
        return viewer_key(self)

    @property
    def mute(self) -> datetime | None:
        """Until when they may say nothing; None where they may speak."""
        return self.muted_until if self.muted_until and self.muted_until > timezone.now() else None


class Message(models.Model):
    """What was said. ``text`` is NULL once deleted.

    ``sequence`` is the position of its sending in the room's log, ``changed_sequence`` that of the latest entry about
    it: of two copies of a message the one with the greater is the newer.
    """

    room = models.ForeignKey(
        Room,
        on_delete=models.PROTECT,
        related_name="messages",
        db_index=False,  # message_once_in_log begins with it
        verbose_name=_("room"),
    )
    author = models.ForeignKey(
        Member,
        on_delete=models.PROTECT,
        related_name="messages",
        db_index=False,  # message_once_by_key begins with it
        verbose_name=_("author"),
    )
    sequence = models.PositiveIntegerField(_("sequence"), editable=False)
    changed_sequence = models.PositiveIntegerField(_("sequence of the latest change"), editable=False)
    text = models.CharField(_("text"), max_length=TEXT_MAX_LENGTH_WITH_WHITE_SPACE, null=True)
    sent_at = models.DateTimeField(_("sent at"), default=timezone.now, editable=False)
    edited_at = models.DateTimeField(_("edited at"), null=True, editable=False)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, editable=False)
    idempotency_key = models.CharField(
        _("idempotency key"), max_length=IDEMPOTENCY_KEY_MAX_LENGTH, null=True, editable=False
    )

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = (
            models.UniqueConstraint(fields=("room", "sequence"), name="message_once_in_log"),
            models.UniqueConstraint(fields=("author", "idempotency_key"), name="message_once_by_key"),
            models.CheckConstraint(name="message_sequence_from_one", condition=Q(sequence__gte=1)),
            models.CheckConstraint(name="message_changed_since_sent", condition=Q(changed_sequence__gte=F("sequence"))),
            models.CheckConstraint(
                name="message_text_until_deleted",
                condition=Q(deleted_at__isnull=True, text__isnull=False)
                | Q(deleted_at__isnull=False, text__isnull=True),
            ),
            fit("text", "message_text_fit", controls=CONTROLS_BUT_NEW_LINE_AND_TAB, max_length=TEXT_MAX_LENGTH),
            models.CheckConstraint(
                name="message_text_not_too_long",
                condition=LessThanOrEqual(Length("text"), TEXT_MAX_LENGTH_WITH_WHITE_SPACE),
            ),
        )

    def __str__(self) -> str:
        return f"{self.room_id}:{self.sequence}"


class Entry(models.Model):
    """One change to a room's messages: the room's log, which only grows."""

    pk = models.CompositePrimaryKey("room_id", "sequence")
    room = models.ForeignKey(Room, on_delete=models.PROTECT, related_name="entries", db_index=False)
    sequence = models.PositiveIntegerField()
    kind = models.CharField(max_length=7, choices=EntryKind)
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="entries", db_index=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("log entry")
        verbose_name_plural = _("log entries")
        constraints = (
            models.CheckConstraint(name="entry_sequence_from_one", condition=Q(sequence__gte=1)),
            models.CheckConstraint(name="entry_kind_known", condition=Q(kind__in=EntryKind.values)),
        )

    def __str__(self) -> str:
        return f"{self.room_id}:{self.sequence}"

    @property
    def is_first_of_message(self) -> bool:
        return self.kind == EntryKind.SENT

    @property
    def access_version(self) -> int:
        return self.message.room.access_version


class Ban(models.Model):
    """Somebody who may neither read nor enter a room: an account, or a guest together with the address they came from.

    An address keeps out guests only, so that it does not shut out accounts that share it.
    """

    room = models.ForeignKey(
        Room, on_delete=models.PROTECT, related_name="bans", db_index=False, verbose_name=_("room")
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        null=True,
        related_name="room_bans",
        verbose_name=_("user"),
    )
    guest = models.ForeignKey(Guest, on_delete=models.CASCADE, null=True, related_name="bans", verbose_name=_("guest"))
    address = models.GenericIPAddressField(_("address"), null=True, editable=False)
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("ban")
        verbose_name_plural = _("bans")
        constraints = (
            models.UniqueConstraint(fields=("room", "user"), name="ban_once_by_user"),
            models.UniqueConstraint(fields=("room", "guest"), name="ban_once_by_guest"),
            models.CheckConstraint(
                name="ban_is_of_user_or_guest",
                condition=Q(user__isnull=False, guest__isnull=True) | Q(user__isnull=True, guest__isnull=False),
            ),
            models.CheckConstraint(
                name="ban_address_is_of_guest", condition=Q(address__isnull=True) | Q(guest__isnull=False)
            ),
        )
        indexes = (models.Index(fields=("room", "address"), name="ban_by_address"),)

    def __str__(self) -> str:
        return str(self.user or self.guest)

    @property
    def viewer_key(self) -> str:
        return viewer_key(self)


def viewer_key(who: Member | Ban) -> str:
    """Who this is, as in ``identity.Viewer.key``."""
    return user_key(who.user_id) if who.guest_id is None else f"guest:{who.guest_id}"


def user_key(pk: object) -> str:
    """The name of an account, by its primary key as it is in Python."""
    return f"user:{pk.hex if isinstance(pk, UUID) else pk}"  # which with its dashes would not fit into a session's row


class AuditAction(models.TextChoices):
    MESSAGE_DELETED = "MESSAGE_DELETED", _("message deleted")
    MEMBER_MUTED = "MEMBER_MUTED", _("member muted")
    MEMBER_UNMUTED = "MEMBER_UNMUTED", _("member unmuted")
    MEMBER_REMOVED = "MEMBER_REMOVED", _("member removed")
    MEMBER_BANNED = "MEMBER_BANNED", _("member banned")
    MEMBER_UNBANNED = "MEMBER_UNBANNED", _("member unbanned")
    SLOW_MODE_SET = "SLOW_MODE_SET", _("slow mode set")
    ROOM_ARCHIVED = "ROOM_ARCHIVED", _("room archived")
    ROOM_REOPENED = "ROOM_REOPENED", _("room reopened")
    ACCESS_CHANGED = "ACCESS_CHANGED", _("access changed")
    ROLE_CHANGED = "ROLE_CHANGED", _("role changed")


class AuditEntry(models.Model):
    """What somebody did in a room by their office. Written in the transaction that does it; never changed.

    ``actor_name`` is how the actor was called then; user and guest are both NULL for what the server's operator did
    from a shell. ``detail`` is a word on the how, in English: until when, how many seconds, which role.
    """

    room = models.ForeignKey(Room, on_delete=models.PROTECT, related_name="audit", verbose_name=_("room"))
    action = models.CharField(_("action"), max_length=15, choices=AuditAction)
    actor_user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="room_audit", verbose_name=_("user")
    )
    actor_guest = models.ForeignKey(
        Guest, on_delete=models.PROTECT, null=True, related_name="audit", verbose_name=_("guest")
    )
    actor_name = models.CharField(_("by"), max_length=150)
    member = models.ForeignKey(
        Member, on_delete=models.PROTECT, null=True, related_name="audit", verbose_name=_("member")
    )
    message = models.ForeignKey(
        Message, on_delete=models.PROTECT, null=True, related_name="audit", verbose_name=_("message")
    )
    detail = models.CharField(_("detail"), max_length=200, default="")
    created_at = models.DateTimeField(_("at"), default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("audit log entry")
        verbose_name_plural = _("audit log")
        constraints = (
            models.CheckConstraint(name="audit_action_known", condition=Q(action__in=AuditAction.values)),
            models.CheckConstraint(
                name="audit_actor_is_user_or_guest",
                condition=Q(actor_user__isnull=True) | Q(actor_guest__isnull=True),
            ),
        )

    def __str__(self) -> str:
        return self.get_action_display()
