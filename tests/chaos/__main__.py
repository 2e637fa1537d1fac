"""``make chaos``: one fault after another befalls two servers under load, and a table says what became of the promise.

The exit status is zero if nothing was lost, repeated, reordered, invented or refused though stored, everything was back
in ten seconds, and sends were acknowledged within one while Redis was away.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sys
from collections.abc import Sequence

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from tests.chaos.faults import ALL  # noqa: E402
from tests.chaos.scene import Fault, Outcome, played  # noqa: E402
from tests.chaos.table import notes, table, verdict  # noqa: E402
from tests.chaos.world import a_world  # noqa: E402


def main() -> None:
    chosen = arguments()
    if chosen.list:
        print("\n".join(fault.name for fault in ALL))
        return
    faults = [fault for fault in ALL if not chosen.only or chosen.only in fault.name]
    if not faults:
        sys.exit(f"no fault is called {chosen.only}: --list names them")
    print(f"seed {chosen.seed}")
    outcomes = asyncio.run(run(faults, chosen.seed, full=not chosen.short))
    print(f"\n{table(outcomes)}\n\n{notes(outcomes)}\n\nseed {chosen.seed}: {verdict(outcomes)}")
    sys.exit(not all(outcome.is_clean for outcome in outcomes))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="the seed of an earlier run")
    parser.add_argument("--only", metavar="NAME", default="", help="only faults with this in their names")
    parser.add_argument("--short", action="store_true", help="as in the test suite: fewer people, shorter faults")
    parser.add_argument("--list", action="store_true", help="name the faults")
    return parser.parse_args()


async def run(faults: Sequence[Fault], seed: int, *, full: bool) -> list[Outcome]:
    outcomes = []
    async with a_world() as world:
        for fault in faults:
            print(f"  {fault.name} …", end=" ", flush=True)
            outcomes.append(outcome := await played(world, fault, seed=seed, full=full))
            print("; ".join(outcome.failures()) or "kept", flush=True)
    return outcomes


if __name__ == "__main__":
    main()
