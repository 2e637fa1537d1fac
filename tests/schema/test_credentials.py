"""Absent and wrong credentials, over HTTP and WebSocket: what counts as one, and what needs none."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client as DjangoClient
from django.utils import timezone

from rooms.models import Member, Message, Room, RoomAccess, Session, Token
from rooms.threads import in_database
from rooms.tokens import issue_token
from schema.closing import BAD_REQUEST, FORBIDDEN
from schema.credentials import bearer_in
from tests.people import PASSWORD, make_guest, make_room, make_user, send

from .api import Api, id_of
from .client import Client
from .sockets import Ended, Socket, opened
from .test_middleware import ask

pytestmark = pytest.mark.django_db(transaction=True)

TOKEN = "t" * 43
OWN = {"Origin": "http://testserver"}
WHO = "{ viewer { displayName } }"
LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { token viewer { displayName } } }"
JOIN = "mutation ($input: JoinRoomInput!) { joinRoom(input: $input) { token member { displayName } } }"
SEND = "mutation ($input: SendMessageInput!) { sendMessage(input: $input) { message { text } } }"
LEAVE = "mutation ($input: LeaveRoomInput!) { leaveRoom(input: $input) { room { slug } } }"
LOGOUT = "mutation ($everywhere: Boolean!) { logout(everywhere: $everywhere) { viewer { isAuthenticated } } }"
ROOMS = "{ rooms { edges { node { slug } } } }"
ROOM = "query ($slug: String!) { room(slug: $slug) { slug messages { edges { node { text } } } } }"
FOLLOW = "subscription ($id: ID!) { messages(roomId: $id) { sequence } }"
RIGHT = {"username": "rosa", "password": PASSWORD}
UNAUTHENTICATED = {"code": "UNAUTHENTICATED"}
NOT_IN_FORCE = "The bearer token is not in force: log in or join again, or send none."

ABSENT = [
    "",
    " ",
    "Bearer",
    "bearer ",
    "Bearer null",
    "Bearer undefined",
    "BEARER None",
    'Bearer "null"',
    "Bearer nil",
    "Bearer (null)",
    "null",
    "undefined",
    "Basic YTpi",
    'Digest username="staging", realm="Bearer", nonce="x", uri="/", response="y"',
    "Negotiate",
    "Negotiate YIIGaQYGKwYBBQUCoIIGXTCCBlmgMDAuBgkq",
    "Token abc",
]


@pytest.fixture
def rosa() -> User:
    return User.objects.create_user("rosa", password=PASSWORD)


def account(name: str = "") -> User:
    user = make_user(name).user
    assert user is not None
    return user


# What is one


@pytest.mark.parametrize("value", ABSENT)
def test_what_is_no_credential(value: str) -> None:
    assert bearer_in([value]) is None


@pytest.mark.parametrize(
    "values",
    [
        [f"Bearer {TOKEN}"],
        [f"bearer  {TOKEN} "],
        [f"BEARER\t{TOKEN}"],
        [f"Bearer {TOKEN}", f"Bearer {TOKEN}"],
        ["", f"Bearer {TOKEN}"],
        ["Basic YTpi", f"Bearer {TOKEN}"],
        [f"Basic YTpi, Bearer {TOKEN}"],
        [f"Bearer {TOKEN}, Basic YTpi"],
        ["Bearer null", f"Bearer {TOKEN}"],
    ],
)
def test_what_is_a_token(values: list[str]) -> None:
    assert bearer_in(values) == TOKEN


@pytest.mark.parametrize("values", [["Bearer a", "Bearer b"], ["Bearer a, Bearer b"], [TOKEN], ["Bearer a b"]])
def test_what_is_unclear_is_a_token_that_is_not_in_force(values: list[str]) -> None:
    assert bearer_in(values) not in (None, "a", "b", TOKEN)


# Over HTTP: none


@pytest.mark.parametrize("value", ABSENT)
def test_without_a_credential_the_client_is_nobody(value: str) -> None:
    response = Api().post({"query": "{ viewer { isAuthenticated } }"}, Authorization=value)
    assert response.json()["data"] == {"viewer": {"isAuthenticated": False}}
    assert "authentication" not in response.json()["extensions"]
    assert "WWW-Authenticate" not in response.headers


@pytest.mark.parametrize("value", ["", "Basic YTpi", "Bearer null"])
def test_beside_a_header_that_is_no_credential_the_session_counts_with_proof_of_its_site(value: str) -> None:
    viewer = make_user("rosa")
    api = Api(viewer, client=Client(enforce_csrf_checks=True))
    for headers, status in (({}, 403), ({"Origin": "https://evil.example"}, 403), (OWN, 200)):
        assert api.post({"query": WHO}, Authorization=value, **headers).status_code == status


def test_logout_beside_a_header_that_is_no_credential_ends_the_session() -> None:
    api = Api(make_user())
    api.post({"query": LOGOUT, "variables": {"everywhere": False}}, Authorization="", **OWN)
    assert not Session.objects.exists()


def test_logging_in_with_an_empty_header_gives_a_page_its_session(rosa: User) -> None:
    api = Api()
    answer = api.post({"query": LOGIN, "variables": {"input": RIGHT}}, Authorization="", **OWN).json()
    assert answer["data"]["login"]["viewer"] == {"displayName": "rosa"}
    assert api.post({"query": WHO}, Authorization="Basic YTpi", **OWN).json()["data"]["viewer"]["displayName"] == "rosa"


# Over HTTP: a token that is not in force


def ended(token: str = TOKEN) -> Api:
    """A client with a token that is not in force, and the session cookie of somebody else."""
    api = Api(make_user(), client=Client(enforce_csrf_checks=True))
    api.headers = {"Authorization": f"Bearer {token}", **OWN}
    return api


def test_what_hands_out_credentials_needs_none(rosa: User) -> None:
    room = make_room()
    given = ended().data(LOGIN, input=RIGHT)["login"]
    assert given["viewer"] == {"displayName": "rosa"}
    joined = Api()
    joined.headers = {"Authorization": f"Bearer {TOKEN}"}
    assert joined.data(JOIN, input={"slug": room.slug, "displayName": "Ana"})["joinRoom"]["token"]


def test_an_expired_token_is_as_good_as_any_other_that_is_not_in_force(rosa: User) -> None:
    token = issue_token(rosa).secret
    Token.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    api = Api()
    api.headers = {"Authorization": f"Bearer {token}"}
    assert api.data(LOGIN, input=RIGHT)["login"]["token"]


def test_public_reads_need_none_and_say_that_the_token_did_not_count() -> None:
    room = make_room()
    send(make_guest(room), room, "hello")
    for query in (ROOMS, ROOM, "{ __typename }"):
        response = ended().client.post(
            "/graphql/",
            {"query": query, "variables": {"slug": room.slug} if query is ROOM else {}},
            content_type="application/json",
            headers={"Authorization": f"Bearer {TOKEN}"},
        )
        assert response.status_code == 200
        assert "errors" not in response.json()
        told = {"message": NOT_IN_FORCE, "extensions": UNAUTHENTICATED}
        assert response.json()["extensions"]["authentication"] == told
        assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("access", list(RoomAccess))
def test_what_needs_a_viewer_is_refused_and_nothing_is_done(access: RoomAccess) -> None:
    room = make_room(access)
    api = ended()
    for query, given in (
        (SEND, {"input": {"roomId": id_of(room), "text": "hello"}}),
        (LEAVE, {"input": {"roomId": id_of(room)}}),
        (WHO, {}),
        (LOGOUT, {"everywhere": True}),
        (
            f"mutation ($input: LeaveRoomInput!) {{ ...F }} fragment F on Mutation {LEAVE.partition(')')[2]}",
            {"input": {"roomId": id_of(room)}},
        ),
    ):
        response = api.post({"query": query, "variables": given})
        (error,) = response.json()["errors"]
        assert (response.status_code, error["message"], error["extensions"]) == (401, NOT_IN_FORCE, UNAUTHENTICATED)
        assert response["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    assert (Message.objects.count(), Member.objects.count(), Session.objects.count()) == (0, 0, 1)


@pytest.mark.parametrize(
    ("access", "known"), [(RoomAccess.OPEN, True), (RoomAccess.PASSWORD, True), (RoomAccess.MEMBERS, False)]
)
def test_what_only_a_viewer_may_see_is_not_said_to_be_nothing(access: RoomAccess, known: bool) -> None:
    room = make_room(access)
    answer = ended().post({"query": ROOM, "variables": {"slug": room.slug}}).json()
    assert (answer["data"]["room"] is not None) == known
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    assert codes == ([] if access == RoomAccess.OPEN else ["UNAUTHENTICATED"])


def test_a_session_beside_a_token_that_is_not_in_force_acts_for_nobody_and_is_kept() -> None:
    room = make_room()
    api = ended()
    user = User.objects.get()
    assert api.post({"query": LOGOUT, "variables": {"everywhere": False}}).status_code == 200
    assert api.data(JOIN, input={"slug": room.slug, "displayName": "Ana"})["joinRoom"]["token"]
    member = Member.objects.get()
    assert member.user_id is None
    assert User.objects.get() == user


def test_a_wrong_password_is_told_as_that_whatever_token_is_shown(rosa: User) -> None:
    (error,) = ended().execute(LOGIN, input=RIGHT | {"password": "wrong"})["errors"]
    assert error["message"] == "The user name or the password is wrong."


# Over HTTP: a session that does not count


def test_a_program_with_a_cookie_and_no_origin_reads_and_logs_in_and_does_nothing_else(rosa: User) -> None:
    room = make_room()
    api = Api(make_user(), client=Client(enforce_csrf_checks=True))
    assert api.data(ROOMS)["rooms"]["edges"]
    assert api.data(LOGIN, input=RIGHT)["login"]["viewer"] == {"displayName": "rosa"}
    for query, given in (
        (SEND, {"input": {"roomId": id_of(room), "text": "hello"}}),
        (WHO, {}),
        (LOGOUT, {"everywhere": False}),
    ):
        response = api.post({"query": query, "variables": given})
        assert response.status_code == 403
        assert response.json()["errors"][0]["extensions"] == {"code": "FORBIDDEN"}
    assert Session.objects.count() == 1


def test_another_site_does_not_change_whose_a_session_is() -> None:
    room = make_room()
    api = Api(make_user(), client=Client(enforce_csrf_checks=True))
    cookie = api.client.cookies["sessionid"].value
    asked = {"query": JOIN, "variables": {"input": {"slug": room.slug, "displayName": "Mallory"}}}
    for origin in ("https://evil.example", None):
        response = api.post(asked, **({"Origin": origin} if origin else {}))
        assert response.json()["data"]["joinRoom"]["token"]
        assert api.client.cookies["sessionid"].value == cookie
    assert Session.objects.get().session_key == cookie


@pytest.mark.parametrize("kind", ["expired", "ended", "garbled", "of nobody"])
def test_a_session_that_is_over_is_none(kind: str, rosa: User) -> None:
    room, api = make_room(), Api(client=Client(enforce_csrf_checks=True))
    if kind == "garbled":
        api.client.cookies["sessionid"] = "%00;x='"
    else:
        api.client.force_login(account())
    if kind == "expired":
        Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    if kind == "ended":
        Session.objects.all().delete()
    if kind == "of nobody":
        User.objects.exclude(pk=rosa.pk).update(is_active=False)
    api.headers = dict(OWN)
    assert api.data(WHO) == {"viewer": {"displayName": None}}
    assert api.data(ROOMS)["rooms"]["edges"]
    assert api.refusal(SEND, input={"roomId": id_of(room), "text": "x"}) == UNAUTHENTICATED
    assert api.data(JOIN, input={"slug": room.slug, "displayName": "Ana"})["joinRoom"]["token"]
    assert api.data(WHO) == {"viewer": {"displayName": "Ana"}}
    assert api.data(LOGIN, input=RIGHT)["login"]["token"]
    assert api.data(WHO) == {"viewer": {"displayName": "rosa"}}


# Several headers


async def asked_with(*authorizations: str) -> dict[str, Any]:
    token = (await in_database(lambda: make_guest(make_room()))).token
    lines = [("authorization", value.replace("TOKEN", token or "")) for value in authorizations]
    answer = await ask(body=[b'{"query": "{ viewer { displayName } }"}'], more_headers=lines)
    answered: dict[str, Any] = json.loads(answer.body)
    return answered


@pytest.mark.parametrize(
    "lines", [("Basic YTpi", "Bearer TOKEN"), ("Bearer TOKEN", ""), ("Bearer TOKEN", "Bearer TOKEN")]
)
async def test_a_token_counts_among_other_headers(lines: tuple[str, ...]) -> None:
    assert (await asked_with(*lines))["data"] == {"viewer": {"displayName": "Ana"}}


async def test_of_two_tokens_none_is_chosen() -> None:
    answer = await asked_with("Bearer TOKEN", "Bearer other")
    assert answer["errors"][0]["extensions"] == UNAUTHENTICATED


# Over WebSocket


async def answer(socket: Socket, query: str, **variables: Any) -> dict[str, Any]:
    await socket.subscribe("1", query, **variables)
    message = await socket.receive()
    assert message["type"] in ("next", "error"), message
    if message["type"] == "next":
        assert (await socket.receive())["type"] == "complete"
        payload: dict[str, Any] = message["payload"]
        return payload
    return {"errors": message["payload"]}


@pytest.mark.parametrize("value", [*ABSENT, None, False])
async def test_connection_params_without_a_credential_are_nobody_s(value: str | None) -> None:
    async with opened() as socket:
        await socket.init({"authorization": value})
        assert (await answer(socket, WHO))["data"] == {"viewer": {"displayName": None}}


@pytest.mark.parametrize("value", [1, True, [], ["Bearer x"], {}, {"token": "x"}])
async def test_an_authorization_that_is_no_text_is_told_so(value: object) -> None:
    async with opened() as socket:
        await socket.send(type="connection_init", payload={"authorization": value})
        assert await socket.closed() == BAD_REQUEST
        assert socket.reason == "`authorization` must be a text, such as `Bearer …`, or null"


async def guest_token() -> str:
    return (await in_database(lambda: make_guest(make_room()))).token or ""


async def test_an_empty_authorization_beside_another_does_not_count() -> None:
    token = await guest_token()
    async with opened() as socket:
        await socket.init({"authorization": "", "Authorization": f"Bearer {token}"})
        assert (await answer(socket, WHO))["data"] == {"viewer": {"displayName": "Ana"}}


@pytest.mark.parametrize("params", [None, {}, {"authorization": ""}, {"authorization": "Basic YTpi"}])
async def test_the_handshake_s_own_header_counts_where_connection_params_show_none(params: Any) -> None:
    headers = {
        "authorization": f"Bearer {await guest_token()}",
        "origin": OWN["Origin"],
        "cookie": "sessionid=" + "a" * 32,
    }
    async with opened(headers=headers) as socket:
        await socket.init(params)
        assert (await answer(socket, WHO))["data"] == {"viewer": {"displayName": "Ana"}}


@pytest.mark.parametrize("value", ["Basic YTpi", "", "Bearer null"])
async def test_a_handshake_through_a_proxy_with_a_password_of_its_own_is_known_by_its_session(value: str) -> None:
    client = DjangoClient()
    await in_database(lambda: client.force_login(account("rosa")))
    cookie = f"sessionid={client.cookies['sessionid'].value}"
    async with opened(headers={"authorization": value, "origin": OWN["Origin"], "cookie": cookie}) as socket:
        await socket.init({"authorization": ""})
        assert (await answer(socket, WHO))["data"] == {"viewer": {"displayName": "rosa"}}


async def test_connection_params_count_before_the_handshake_s_header() -> None:
    token = await guest_token()
    async with opened(headers={"authorization": "Bearer other"}) as socket:
        await socket.init({"authorization": f"Bearer {token}"})
        assert (await answer(socket, WHO))["data"] == {"viewer": {"displayName": "Ana"}}


async def room_with(access: RoomAccess = RoomAccess.OPEN) -> Room:
    return await in_database(make_room, access)


WRONG = {"authorization": f"Bearer {TOKEN}"}


async def test_a_socket_with_a_token_that_is_not_in_force_may_read_and_join_and_is_the_guest_s_then() -> None:
    room = await room_with()
    async with opened() as socket:
        await socket.init(WRONG)
        read = await answer(socket, ROOMS)
        assert read["extensions"]["authentication"]["extensions"] == UNAUTHENTICATED
        given = {"slug": room.slug, "displayName": "Ana"}
        assert (await answer(socket, JOIN, input=given))["data"]["joinRoom"]["token"]
        assert (await answer(socket, WHO))["data"] == {"viewer": {"displayName": "Ana"}}
        said = await answer(socket, SEND, input={"roomId": id_of(room), "text": "hello"})
        assert said["data"]["sendMessage"]["message"] == {"text": "hello"}


async def test_a_socket_with_a_token_that_is_not_in_force_may_log_in(rosa: User) -> None:
    async with opened() as socket:
        await socket.init(WRONG)
        assert (await answer(socket, LOGIN, input=RIGHT))["data"]["login"]["token"]
        assert (await answer(socket, WHO))["data"] == {"viewer": {"displayName": "rosa"}}


@pytest.mark.parametrize("query", [SEND, LEAVE, WHO, LOGOUT])
async def test_what_needs_a_viewer_is_answered_and_ends_the_socket(query: str) -> None:
    room = await room_with()
    given = {"roomId": id_of(room), "text": "hello"} if query is SEND else {"roomId": id_of(room)}
    async with opened() as socket:
        await socket.init(WRONG)
        (error,) = (await answer(socket, query, input=given, everywhere=True))["errors"]
        assert (error["message"], error["extensions"]) == (NOT_IN_FORCE, UNAUTHENTICATED)
        assert await socket.closed() == FORBIDDEN
        assert socket.reason == f"Forbidden: {NOT_IN_FORCE}"


@pytest.mark.parametrize("access", list(RoomAccess))
async def test_a_subscription_ends_the_socket_without_an_answer_so_that_it_goes_on_with_another_token(
    access: RoomAccess,
) -> None:
    room = await room_with(access)
    async with opened() as socket:
        await socket.init(WRONG)
        await socket.subscribe("1", FOLLOW, id=id_of(room))
        with pytest.raises(Ended):
            await socket.receive()
        assert (socket.code, socket.reason) == (FORBIDDEN, f"Forbidden: {NOT_IN_FORCE}")
