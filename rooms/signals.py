"""What follows from a change of the models: slugs are kept, texts are folded for the search, and every process is told
that somebody may no longer be who they were: tokens, sessions and accounts that end or change, and what staff are
permitted.

By Django's signals, which nothing that goes through the models gets round: not the admin, not a shell. What does get
round them (``update`` in bulk, SQL) is found by the sweep over open sockets.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission, User
from django.db import IntegrityError, transaction
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_delete
from django.dispatch import receiver
from django.utils import timezone

from . import broker
from .identity import guest_key, has_field
from .models import Identity, Room, RoomSlug, SearchText, Session, Token, user_key
from .texts import folded

HARMLESS = frozenset({"last_login", "first_name", "last_name", "email"})


@receiver(post_save, sender=Room)
def room_written(instance: Room, update_fields: Collection[str] | None = None, **_: Any) -> None:
    """Keep its slug, and what is searched. Raises IntegrityError for a slug that leads to another room."""
    written = {"slug", "name", "description"} if update_fields is None else set(update_fields)
    if "slug" in written:
        kept, _is_new = RoomSlug.objects.get_or_create(slug=instance.slug, defaults={"room": instance})
        if kept.room_id != instance.pk:
            raise IntegrityError(f"the slug {instance.slug} leads to another room")
    if written & {"name", "description"}:
        text = folded(f"{instance.name}\n{instance.description}")
        SearchText.objects.update_or_create(room=instance, defaults={"text": text})


@receiver(post_delete, sender=Token)
def token_ended(instance: Token, **_: Any) -> None:
    tell_about(guest_key(instance.guest_id) if instance.guest_id is not None else user_key(instance.user_id or 0))


@receiver(post_delete, sender=Session)
def session_ended(instance: Session, **_: Any) -> None:
    if instance.viewer_key and instance.expire_date > timezone.now():
        tell_about(instance.viewer_key)


@receiver(post_delete, sender=Identity)
def identity_ended(instance: Identity, **_: Any) -> None:
    tell_about(user_key(instance.user_id))


@receiver(post_delete, sender=get_user_model())
def account_ended(instance: User, **_: Any) -> None:
    tell_about(user_key(instance.pk))


@receiver(post_save, sender=get_user_model())
def account_changed(instance: User, created: bool, update_fields: Collection[str] | None = None, **_: Any) -> None:
    """The password, or whether the account is active, may be another."""
    if not created and (update_fields is None or not HARMLESS.issuperset(update_fields)):
        tell_about(user_key(instance.pk))


def permissions_changed(
    instance: User | Group | Permission, action: str, reverse: bool, pk_set: Collection[Any] | None, **_: Any
) -> None:
    """From either side: of an account, or of a group or a permission, whose accounts ``pk_set`` names then."""
    if action.startswith("post_"):
        for pk in (pk_set or ()) if reverse else (instance.pk,):
            tell_about(user_key(pk))


for name in ("groups", "user_permissions"):
    if has_field(get_user_model(), name):  # ``checks`` says what is missing otherwise
        m2m_changed.connect(permissions_changed, sender=getattr(get_user_model(), name).through)


@receiver(m2m_changed, sender=Group.permissions.through)
def group_changed(instance: Group | Permission, action: str, **_: Any) -> None:
    if isinstance(instance, Group) and action.startswith("post_"):
        tell_about_staff_in(instance)


@receiver(pre_delete, sender=Group)
def group_ends(instance: Group, **_: Any) -> None:
    """Before, while it is known who is in it. They are told after commit."""
    tell_about_staff_in(instance)


def tell_about_staff_in(group: Group) -> None:
    for user in get_user_model()._default_manager.filter(groups=group):
        if user.is_staff:
            tell_about(user_key(user.pk))


def tell_about(viewer_key: str) -> None:
    """Have the viewer's open sockets looked at again, once this is committed. Failing to tell fails nothing else."""
    transaction.on_commit(partial(broker.announce_access, viewer_key=viewer_key), robust=True)
