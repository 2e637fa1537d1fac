"""How much a document asks for: measured by itself, and held against the limits over HTTP and WebSocket alike."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import get_introspection_query, parse, validate
from pytest_django import Settings

from config.limits import Limits
from schema.complexity import Measure, measures
from schema.documents import parsed_document
from schema.schema import schema

from .api import Api
from .sockets import opened

ROOT = Path(__file__).parents[2]
CORE = schema._schema
STANDARD_INTROSPECTION = get_introspection_query(
    specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
)
ROOMS = 25  # the weight of a field that asks the database
LIST_DEPTH_BOMB = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"


def measure(text: str, **variables: Any) -> Measure:
    """The measure of the only operation in ``text``."""
    ((_, found),) = measures(CORE, parse(text), variables)
    return found


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        ("{ __typename }", 1),
        ("{ viewer { isGuest displayName } }", 3),
        ("{ rooms(first: 10) { edges { node { id } } } }", ROOMS + 1 + 10 * 2),
        ("{ rooms(last: 10) { edges { node { id } } } }", ROOMS + 1 + 10 * 2),
        ("{ rooms { edges { node { id } } } }", ROOMS + 1 + 50 * 2),
        ("{ rooms(first: 10) { edges { cursor } pageInfo { endCursor } } }", ROOMS + 1 + 10 + 2),
        ("{ rooms(first: 0) { edges { node { id } } } }", ROOMS + 1),
        ("{ rooms(first: -5) { edges { node { id } } } }", ROOMS + 1),
        ("{ rooms(first: 3, last: 7) { edges { cursor } } }", ROOMS + 1 + 7),
        ("{ viewer { members { id } } }", 1 + 25 + 100),
        ("{ viewer { memberships(first: 3) { edges { cursor } } } }", 1 + 25 + 1 + 3),
        ('{ node(id: "x") { ... on Room { bannedMembers { id } } } }', 25 + 25 + 100),
        ('{ room(slug: "x") { bannedMembers { id } } }', 25 + 25 + 100),
        (
            "{ rooms(first: 2) { edges { node { messages(last: 3) { edges { cursor } } } } } }",
            ROOMS + 1 + 2 * (1 + 10 + 1 + 3),
        ),
        ("{ rooms(first: 2) { ...P } } fragment P on RoomConnection { edges { cursor } }", ROOMS + 1 + 2),
        ("{ rooms(first: 2) { ... { edges { cursor } } } }", ROOMS + 1 + 2),
        ("{ rooms(first: 2) { ... on RoomConnection { edges { cursor } } } }", ROOMS + 1 + 2),
        ("{ viewer { ...F ...F } } fragment F on Viewer { isGuest }", 1 + 2),
        ("query ($n: Int = 7) { rooms(first: $n) { edges { cursor } } }", ROOMS + 1 + 7),
        ("query ($n: Int) { rooms(first: $n) { edges { cursor } } }", ROOMS + 1 + 50),
        ("query ($given: Int) { rooms(first: $given) { edges { cursor } } }", ROOMS + 1 + 20),
        ("query ($given: Int = 7) { rooms(first: $given) { edges { cursor } } }", ROOMS + 1 + 20),
        ("query ($word: Int) { rooms(first: $word) { edges { cursor } } }", ROOMS + 1 + 50),
        ("query ($truth: Int) { rooms(first: $truth) { edges { cursor } } }", ROOMS + 1 + 50),
        ("query ($nothing: Int = 7) { rooms(first: $nothing) { edges { cursor } } }", ROOMS + 1 + 50),
        ("query ($float: Int) { rooms(first: $float) { edges { cursor } } }", ROOMS + 1 + 100),
        ("query ($huge: Int) { rooms(first: $huge) { edges { cursor } } }", ROOMS + 1 + 10**9),
        ("{ nothing { at { all } } }", 3),
        ("{ __schema { types { fields { name } } } }", 1_000),
        ("{ __schema { a: types { name } b: types { name } } }", 3_000),
    ],
)
def test_a_cost_is_the_most_fields_that_an_answer_can_have(text: str, cost: int) -> None:
    assert measure(text, given=20, word="x", truth=True, nothing=None, float=1e2, huge=1e300).cost() == cost


@pytest.mark.parametrize("size", ["9" * 5_000, "-" + "9" * 5_000])
def test_a_size_of_thousands_of_digits_is_read_all_the_same(size: str) -> None:
    found = measure(f"{{ rooms(first: {size}) {{ edges {{ cursor }} }} }}")
    assert found.cost() > 5_000


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{ viewer { isGuest } room(slug: "x") { messages { edges { cursor } } } }', {"depth": 4, "fields": 2}),
        ("{ a: viewer { b: isGuest c: isGuest } }", {"aliases": 3}),
        ("{ a: viewer { ...F } b: viewer { ...F } } fragment F on Viewer { c: isGuest }", {"aliases": 4}),
        ("{ ...F } fragment F on Query { viewer { isGuest } rooms { edges { cursor } } }", {"fields": 2, "depth": 3}),
        ("query @a @a { viewer @b { isGuest @c } ... @d { __typename } }", {"directives": 5}),
        ("query ($a: Int @a) { ...F @b ...F @b } fragment F on Query @c { __typename }", {"directives": 5}),
        ("{ __typename } fragment F on Room { messages { edges { node { room { id } } } } }", {"depth": 5}),
        (STANDARD_INTROSPECTION, {"depth": 1, "fields": 1, "aliases": 0}),
    ],
)
def test_what_is_counted_through_fragments(text: str, found: dict[str, int]) -> None:
    assert {name: getattr(measure(text), name) for name in found} == found


def test_a_bomb_of_fragments_is_measured_in_linear_work() -> None:
    """Two to the hundredth fields: nobody could count them one by one."""
    chain = "".join(f"fragment F{n} on Viewer {{ ...F{n + 1} ...F{n + 1} }}" for n in range(100))
    found = measure(f"{{ viewer {{ ...F0 }} }} {chain} fragment F100 on Viewer {{ a: isGuest }}")
    assert (found.aliases, found.cost()) == (2**100, 1 + 2**100)


def test_fragments_in_a_circle_are_left_to_validation() -> None:
    assert measure("{ viewer { ...F } } fragment F on Viewer { isGuest ...G } fragment G on Viewer { ...F }").depth == 2


# The limits, over both transports


def levels(number: int) -> str:
    """A document of that many levels of fields: round and round from a room to its messages and back."""
    circle = ["messages(first: 0)", "edges", "node", "room"]
    inner = "__typename"
    for n in reversed(range(number - 2)):
        inner = f"{circle[n % 4]} {{ {inner} }}"
    return f'{{ room(slug: "x") {{ {inner} }} }}'


LIMITED: dict[str, tuple[int, Callable[[int], str]]] = {
    "document_bytes": (100, "{ __typename }".ljust),
    "document_tokens": (10, lambda n: "{" + " __typename" * (n - 2) + "}"),
    "document_depth": (4, levels),
    "document_aliases": (3, lambda n: "{" + "".join(f" a{i}: __typename" for i in range(n)) + "}"),
    "document_directives": (3, lambda n: "{" + " __typename @include(if: true)" * n + "}"),
    "document_root_fields": (3, lambda n: "{" + " __typename" * n + "}"),
    "document_cost": (126, lambda n: f"{{ rooms(first: {n - ROOMS - 1}) {{ edges {{ cursor }} }} }}"),
}


@pytest.fixture(params=LIMITED)
def limited(request: pytest.FixtureRequest, settings: Settings) -> tuple[str, str]:
    """A limit in force, with a document that keeps it and one that exceeds it by one."""
    limit, document = LIMITED[request.param]
    settings.LIMITS = replace(Limits(), **{request.param: limit})
    return document(limit), document(limit + 1)


def code_in(errors: list[dict[str, Any]] | None) -> str | None:
    return errors[0]["extensions"]["code"] if errors else None


@pytest.mark.keeps(*LIMITED)
@pytest.mark.exceeds(*LIMITED)
@pytest.mark.django_db
def test_a_limit_over_http(limited: tuple[str, str]) -> None:
    kept, exceeded = limited
    assert code_in(Api().execute(kept).get("errors")) is None
    answer = Api().execute(exceeded)
    assert code_in(answer["errors"]) == "QUERY_TOO_COMPLEX"
    assert "data" not in answer


@pytest.mark.keeps(*LIMITED)
@pytest.mark.exceeds(*LIMITED)
@pytest.mark.django_db(transaction=True)
async def test_a_limit_over_websocket(limited: tuple[str, str]) -> None:
    kept, exceeded = limited
    async with opened() as socket:
        await socket.init()
        await socket.subscribe("1", kept)
        message = await socket.receive()
        assert (message["type"], code_in(message["payload"].get("errors"))) == ("next", None)
        assert (await socket.receive())["type"] == "complete"
        await socket.subscribe("2", exceeded)
        message = await socket.receive()
        assert (message["type"], code_in(message["payload"])) == ("error", "QUERY_TOO_COMPLEX")


@pytest.mark.django_db
def test_zero_is_no_limit(settings: Settings) -> None:
    settings.LIMITS = replace(Limits(), **dict.fromkeys(LIMITED, 0))
    document = "{" + "".join(f" a{n}: __typename @include(if: true)" for n in range(900)) + "}"
    answer = Api().execute(document)
    assert len(answer["data"]) == 900
    assert answer["extensions"]["cost"] == {"requested": 900, "limit": None}


@pytest.mark.django_db
def test_the_defaults_are_those_that_are_promised() -> None:
    limits = Limits()
    assert (limits.document_bytes, limits.document_tokens, limits.document_depth) == (16 * 1024, 1_000, 10)
    assert limits.document_aliases == 30


@pytest.mark.parametrize("nested", ["{a" * 400 + "}" * 400, "{ a(b: " + "[" * 480 + "]" * 480 + ") }"])
@pytest.mark.django_db
def test_what_cannot_be_parsed_for_its_depth_is_too_complex(nested: str) -> None:
    assert Api().refusal(nested)["code"] == "QUERY_TOO_COMPLEX"


@pytest.mark.django_db
def test_an_operation_that_is_not_run_is_held_to_the_limits_too() -> None:
    response = Api().post({"query": f"query A {{ __typename }} query B {levels(11)}", "operationName": "A"})
    assert code_in(response.json()["errors"]) == "QUERY_TOO_COMPLEX"


@pytest.mark.django_db
def test_a_subscription_is_held_to_the_limits_over_http_too() -> None:
    document = "subscription {" + "".join(f' a{n}: messages(roomId: "x") {{ cursor }}' for n in range(31)) + "}"
    assert Api().post({"query": document}).status_code == 400


@pytest.mark.django_db
def test_a_cost_is_told_with_an_answer_and_its_refusal() -> None:
    assert Api().execute("{ viewer { isGuest } }")["extensions"] == {"cost": {"requested": 2, "limit": 5_000}}
    refused = Api().execute("{ rooms(first: 100) { edges { node { messages(first: 100) { edges { cursor } } } } } }")
    assert "cost: 11226 of at most 5000" in refused["errors"][0]["message"]


# Introspection is deep by nature, and bounded by a rule of its own.


@pytest.mark.django_db
def test_the_introspection_of_every_tool_passes() -> None:
    assert Api().data(STANDARD_INTROSPECTION)["__schema"]["queryType"]["name"] == "Query"


@pytest.mark.django_db
def test_circles_of_introspection_do_not() -> None:
    assert Api().refusal(LIST_DEPTH_BOMB)["code"] == "QUERY_TOO_COMPLEX"


@pytest.mark.django_db
def test_introspection_is_not_had_many_times_at_once() -> None:
    many = "{" + "".join(f" a{n}: __schema {{ types {{ name }} }}" for n in range(6)) + "}"
    assert Api().refusal(many)["code"] == "QUERY_TOO_COMPLEX"


# What we show to people runs with margin.


def documents_of_the_page() -> Iterator[str]:
    source = (ROOT / "frontend/src/page/documents.ts").read_text()
    texts = dict(re.findall(r"(\w+) = gql(?:<.*?>)?`(.*?)`", source, re.DOTALL))
    assert len(texts) > 10
    yield from (whole(text, texts) for name, text in texts.items() if name.endswith("Document"))


def whole(text: str, texts: dict[str, str]) -> str:
    """``text`` with each fragment that it names, and those name, once."""
    found = re.findall(r"\$\{(\w+)\}", text)
    for part in found:
        found += [other for other in re.findall(r"\$\{(\w+)\}", texts[part]) if other not in found]
    return re.sub(r"\$\{\w+\}", "", text + "".join(texts[part] for part in dict.fromkeys(found)))


def documents_of_graphiql() -> Iterator[str]:
    source = (ROOT / "frontend/src/graphiql/examples.ts").read_text()
    found = re.findall(r"= (?:\(slug: string\) => )?`(.*?)(?<!\\)`", source, re.DOTALL)
    assert len(found) == 5
    for text in found:
        yield text.replace("${JSON.stringify(slug)}", '"lobby"').replace("\\`", "`")


def documents_of_readme() -> Iterator[str]:
    found = re.findall(r"gql\(?`(.*?)`", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(found) >= 6
    yield from found


@pytest.mark.parametrize(
    "text", [*documents_of_the_page(), *documents_of_graphiql(), *documents_of_readme()], ids=lambda text: text[:50]
)
def test_our_own_documents_stay_under_half_of_every_limit(text: str) -> None:
    document = parsed_document(text)
    assert validate(CORE, document) == []
    limits = Limits()
    half = replace(limits, document_cost=limits.document_cost // 2, document_aliases=15, document_root_fields=5)
    assert document.token_count < limits.document_tokens // 2
    assert len(text.encode()) < limits.document_bytes // 2
    for _, found in measures(CORE, document, {}):
        assert list(found.excesses(half)) == []
        assert found.depth <= limits.document_depth * 0.7
