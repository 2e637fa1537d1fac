"""Logging in and out."""

from __future__ import annotations

from datetime import datetime

import strawberry

from rooms import accounts
from rooms.accounts import LoggedIn
from rooms.identity import Flaw, require_sound
from rooms.threads import in_database, in_hashing

from .context import Context, Info
from .types import Viewer, viewer_type


@strawberry.input
class LoginInput:
    username: str
    password: str


@strawberry.type
class LoginPayload:
    token: str = strawberry.field(description="The account's bearer token. Keep it: it is shown only here.")
    expires_at: datetime | None = strawberry.field(description="When it ends by itself; null: never.")
    viewer: Viewer


@strawberry.type
class LogoutPayload:
    viewer: Viewer


@strawberry.type
class AccountMutations:
    @strawberry.mutation(
        description=(
            "Show that you know an account's password: a session cookie for pages of this site, `token` for everyone."
            " A socket that has shown who it is stays that: connect again with the token."
        )
    )
    async def login(self, info: Info, input: LoginInput) -> LoginPayload:
        found = await in_hashing(_log_in, info.context, input)
        return LoginPayload(
            token=found.issued.secret, expires_at=found.issued.expires_at, viewer=viewer_type(found.viewer)
        )

    @strawberry.mutation(
        description=(
            "End the token that this was asked with or, without one, the session; `everywhere`: all tokens and sessions"
            " that you have. Sockets that were opened with them end."
        )
    )
    async def logout(self, info: Info, everywhere: bool = False) -> LogoutPayload:
        await in_database(_log_out, info.context, everywhere)
        return LogoutPayload(viewer=viewer_type(info.context.viewer))


def _log_in(context: Context, input: LoginInput) -> LoggedIn:
    found = accounts.log_in(username=input.username, password=input.password, address=context.address)
    context.become(found.viewer)
    return found


def _log_out(context: Context, everywhere: bool) -> None:
    """A token that is not in force has ended already, as was asked; whose the others are it does not show."""
    if everywhere or context.viewer.flaw is not Flaw.TOKEN:
        require_sound(context.viewer)
    accounts.log_out(viewer=context.viewer, everywhere=everywhere)
    context.become_nobody()
