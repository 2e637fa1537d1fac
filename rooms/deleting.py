"""Deleting accounts. What was said and done by office keeps its author (``docs/adr/0005``), so only an account that has
done neither can go; any other is deactivated."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import ProtectedError

from .exceptions import Forbidden
from .identity import Viewer
from .locked import end_membership
from .models import AuditEntry, Member, Message, Room
from .sessions import end_sessions_of

KEPT = "The account wrote messages or is in the audit log, which keep their author: deactivate it instead."


def delete_permission() -> str:
    options = get_user_model()._meta
    return f"{options.app_label}.delete_{options.model_name}"


def has_messages(user_id: int) -> bool:
    return Message.objects.filter(author__user=user_id).exists()


def is_in_audit_log(user_id: int) -> bool:
    return any(AuditEntry.objects.filter(**{field: user_id}).exists() for field in ("actor_user", "member__user"))


def delete_account(*, actor: Viewer, user_id: int) -> None:
    """Delete an account with its memberships, tokens, sessions and bans; an account that is gone stays so.

    Raises Forbidden, also for an account that must be kept.
    """
    if not actor.has_permission(delete_permission()):
        raise Forbidden("Only staff may delete accounts.")
    with transaction.atomic():
        user = get_user_model()._default_manager.filter(pk=user_id).first()
        if user is None:
            return
        members = list(Member.objects.filter(user=user_id).order_by("room_id"))
        rooms = Room.objects.select_for_update(no_key=True).filter(pk__in=[member.room_id for member in members])
        locked = {room.pk: room for room in rooms.order_by("pk")}  # so that nothing is sent there meanwhile
        if has_messages(user_id) or is_in_audit_log(user_id):
            raise Forbidden(KEPT)
        for member in members:
            if member.left_at is None:
                end_membership(locked[member.room_id], member)
            member.delete()
        end_sessions_of(Viewer(user=user))
        try:
            user.delete()
        except ProtectedError as error:  # it has joined another room just now
            raise Forbidden(KEPT) from error


def deactivate_account(*, actor: Viewer, user_id: int) -> None:
    """Let an account do nothing any more: its tokens, sessions and sockets end. Raises Forbidden, for one's own too."""
    options = get_user_model()._meta
    if not actor.has_permission(f"{options.app_label}.change_{options.model_name}"):
        raise Forbidden("Only staff may deactivate accounts.")
    if actor.user is not None and actor.user.pk == user_id:
        raise Forbidden("This is you: nobody deactivates themselves.")
    user = get_user_model()._default_manager.filter(pk=user_id, is_active=True).first()
    if user is not None:
        user.is_active = False
        user.save(update_fields=["is_active"])
