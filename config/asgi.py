"""The one place that wires everything together: the whole of a serving process, on a page.

HTTP goes to Django, but for GraphQL, which goes past its handler. WebSockets go to the transport, which follows rooms
through the process's hub; the hub reads the log in the database and hears hints through the broker, which also carries
the hints of this process's own services. What is sent at the same time is stored together.
"""

from __future__ import annotations

import os
from typing import Any, cast

from django.core.asgi import get_asgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = os.environ.get("DJANGO_SETTINGS_MODULE") or "config.settings"
django_application = get_asgi_application()  # before the imports below: they need Django's models

from asgiref.typing import ASGIReceiveCallable, ASGISendCallable, Scope  # noqa: E402
from channels import DEFAULT_CHANNEL_LAYER  # noqa: E402
from channels.layers import channel_layers  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.cache import DEFAULT_CACHE_ALIAS, caches  # noqa: E402
from django.urls import path, re_path  # noqa: E402

from rooms.broker import Broker  # noqa: E402
from rooms.checks import require_user_model  # noqa: E402
from rooms.group_commit import GroupCommit  # noqa: E402
from rooms.hints import AccessChange  # noqa: E402
from rooms.hub import Hub  # noqa: E402
from rooms.log import DatabaseLog  # noqa: E402
from rooms.sealing import Seal  # noqa: E402
from schema.endpoint import graphql_beside  # noqa: E402
from schema.middleware import around  # noqa: E402
from schema.paths import GRAPHQL  # noqa: E402
from schema.presence import OpenSockets  # noqa: E402
from schema.receipts import Receipts  # noqa: E402
from schema.schema import schema  # noqa: E402
from schema.transport import Transport, refuse  # noqa: E402

require_user_model()

from .base_path import below  # noqa: E402
from .https import seen_through_proxies  # noqa: E402
from .probes import Probed  # noqa: E402

seal = Seal([settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]) if settings.REDIS_URL else None
broker = Broker(channel_layers[DEFAULT_CHANNEL_LAYER], seal)
hub = Hub(DatabaseLog(), broker)
sends = GroupCommit()
receipts = Receipts(caches[DEFAULT_CACHE_ALIAS])
sockets = OpenSockets()
websocket_routes: list[Any] = [  # Django's type for a view is not an ASGI application's
    path(GRAPHQL.lstrip("/"), cast("Any", Transport(schema, hub, receipts, settings.LIMITS, sockets=sockets))),
    re_path("", cast("Any", refuse)),
]
http_application = around(seen_through_proxies(graphql_beside(django_application, settings.MIDDLEWARE)))
router = ProtocolTypeRouter(
    {
        "http": Probed(below(settings.BASE_PATH, http_application), settings.BASE_PATH),
        "websocket": below(settings.BASE_PATH, seen_through_proxies(cast("Any", URLRouter(websocket_routes)))),
    }
)


def heed(change: AccessChange) -> None:
    """Let what somebody does end when their right to it has."""
    if change.room_id is not None:
        hub.access_changed(change.room_id, change.version, change.viewer_key)
    elif change.viewer_key is not None:
        hub.doubt(change.viewer_key)
        sockets.recheck(change.viewer_key)


async def application(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    broker.attach(hub.hint, heed, hub.offer)  # here, since not every server tells when its loop starts
    sends.attach()
    await router(scope, receive, send)
