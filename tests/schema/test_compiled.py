"""A compiled mutation answers what its execution would: random documents, arguments and outcomes, both ways."""

from __future__ import annotations

import ast
import asyncio
import inspect
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError
from graphql import GraphQLError, GraphQLInputObjectType, get_named_type, is_leaf_type, is_non_null_type
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.errors import QueryCanceled
from strawberry.schema.schema_converter import GraphQLCoreConverter

from rooms import exceptions
from rooms.exceptions import Refusal
from rooms.identity import NOBODY
from rooms.models import Member, Message, Room
from schema import compiled, http, socket
from schema.context import Context
from schema.conversion import Unknown
from schema.documents import Document, document_of
from schema.flow import encoded
from schema.operations import Written, is_request_error, prepared
from schema.operations import answered as answered_by
from schema.requests import OperationRequest
from schema.schema import schema
from schema.tracing import request_id
from schema.types import viewer_type
from tests.people import make_guest, make_room, member_of
from tests.rooms.fakes import FakeLog

from .test_sharing import CORE, LEAVES, OF_THE_VIEWER, TEXTS, Selection, logs, selections

BACKREF = GraphQLCoreConverter.DEFINITION_BACKREF
MUTATIONS: dict[str, Any] = CORE.mutation_type.fields if CORE.mutation_type else {}
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


# Documents and arguments


def payload_of(mutation: str) -> Any:
    return get_named_type(MUTATIONS[mutation].type)


@st.composite
def payload_selections(draw: st.DrawFn, mutation: str) -> tuple[Selection, ...]:
    """At least one field of the payload that stays, and of each object in it what ``test_sharing`` selects."""
    payload = payload_of(mutation)
    names = draw(st.lists(st.sampled_from([*payload.fields, "__typename"]), min_size=1, max_size=3))
    return tuple(draw(payload_selection(payload, name)) for name in names)


@st.composite
def payload_selection(draw: st.DrawFn, payload: Any, name: str) -> Selection:
    kind = "" if name == "__typename" else get_named_type(payload.fields[name].type).name
    condition = draw(st.sampled_from([("", ""), ("", ""), ("skip", "$no"), ("include", "$yes")]))
    alias = draw(st.sampled_from(["", f"a_{name}: "]))
    if kind == "Viewer":
        leaves = [Selection(kind, leaf, "", ("", "")) for leaf in ("isGuest", "displayName", "isAuthenticated")]
        return Selection(payload.name, name, alias, condition, tuple(leaves))
    children = draw(selections(kind, 2)) if kind in LEAVES else ()
    return Selection(payload.name, name, alias, condition, children)


def document_with(mutation: str, fields: tuple[Selection, ...]) -> str:
    """The last of several fields stands in a fragment, and each argument is a variable."""
    *some, last = map(str, fields)
    given = MUTATIONS[mutation].args
    declared = "".join(f"${name}: {argument.type}, " for name, argument in given.items())
    passed = ", ".join(f"{name}: ${name}" for name in given)
    return (
        f"mutation M({declared}$yes: Boolean!, $no: Boolean = false) {{ it: {mutation}({passed}) {{"
        f" __typename @include(if: $yes) {' '.join(some)} ...Last }} }}"
        f" fragment Last on {payload_of(mutation).name} {{ __typename @skip(if: $no) {last} }}"
    )


PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "String": TEXTS,
    "ID": TEXTS | st.integers(0, 9),
    "Int": st.integers(-9, 9),
    "Boolean": st.booleans(),
    "DateTime": st.just("2026-01-01T00:00:00+00:00"),
}
FAULTY: st.SearchStrategy[Any] = st.sampled_from([None, [], {}, "nonsense", 1.5, 2**40, {"nonsense": 1}])


def values(kind: Any, *, faulty: bool) -> st.SearchStrategy[Any]:
    named = get_named_type(kind)
    found = given_for(named.fields, faulty=faulty) if isinstance(named, GraphQLInputObjectType) else PLAIN[named.name]
    if not is_non_null_type(kind):
        found = st.none() | found
    return found | FAULTY if faulty else found


def given_for(arguments: dict[str, Any], *, faulty: bool) -> st.SearchStrategy[dict[str, Any]]:
    """What may be left out sometimes is."""
    each = {name: values(argument.type, faulty=faulty) for name, argument in arguments.items()}
    needed = {name for name, argument in arguments.items() if is_non_null_type(argument.type)}
    return st.fixed_dictionaries(
        {name: each[name] for name in needed}, optional={name: each[name] for name in each.keys() - needed}
    )


# What comes of a call


def success(mutation: str, log: FakeLog, text: str) -> Any:
    """The payload, with one message, its author and its room in whatever place asks for them."""
    message: Any = log.messages[1]
    found = {
        "Message": message,
        "Member": message.author,
        "Room": message.room,
        "Viewer": viewer_type(NOBODY),
        "String": text,
        "DateTime": MOMENT,
    }
    payload = payload_of(mutation)
    named = {it.extensions[BACKREF].python_name: found[get_named_type(it.type).name] for it in payload.fields.values()}
    return payload.extensions[BACKREF].origin(**named)


def refusals() -> list[Exception]:
    """One of each, what is masked, and what is neither."""
    arguments: dict[Any, tuple[Any, ...]] = {
        exceptions.Muted: (MOMENT,),
        exceptions.BadUserInput: ("text", "no"),
        exceptions.RateLimited: (1.5,),
    }
    kinds = [it for it in vars(exceptions).values() if isinstance(it, type) and issubclass(it, Refusal)]
    canceled = OperationalError("secret")
    canceled.__cause__ = QueryCanceled()
    others = [RuntimeError("secret"), canceled, GraphQLError("known"), GraphQLError("placed", path=["elsewhere"])]
    return [kind(*arguments.get(kind, ())) for kind in kinds if kind is not Refusal] + others


@dataclass
class Resolver:
    """Stands in for a mutation's own resolver, and keeps what it was called with."""

    outcome: Any
    calls: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        async def resolve(_self: Any, info: Any, **named: Any) -> Any:
            self.calls.append({**named, "context": info.context})
            await asyncio.sleep(0)
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return self.outcome

        self.function = resolve


@dataclass
class Answered:
    """``answers`` are what the transports make of the result."""

    is_compiled: bool
    answers: list[Any]
    calls: list[dict[str, Any]]


@contextmanager
def executed() -> Iterator[None]:
    with patch("schema.operations.call_in", return_value=None):
        yield


def answered(
    mutation: str, document: str, variables: dict[str, Any], outcome: Any, run: Callable[..., Any] = asyncio.run
) -> Answered:
    resolver = Resolver(outcome)
    context = Context(NOBODY, remember=_nothing, forget=_nothing)
    strawberrys = MUTATIONS[mutation].extensions[BACKREF].base_resolver
    with patch.object(strawberrys, "wrapped_func", resolver.function):
        result = run(result_of(OperationRequest(document, None, variables, None), context))
    assert all(call.pop("context") is context for call in resolver.calls)
    return Answered(isinstance(result, Written), list(presentations(result)), resolver.calls)


async def result_of(request: OperationRequest, context: Context) -> Any:
    request_id.set("the same")
    document = prepared(schema, request, context)
    return await answered_by(schema, document, request, context) if isinstance(document, Document) else document


async def awaited(result: Awaitable[Any]) -> Any:
    return await result


def presentations(result: Any) -> Iterator[Any]:
    request_id.set("the same")
    for media_type in http.MEDIA_TYPES:
        yield http._response(http._payload(result), http._status(result, media_type), media_type).serialize()
    next_ = socket._next("1", result)
    yield is_request_error(result), next_ if isinstance(next_, bytes) else encoded(next_)


def assert_same(mutation: str, document: str, variables: dict[str, Any], outcome: Any) -> Answered:
    """Both ways give the same bytes, and call the resolver as often and with the same. Return the compiled one."""
    found = answered(mutation, document, variables, outcome)
    with executed():
        expected = answered(mutation, document, variables, outcome)
    assert not expected.is_compiled
    assert found.answers == expected.answers
    assert found.calls == expected.calls
    assert len(found.calls) <= 1
    return found


def _nothing(*_: object) -> None:
    """Nobody comes to be anybody here."""


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(sorted(MUTATIONS)), st.booleans(), st.booleans(), logs(), TEXTS)
def test_a_compiled_mutation_answers_byte_for_byte_what_its_execution_does(
    data: st.DataObject, mutation: str, yes: bool, no: bool, log: FakeLog, text: str
) -> None:
    fields = data.draw(payload_selections(mutation))
    switches = {"yes": yes, "no": no}
    if OF_THE_VIEWER.intersection(found for each in fields for found in each.selected(switches)):
        outcome: Any = exceptions.NotFound()  # what needs the viewer is executed, which would need the database
    else:
        outcome = success(mutation, log, text)
    given = data.draw(given_for(MUTATIONS[mutation].args, faulty=False))
    found = assert_same(mutation, document_with(mutation, fields), {**given, **switches}, outcome)
    assert found.is_compiled == (not isinstance(outcome, Exception))
    assert len(found.calls) == 1


@settings(max_examples=150, deadline=None)
@given(st.data(), st.sampled_from(sorted(MUTATIONS)), logs(), TEXTS)
def test_faulty_arguments_are_refused_in_the_words_of_an_execution(
    data: st.DataObject, mutation: str, log: FakeLog, text: str
) -> None:
    given = data.draw(given_for(MUTATIONS[mutation].args, faulty=True))
    document = document_with(mutation, (Selection("", "__typename", "", ("", "")),))
    found = assert_same(mutation, document, {**given, "yes": True}, success(mutation, log, text))
    assert found.is_compiled == bool(found.calls)


SEND = "mutation ($input: SendMessageInput!) { mine: sendMessage(input: $input) { cursor message { text sequence } } }"
INPUT = {"input": {"roomId": "1", "text": "x"}}


@pytest.mark.parametrize("mutation", sorted(MUTATIONS))
@pytest.mark.parametrize("refusal", refusals(), ids=repr)
def test_what_a_resolver_raises_comes_out_as_from_an_execution(
    mutation: str, refusal: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    document = document_with(mutation, (Selection("", "__typename", "", ("", "")),))
    given = {name: example(argument.type) for name, argument in MUTATIONS[mutation].args.items()}
    found = assert_same(mutation, document, {**given, "yes": True}, refusal)
    assert len(found.calls) == 1
    assert caplog.text.count("Masked at ['it']") == (2 if isinstance(refusal, RuntimeError) else 0)
    assert "secret" not in str(found.answers)


def example(kind: Any) -> Any:
    named = get_named_type(kind)
    if isinstance(named, GraphQLInputObjectType):
        return {name: example(it.type) for name, it in named.fields.items()}
    assert is_leaf_type(named)
    return {"Int": 1, "Boolean": True, "DateTime": "2026-01-01T00:00:00Z"}.get(named.name, "1")


def message(**more: Any) -> Message:
    return Message(pk=1, room=Room(pk=1), text="x", **{"sequence": 1, **more})


def sent(found: Message | None) -> Any:
    payload = payload_of("sendMessage").extensions[BACKREF].origin
    return payload(message=found, cursor="c")


@pytest.mark.parametrize(
    "outcome",
    [None, sent(None), sent(message(sequence=None)), sent(message(sequence="x")), ValueError],
    ids=["nothing", "no message", "null for non-null", "no integer", "no payload"],
)
def test_what_cannot_be_written_is_completed_by_the_execution_and_not_done_again(
    outcome: Any, caplog: pytest.LogCaptureFixture
) -> None:
    found = assert_same("sendMessage", SEND, INPUT, outcome)
    assert len(found.calls) == 1
    assert not found.is_compiled
    assert b'"data":null,"errors":[{' in found.answers[-1][1]
    assert caplog.text.count("Masked at ['mine'") in (0, 2)  # as often as the execution does


@pytest.mark.django_db
def test_what_is_not_loaded_is_loaded_and_not_done_again() -> None:
    room = make_room(slug="lobby")
    member = member_of(make_guest(room), room)
    payload = payload_of("muteMember").extensions[BACKREF].origin(member=Member.objects.get(pk=member.pk))
    given = {"input": {"memberId": "1", "until": "2026-01-01T00:00:00Z"}}
    document = "mutation ($input: MuteMemberInput!) { muteMember(input: $input) { member { room { slug } } } }"
    found = answered("muteMember", document, given, payload, async_to_sync(awaited))  # in the thread of the test
    assert (found.is_compiled, len(found.calls)) == (False, 1)
    assert b'{"muteMember":{"member":{"room":{"slug":"lobby"}}}}' in found.answers[-1][1]


# What is compiled


def call_of(document: str) -> compiled.Call | None:
    context = Context(NOBODY, remember=_nothing, forget=_nothing)
    found = document_of(document, None, CORE)
    assert not found.faults()
    return compiled.call_in(schema, found, {**INPUT, "yes": True}, context)


LEAVE = 'leaveRoom(input: { roomId: "1" }) { __typename }'


@pytest.mark.parametrize(
    "document",
    [
        "{ viewer { isGuest } }",
        "mutation { __typename }",
        f"mutation {{ {LEAVE} again: {LEAVE} }}",
        f"mutation {{ {LEAVE} {LEAVE} }}",
        f"mutation {{ ...M }} fragment M on Mutation {{ {LEAVE} }}",
        "mutation ($yes: Boolean!) { logout @include(if: $yes) { __typename } }",
        "mutation { logout { viewer { members { id } } } }",
        'mutation { leaveRoom(input: { roomId: "1" }) { room { viewerMember { id } } } }',
    ],
)
def test_what_is_not_one_plain_field_is_executed(document: str) -> None:
    assert call_of(document) is None


@pytest.mark.parametrize("document", [SEND, f"mutation {{ {LEAVE} }}", "mutation { logout { viewer { isGuest } } }"])
def test_one_plain_field_is_compiled(document: str) -> None:
    assert call_of(document) is not None


def test_a_resolver_that_is_not_known_is_executed() -> None:
    with patch.object(compiled, "OF_CONTEXT_ONLY", frozenset()):
        assert call_of(SEND) is None


def test_arguments_that_only_strawberry_can_convert_are_left_to_it() -> None:
    compiled._conversion.cache_clear()
    with patch.object(compiled, "conversion_of", side_effect=Unknown):
        assert call_of(SEND) is None
    compiled._conversion.cache_clear()
    assert call_of(SEND) is not None


@pytest.mark.parametrize(
    ("name", "value"),
    [("extensions", [object()]), ("permission_classes", [object]), ("is_async", False)],
)
def test_a_field_that_does_more_than_call_its_resolver_is_executed(name: str, value: Any) -> None:
    with patch.object(MUTATIONS["sendMessage"].extensions[BACKREF], name, value):
        assert call_of(SEND) is None


def test_a_field_that_may_be_null_is_executed() -> None:
    definition = MUTATIONS["sendMessage"]
    with patch.object(definition, "type", definition.type.of_type):
        assert call_of(SEND) is None


def takes_only_context(function: Callable[..., Any]) -> bool:
    """Whether nothing of ``info`` is used but ``info.context``, here and in what it is handed to."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    parents = {child: parent for parent in ast.walk(tree) for child in ast.iter_child_nodes(parent)}
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == "info"]
    return all(_is_context(use, parents[use], function) for use in uses)


def _is_context(use: ast.Name, parent: ast.AST, function: Callable[..., Any]) -> bool:
    match parent:
        case ast.Attribute(attr=name):
            return name == "context"
        case ast.Call(func=ast.Name(id=name), args=arguments) if use in arguments:
            callee = inspect.unwrap(function).__globals__[name]
            return list(inspect.signature(callee).parameters)[arguments.index(use)] == "info" and takes_only_context(
                callee
            )
        case _:
            return False


def test_no_mutation_takes_more_of_info_than_is_known() -> None:
    fields = [it.extensions[BACKREF] for it in MUTATIONS.values()]
    assert {it.base_resolver.info_parameter.name for it in fields} == {"info"}
    found = {it.python_name for it in fields if takes_only_context(it.base_resolver.wrapped_func)}
    assert found == compiled.OF_CONTEXT_ONLY
