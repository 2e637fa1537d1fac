"""Many who show a credential at once: one question, and an answer for each alone."""

from __future__ import annotations

import asyncio
import threading
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from pytest_django import Settings

from rooms import tokens
from rooms.identity import NOBODY, NOT_IN_FORCE, Flaw, Viewer
from rooms.provider import RemoteKeys
from rooms.threads import in_database
from rooms.tokens import issue_token
from schema import context, identities
from schema.context import Credentials
from schema.identities import Identities
from tests.people import make_guest, make_room
from tests.provider import jwt_settings, write
from tests.rooms.fakes import run_loop

pytestmark = pytest.mark.django_db(transaction=True)


async def made(number: int) -> list[Viewer]:
    def make() -> list[Viewer]:
        room = make_room()
        return [make_guest(room) for _ in range(number)]

    return await in_database(make)


def counted() -> Any:
    return patch.object(identities, "authenticate_all", wraps=context.authenticate_all)


def shown(viewer: Viewer) -> Credentials:
    return bearer(viewer.token or "")


def bearer(token: str) -> Credentials:
    return Credentials(None, token)


async def test_each_is_known_by_their_own_token_and_all_are_asked_for_at_once() -> None:
    people, known = await made(20), Identities()
    with counted() as asking:
        found = await asyncio.gather(*(known.viewer_of(shown(each)) for each in people))
    assert [viewer.key for viewer in found] == [viewer.key for viewer in people]
    assert asking.call_count == 1


async def test_who_comes_while_that_is_asked_goes_with_the_next() -> None:
    people, known = await made(6), Identities()
    with counted() as asking:
        first = asyncio.ensure_future(known.viewer_of(shown(people[0])))
        await run_loop(5)
        rest = await asyncio.gather(*(known.viewer_of(shown(each)) for each in people[1:]))
        assert (await first).key == people[0].key
    assert [viewer.key for viewer in rest] == [viewer.key for viewer in people[1:]]
    assert asking.call_count == 2


@pytest.mark.parametrize("wrong", ["nonsense", "\ud800", "\x00", ""])
async def test_a_token_that_is_not_in_force_fails_alone(wrong: str) -> None:
    (guest,), known = await made(1), Identities()
    asked = [Credentials(None, wrong), shown(guest), Credentials(None, wrong), shown(guest)]
    found = await asyncio.gather(*map(known.viewer_of, asked))
    assert [each.key for each in found] == [None, guest.key, None, guest.key]
    assert [each.flaw for each in found] == [Flaw.TOKEN, None, Flaw.TOKEN, None]


async def test_a_token_that_was_revoked_is_nobody_s_from_the_next_question_on() -> None:
    (guest,), known = await made(1), Identities()
    assert (await known.viewer_of(shown(guest))).key == guest.key
    await in_database(tokens.revoke_token, guest.token or "")
    assert await known.viewer_of(shown(guest)) == NOT_IN_FORCE


async def test_while_the_database_is_away_all_are_told_and_then_known_again() -> None:
    people, known = await made(2), Identities()
    with patch.object(identities, "authenticate_all", side_effect=OperationalError("away")):
        found = await asyncio.gather(*(known.viewer_of(shown(each)) for each in people), return_exceptions=True)
    assert [type(each) for each in found] == [OperationalError] * 2
    assert (await known.viewer_of(shown(people[0]))).key == people[0].key


async def test_who_leaves_while_it_is_asked_harms_nobody() -> None:
    (one, other), known = await made(2), Identities()
    leaving, staying = (asyncio.ensure_future(known.viewer_of(shown(each))) for each in (one, other))
    await run_loop(1)
    leaving.cancel()
    assert (await staying).key == other.key


async def test_nobody_waits_for_the_keys_of_somebody_else_s_token(settings: Settings) -> None:
    (guest,), known, released = await made(1), Identities(), threading.Event()
    settings.AUTH_JWT = jwt_settings(JWKS_URL="http://127.0.0.1:9/")
    with patch.object(RemoteKeys, "refresh", lambda *_: released.wait(10)):
        waiting = asyncio.ensure_future(known.viewer_of(bearer(write(sub="rosa"))))
        await run_loop(5)
        assert (await known.viewer_of(shown(guest))).key == guest.key
        assert not waiting.done()
        released.set()
        assert await waiting == NOT_IN_FORCE


async def test_a_session_is_looked_at_only_without_an_authorization() -> None:
    user, known = await in_database(User.objects.create_user, "rosa"), Identities()
    token = (await in_database(issue_token, user)).secret
    with patch.object(context, "viewers_by_session_key", wraps=lambda keys: dict.fromkeys(keys, NOBODY)) as looking:
        assert (await known.viewer_of(Credentials("a" * 32, token))).user == user
        assert looking.call_args.args == (set(),)
        assert await known.viewer_of(Credentials("a" * 32, None)) == NOBODY
        assert looking.call_args.args == ({"a" * 32},)
