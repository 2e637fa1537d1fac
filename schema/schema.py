"""The schema, whole: what ``schema.graphql`` is exported from."""

from __future__ import annotations

import strawberry
from graphql import GraphQLError
from strawberry.types import ExecutionContext

from .errors import log_unexpected
from .introspection import may_introspect, without_suggestion
from .mutations import Mutation
from .operations import Moderation
from .queries import Query
from .subscriptions import Subscription
from .types import Member, Message, Room


class Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        log_unexpected(errors)
        if execution_context is not None and not may_introspect(execution_context.context.viewer):
            for error in errors:
                without_suggestion(error)


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Room, Member, Message],
    extensions=[Moderation],
)
