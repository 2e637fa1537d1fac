"""Lists that stay fast at a million rows: nothing is counted, and counting off rows with OFFSET ends somewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.paginator import EmptyPage
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, reverse
from django.utils.formats import date_format
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _

from rooms.exceptions import Refusal
from rooms.identity import Viewer

from .generics import M, ModelAdmin, Paginator

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

ROWS_PER_PAGE = 50
PAGES = 100
BOUNDS = ("id__lt", "sequence__lt")
REFUSED = _("Nothing was changed: you may not do this to yourself, or it changed in the meantime.")


class UncountedPaginator(Paginator[M]):
    """Knows the rows of one page, and of the others only those up to there and whether more follow.

    Raises EmptyPage for a page that is not there or has more than ``PAGES`` before it.
    """

    def __init__(self, rows: QuerySet[M], per_page: int, number: int) -> None:
        super().__init__(rows, per_page)
        if not 1 <= number <= PAGES:
            raise EmptyPage
        self._number, self._start = number, (number - 1) * per_page
        found = list(rows[self._start : self._start + per_page + 1])
        self.rows, self.has_more = found[:per_page], len(found) > per_page
        if self._start and not self.rows:
            raise EmptyPage

    @cached_property
    def count(self) -> int:
        """How many rows are known of; all of them unless ``has_more``."""
        return self._start + len(self.rows)

    @cached_property
    def num_pages(self) -> int:
        return min(self._number + self.has_more, PAGES)


class UncountedChangeList(ChangeList):
    """A list by pages. Past the last of them one goes on from a row (``BOUNDS``), which costs the same everywhere."""

    def get_results(self, request: HttpRequest) -> None:
        try:
            self.paginator = UncountedPaginator(self.queryset, self.list_per_page, self.page_num)
        except EmptyPage as error:
            raise IncorrectLookupParameters from error
        self.result_list = self.paginator.rows
        # The templates show these only where they differ from each other or from the rows on the page.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.can_show_all = False
        self.show_admin_actions = bool(self.result_list)
        self.multi_page = self.paginator.num_pages > 1
        self.is_bounded = any(bound in self.params for bound in BOUNDS)
        self.params = {name: value for name, value in self.params.items() if name not in BOUNDS}

    def get_ordering_field(self, field_name: Callable[..., Any] | str) -> Any:
        is_sortable = self.sortable_by is None or field_name in self.sortable_by
        return super().get_ordering_field(field_name) if is_sortable else None

    def get_query_string(self, new_params: dict[str, Any] | None = None, remove: Iterable[str] | None = None) -> str:
        """As Django's, but only links to other pages stay behind the row that one went on from."""
        stays = new_params is not None and not new_params.keys().isdisjoint({PAGE_VAR, *BOUNDS})
        return super().get_query_string(new_params, [*(remove or ()), *(() if stays else BOUNDS)])

    def further_query_string(self) -> str | None:
        """Where to go on from the last page, in lists from the newest to the oldest."""
        field = str(self.queryset.query.order_by[0])
        bound = f"{field.removeprefix('-')}__lt"
        if self.page_num < PAGES or not self.paginator.has_more or bound not in BOUNDS:
            return None
        return self.get_query_string({bound: getattr(self.result_list[-1], bound.removesuffix("__lt"))})


def actor_of(request: HttpRequest) -> Viewer:
    """Who works in the admin, as the services want it."""
    return Viewer(user=cast("User", request.user))


class ListAdmin(ModelAdmin[M]):
    """Rows are never deleted from here, and an action is for the rows that were ticked, never for "all of them".

    What a service refuses leaves everything as it was and is said on the page.
    """

    not_deleted: StrPromise  # why rows of this kind are not deleted, and what to do instead
    list_per_page = ROWS_PER_PAGE
    show_facets = ShowFacets.NEVER
    show_full_result_count = False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list itself offers: any other condition on a column is a question about what is not shown."""
        offered = {getattr(each, "parameter_name", f"{each}__exact") for each in self.list_filter}
        return lookup in offered or lookup in BOUNDS

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return UncountedChangeList

    def response_action(
        self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **kwargs: Any
    ) -> HttpResponse | None:
        ticked = queryset.filter(pk__in=request.POST.getlist(ACTION_CHECKBOX_NAME))
        return super().response_action(request, ticked, *args, **kwargs)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().changeform_view(request, *args, **kwargs)
        except Refusal:
            self.message_user(request, REFUSED, messages.ERROR)
        except ValidationError as error:  # by a service: it was fit when the form was read
            for text in error.messages:
                self.message_user(request, text, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    def why_not_deleted(self, request: HttpRequest, obj: M) -> StrPromise | str:
        return self.not_deleted

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """For who follows an address of Django's: the reason, on the page of the row."""
        found = self.get_object(request, unquote(object_id))
        if found is None or self.has_delete_permission(request, found) or not self.has_view_permission(request, found):
            return super().delete_view(request, object_id, extra_context)
        self.message_user(request, self.why_not_deleted(request, found), messages.WARNING)
        return HttpResponseRedirect(reverse(f"admin:rooms_{self.opts.model_name}_change", args=[found.pk]))

    def do_to_each(self, request: HttpRequest, rows: Iterable[M], do: Callable[[M], object], note: str) -> int:
        """Do what an action does, each row in a transaction of its own; return to how many it was done."""
        done = 0
        for row in rows:
            try:
                do(row)
            except Refusal:
                self.message_user(request, f"{row}: {REFUSED}", messages.ERROR)
                continue
            self.log_change(request, row, note)
            done += 1
        return done

    def tell(self, request: HttpRequest, done: str, count: int) -> None:
        """Say what an action has done to how many rows; it may have been none."""
        self.message_user(request, done % {"count": count}, messages.SUCCESS if count else messages.WARNING)

    def has_delete_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


class ReadOnlyAdmin(ListAdmin[M]):
    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: M | None = None) -> bool:
        return False


def short(moment: datetime | None) -> str | None:
    return None if moment is None else date_format(localtime(moment), "SHORT_DATETIME_FORMAT")


def isolated(text: object) -> SafeString:
    """What people wrote, escaped, and with a direction of its own: it does not turn what stands beside it around."""
    return format_html("<bdi>{}</bdi>", text)


def link(text: object, address: str) -> SafeString:
    return format_html('<a href="{}">{}</a>', address, isolated(text))


def link_to_account(user: User) -> SafeString:
    """Link to the page of an account, where the operator's user model has one in the admin."""
    page = f"admin:{user._meta.app_label}_{user._meta.model_name}_change"
    try:
        return link(user, reverse(page, args=[quote(user.pk)]))
    except NoReverseMatch:
        return isolated(user)


def link_to(page: str, pk: int, text: object) -> SafeString:
    """Link to the page of one ``room``, ``member`` …"""
    return link(text, reverse(f"admin:rooms_{page}_change", args=[pk]))


def link_to_list(page: str, text: object, **filters: int) -> SafeString:
    return link(text, f"{reverse(f'admin:rooms_{page}_changelist')}?{urlencode(filters)}")
