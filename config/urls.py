"""Every page of Salas. GraphQL itself, over HTTP and WebSocket, is routed by ``asgi.py``."""

from __future__ import annotations

from django.contrib import admin
from django.templatetags.static import static
from django.urls import path
from django.views.decorators.cache import cache_control
from django.views.generic import RedirectView, TemplateView

from rooms.views import room_page
from schema.paths import GRAPHQL

# The page names its code by hash: an old one would ask for files that an upgrade has replaced.
checked_anew = cache_control(no_cache=True)
page = checked_anew(TemplateView.as_view(template_name="page.html"))

favicon = RedirectView.as_view(url=static("salas/favicon.svg"))

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="enter"), name="index"),
    path("entrar/", page, name="enter"),
    path("salas/", RedirectView.as_view(pattern_name="enter")),
    path("salas/<str:slug>/", checked_anew(room_page), name="room"),  # the page says where there is no such room
    path(GRAPHQL.lstrip("/"), TemplateView.as_view(template_name="graphiql.html"), name="graphql"),
    path("admin/", admin.site.urls),
    path("favicon.ico", favicon),  # the admin's pages name none
]
