"""Who one is, over HTTP and over WebSocket, and how soon a socket ends when that does."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache.backends.locmem import LocMemCache
from django.test import Client as DjangoClient
from django.utils import timezone
from pytest_django import Settings

from rooms import attempts, broker, provider
from rooms.attempts import Counts
from rooms.exceptions import Unauthenticated
from rooms.identity import Viewer
from rooms.log import DatabaseLog
from rooms.models import Guest, Identity, Session, Token
from rooms.threads import in_database
from rooms.tokens import digest_of, issue_token, viewer_by_token
from schema import identities, presence
from schema.closing import FORBIDDEN
from schema.context import Credentials, authenticate_all
from schema.cursors import log_cursor
from schema.ids import encode_id
from schema.presence import OpenSockets
from schema.receipts import Receipts
from schema.recognition import Recognition
from tests.people import PASSWORD, make_guest, make_room, send
from tests.provider import jwt_settings, write
from tests.rooms.admin_pages import run_action
from tests.rooms.fakes import run_loop

from .api import Api
from .client import Client
from .sockets import Socket, opened

pytestmark = pytest.mark.django_db(transaction=True)

ORIGIN = {"Origin": "http://testserver"}
LOGIN = """
mutation ($input: LoginInput!) {
  login(input: $input) { token expiresAt viewer { isAuthenticated isGuest displayName members { id } } }
}
"""
LOGOUT = "mutation ($everywhere: Boolean! = false) { logout(everywhere: $everywhere) { viewer { isAuthenticated } } }"
WHO = "{ viewer { displayName } }"
MONTH = 30 * 24 * 3600.0
RIGHT = {"username": "rosa", "password": PASSWORD}


@pytest.fixture
def rosa() -> User:
    return User.objects.create_user("rosa", password=PASSWORD)


def bearer(token: str) -> Api:
    api = Api()
    api.headers["Authorization"] = f"Bearer {token}"
    return api


def who(api: Api, **headers: str) -> str | None:
    """How the server calls who asks; "refused" where it answers with 401."""
    response = api.post({"query": WHO}, **headers)
    if response.status_code == 401:
        return "refused"
    name: str | None = response.json()["data"]["viewer"]["displayName"]
    return name


# Over HTTP


def test_login_gives_a_token_that_is_known_from_then_on(rosa: User) -> None:
    given = Api().data(LOGIN, input=RIGHT)["login"]
    assert given["viewer"] == {"isAuthenticated": True, "isGuest": False, "displayName": "rosa", "members": []}
    assert given["expiresAt"] > timezone.now().isoformat()
    assert who(bearer(given["token"])) == "rosa"
    rosa.refresh_from_db()
    assert rosa.last_login is not None


@pytest.mark.parametrize(
    "wrong", [{"password": "wrong"}, {"username": "nobody"}, {"username": "Rosa"}, {"username": "a\0"}], ids=str
)
def test_a_wrong_login_is_told_the_same_whatever_is_wrong(rosa: User, wrong: dict[str, str]) -> None:
    (error,) = Api().execute(LOGIN, input=RIGHT | wrong)["errors"]
    assert error["extensions"] == {"code": "UNAUTHENTICATED"}
    assert error["message"] == "The user name or the password is wrong."


def test_a_page_of_this_site_gets_a_session_and_a_program_gets_none(rosa: User) -> None:
    page, program = Api(), Api()
    page.post({"query": LOGIN, "variables": {"input": RIGHT}}, **ORIGIN)
    program.data(LOGIN, input=RIGHT)
    assert "sessionid" not in program.client.cookies
    assert who(page, **ORIGIN) == "rosa"
    assert page.client.cookies["sessionid"]["httponly"]


def test_a_page_of_another_site_gets_no_session(rosa: User) -> None:
    page = Api()
    page.post({"query": LOGIN, "variables": {"input": RIGHT}}, Origin="https://evil.example")
    assert "sessionid" not in page.client.cookies


def test_a_guest_s_session_becomes_the_account_s_under_another_key(rosa: User) -> None:
    api = Api()
    room = make_room()
    join = f'mutation {{ joinRoom(input: {{slug: "{room.slug}", displayName: "Ana"}}) {{ token }} }}'
    api.post({"query": join}, **ORIGIN)
    before = api.client.cookies["sessionid"].value
    api.post({"query": LOGIN, "variables": {"input": RIGHT}}, **ORIGIN)
    assert api.client.cookies["sessionid"].value != before
    assert who(api, **ORIGIN) == "rosa"
    api.post({"query": LOGOUT}, **ORIGIN)
    assert who(api, **ORIGIN) is None


def test_a_token_is_never_taken_from_the_address(rosa: User) -> None:
    token = issue_token(rosa).secret
    for name in ("token", "access_token", "authorization", "Authorization"):
        response = Client().post(f"/graphql/?{name}=Bearer {token}", {"query": WHO}, content_type="application/json")
        assert response.json()["data"] == {"viewer": {"displayName": None}}


def test_logout_ends_the_token_that_it_was_asked_with_and_no_other(rosa: User) -> None:
    one, other = issue_token(rosa).secret, issue_token(rosa).secret
    assert bearer(one).data(LOGOUT) == {"logout": {"viewer": {"isAuthenticated": False}}}
    assert [who(bearer(one)), who(bearer(other))] == ["refused", "rosa"]


def test_logout_ends_the_session_that_it_was_asked_with_and_no_other(rosa: User) -> None:
    one, other = Api(), Api()
    one.client.force_login(rosa)
    other.client.force_login(rosa)
    key, token = one.client.cookies["sessionid"].value, issue_token(rosa).secret
    one.post({"query": LOGOUT}, **ORIGIN)
    stale = Api()
    stale.client.cookies["sessionid"] = key
    assert [who(stale, **ORIGIN), who(other, **ORIGIN), who(bearer(token))] == [None, "rosa", "rosa"]


def test_logout_everywhere_ends_all_of_one_s_own(rosa: User) -> None:
    browser, guest = Api(), make_guest(make_room())
    browser.client.force_login(rosa)
    tokens = [issue_token(rosa).secret for _ in range(2)]
    assert guest.token is not None
    bearer(tokens[0]).data(LOGOUT, everywhere=True)
    assert [who(bearer(token)) for token in (*tokens, guest.token)] == ["refused", "refused", "Ana"]
    assert who(browser, **ORIGIN) is None


def test_a_guest_logs_out_too() -> None:
    guest = make_guest(make_room())
    assert guest.token is not None
    bearer(guest.token).data(LOGOUT)
    assert who(bearer(guest.token)) == "refused"


def test_nobody_may_log_out() -> None:
    assert Api().data(LOGOUT, everywhere=True) == {"logout": {"viewer": {"isAuthenticated": False}}}


def test_a_password_change_ends_sessions(rosa: User) -> None:
    api = Api()
    api.client.force_login(rosa)
    change_password(rosa)
    assert who(api, **ORIGIN) is None


def test_who_tries_too_often_is_told_when_to_try_again(rosa: User, settings: Settings) -> None:
    settings.LIMITS = replace(settings.LIMITS, logins_per_account=2)
    cache = LocMemCache(uuid4().hex, {})
    with patch.object(attempts, "counts", Counts(lambda: cache)):
        for username in ("rosa", "nobody"):
            refusals = [Api().refusal(LOGIN, input={"username": username, "password": "x"}) for _ in range(3)]
            assert [each["code"] for each in refusals] == ["UNAUTHENTICATED", "UNAUTHENTICATED", "RATE_LIMITED"]
            assert refusals[2]["retryAfter"] > 0


def test_a_token_of_the_provider_is_known_and_only_it_ends_it(settings: Settings) -> None:
    settings.AUTH_JWT = jwt_settings()
    api = bearer(write(name="Ana"))
    assert who(api) == "Ana"
    assert api.refusal(LOGOUT)["code"] == "FORBIDDEN"
    assert who(bearer(write(iss="https://evil.example"))) == "refused"
    settings.AUTH_JWT = None
    assert who(api) == "refused"


# Over WebSocket


class Announced:
    """Stands for the broker: brings what is announced to the sockets here, if it ``arrives``."""

    def __init__(self, sockets: OpenSockets) -> None:
        self._sockets, self._loop = sockets, asyncio.get_running_loop()
        self.arrives = True

    def __call__(self, *, viewer_key: str, **_: object) -> None:
        if self.arrives:
            self._loop.call_soon_threadsafe(self._sockets.recheck, viewer_key)


class Sleeper:
    """A ``sleep`` that ends when the test says so."""

    def __init__(self) -> None:
        self._over = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        assert seconds == presence.SWEEP_SECONDS
        await self._over.wait()
        self._over.clear()

    def end(self) -> None:
        self._over.set()


@pytest.fixture
async def sleeper() -> Sleeper:
    return Sleeper()


@pytest.fixture
async def sockets(sleeper: Sleeper) -> OpenSockets:
    return OpenSockets(sleep=sleeper)


@pytest.fixture
async def announced(sockets: OpenSockets) -> AsyncIterator[Announced]:
    announced = Announced(sockets)
    with patch.object(broker, "announce_access", announced):
        yield announced


async def answer(socket: Socket, query: str, **variables: Any) -> dict[str, Any]:
    await socket.subscribe("1", query, **variables)
    message = await socket.receive()
    assert message["type"] == "next", message
    assert (await socket.receive())["type"] == "complete"
    data: dict[str, Any] = message["payload"]["data"]
    return data


def authorization(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_login_lets_a_socket_of_nobody_s_be_the_account_s(rosa: User, sockets: OpenSockets) -> None:
    async with opened(sockets=sockets) as socket:
        await socket.init()
        given = (await answer(socket, LOGIN, input=RIGHT))["login"]
        assert given["viewer"]["displayName"] == "rosa"
        assert await answer(socket, WHO) == {"viewer": {"displayName": "rosa"}}
        async with opened(sockets=sockets) as other:
            await other.init(authorization(given["token"]))
            assert await answer(other, WHO) == {"viewer": {"displayName": "rosa"}}


async def test_login_leaves_a_socket_with_who_it_has_shown_to_be(rosa: User, sockets: OpenSockets) -> None:
    guest = await in_database(lambda: make_guest(make_room()))
    assert guest.token is not None
    async with opened(sockets=sockets) as socket:
        await socket.init(authorization(guest.token))
        given = (await answer(socket, LOGIN, input=RIGHT))["login"]
        assert given["viewer"]["displayName"] == "rosa"
        assert await in_database(viewer_by_token, given["token"]) is not None
        assert await answer(socket, WHO) == {"viewer": {"displayName": "Ana"}}


async def test_a_wrong_login_is_told_the_same_over_a_socket(rosa: User, sockets: OpenSockets) -> None:
    async with opened(sockets=sockets) as socket:
        await socket.init()
        for wrong in ({"password": "wrong"}, {"username": "nobody"}):
            await socket.subscribe("1", LOGIN, input=RIGHT | wrong)
            (error,) = (await socket.receive())["payload"]["errors"]
            assert error["extensions"] == {"code": "UNAUTHENTICATED"}
            assert (await socket.receive())["type"] == "complete"


async def test_passwords_are_hashed_apart_from_what_followers_need(rosa: User, sockets: OpenSockets) -> None:
    names: list[str] = []

    def noted(**_: object) -> Any:
        names.append(threading.current_thread().name)
        raise Unauthenticated

    async with opened(sockets=sockets) as socket:
        await socket.init()
        with patch("rooms.accounts.log_in", noted), patch("rooms.services.join_room", noted):
            for query in (
                'mutation { login(input: {username: "a", password: "b"}) { token } }',
                'mutation { joinRoom(input: {slug: "a", displayName: "b", password: "c"}) { token } }',
                'mutation { joinRoom(input: {slug: "a", displayName: "b"}) { token } }',
            ):
                await socket.subscribe("1", query)
                await socket.receive()
                await socket.receive()
    assert [name.partition("_")[0] for name in names] == ["hashing", "hashing", "database"]


# How a socket ends


def change_password(user: User) -> None:
    user.set_password("another password")
    user.save()


def deactivate(user: User) -> None:
    user.is_active = False
    user.save(update_fields=["is_active"])


def revoke(user: User) -> None:
    Token.objects.filter(user=user).delete()


def log_out(user: User) -> None:
    Session.objects.filter(viewer_key=f"user:{user.pk}").delete()


def change_password_quietly(user: User) -> None:
    User.objects.filter(pk=user.pk).update(password="x")


def deactivate_quietly(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


async def by_token(user: User) -> tuple[dict[str, str], dict[str, str] | None]:
    return {}, authorization((await in_database(issue_token, user)).secret)


async def by_session(user: User) -> tuple[dict[str, str], dict[str, str] | None]:
    client = DjangoClient()
    await in_database(client.force_login, user)
    return {"origin": ORIGIN["Origin"], "cookie": f"sessionid={client.cookies['sessionid'].value}"}, None


async def by_provider(user: User) -> tuple[dict[str, str], dict[str, str] | None]:
    await in_database(Identity.objects.create, user=user, issuer="https://id.example", subject="rosa")
    settings.AUTH_JWT = jwt_settings()
    return {}, authorization(write(sub="rosa"))


WAYS = [
    (by_token, change_password),
    (by_token, deactivate),
    (by_token, revoke),
    (by_session, change_password),
    (by_session, deactivate),
    (by_session, log_out),
    (by_provider, deactivate),
]
UNHEARD = [
    (by_token, change_password_quietly),
    (by_token, deactivate_quietly),
    (by_token, revoke),
    (by_session, change_password_quietly),
    (by_session, deactivate_quietly),
    (by_session, log_out),
    (by_provider, deactivate_quietly),
]
Way = Callable[[User], Any]


@pytest.fixture(autouse=True)
def no_provider(settings: Settings) -> Iterator[None]:
    """Also for the tests that set one in the midst."""
    settings.AUTH_JWT = None
    yield
    provider.remote_keys.cache_clear()


@pytest.mark.parametrize(("known", "end"), WAYS)
async def test_it_ends_on_the_event(
    known: Way, end: Callable[[User], None], rosa: User, sockets: OpenSockets, announced: Announced
) -> None:
    headers, payload = await known(rosa)
    async with opened(headers=headers, sockets=sockets) as socket:
        await socket.init(payload)
        await in_database(end, rosa)
        assert await socket.closed() == FORBIDDEN
        assert socket.reason.startswith("Forbidden: ")


@pytest.mark.parametrize(("known", "end"), UNHEARD)
async def test_it_ends_on_the_sweep_where_the_event_was_lost(
    known: Way,
    end: Callable[[User], None],
    rosa: User,
    sockets: OpenSockets,
    announced: Announced,
    sleeper: Sleeper,
) -> None:
    announced.arrives = False
    headers, payload = await known(rosa)
    async with opened(headers=headers, sockets=sockets) as socket:
        await socket.init(payload)
        await in_database(end, rosa)
        sleeper.end()
        assert await socket.closed() == FORBIDDEN


async def test_revoking_in_the_admin_ends_it(rosa: User, sockets: OpenSockets, announced: Announced) -> None:
    _, payload = await by_token(rosa)
    boss = DjangoClient()

    def revoke_there() -> None:
        boss.force_login(User.objects.create_superuser("boss"))
        run_action(boss, "token", "revoke", Token.objects.get().pk)

    async with opened(sockets=sockets) as socket:
        await socket.init(payload)
        await in_database(revoke_there)
        assert await socket.closed() == FORBIDDEN


@pytest.mark.parametrize("everywhere", [True, False])
@pytest.mark.parametrize("known", [by_token, by_session])
async def test_logout_is_answered_before_its_own_socket_ends(
    known: Way, everywhere: bool, rosa: User, sockets: OpenSockets, announced: Announced
) -> None:
    headers, payload = await known(rosa)
    async with opened(headers=headers, sockets=sockets) as socket:
        await socket.init(payload)
        assert await answer(socket, LOGOUT, everywhere=everywhere) == {"logout": {"viewer": {"isAuthenticated": False}}}
        assert await socket.closed() == FORBIDDEN


async def test_logout_over_http_ends_the_sockets_of_that_browser(
    rosa: User, sockets: OpenSockets, announced: Announced
) -> None:
    headers, _ = await by_session(rosa)
    api = Api()
    api.client.cookies["sessionid"] = headers["cookie"].partition("=")[2]
    async with opened(headers=headers, sockets=sockets) as socket:
        await socket.init()
        await sync_to_async(lambda: api.post({"query": LOGOUT}, **ORIGIN))()
        assert await socket.closed() == FORBIDDEN


@pytest.mark.parametrize(("known", "until"), [(by_token, MONTH), (by_session, MONTH), (by_provider, 630.0)])
async def test_it_ends_when_what_it_was_shown_expires(
    known: Way, until: float, rosa: User, sockets: OpenSockets
) -> None:
    """The timer asks again at the moment, by the clock of the loop; by then it has passed on the wall."""
    headers, payload = await known(rosa)
    timers: list[tuple[float, Callable[..., object], str]] = []
    async with opened(headers=headers, sockets=sockets) as socket:
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def noted(delay: float, callback: Callable[..., object], *args: Any, **kwargs: Any) -> asyncio.TimerHandle:
            if callback == sockets.recheck:
                timers.append((delay, callback, *args))
            return call_later(delay, callback, *args, **kwargs)

        with patch.object(loop, "call_later", noted):
            await socket.init(payload)
        ((delay, ask, key),) = timers
        assert until - 60 < delay < until + 1
        past = timezone.now() - timedelta(seconds=1)
        await in_database(Token.objects.update, expires_at=past)
        await in_database(Session.objects.update, expire_date=past)
        if known is by_provider:
            settings.AUTH_JWT = jwt_settings(AUDIENCE="nobody")  # as good as late: PyJWT has no clock to set
        ask(key)
        assert await socket.closed() == FORBIDDEN


async def test_a_token_that_expires_in_a_moment_ends_it_in_a_moment(rosa: User, sockets: OpenSockets) -> None:
    _, payload = await by_token(rosa)
    soon = timezone.now() + timedelta(seconds=0.5)
    await in_database(Token.objects.update, expires_at=soon)
    async with opened(sockets=sockets) as socket:
        await socket.send(type="connection_init", payload=payload)
        assert await socket.closed() == FORBIDDEN


async def test_one_whose_session_was_prolonged_stays_and_is_asked_again(rosa: User, sockets: OpenSockets) -> None:
    headers, _ = await by_session(rosa)
    async with opened(headers=headers, sockets=sockets) as socket:
        await socket.init()
        asked: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        with patch.object(Recognition, "stay_until", lambda _, ends_at: asked.set_result(ends_at)):
            later = timezone.now() + timedelta(days=60)
            await in_database(Session.objects.update, expire_date=later)
            sockets.recheck(f"user:{rosa.pk}")
            assert await asyncio.wait_for(asked, 10) == later
        assert await answer(socket, WHO) == {"viewer": {"displayName": "rosa"}}


async def test_what_ends_one_leaves_the_others(rosa: User, sockets: OpenSockets, announced: Announced) -> None:
    _, one = await by_token(rosa)
    _, other = await by_token(rosa)
    guest = await in_database(lambda: make_guest(make_room()))
    assert one is not None
    assert guest.token is not None
    async with (
        opened(sockets=sockets) as ended,
        opened(sockets=sockets) as kept,
        opened(sockets=sockets) as of_guest,
    ):
        await ended.init(one)
        await kept.init(other)
        await of_guest.init(authorization(guest.token))
        token = one["authorization"].removeprefix("Bearer ")
        await in_database(Token.objects.filter(digest=digest_of(token)).delete)
        assert await ended.closed() == FORBIDDEN
        assert await answer(kept, WHO) == {"viewer": {"displayName": "rosa"}}
        assert await answer(of_guest, WHO) == {"viewer": {"displayName": "Ana"}}


async def test_what_is_announced_while_one_comes_in_is_not_missed(rosa: User, sockets: OpenSockets) -> None:
    """The token is read, then revoked and announced, and only then is the socket among those that are told."""
    _, payload = await by_token(rosa)
    loop = asyncio.get_running_loop()

    def slowly(shown: Any) -> Any:
        (viewer,) = authenticate_all(shown)
        Token.objects.all().delete()
        loop.call_soon_threadsafe(sockets.recheck, viewer.key or "")
        return [viewer]

    with patch.object(identities, "authenticate_all", slowly):
        async with opened(sockets=sockets) as socket:
            await socket.send(type="connection_init", payload=payload)
            assert await socket.closed() == FORBIDDEN


async def test_a_database_that_is_away_ends_nobody_and_is_asked_again(
    rosa: User, sockets: OpenSockets, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(presence, "RETRY_SECONDS", 0)
    _, payload = await by_token(rosa)
    async with opened(sockets=sockets) as socket:
        await socket.init(payload)
        await in_database(revoke, rosa)
        failing = [ConnectionError("away"), ConnectionError("away")]

        def flaky(shown: Any) -> Any:
            if failing:
                raise failing.pop()
            return authenticate_all(shown)

        with patch.object(presence, "authenticate_all", flaky):
            sockets.recheck(f"user:{rosa.pk}")
            assert await socket.closed() == FORBIDDEN
    assert "trying again" in caplog.text


class Quiet:
    """A socket whose client is a guest, and stays it."""

    def __init__(self, number: int) -> None:
        self.viewer_key: str | None = f"guest:{number}"
        self.rights: frozenset[str] | None = frozenset()
        self.credentials = Credentials(None, f"Bearer {number}")

    def stay_until(self, ends_at: object) -> None:
        assert ends_at is None

    def forbid(self) -> None:
        raise AssertionError("it is who it was")


async def test_a_sweep_asks_few_questions_and_those_that_were_asked_about_go_first(
    sockets: OpenSockets, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[str]] = []
    over, loop = asyncio.Event(), asyncio.get_running_loop()

    def guests(shown: list[Credentials]) -> list[Viewer]:
        batches.append([(each.authorization or "").removeprefix("Bearer ") for each in shown])
        if sum(map(len, batches)) == 1_000:
            loop.call_soon_threadsafe(over.set)
        return [Viewer(guest=Guest(pk=int(number))) for number in batches[-1]]

    monkeypatch.setattr(presence, "authenticate_all", guests)
    several = [Quiet(number) for number in range(1_000)]
    for each in several:
        sockets.enter(each.viewer_key or "", each)
    await run_loop(2)  # until it sleeps
    sleeper.end()
    await run_loop(2)  # until all are due, and none was asked about
    sockets.recheck("guest:999")
    await asyncio.wait_for(over.wait(), 10)
    for each in several:
        sockets.leave(each.viewer_key or "", each)
    assert "999" in batches[0] + batches[1]
    assert len(batches) <= 1 + 1_000 / presence.BATCH + 1
    assert len({number for batch in batches for number in batch}) == 1_000


# Coming back


async def test_a_follower_who_comes_back_with_a_fresh_token_misses_nothing_and_hears_nothing_twice(
    rosa: User, sockets: OpenSockets, announced: Announced
) -> None:
    """What was confirmed is not heard again; what was sent and not confirmed, the tail, is."""
    room = await in_database(make_room)
    author = await in_database(make_guest, room)
    receipts, heard = Receipts(LocMemCache(uuid4().hex, {})), list[int]()
    query = "subscription ($roomId: ID!, $after: String) { messages(roomId: $roomId, after: $after) { sequence } }"
    made_id = str(uuid4())

    @asynccontextmanager
    async def following() -> AsyncIterator[Socket]:
        async with opened(DatabaseLog(), sockets=sockets, receipts=receipts) as socket:
            socket.signs_receipts = False
            await socket.init((await by_token(rosa))[1])
            await socket.subscribe(made_id, query, roomId=encode_id("Room", room.pk), after=log_cursor(room.pk, 0))
            yield socket

    async def hear(socket: Socket, number: int) -> dict[str, Any]:
        """Hear so many entries, and return the last ping before the last of them or right after it."""
        ping: dict[str, Any] = {}
        while number or not ping:
            message = await socket.receive()
            if message["type"] == "ping":
                ping = message
            else:
                heard.append(message["payload"]["data"]["messages"]["sequence"])
                number, ping = number - 1, {}
        return ping

    try:
        for _ in range(3):
            await in_database(send, author, room)
        async with following() as socket:
            ping = await hear(socket, 3)
            await socket.send(type="pong", payload=ping["payload"])
            await in_database(send, author, room)
            socket.hub.hint(room.pk, 4)
            await hear(socket, 1)  # and confirm it not
            await in_database(revoke, rosa)
            assert await socket.closed() == FORBIDDEN
        await in_database(send, author, room)
        async with following() as socket:
            await hear(socket, 2)
    finally:
        await receipts.close()
    assert heard == [1, 2, 3, 4, 4, 5]
