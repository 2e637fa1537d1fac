"""Django's PostgreSQL engine, with limits that hold behind any connection pooler, and with connections that are used
no longer than they work (``docs/adr/0022-limits-in-each-transaction.md``).

What it is: the first statement of each transaction carries ``SET LOCAL`` for every setting in ``OPTIONS["limits"]``, in
the same message. That takes no round trip more, and leaves nothing in a session. A statement outside of a transaction
is a transaction of its own. PgBouncer in transaction mode gives each transaction another session, and takes no
``options``.
Invariants: a connection on which a statement failed for a reason that may lie with its session or its server isn't used
again. It is closed when it is given back, and the pool opens another.
Dependencies: Django's engine; psycopg 3 and its cursors that bind on the client's side and send simple queries.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

import psycopg
from django.core.exceptions import ImproperlyConfigured
from django.db.backends.postgresql import base
from django.db.utils import DatabaseErrorWrapper
from psycopg import errors, sql
from psycopg.pq import TransactionStatus

if TYPE_CHECKING:  # what the stubs say of Django's is empty
    DjangoCursor = psycopg.ClientCursor[Any]
else:
    DjangoCursor = base.Cursor

# Outside of a transaction only these get limits: others, such as VACUUM, can't be part of a longer message.
LIMITED = re.compile(r"[\s(]*(SELECT|INSERT|UPDATE|DELETE|WITH|SHOW)\b", re.IGNORECASE)

# These say nothing against the session: its next statement may well succeed.
HARMLESS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    psycopg.ProgrammingError,
    errors.QueryCanceled,
    errors.LockNotAvailable,
    errors.DeadlockDetected,
    errors.SerializationFailure,
    errors.InFailedSqlTransaction,
)


class Cursor(DjangoCursor):
    """Sends ``limits``, statements of SQL, before the first statement of a transaction."""

    limits: ClassVar[str] = ""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        if not self._begins_transaction(query):
            super().execute(query, params, **options)
            return self
        super().execute(self.limits + query, params, **options)
        while self.nextset():  # the last result is that of ``query``
            pass
        return self

    def _begins_transaction(self, query: Any) -> bool:
        connection = self.connection
        if connection.pgconn.transaction_status != TransactionStatus.IDLE or not isinstance(query, str):
            return False
        return not connection.autocommit or LIMITED.match(query) is not None


def cursor_with(limits: Mapping[str, str]) -> type[Cursor]:
    """Return the class of cursors that send ``limits``: values of PostgreSQL's settings, by name."""
    statements = [sql.SQL("SET LOCAL {} = {};").format(sql.Identifier(name), value) for name, value in limits.items()]
    return type("LimitedCursor", (Cursor,), {"limits": "".join(each.as_string() for each in statements)})


class Errors(DatabaseErrorWrapper):
    """Django's translation of the driver's errors, which also judges the connection by them."""

    def __init__(self, connection: DatabaseWrapper) -> None:
        super().__init__(connection)
        self._connection = connection

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        if isinstance(exc_value, psycopg.Error) and not isinstance(exc_value, HARMLESS):
            self._connection.is_unfit = True
        super().__exit__(exc_type, exc_value, traceback)


class DatabaseWrapper(base.DatabaseWrapper):
    """The engine. ``is_unfit``: the connection at hand could not do its work."""

    is_unfit = False

    def get_connection_params(self) -> dict[str, Any]:
        """Raises ImproperlyConfigured for cursors that would not send the limits."""
        if self.settings_dict["OPTIONS"].get("server_side_binding"):
            raise ImproperlyConfigured("DATABASE_URL: leave out `server_side_binding`: limits don't hold with it.")
        parameters: dict[str, Any] = super().get_connection_params()
        parameters.pop("limits", None)
        return parameters | {"cursor_factory": self._cursor_class}

    @cached_property
    def _cursor_class(self) -> type[Cursor]:
        return cursor_with(self.settings_dict["OPTIONS"].get("limits", {}))

    @cached_property
    def wrap_database_errors(self) -> DatabaseErrorWrapper:
        return Errors(self)

    def is_usable(self) -> bool:
        return not self.is_unfit and super().is_usable()

    def _close(self) -> None:
        """Give the connection back, or end it first where it is unfit: the pool opens another in its place."""
        if self.is_unfit and self.connection is not None:
            self.connection.close()
        self.is_unfit = False
        super()._close()  # type: ignore[misc]  # the stubs lack it
