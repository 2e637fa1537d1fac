"""Accounts: Django's own pages, by the rules of names and passwords, and with a way out where deleting is none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminPasswordChangeForm as OwnPasswordForm
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, AdminUserCreationForm, UserChangeForm
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rooms import deleting, validation
from rooms.exceptions import Forbidden
from rooms.models import Ban, Member, Token
from rooms.passwords import is_right, spellings

from .lists import actor_of

PART_OF_NAME_MAX_LENGTH = 150  # Django's
PASSWORDS = ("password1", "password2", "new_password1", "new_password2")


class InOneForm(forms.BaseForm):
    """New passwords in their normal form, before they are compared with each other."""

    def clean(self) -> Any:
        for name in PASSWORDS:
            if typed := self.cleaned_data.get(name):
                self.cleaned_data[name] = spellings(typed)[0]
        return super().clean()


class NewAccountForm(InOneForm, AdminUserCreationForm):  # type: ignore[type-arg]
    pass


class PasswordForm(InOneForm, AdminPasswordChangeForm):  # type: ignore[type-arg]
    """Somebody else's."""


class MyPasswordForm(InOneForm, OwnPasswordForm):
    """One's own, who knows the present one."""

    def clean_old_password(self) -> str:
        typed: str = self.cleaned_data["old_password"]
        if not is_right(typed, self.user.password, lambda _password: None):
            raise ValidationError(self.error_messages["password_incorrect"], code="password_incorrect")
        return typed


class AccountForm(UserChangeForm):  # type: ignore[type-arg]
    def clean_username(self) -> str:
        """As Django has it for new accounts: no two user names differ by case alone."""
        name: str = self.cleaned_data["username"]
        others = User.objects.exclude(pk=self.instance.pk)
        if "username" in self.changed_data and others.filter(username__iexact=name).exists():
            raise ValidationError(_("Another account has this user name, but for capital letters."), code="unique")
        return name

    def clean_first_name(self) -> str:
        return validation.part_of_name(self.cleaned_data["first_name"], PART_OF_NAME_MAX_LENGTH)

    def clean_last_name(self) -> str:
        return validation.part_of_name(self.cleaned_data["last_name"], PART_OF_NAME_MAX_LENGTH)


class AccountAdmin(UserAdmin):  # type: ignore[type-arg]
    """Deleting is the service's: what keeps an account is told, and deactivating is offered."""

    form = AccountForm
    add_form = NewAccountForm
    change_password_form = PasswordForm
    actions = ("deactivate",)
    delete_confirmation_template = "admin/rooms/account/delete_confirmation.html"
    delete_selected_confirmation_template = "admin/rooms/account/delete_selected_confirmation.html"

    def get_deleted_objects(self, objs: Iterable[User], request: HttpRequest) -> Any:
        """What goes, how much of what, and the accounts that must stay, with the reason."""
        users = list(objs)
        kept = [f"{user}: {reason}" for user in users if (reason := why_kept(user))]
        return [str(user) for user in users], goes_along(users), set(), kept

    def render_delete_form(self, request: HttpRequest, context: dict[str, Any]) -> Any:
        return super().render_delete_form(request, context | {"deactivated": [context["object"]]})

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        try:
            return super().delete_view(request, object_id, extra_context)
        except Forbidden:  # it has written something since the page was asked for, which now says so
            return HttpResponseRedirect(request.get_full_path())

    def delete_model(self, request: HttpRequest, obj: User) -> None:
        deleting.delete_account(actor=actor_of(request), user_id=obj.pk)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        for user in queryset:
            try:
                self.delete_model(request, user)
            except Forbidden:
                self.message_user(request, f"{user}: {why_kept(user)}", messages.ERROR)

    @admin.action(permissions=["change"], description=_("Deactivate selected accounts"))
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        count = 0
        for user in queryset.filter(is_active=True):
            try:
                deleting.deactivate_account(actor=actor_of(request), user_id=user.pk)
            except Forbidden:
                self.message_user(request, gettext("This is you: nobody deactivates themselves."), messages.ERROR)
                continue
            self.log_change(request, user, gettext("Deactivated."))
            count += 1
        told = ngettext("%(count)d account was deactivated.", "%(count)d accounts were deactivated.", count)
        self.message_user(request, told % {"count": count}, messages.SUCCESS if count else messages.WARNING)


def why_kept(user: User) -> str:
    if deleting.has_messages(user.pk):
        return gettext("has written messages, which keep their author")
    return gettext("is in the audit log, which is only added to") if deleting.is_in_audit_log(user.pk) else ""


def goes_along(users: list[User]) -> dict[str, int]:
    """How many of each kind go with the accounts, by the kind's name."""
    counts = {get_user_model(): len(users)} | {
        model: model._default_manager.filter(user__in=users).count() for model in (Member, Token, Ban)
    }
    return {str(model._meta.verbose_name_plural): count for model, count in counts.items() if count}


if get_user_model() is User:  # an operator's own model has pages of its own
    admin.site.unregister(User)
    admin.site.register(User, AccountAdmin)
