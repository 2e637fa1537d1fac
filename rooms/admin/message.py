"""Messages: to be read and deleted, never written."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.templatetags.admin_urls import add_preserved_filters
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from rooms import services
from rooms.models import Member, Message
from rooms.selectors import VIEW_EVERYTHING

from .filters import RoomFilter, room_id_of
from .lists import ReadOnlyAdmin, actor_of, isolated, link_to, short

EXCERPT_LENGTH = 120


@admin.register(Message)
class MessageAdmin(ReadOnlyAdmin[Message]):
    """Deleting is the service's: the row stays without its text, and everybody who follows the room hears of it."""

    list_display = ("excerpt", "author_column", "room_column", "sent")
    list_filter = (RoomFilter,)
    list_select_related = ("room", "author")
    sortable_by = ()
    search_fields = ("text", "author")
    search_help_text = _("Searches texts and authors’ display names; faster within one room.")
    fields = ("room", "author", "body", "sequence", "sent_at", "edited_at", "deleted_at")
    readonly_fields = fields
    actions = ("delete_selected",)
    delete_confirmation_template = "admin/rooms/message/delete_confirmation.html"

    def get_ordering(self, request: HttpRequest) -> tuple[str]:
        """From the newest, along an index: the room's own where there is one room."""
        return ("-id",) if room_id_of(request) is None else ("-sequence",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Message], bool]:
        """Each word in the text or the author's name. Authors are found first, so that no row is joined to be tried."""
        room_id = room_id_of(request)
        members = Member.objects.all() if room_id is None else Member.objects.filter(room_id=room_id)
        for word in search_term.split():
            authors = members.filter(display_name__icontains=word)
            queryset = queryset.filter(Q(text__icontains=word) | Q(author__in=authors.values("pk")))
        return queryset, False

    def has_view_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        """As the services have it: to be allowed to change is not to be allowed to view."""
        return request.user.has_perm(VIEW_EVERYTHING)

    def has_delete_permission(self, request: HttpRequest, obj: Message | None = None) -> bool:
        is_deleted = obj is not None and obj.deleted_at is not None
        may_delete = request.user.has_perm(services.DELETE_ANY_MESSAGE)
        return may_delete and not is_deleted and self.has_view_permission(request)

    def why_not_deleted(self, request: HttpRequest, obj: Message) -> str:
        if obj.deleted_at is not None:
            return gettext("The message is deleted already.")
        return gettext("Your account lacks the permission to delete messages: an administrator gives it.")

    # What is shown

    @admin.display(description=_("text"))
    def excerpt(self, message: Message) -> str:
        if message.text is None:
            return gettext("(deleted)")
        return isolated(Truncator(message.text).chars(EXCERPT_LENGTH))

    @admin.display(description=_("text"))
    def body(self, message: Message) -> str:
        return gettext("(deleted)") if message.text is None else isolated(message.text)

    @admin.display(description=_("author"))
    def author_column(self, message: Message) -> SafeString:
        return link_to("member", message.author_id, message.author)

    @admin.display(description=_("room"))
    def room_column(self, message: Message) -> SafeString:
        return link_to("room", message.room_id, message.room)

    @admin.display(description=_("sent at"))
    def sent(self, message: Message) -> str | None:
        return short(message.sent_at)

    # Deleting

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Nothing goes but the text."""
        return [], {}, set(), []

    def delete_model(self, request: HttpRequest, obj: Message) -> None:
        services.delete_message(viewer=actor_of(request), message_id=obj.pk)

    def response_delete(self, request: HttpRequest, obj_display: str, obj_id: int) -> HttpResponse:
        """Back to the list: Django would take who may change nothing to the index."""
        self.message_user(request, gettext("The message was deleted."), messages.SUCCESS)
        kept: dict[str, Any] = {"preserved_filters": self.get_preserved_filters(request), "opts": self.opts}
        return HttpResponseRedirect(add_preserved_filters(kept, reverse("admin:rooms_message_changelist")))

    @admin.action(permissions=["delete"], description=_("Delete selected messages"))
    def delete_selected(self, request: HttpRequest, queryset: QuerySet[Message]) -> HttpResponse | None:
        """In place of Django's action of this name."""
        present = list(queryset.filter(deleted_at=None).select_related("author", "room"))
        if present and not request.POST.get("post"):
            return self._ask_about(request, present)
        for message in present:
            self.log_deletions(request, Message.objects.filter(pk=message.pk))
            self.delete_model(request, message)
        done = ngettext("%(count)d message was deleted.", "%(count)d messages were deleted.", len(present))
        self.tell(request, done, len(present))
        return None

    def _ask_about(self, request: HttpRequest, chosen: list[Message]) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Delete messages?"),
            "messages_to_delete": chosen,
            "opts": self.opts,
            "media": self.media,
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(request, "admin/rooms/message/delete_selected_confirmation.html", context)
