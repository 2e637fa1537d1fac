"""The admin: rooms and their members are made and changed here, messages read and deleted.

All writes go through the services; Django's own forms and lists only ask for them.
"""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

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
