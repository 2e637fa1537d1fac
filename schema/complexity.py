"""How much a document asks for, told from its text and its variables alone, before anything of it runs.

Each field of an answer costs one, or its weight where it asks the database, and what a list holds counts as often as
the list is long: as often as `first` or `last` of the field around it says, 50 times without, or as long as the list
can be where it is not a page's (``prices``). Fragments count wherever they are spread. Introspection is priced by the
piece, as the length of its lists is ours and not the client's.

The work is linear in the document: a fragment is measured once, however often it is spread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_introspection_type,
    is_list_type,
)

from .prices import price_of

DEFAULT_SIZE = 50
HUGE_SIZE = 10**9
INTROSPECTION_COST = 1_000
INTROSPECTION = ("__schema", "__type")
PAGE_SIZES = ("first", "last")


class DocumentLimits(Protocol):
    """The part of the limits that an operation is held against; ``0`` is none."""

    @property
    def document_depth(self) -> int: ...

    @property
    def document_aliases(self) -> int: ...

    @property
    def document_directives(self) -> int: ...

    @property
    def document_root_fields(self) -> int: ...

    @property
    def document_cost(self) -> int: ...


class Measure(NamedTuple):
    """``fields`` of the outermost level. ``once`` is a cost as it is; ``per_item`` awaits the length of a list.

    That of an operation names the variables it depends on, its ``sizes``.
    """

    fields: int = 0
    depth: int = 0
    aliases: int = 0
    directives: int = 0
    once: int = 0
    per_item: int = 0
    introspects: bool = False
    sizes: frozenset[str] = frozenset()

    def cost(self, size: int = DEFAULT_SIZE) -> int:
        return self.once + size * self.per_item

    def excesses(self, limits: DocumentLimits) -> Iterator[str]:
        """Say of each limit that is exceeded by how much."""
        for what, found, limit in (
            ("levels of fields", self.depth, limits.document_depth),
            ("aliases", self.aliases, limits.document_aliases),
            ("directives", self.directives, limits.document_directives),
            ("root fields", self.fields, limits.document_root_fields),
            ("cost", self.cost(), limits.document_cost),
        ):
            if 0 < limit < found:
                yield f"{what}: {found if found < HUGE_SIZE else 'far more'} of at most {limit}"


def together(measures: Iterable[Measure]) -> Measure:
    """What stands side by side."""
    fields = depth = aliases = directives = once = per_item = 0
    introspects = False
    for each in measures:
        fields += each.fields
        depth = max(depth, each.depth)
        aliases += each.aliases
        directives += each.directives
        once += each.once
        per_item += each.per_item
        introspects = introspects or each.introspects
    return Measure(fields, depth, aliases, directives, once, per_item, introspects)


NOTHING = Measure()


def measures(
    schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any] | None
) -> Iterator[tuple[OperationDefinitionNode, Measure]]:
    """Measure each operation of the document: what is not run is still validated."""
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            yield definition, _Measuring(schema, document, definition, variables or {}).operation()


def sizes_given(names: Iterable[str], variables: Mapping[str, Any] | None) -> tuple[int | str | None, ...]:
    """All that a measure can depend on of the variables: where this is the same, so is the measure."""
    given = variables or {}
    return tuple((_whole(given[name]) if name in given else "default") for name in names)


class _Measuring:
    """One operation's. A fragment that spreads itself counts as nothing there: validation refuses it."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
    ) -> None:
        self._schema = schema
        self._operation = operation
        self._variables = variables
        self._defaults = {it.variable.name.value: it.default_value for it in operation.variable_definitions or ()}
        self._fragments = {it.name.value: it for it in document.definitions if isinstance(it, FragmentDefinitionNode)}
        self._measured: dict[str, Measure] = {}
        self._sizes: set[str] = set()

    def operation(self) -> Measure:
        operation = self._operation
        directives = [operation.directives, *(it.directives for it in operation.variable_definitions or ())]
        root = self._schema.get_root_type(operation.operation)
        found = self._selections(operation.selection_set, root)
        deepest = max((self._fragment(name).depth for name in self._fragments), default=0)  # unused ones too
        whole = together([found, Measure(depth=deepest, directives=sum(len(each or ()) for each in directives))])
        return whole._replace(sizes=frozenset(self._sizes))

    def _selections(self, selections: SelectionSetNode | None, parent: GraphQLNamedType | None) -> Measure:
        return together([self._selection(node, parent) for node in selections.selections] if selections else [])

    def _selection(self, node: SelectionNode, parent: GraphQLNamedType | None) -> Measure:
        match node:
            case FieldNode():
                found = self._field(node, parent)
            case InlineFragmentNode(type_condition=condition):
                found = self._selections(node.selection_set, self._type(condition) if condition else parent)
            case FragmentSpreadNode():
                found = self._fragment(node.name.value)
            case _:
                raise TypeError(f"{node.kind} is no selection")
        return _directed(found, node)

    def _fragment(self, name: str) -> Measure:
        if name not in self._measured and (fragment := self._fragments.get(name)):
            self._measured[name] = NOTHING
            found = self._selections(fragment.selection_set, self._type(fragment.type_condition))
            self._measured[name] = _directed(found, fragment)
        return self._measured.get(name, NOTHING)

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Measure:
        name, definition = node.name.value, _definition(parent, node.name.value)
        inner = self._selections(node.selection_set, get_named_type(definition.type) if definition else None)
        aliases = inner.aliases + (node.alias is not None)
        if name in INTROSPECTION:
            price = INTROSPECTION_COST * (1 + inner.aliases)
            return Measure(1, 1, aliases, inner.directives, once=price, introspects=True)
        # How deep introspection goes has a rule of its own.
        depth = 0 if parent is not None and is_introspection_type(parent) else 1 + inner.depth
        once, per_item = self._cost(node, definition, inner)
        return Measure(1, depth, aliases, inner.directives, once, per_item, inner.introspects)

    def _cost(self, node: FieldNode, definition: GraphQLField | None, inner: Measure) -> tuple[int, int]:
        """Return (once, per item of the list around it)."""
        if definition is None:
            return 1 + inner.cost(), 0
        is_paged = any(name in definition.args for name in PAGE_SIZES)
        children = inner.cost(self._size(node) if is_paged else DEFAULT_SIZE)
        price = price_of(definition)
        if not is_list_type(get_nullable_type(definition.type)):
            return price.weight + children, 0
        return (price.weight, children) if price.size is None else (price.weight + price.size * children, 0)

    def _size(self, node: FieldNode) -> int:
        given = [self._number(it.value) for it in node.arguments or () if it.name.value in PAGE_SIZES]
        return max((number for number in given if number is not None), default=DEFAULT_SIZE)

    def _number(self, value: ValueNode | None) -> int | None:
        """Return the whole number that a value stands for; None for whatever will not be taken for one."""
        if isinstance(value, VariableNode):
            name = value.name.value
            self._sizes.add(name)
            if name not in self._variables:
                return self._number(self._defaults.get(name))
            return _whole(self._variables[name])
        if isinstance(value, IntValueNode):
            # Python refuses to read thousands of digits.
            return max(0, int(value.value)) if len(value.value) < len(str(HUGE_SIZE)) else HUGE_SIZE
        return None

    def _type(self, condition: Any) -> GraphQLNamedType | None:
        return self._schema.get_type(condition.name.value)


def _whole(given: object) -> int | None:
    """The number that GraphQL takes a variable for, which in JSON may be `100.0` or `1e2`; None for what is none."""
    if isinstance(given, bool) or not isinstance(given, int | float) or given != given:  # not NaN
        return None
    return int(max(0, min(given, HUGE_SIZE)))


def _directed(found: Measure, node: SelectionNode | FragmentDefinitionNode) -> Measure:
    return found._replace(directives=found.directives + len(node.directives)) if node.directives else found


def _definition(parent: GraphQLNamedType | None, name: str) -> GraphQLField | None:
    return parent.fields.get(name) if isinstance(parent, GraphQLObjectType | GraphQLInterfaceType) else None
