"""The schema, whole: what ``schema.graphql`` is exported from."""

from __future__ import annotations

import strawberry

from .mutations import Mutation
from .queries import Query
from .subscriptions import Subscription
from .types import Member, Message, Room

schema = strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription, types=[Room, Member, Message])
