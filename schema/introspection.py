"""Who may read the schema from the server: by introspection, and by the suggestions in error messages.

The schema is no secret, it is published with the source; but in production nobody who is unknown needs it, and an
attacker's tools begin there.
"""

from __future__ import annotations

from enum import Enum

from django.conf import settings
from graphql import GraphQLError

from rooms.exceptions import Forbidden, Unauthenticated
from rooms.identity import Viewer, flaw_refused

SUGGESTION = " Did you mean "


class Audience(Enum):
    """The values of the setting ``GRAPHQL_INTROSPECTION``."""

    EVERYONE = "everyone"
    AUTHENTICATED = "authenticated"
    NOBODY = "nobody"


def may_introspect(viewer: Viewer) -> bool:
    audience = Audience(settings.GRAPHQL_INTROSPECTION)
    return audience is Audience.EVERYONE or (audience is Audience.AUTHENTICATED and viewer.is_authenticated)


def require_introspection(viewer: Viewer) -> None:
    """Raises Unauthenticated where being somebody would do, and Forbidden where nothing does."""
    if may_introspect(viewer):
        return
    if Audience(settings.GRAPHQL_INTROSPECTION) is Audience.NOBODY:
        raise Forbidden("This server does not describe its schema.")
    raise flaw_refused(viewer) or Unauthenticated("The schema is described to who has joined a room or logged in.")


def without_suggestion(error: GraphQLError) -> None:
    """Take "Did you mean …?" off the message: it names what the schema holds."""
    error.message = error.message.partition(SUGGESTION)[0]
