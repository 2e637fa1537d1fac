"""Every fault, in the order in which they befall."""

from __future__ import annotations

from tests.chaos.faults import calm, clients, hints, histories, npm, postgres, redis, servers, vanishing

ALL = (
    *calm.FAULTS,
    *servers.FAULTS,
    *redis.FAULTS,
    *hints.FAULTS,
    *postgres.FAULTS,
    *clients.FAULTS,
    *vanishing.FAULTS,
    *histories.FAULTS,
    *npm.FAULTS,
)
