"""The faults that do not take long, with fewer people than in ``make chaos``. CHAOS_SEED=… is for another course."""

from __future__ import annotations

import pytest

from tests.chaos.conftest import SEED
from tests.chaos.faults import ALL
from tests.chaos.scene import Fault, Outcome, played
from tests.chaos.world import World
from tests.services.salas import Salas

pytestmark = pytest.mark.end_to_end

SHORT = [fault for fault in ALL if fault.short_load is not None]


@pytest.mark.parametrize("fault", SHORT, ids=lambda fault: fault.name)
async def test_the_promise_is_kept(fault: Fault, world: World, servers: list[Salas], outcomes: list[Outcome]) -> None:
    outcomes.append(outcome := await played(world, fault, seed=SEED, full=False))
    assert outcome.failures() == []
