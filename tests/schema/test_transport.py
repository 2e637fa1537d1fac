"""graphql-transport-ws, rule by rule: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md.

What a test shows is cited in its docstring, after ``>``, in the words of the graphql-ws that is installed.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rooms.identity import NOBODY, NOT_IN_FORCE, Viewer
from rooms.models import Guest
from schema import identities
from schema import socket as socket_module
from schema.closing import (
    BAD_REQUEST,
    FORBIDDEN,
    INIT_TIMEOUT,
    SUBPROTOCOL_NOT_ACCEPTABLE,
    SUBSCRIBER_EXISTS,
    TOO_MANY_INITS,
    TRY_AGAIN,
    UNAUTHORIZED,
)
from schema.limits import Pace
from schema.presence import OpenSockets
from schema.schema import schema
from tests.rooms.fakes import run_loop

from .loops import SkippingLoop, run_skipping
from .sockets import ENOUGH_SECONDS, Ended, opened, recognised

QUERY = "{ viewer { isAuthenticated } }"
ANSWER = {
    "data": {"viewer": {"isAuthenticated": False}},
    "extensions": {"cost": {"requested": 2, "limit": 5_000}},
}
ENDS_OF_BAD_FRAMES = {BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, SUBSCRIBER_EXISTS, TOO_MANY_INITS}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
TYPES = ("connection_init", "connection_ack", "ping", "pong", "subscribe", "next", "error", "complete")
PAYLOADS = st.fixed_dictionaries(
    {"query": st.sampled_from([QUERY, "{", "subscription { messages }"])},
    optional={"variables": JSON, "operationName": JSON, "extensions": JSON, "receipt": JSON},
)
IDS = st.sampled_from(["1", "2", "", 1, True, ["1"], {"1": "1"}])
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={"id": IDS | JSON, "payload": PAYLOADS | JSON},
)
FRAMES = st.one_of(MESSAGES, MESSAGES, st.dictionaries(st.sampled_from(["type", "id", "payload"]), JSON), JSON)


PROTOCOL_TEXT = Path(__file__).parents[2] / "frontend" / "node_modules" / "graphql-ws" / "PROTOCOL.md"
IS_RULE = re.compile(r"\b(must|will|should|may|only|free|allowed|permissable|Expected|can be (active|sent))\b")


def protocol() -> str:
    """The sections that rule, without code and headings, each paragraph on a line."""
    text = PROTOCOL_TEXT.read_text().partition("## Communication")[2].partition("## Examples")[0]
    text = re.sub(r"```.*?```|^#.*?$", "", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def cited() -> list[str]:
    tests = [inspect.getdoc(value) or "" for name, value in globals().items() if name.startswith("test_")]
    quotes = [re.findall(r"(?:^> .*\n?)+", test, re.MULTILINE) for test in tests]
    return [" ".join(quote.replace("\n> ", " ").removeprefix("> ").split()) for each in quotes for quote in each]


def rules() -> list[str]:
    sentences = [each for line in protocol().splitlines() for each in re.split(r"(?<=[.`]) (?=[A-Z])", line)]
    return [sentence for sentence in sentences if IS_RULE.search(sentence)]


def test_every_rule_is_cited() -> None:
    assert [rule for rule in rules() if not any(rule in quote or quote in rule for quote in cited())] == []


def test_what_is_cited_is_a_rule() -> None:
    assert [quote for quote in cited() if quote not in protocol()] == []


# The handshake


@pytest.mark.parametrize("subprotocols", [(), ("graphql-ws",), ("soap",)])
async def test_only_this_subprotocol_is_spoken(subprotocols: tuple[str, ...]) -> None:
    async with opened(subprotocols=subprotocols) as socket:
        assert await socket.closed() == SUBPROTOCOL_NOT_ACCEPTABLE


async def test_the_subprotocol_is_chosen_among_others() -> None:
    """> The WebSocket sub-protocol for this specification is: `graphql-transport-ws`."""
    async with opened(subprotocols=("graphql-ws", "graphql-transport-ws")) as socket:
        assert socket.accepted_subprotocol == "graphql-transport-ws"


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://testserver.evil.example", "http://["])
async def test_a_page_of_another_site_gets_no_socket(origin: str) -> None:
    with pytest.raises(Ended):
        async with opened(headers={"origin": origin}):
            pass


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "", "testserver.evil.example", "a b"])
async def test_only_a_name_of_this_server_gets_a_socket(host: str) -> None:
    with pytest.raises(Ended):
        async with opened(headers={"host": host, "origin": f"http://{host}"}):
            pass


@pytest.mark.parametrize("origin", ["https://testserver", "http://testserver:80"])
async def test_a_page_of_this_site_gets_one(origin: str) -> None:
    async with opened(headers={"origin": origin}) as socket:
        await socket.init()


# connection_init and connection_ack


@pytest.mark.parametrize("payload", [None, {}, {"something": "else"}, {"authorization": None}])
async def test_a_connection_is_acknowledged(payload: dict[str, Any] | None) -> None:
    """> Expected response to the `ConnectionInit` message from the client acknowledging a successful connection with
    > the server.
    """
    async with opened() as socket:
        await socket.init(payload)


async def test_a_null_payload_is_none() -> None:
    async with opened() as socket:
        await socket.send(type="connection_init", payload=None)
        assert await socket.receive() == {"type": "connection_ack"}


@pytest.mark.parametrize("payload", [[], 1, "x", True])
async def test_a_payload_is_an_object(payload: object) -> None:
    async with opened() as socket:
        await socket.send(type="connection_init", payload=payload)
        assert await socket.closed() == BAD_REQUEST


async def test_one_init_is_enough() -> None:
    """> If the server receives more than one `ConnectionInit` message at any given time, the server will close the
    > socket with the event `4429: Too many initialisation requests`.
    """
    async with opened() as socket:
        await socket.init()
        await socket.send(type="connection_init")
        assert await socket.closed() == TOO_MANY_INITS


@pytest.mark.keeps("init_seconds")
@pytest.mark.exceeds("init_seconds")
@pytest.mark.parametrize(("seconds", "code"), [(9.9, None), (10.1, INIT_TIMEOUT)])
def test_who_does_not_say_init_in_time_is_sent_away(seconds: float, code: int | None) -> None:
    """> The server must receive the connection initialisation message within the allowed waiting time

    > If the client does not request a connection within the allowed timeout, the server will close the socket with
    > the event: `4408: Connection initialisation timeout`.
    """

    async def course(loop: SkippingLoop) -> int | None:
        async with opened() as socket:
            loop.skip_waits()
            await asyncio.sleep(seconds)
            with suppress(Ended):
                await socket.init()
                await asyncio.sleep(20)
                await socket.send(type="ping")
                assert await socket.receive() == {"type": "pong"}
            return socket.code

    assert run_skipping(course) == code


@pytest.mark.parametrize("query", ["{ viewer { isGuest } }", 'subscription { messages(roomId: "x") { cursor } }'])
async def test_a_token_that_is_not_in_force_is_refused(query: str) -> None:
    """> If the server wishes to reject the connection, for example during authentication, it is recommended to close
    > the socket with `4403: Forbidden`.
    """
    async with opened() as socket:
        with recognised(NOT_IN_FORCE):
            await socket.init({"Authorization": "Bearer ended"})
            await socket.subscribe("1", query)
            assert await socket.closed() == FORBIDDEN


@pytest.mark.parametrize("payload", [{"authorization": 1}, {"authorization": "Bearer a", "Authorization": "Bearer b"}])
async def test_an_authorization_is_one_text(payload: dict[str, object]) -> None:
    async with opened() as socket:
        await socket.send(type="connection_init", payload=payload)
        assert await socket.closed() == BAD_REQUEST


# ping and pong


async def test_a_ping_is_answered_with_its_payload_at_any_time() -> None:
    """> A `Pong` must be sent in response from the receiving party as soon as possible.

    > The `Ping` message can be sent at any time within the established socket.
    """
    async with opened() as socket:
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}
        await socket.send(type="ping", payload={"a": [1]})
        assert await socket.receive() == {"type": "pong", "payload": {"a": [1]}}


async def test_a_ping_with_a_null_payload_has_none() -> None:
    async with opened() as socket:
        await socket.send(type="ping", payload=None)
        assert await socket.receive() == {"type": "pong"}


@pytest.mark.parametrize("payload", [None, {}, {"a": 1}, {"receipt": None}, {"receipt": True}, {"receipt": 10**19}])
async def test_a_pong_may_come_unasked(payload: dict[str, object] | None) -> None:
    """> The `Pong` message can be sent at any time within the established socket. Furthermore, the `Pong` message may
    > even be sent unsolicited as an unidirectional heartbeat.
    """
    async with opened() as socket:
        await socket.send(type="pong", payload=payload)
        await socket.send(type="pong")
        await socket.init()


# subscribe, next, error, complete


async def test_nothing_is_subscribed_before_the_ack() -> None:
    """> Executing operations is allowed **only** after the server has acknowledged the connection through the
    > `ConnectionAck` message, if the connection is not acknowledged, the socket will be closed immediately with the
    > event `4401: Unauthorized`.
    """
    async with opened() as socket:
        await socket.subscribe("1", QUERY)
        assert await socket.closed() == UNAUTHORIZED


async def test_a_query_has_one_result_and_completes() -> None:
    """> After all results have been emitted, the `Complete` message will follow indicating stream completion.

    > Messages corresponding to operations must contain the `id` field used for uniquely identifying server
    > responses
    """
    async with opened() as socket:
        await socket.init()
        await socket.subscribe("1", QUERY)
        assert await socket.receive() == {"id": "1", "type": "next", "payload": ANSWER}
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_an_id_may_be_used_again_once_it_is_complete() -> None:
    """> The server needs only keep track of IDs for as long as the subscription is active. Once a client completes an
    > operation, it is free to re-use that ID.
    """
    async with opened() as socket:
        await socket.init()
        for _ in range(3):
            await socket.subscribe("1", QUERY)
            assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]


async def test_an_id_may_be_used_again_after_its_error() -> None:
    """> If the server dispatched the `Error` message relative to the original `Subscribe` message, no `Complete`
    > message will be emitted.
    """
    async with opened() as socket:
        await socket.init()
        for _ in range(2):
            await socket.subscribe("1", "{")
            assert (await socket.receive())["type"] == "error"
        await socket.subscribe("1", QUERY)
        assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]


@pytest.mark.parametrize(
    "query", ["{", "{ nothing }", "", "subscription { messages }", "query A { __typename } query B { __typename }"]
)
async def test_a_faulty_document_is_an_error_of_its_operation_and_harms_no_other(query: str) -> None:
    """> Multiple operations identified with separate IDs can be active at any time and their messages can be
    > interleaved on the connection.
    """
    async with opened() as socket:
        await socket.init()
        await socket.subscribe("bad", query)
        await socket.subscribe("good", QUERY)
        messages = [await socket.receive() for _ in range(3)]
        (error,) = [message for message in messages if message["id"] == "bad"]
        assert error["type"] == "error"
        assert {each["extensions"]["code"] for each in error["payload"]} == {"BAD_USER_INPUT"}
        assert [message["type"] for message in messages if message["id"] == "good"] == ["next", "complete"]


async def test_a_refused_subscription_is_an_error_of_its_operation() -> None:
    """> This message terminates the operation and no further messages will be sent."""
    async with opened() as socket:
        await socket.init()
        await socket.subscribe("1", 'subscription { messages(roomId: "x") { sequence } }')
        error = await socket.receive()
        assert (error["type"], error["payload"][0]["extensions"]) == (
            "error",
            {"code": "BAD_USER_INPUT", "field": "roomId"},
        )


async def test_an_operation_name_and_variables_are_heeded() -> None:
    async with opened() as socket:
        await socket.init()
        query = "query A { a: __typename } query B($yes: Boolean!) { b: __typename @include(if: $yes) }"
        payload = {"query": query, "operationName": "B", "variables": {"yes": True}, "extensions": {}}
        await socket.send(type="subscribe", id="1", payload=payload)
        assert (await socket.receive())["payload"]["data"] == {"b": "Query"}


async def test_extensions_reach_the_schema() -> None:
    found: list[dict[str, Any] | None] = []
    executor = schema.execution_context_class
    build = executor.build_resolve_info

    def noted(this: Any, *args: Any) -> Any:
        found.append(this.operation_extensions)
        return build(this, *args)

    async with opened() as socket:
        await socket.init()
        with patch.object(executor, "build_resolve_info", noted):
            payload = {"query": QUERY, "extensions": {"trace": [1]}}
            await socket.send(type="subscribe", id="1", payload=payload)
            assert (await socket.receive())["payload"] == ANSWER
    assert found == [{"trace": [1]}] * 2  # once for each field


@pytest.mark.parametrize(
    "message",
    [
        {"id": "1"},
        {"id": "1", "payload": None},
        {"id": "1", "payload": "query"},
        {"id": "1", "payload": {}},
        {"id": "1", "payload": {"query": None}},
        {"id": "1", "payload": {"query": QUERY, "variables": []}},
        {"id": "1", "payload": {"query": QUERY, "operationName": 1}},
        {"id": "1", "payload": {"query": QUERY, "extensions": "x"}},
        {"payload": {"query": QUERY}},
        {"id": "", "payload": {"query": QUERY}},
        {"id": None, "payload": {"query": QUERY}},
        {"id": 1, "payload": {"query": QUERY}},
        {"id": ["1"], "payload": {"query": QUERY}},
        {"id": {}, "payload": {"query": QUERY}},
    ],
)
async def test_a_subscribe_that_is_none_ends_the_socket(message: dict[str, object]) -> None:
    """> both the server and the client must conform to the specified message structure."""
    async with opened() as socket:
        await socket.init()
        await socket.send(type="subscribe", **message)
        assert await socket.closed() == BAD_REQUEST


async def test_an_id_in_use_ends_the_socket() -> None:
    """> If there is already an active subscriber for an operation matching the provided ID, regardless of the
    > operation type, the server **must** close the socket immediately with the event `4409: Subscriber for
    > <unique-operation-id> already exists`.
    """
    async with opened() as socket:
        await socket.init()
        with patch.object(socket_module.Socket, "_stream", _never):
            await socket.subscribe("1", QUERY)
            await socket.subscribe("1", QUERY)
            assert await socket.closed() == SUBSCRIBER_EXISTS
        assert socket.reason == "Subscriber for 1 already exists"


@pytest.mark.parametrize("operation_id", ["é" * 100, "\ud800"])
async def test_a_close_reason_fits_its_frame(operation_id: str) -> None:
    async with opened() as socket:
        await socket.init()
        with patch.object(socket_module.Socket, "_stream", _never):
            for _ in range(2):
                await socket.subscribe(operation_id, QUERY)
            assert await socket.closed() == SUBSCRIBER_EXISTS
        assert len(socket.reason.encode()) <= 123


async def test_complete_frees_the_id_at_once() -> None:
    async with opened() as socket:
        await socket.init()
        with patch.object(socket_module.Socket, "_stream", _never):
            await socket.subscribe("1", QUERY)
            await socket.send(type="complete", id="1")
            await socket.send(type="ping")
            await socket.receive()
        await socket.subscribe("1", QUERY)
        assert [(await socket.receive())["type"] for _ in range(2)] == ["next", "complete"]


async def test_nothing_more_is_sent_of_what_the_client_has_completed() -> None:
    """> No further events, relevant to the original subscription, should be sent through. Even if the client sent a
    > `Complete` message for a _single-result-operation_ before it resolved, the result should not be sent through once
    > it does.
    """
    begun, release = asyncio.Event(), asyncio.Event()

    async def slow(self: object, info: object) -> object:
        begun.set()
        await release.wait()
        return Viewer()

    async with opened() as socket:
        await socket.init()
        with patch.object(schema._schema.query_type.fields["viewer"], "resolve", slow):  # type: ignore[union-attr]
            await socket.subscribe("1", QUERY)
            await asyncio.wait_for(begun.wait(), ENOUGH_SECONDS)
            await socket.send(type="complete", id="1")
            await socket.send(type="ping")
            assert await socket.receive() == {"type": "pong"}
            release.set()
            await run_loop(20)
            assert socket.nothing_waits


async def test_complete_for_an_unknown_id_is_heard_and_forgotten() -> None:
    """> Both client and server must therefore be prepared to receive (and ignore) messages for operations that they
    > consider already completed.

    > It is permissable to simply ignore all _unknown_ IDs without closing the connection.
    """
    async with opened() as socket:
        await socket.init()
        await socket.send(type="complete", id="unknown")
        await socket.send(type="ping")
        assert await socket.receive() == {"type": "pong"}


# Whatever else comes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "null",
        "1",
        '"ping"',
        "{}",
        '{"type": null}',
        '{"type": []}',
        '{"type": "hello"}',
        '{"type": "ping", "payload": NaN}',
        '{"type": "ping", "payload": {"a": -Infinity}}',
        '{"type": "ping"}{"type": "ping"}',
        '{"type": "Ping"}',
        '{"type": "connection_ack"}',
        '{"type": "error", "id": "1", "payload": []}',
        '{"type": "ping", "payload": 1}',
        '{"type": "pong", "payload": []}',
        '{"type": "complete"}',
        '{"type": "complete", "id": {}}',
        '{"type": "next", "id": "1", "payload": {}}',
        "[" * 100_000,
        '{"type": "ping", "payload": ' + '{"a":' * 100_000,
        '{"type": "ping", "payload": {"a": ' + "9" * 5_000 + "}}",
        '{"type": "ping", "payload": {"a": ' + "9" * 21 + "}}",
        '{"type": "ping", "payload": {"a": 1e999}}',
        '{"type": "ping", "payload": {"a": ' + "[" * 31 + "]" * 31 + "}}",
        '\ufeff\ufeff{"type": "ping"}',
        '{"type": "ping", "payload": {"a": "' + "é" * 128 * 1024 + '"}}',
        '[{"type": "ping"}]',
    ],
    ids=lambda text: text[:40],
)
async def test_a_frame_that_is_no_message_ends_the_socket(text: str) -> None:
    """> Receiving a message of a type or format which is not specified in this document will result in an
    > **immediate** socket closure with the event `4400: <error-message>`.
    """
    async with opened() as socket:
        await socket.init()
        await socket.send_text(text)
        assert await socket.closed() == BAD_REQUEST


async def test_it_does_so_before_init_too() -> None:
    async with opened() as socket:
        await socket.send_text("[]")
        assert await socket.closed() == BAD_REQUEST


@given(is_acknowledged=st.booleans(), frames=st.lists(FRAMES, max_size=5))
@settings(max_examples=250, deadline=None, derandomize=True)
async def test_whatever_comes_the_socket_answers_or_ends_with_a_code_and_a_reason(
    is_acknowledged: bool, frames: list[object]
) -> None:
    async with opened() as socket:
        if is_acknowledged:
            await socket.init()
        for frame in frames:
            await socket.send_text(json.dumps(frame))
        await socket.send(type="ping", payload={"is": "there"})
        try:
            while await socket.receive() != {"type": "pong", "payload": {"is": "there"}}:
                pass
        except Ended:
            assert socket.code in ENDS_OF_BAD_FRAMES
            assert socket.reason


@pytest.mark.parametrize(
    "value", ["[" * 30 + "]" * 30, "9" * 20, '"' + "é" * 100 * 1024 + '"'], ids=lambda text: text[:9]
)
async def test_a_frame_within_its_limits_does_not(value: str) -> None:
    async with opened() as socket:
        await socket.init()
        await socket.send_text(f'{{"type": "ping", "payload": {{"a": {value}}}}}')
        assert (await socket.receive())["type"] == "pong"


async def test_a_binary_frame_holds_the_same() -> None:
    """> Messages are represented through the JSON structure and are stringified before being sent over the network."""
    async with opened() as socket:
        await socket.send_bytes(json.dumps({"type": "connection_init"}).encode())
        assert await socket.receive() == {"type": "connection_ack"}


async def test_a_bug_leaves_no_mute_socket(caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as socket:
        with patch.object(identities, "authenticate_all", side_effect=ZeroDivisionError("bug")):
            await socket.send(type="connection_init", payload={"authorization": "Bearer x"})
            assert await socket.closed() == TRY_AGAIN
    assert "ZeroDivisionError: bug" in caplog.text


async def test_who_one_is_is_asked_anew_for_what_comes_later() -> None:
    ana = Viewer(guest=Guest(pk=1, display_name="Ana"))
    async with opened(pace=Pace(identity_seconds=0)) as socket:
        with recognised(NOBODY, ana, ana, NOT_IN_FORCE):
            await socket.init({"authorization": "Bearer x"})
            for _ in range(2):
                await socket.subscribe("1", "{ viewer { displayName } }")
                assert (await socket.receive())["payload"]["data"]["viewer"]["displayName"] == "Ana"
                await socket.receive()
            await socket.subscribe("1", "{ viewer { displayName } }")
            assert await socket.closed() == FORBIDDEN


async def test_who_one_is_is_not_asked_again_within_a_second_unless_something_was_heard() -> None:
    ana, sockets = Viewer(guest=Guest(pk=1, display_name="Ana")), OpenSockets()
    async with opened(sockets=sockets, pace=Pace(identity_seconds=60)) as socket:
        with recognised(ana, NOT_IN_FORCE):
            await socket.init({"authorization": "Bearer x"})
            for _ in range(2):
                await socket.subscribe("1", "{ viewer { displayName } }")
                assert (await socket.receive())["payload"]["data"]["viewer"]["displayName"] == "Ana"
                await socket.receive()
            sockets.recheck("guest:2")
            await socket.subscribe("1", "{ viewer { displayName } }")
            assert await socket.closed() == FORBIDDEN


async def test_somebody_does_not_become_somebody_else() -> None:
    ana, rui = Viewer(guest=Guest(pk=1, display_name="Ana")), Viewer(guest=Guest(pk=2, display_name="Rui"))
    async with opened(pace=Pace(identity_seconds=0)) as socket:
        with recognised(ana, rui):
            await socket.init({"authorization": "Bearer x"})
            await socket.subscribe("1", QUERY)
            assert await socket.closed() == FORBIDDEN


async def test_a_bug_in_a_resolver_is_masked_and_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as socket:
        await socket.init()
        with patch.object(schema._schema.query_type.fields["viewer"], "resolve", _buggy):  # type: ignore[union-attr]
            await socket.subscribe("1", QUERY)
            message = await socket.receive()
        assert message["payload"]["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        assert await socket.receive() == {"id": "1", "type": "complete"}
        await socket.subscribe("1", QUERY)
        assert (await socket.receive())["payload"] == ANSWER
    assert "ZeroDivisionError: bug" in caplog.text


async def test_a_bug_outside_of_the_resolvers_leaves_no_mute_socket(caplog: pytest.LogCaptureFixture) -> None:
    async with opened() as socket:
        await socket.init()
        with patch.object(socket_module, "Context", side_effect=ZeroDivisionError("bug")):
            await socket.subscribe("1", QUERY)
            assert await socket.closed() == TRY_AGAIN
    assert "ZeroDivisionError: bug" in caplog.text


async def test_who_leaves_takes_the_operations_along() -> None:
    ended: list[str] = []

    async def stream(self: socket_module.Socket, operation_id: str, *_: object) -> None:
        try:
            await _never(self, operation_id)
        finally:
            ended.append(operation_id)

    with patch.object(socket_module.Socket, "_stream", stream):
        async with opened() as socket:
            await socket.init()
            for operation_id in "123":
                await socket.subscribe(operation_id, QUERY)
            await socket.send(type="ping")
            await socket.receive()
    assert sorted(ended) == ["1", "2", "3"]


async def _never(self: socket_module.Socket, operation_id: str, *_: object) -> None:
    await asyncio.Event().wait()


def _buggy(*_: object) -> None:
    raise ZeroDivisionError("bug")
