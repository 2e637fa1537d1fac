"""The page of a room, at the one address that it has now."""

from __future__ import annotations

import logging

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache

from . import texts
from .identity import NOBODY, Viewer
from .selectors import room_by_slug
from .sessions import is_session_key, viewers_by_session_key

logger = logging.getLogger(__name__)


def room_page(request: HttpRequest, slug: str) -> HttpResponse:
    """Show the page or, for a former slug or one in capitals, lead to where the room is.

    A former slug of a room that the viewer may not know of shows what a slug that there is not shows.
    """
    own = texts.slug(slug) or slug
    if own == slug:
        own = _slug_of_now(request, slug)
    return render(request, "page.html") if own == slug else _led_to(request, own)


@never_cache
def _led_to(request: HttpRequest, slug: str) -> HttpResponse:
    query = request.META.get("QUERY_STRING", "")
    return HttpResponseRedirect(reverse("room", args=[slug]) + (f"?{query}" if query else ""))


def _slug_of_now(request: HttpRequest, slug: str) -> str:
    """Without the database the page is shown all the same: it tells, and waits for the database."""
    try:
        room = room_by_slug(viewer=_viewer_of(request), slug=slug)
    except DatabaseError as error:
        logger.warning("The page of /salas/%s/ is shown without looking for the room (%r)", slug, error)
        return slug
    return slug if room is None else room.slug


def _viewer_of(request: HttpRequest) -> Viewer:
    key = request.session.session_key
    return viewers_by_session_key([key]).get(key, NOBODY) if is_session_key(key) else NOBODY
