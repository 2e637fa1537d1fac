"""Rows read and written by SQL that is written out, for what every send runs (``docs/adr/0019``).

The ORM puts each statement together anew, in Python: of the CPU that a batch of sends took, most was that. Names of
tables and columns are the models' own, values are parameters, and an instance is what the ORM would have made of the
row.

Concurrency: statements run on the connection of the thread that asks, in its transaction.
Dependencies: Django's models and connections.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connection
from django.db.models import AutoField, CharField, DateTimeField, Field, IntegerField, Model, TextField, UUIDField

M = TypeVar("M", bound=Model)
Row = Sequence[Any]

PLAIN = (CharField, IntegerField, TextField)  # which no database has otherwise than Python


class Rows(Generic[M]):
    """The rows of ``model``. Of those that are inserted the fields, but for times, are to the database what they are in
    Python.

    ``deferred`` fields are not read.
    """

    def __init__(self, model: type[M], *, deferred: Collection[str] = ()) -> None:
        every: list[Field[Any, Any]] = list(model._meta.concrete_fields)
        fields = [field for field in every if field.attname not in deferred]
        written = [field for field in every if not isinstance(field, AutoField)]
        self.table = quoted(model._meta.db_table)
        self.columns = ", ".join(f"{self.table}.{quoted(field.column)}" for field in fields)
        self.width = len(fields)
        self.key = f"{self.table}.{quoted(model._meta.pk.column)}"  # a composite one has no column
        self.key_at = fields.index(model._meta.pk) if model._meta.pk in fields else 0
        self._model = model
        self._names = [field.attname for field in fields]
        columns = [(at, field.get_col(self.table)) for at, field in enumerate(fields)]
        self._times = [at for at, field in enumerate(fields) if _is_time(field)]
        self._keys = [(at, column.output_field) for at, column in columns if isinstance(column.output_field, UUIDField)]
        self._converted = [(at, column) for at, column in columns if not isinstance(column.output_field, PLAIN)]
        self._columns_of = attrgetter(*self._names)
        self._values_of = attrgetter(*[field.attname for field in written])
        self._times_written = [at for at, field in enumerate(written) if _is_time(field)]
        names = ", ".join(quoted(field.column) for field in written)
        self._insert = f"INSERT INTO {self.table} ({names}) VALUES "  # noqa: S608 - the models' own names
        self._row = f"({marks(written)})"
        self._returning = f" RETURNING {model._meta.pk.column}" if len(written) < len(every) else ""

    def where(self, condition: str, values: Sequence[Any]) -> list[M]:
        """Return those of which ``condition`` is true: SQL, with what may follow it, and ``%s`` for each value."""
        return self.made(selected([self], f"FROM {self.table} WHERE {condition}", values))

    def insert(self, instances: Sequence[M]) -> None:
        """Insert them as they are, at least one, by one statement; where the database gives them keys, they have them.

        Raises what the database raises.
        """
        statement, values = self.insertion(instances)
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            keys = [key for (key,) in cursor.fetchall()] if self._returning else None
        self.are_stored(instances, keys)

    def insertion(self, instances: Sequence[M]) -> tuple[str, list[Any]]:
        """Return the statement that inserts them, which returns the keys that the database gives, and its values."""
        values = self._adapted([self._values_of(instance) for instance in instances])
        return self._insert + ", ".join([self._row] * len(instances)) + self._returning, values

    def are_stored(self, instances: Sequence[M], keys: Sequence[object] | None) -> None:
        """Have them know that they are stored, and under which keys."""
        alias = connection.alias
        for instance, key in zip(instances, keys or (), strict=keys is not None):
            instance.pk = key
        for instance in instances:
            instance._state.adding, instance._state.db = False, alias

    def made(self, rows: Sequence[Row]) -> list[M]:
        """Return the instances that rows of ``columns`` stand for."""
        alias = connection.alias
        for at, column in self._converted:
            for convert in (*connection.ops.get_db_converters(column), *column.get_db_converters(connection)):
                rows = [(*row[:at], convert(row[at], column, connection), *row[at + 1 :]) for row in rows]
        return [self._model.from_db(alias, self._names, row) for row in rows]

    def in_json(self, instance: M) -> list[Any]:
        """Return a row of ``columns`` as JSON can have it: times by ISO 8601."""
        row = list(self._columns_of(instance))
        for at in self._times:
            if row[at] is not None:
                row[at] = row[at].isoformat()
        for at, _ in self._keys:
            row[at] = row[at] and str(row[at])
        return row

    def from_json(self, row: list[Any]) -> M:
        """Return the instance that ``in_json`` wrote out, as ``made`` would. Raises ValueError for what is no time."""
        for at in self._times:
            if row[at] is not None:
                row[at] = datetime.fromisoformat(row[at])
        for at, field in self._keys:
            row[at] = field.to_python(row[at])
        return self._model.from_db(DEFAULT_DB_ALIAS, self._names, row)

    def _adapted(self, rows: Sequence[Row]) -> list[Any]:
        """What the models have, as the driver takes it, row after row."""
        values = [value for row in rows for value in row]
        adapt = connection.ops.adapt_datetimefield_value
        for time in self._times_written:
            for at in range(time, len(values), len(rows[0])):
                values[at] = adapt(values[at])
        return values


def selected(tables: Iterable[Rows[Any]], source: str, values: Sequence[Any], *more: str) -> list[Row]:
    """Return the columns of all ``tables``, and ``more``, from ``source``: FROM, and what follows it, with ``%s`` for
    each value."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join([*(each.columns for each in tables), *more])} {source}", values)
        rows: list[Row] = cursor.fetchall()
    return rows


def in_sql(instance: Model) -> Any:
    """Return the primary key of ``instance`` as the driver takes it."""
    key = instance._meta.pk
    return key.get_db_prep_value(instance.pk, connection) if isinstance(key, UUIDField) else instance.pk


def quoted(name: str | None) -> str:
    """Return the name of a table or column as both databases want it; one that is quoted already stays."""
    return name if name and name.startswith('"') else f'"{name or ""}"'


def marks(values: Collection[object]) -> str:
    """As many ``%s`` as there are ``values``."""
    return ", ".join(["%s"] * len(values))


def _is_time(field: Field[Any, Any]) -> bool:
    return isinstance(field, DateTimeField)
