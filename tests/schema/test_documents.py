"""What is remembered of documents: that it saves the work, and that no answer shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from unittest.mock import Mock, patch

import pytest
from graphql import GraphQLSchema, build_schema, parse, validate
from pytest_django import Settings
from strawberry.schema import schema as strawberry_schema

from config.limits import Limits
from schema import documents
from schema.complexity import measures
from schema.documents import REMEMBERED_CHARACTERS, Document, document_of
from schema.recent import Recent
from schema.schema import schema

from .api import Api

CORE: GraphQLSchema = schema._schema
PAGE = "query Page($n: Int = 7) { rooms(first: $n) { edges { cursor } } }"
TWO = "query A { viewer { isGuest } } query B { __typename }"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    with patch.object(documents, "_remembered", Recent(REMEMBERED_CHARACTERS)):
        yield


@pytest.fixture
def parsing() -> Iterator[Mock]:
    with patch.object(documents, "parse", wraps=parse) as spy:
        yield spy


@pytest.fixture
def validating() -> Iterator[Mock]:
    """Strawberry's validation; the rule for introspection is asked by itself."""
    with patch.object(strawberry_schema, "validate", wraps=validate) as spy:
        yield spy


def cost_of(text: str, **variables: object) -> int:
    cost: int = Api().execute(text, **variables)["extensions"]["cost"]["requested"]
    return cost


def test_a_text_is_parsed_and_validated_once(parsing: Mock, validating: Mock) -> None:
    answers = [Api().data("{ viewer { isGuest } }") for _ in range(3)]
    assert answers == [{"viewer": {"isGuest": False}}] * 3
    assert (parsing.call_count, validating.call_count) == (1, 1)


def test_a_document_is_one_object_for_each_text_and_operation() -> None:
    assert document_of(TWO, "A", CORE) is document_of(TWO, "A", CORE)
    assert document_of(TWO, "A", CORE) is not document_of(TWO, "B", CORE)
    assert Api().post({"query": TWO, "operationName": "A"}).json()["data"] == {"viewer": {"isGuest": False}}
    assert Api().post({"query": TWO, "operationName": "B"}).json()["data"] == {"__typename": "Query"}


def test_a_document_of_another_schema_is_another_one() -> None:
    other = build_schema("type Query { viewer: String }")
    assert document_of("{ viewer }", None, CORE) is not document_of("{ viewer }", None, other)


def test_a_faulty_document_is_told_its_faults_each_time(validating: Mock) -> None:
    first, second = (Api().execute("{ nothing viewer { isGuest } }") for _ in range(2))
    assert first == second
    assert "nothing" in first["errors"][0]["message"]
    assert validating.call_count == 2


def test_what_the_faults_say_is_still_for_who_may_read_the_schema(settings: Settings) -> None:
    settings.GRAPHQL_INTROSPECTION = "nobody"
    assert "Did you mean" not in str(Api().execute("{ vieweer { isGuest } }"))
    settings.GRAPHQL_INTROSPECTION = "everyone"
    assert "Did you mean" in str(Api().execute("{ vieweer { isGuest } }"))


def test_what_does_not_parse_is_not_remembered(parsing: Mock) -> None:
    first, second = (Api().execute("{ viewer {") for _ in range(2))
    assert first == second
    assert parsing.call_count == 2


def test_a_cost_goes_by_the_variables_of_this_request() -> None:
    for variables, size in (({"n": 3}, 3), ({"n": 30}, 30), ({"n": 3}, 3), ({}, 7), ({"n": None}, 50), ({"n": 3}, 3)):
        assert cost_of(PAGE, **variables) == 26 + size
    assert Api().refusal(PAGE, n=5_000)["code"] == "QUERY_TOO_COMPLEX"
    assert cost_of(PAGE, n=3) == 29


@pytest.mark.parametrize("given", [True, "1", [1], {"a": 1}])
def test_what_is_no_whole_number_is_not_taken_for_one_that_was(given: object) -> None:
    document = document_of(PAGE, None, CORE)
    ((_, one),) = document.measures({"n": 1})
    ((_, other),) = document.measures({"n": given})
    assert (one.cost(), other.cost()) == (26 + 1, 26 + 50)


@pytest.mark.parametrize(("given", "size"), [(1.0, 1), (1e2, 100), (-2.0, 0), (float("nan"), 50), (1e300, 10**9)])
def test_a_whole_number_counts_however_it_is_written(given: float, size: int) -> None:
    """GraphQL takes 100.0 for 100 (section 3.5.1), and JSON has no other numbers than these."""
    ((_, found),) = document_of(PAGE, None, CORE).measures({"n": given})
    assert found.cost() == 26 + size


def test_a_document_is_measured_once_for_each_size_that_is_asked_for() -> None:
    with patch.object(documents, "measures", wraps=measures) as measuring:
        document = document_of(
            "query ($n: Int, $s: String) { rooms(first: $n, search: $s) { edges { cursor } } }", None, CORE
        )
        for n in (1, 2, 1, 2):
            for text in ("a", "b"):
                document.measures({"n": n, "s": text})
    assert measuring.call_count == 2


def test_the_sizes_that_are_remembered_are_bounded() -> None:
    document = document_of(PAGE, None, CORE)
    for n in range(1_000):
        ((_, measure),) = document.measures({"n": n})
        assert measure.cost() == 26 + n
    assert len(document._measures) <= documents.MEASURES_KEPT


def test_other_limits_are_asked_anew(settings: Settings) -> None:
    assert "errors" not in Api().execute(TWO.partition("query B")[0])
    settings.LIMITS = replace(Limits(), document_tokens=3)
    assert Api().refusal(TWO.partition("query B")[0])["code"] == "QUERY_TOO_COMPLEX"


def test_introspection_is_for_who_may_whoever_asked_before(settings: Settings) -> None:
    introspection = "{ __schema { queryType { name } } }"
    settings.GRAPHQL_INTROSPECTION = "everyone"
    assert Api().data(introspection)
    settings.GRAPHQL_INTROSPECTION = "nobody"
    assert Api().refusal(introspection)["code"] == "FORBIDDEN"


def test_an_operation_that_http_does_not_carry_is_refused_each_time() -> None:
    subscription = 'subscription { messages(roomId: "x") { cursor } }'
    assert [Api().post({"query": subscription}).status_code for _ in range(2)] == [400, 400]


def test_many_texts_take_no_more_than_there_is_room_for() -> None:
    with patch.object(documents, "_remembered", Recent[object, Document](1_000)) as remembered:
        for number in range(200):
            document_of(f"query Q{number:03} {{ __typename }}", None, CORE)
        assert (remembered.size, len(remembered)) == (1_000, 40)
