"""The schema holds the whole contract, and is the one that was exported."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
    is_specified_scalar_type,
)

from schema.schema import schema

ROOT = Path(__file__).parents[2]
CONTRACT = build_schema((Path(__file__).parent / "contract.graphql").read_text())
EXPORTED = build_schema(schema.as_str())

TYPES = [
    name for name, kind in CONTRACT.type_map.items() if not name.startswith("__") and not is_specified_scalar_type(kind)
]


def described(kind: GraphQLNamedType) -> dict[str, object]:
    """Everything that clients count on: names, arguments, types and nullability."""
    if isinstance(kind, GraphQLEnumType):
        return dict.fromkeys(kind.values)
    if isinstance(kind, GraphQLInputObjectType):
        return {name: str(field.type) for name, field in kind.fields.items()}
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        fields: dict[str, object] = {name: str(field.type) for name, field in kind.fields.items()}
        arguments = {
            f"{name}({argument})": str(described_argument.type)
            for name, field in kind.fields.items()
            for argument, described_argument in field.args.items()
        }
        return fields | arguments | {f"implements {interface.name}": True for interface in kind.interfaces}
    return {}


def missing(contract: GraphQLSchema, offered: GraphQLSchema, name: str) -> dict[str, object]:
    wanted, found = contract.type_map[name], offered.type_map.get(name)
    if type(found) is not type(wanted) or found is None:
        return {name: found}
    have = described(found)
    return {member: kind for member, kind in described(wanted).items() if (member, kind) not in have.items()}


@pytest.mark.parametrize("name", TYPES)
def test_the_schema_offers_what_the_contract_promises(name: str) -> None:
    assert missing(CONTRACT, EXPORTED, name) == {}


@pytest.mark.parametrize("name", TYPES)
def test_nothing_new_is_required_of_clients(name: str) -> None:
    wanted, found = described(CONTRACT.type_map[name]), described(EXPORTED.type_map[name])
    takes_input = isinstance(CONTRACT.type_map[name], GraphQLInputObjectType)
    new = {
        member: kind
        for member, kind in found.items()
        if member not in wanted and (takes_input or ("(" in member and member.partition("(")[0] in wanted))
    }
    assert [member for member, kind in new.items() if str(kind).endswith("!")] == []


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("deleteMessage(", "removeMessage("),
        ("displayName: String\n", "displayName: String!\n"),
        ("text: String\n", "text: String!\n"),
        ("sequence: Int!", "sequence: Float!"),
        ("EDITED", "CHANGED"),
        ("idempotencyKey: String }", "}"),
        ("after: String): MessageEvent!", "from: String): MessageEvent!"),
        ("type Member implements Node", "type Member"),
    ],
)
def test_a_schema_that_breaks_the_contract_is_noticed(what: str, instead: str) -> None:
    text = (Path(__file__).parent / "contract.graphql").read_text()
    assert what in text
    broken = build_schema(text.replace(what, instead))
    assert any(missing(CONTRACT, broken, name) for name in TYPES)


def test_the_exported_schema_is_this_one() -> None:
    exported = (ROOT / "schema" / "schema.graphql").read_text()
    assert exported.strip() == schema.as_str().strip(), "run: manage.py export_schema schema.schema:schema"
