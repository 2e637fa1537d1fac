"""Followers that never read cost the server a window each, and the others nothing."""

from __future__ import annotations

from contextlib import AsyncExitStack

from schema.cursors import log_cursor
from tests.services.salas import Salas

from .client import Client, room_id
from .mute import FOLLOW, MESSAGES, mute_follower, resident_bytes, room_with_much_to_say

MUTE = 10
ALLOWED_GROWTH = 50 * 1024 * 1024


async def test_readers_that_never_read_cost_a_window_each(scaled_servers: list[Salas]) -> None:
    server = scaled_servers[0]
    room = await server.acall(room_with_much_to_say)
    before = resident_bytes(server)
    async with AsyncExitStack() as stack:
        for _ in range(MUTE):
            await stack.enter_async_context(mute_follower(server, room))
        ana = await stack.enter_async_context(Client(server))
        variables = {"roomId": room_id(room), "after": log_cursor(room.pk, 0)}
        following = await stack.enter_async_context(ana.subscribe(FOLLOW, **variables))
        assert [event["sequence"] for event in await following.events(MESSAGES)] == list(range(1, MESSAGES + 1))
        assert resident_bytes(server) - before < ALLOWED_GROWTH
