"""The admin: rooms and their members are made and changed here, messages read and deleted.

All writes go through the services; Django's own forms and lists only ask for them.
"""

from django.contrib import admin
from django.contrib.admin import forms as admin_forms
from django.utils.translation import gettext_lazy as _

from .account import AccountAdmin, MyPasswordForm
from .audit import AuditEntryAdmin
from .ban import BanAdmin
from .guest import GuestAdmin
from .identity import IdentityAdmin
from .login import LoginForm
from .member import MemberAdmin
from .message import MessageAdmin
from .room import RoomAdmin
from .token import TokenAdmin

__all__ = [
    "AccountAdmin",
    "AuditEntryAdmin",
    "BanAdmin",
    "GuestAdmin",
    "IdentityAdmin",
    "MemberAdmin",
    "MessageAdmin",
    "RoomAdmin",
    "TokenAdmin",
]

admin.site.site_header = _("Salas")
admin.site.site_title = _("Salas")
admin.site.login_form = LoginForm
admin.site.password_change_form = MyPasswordForm  # Django 6
if not hasattr(admin.AdminSite, "password_change_form"):  # Django 5.2 names the form in its code alone
    admin_forms.AdminPasswordChangeForm = MyPasswordForm  # type: ignore[misc]
