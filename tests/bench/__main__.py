"""``make bench``: what a message costs, Salas and its peers in turn in one run.

Each figure is the median of the rounds, with the least and the greatest beside it; in each round every server takes
its turn, freshly started. docs/performance.md tells the method.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from time import perf_counter

from . import cores
from .contestants import Contestant, DurablePostgres, SalasContestant
from .others import others
from .results import Figures, Results, machine
from .scenarios.common import DISTURBED, FULL, QUICK, Scale, Scenario
from .scenarios.deliveries import DELIVERIES
from .scenarios.growth import GROWTH
from .scenarios.history import HISTORY
from .scenarios.latency import LATENCY
from .scenarios.sends import SENDS
from .scenarios.slow_readers import SLOW_READERS
from .scenarios.storms import STORMS

SCENARIOS = [*DELIVERIES, *SENDS, *STORMS, LATENCY, *HISTORY, *GROWTH, SLOW_READERS]
NAMES = {scenario.name for scenario in SCENARIOS}
SERVERS = """
Salas; the peers: stock recipe (on Daphne, on uvicorn), graphql-ws, graphql-yoga, mercurius, these three also storing
nothing; the raw broadcasts: ws, picows, and nchan where nginx has it."""
DISTURBED_PERCENT = 5.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--list", action="store_true", help="name the scenarios and the servers, and measure nothing")
    parser.add_argument("--only", metavar="NAMES", help="scenarios, or how their names begin, with commas between")
    parser.add_argument(
        "--servers", metavar="NAMES", help="servers to measure: how their names begin, or salas, peers, raw"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each takes its turn (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="shorter, with fewer followers: to see that it works")
    parser.add_argument("--against", type=Path, metavar="DIR", help="measure the Salas in another work tree as well")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write what was measured; other scenarios in it are kept"
    )
    parser.add_argument("--more", action="store_true", help="add rounds to those that the file of --json has")
    parser.add_argument("--tables", type=Path, metavar="FILE", help="write the tables of all that was measured")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    scenarios = chosen(SCENARIOS, given.only)
    if given.list:
        print("\n".join(f"{scenario.name:32} {scenario.title}" for scenario in scenarios), f"\n{SERVERS}")
        return 0
    cores.take_load_core()
    raise_limit_on_files()
    results = Results(given.rounds)
    if given.json:
        results.take_from(given.json)
    print(machine(), flush=True)
    with ExitStack() as stack:
        contestants = list(stack.enter_context(entered(given)))
        for scenario in scenarios:
            if not given.more:
                results.begin(scenario)
            entering = [each for each in contestants if each.kind in scenario.kinds]
            for _ in take_turns(scenario, entering, QUICK if given.quick else FULL, results):
                write(results, given)
            print(f"\n{results.table(scenario)}", flush=True)
    return 0


def write(results: Results, given: argparse.Namespace) -> None:
    """After each turn, so that what is cut short has brought something."""
    if given.json:
        results.write(given.json)
    if given.tables:
        tables = [results.table(scenario) for scenario in SCENARIOS if results.has(scenario)]
        given.tables.write_text("\n\n".join([f"Measured on: {machine()}.", *tables]) + "\n")


@contextmanager
def entered(given: argparse.Namespace) -> Iterator[list[Contestant]]:
    """Those who are measured, with the PostgreSQL that they share."""
    with closing(DurablePostgres().start()) as postgres:
        cores.prefer(postgres.pid)
        contestants: list[Contestant] = [SalasContestant(postgres)]
        if given.against:
            tree = given.against.resolve()
            contestants.append(SalasContestant(postgres, f"Salas in {tree.name}", tree))
        yield [each for each in [*contestants, *others(postgres)] if is_chosen(each, given.servers)]


def is_chosen(contestant: Contestant, servers: str | None) -> bool:
    """By how the name begins, case aside; "peers" are all that speak GraphQL, and there are "raw" ones."""
    return servers is None or any(
        contestant.name.lower().startswith(name) or contestant.kind == name.removesuffix("s")
        for name in servers.lower().split(",")
    )


def take_turns(
    scenario: Scenario, contestants: list[Contestant], scale: Scale, results: Results
) -> Iterator[Contestant]:
    """In every round each takes its turn. One that fails does not keep the others from theirs."""
    for number in range(1 if scenario.once else results.rounds):
        for contestant in contestants[:1] if scenario.once else contestants:
            began = perf_counter()
            try:
                results.add(scenario, contestant.name, calmest(scenario, contestant, scale))
            except Exception as error:  # noqa: BLE001 - a peer may fail in whatever way, and that is a result
                results.fail(scenario, contestant.name, described(error))
            turn = f"{scenario.name} {number + 1}/{results.rounds} {contestant.name}"
            print(f"{turn}: {perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
            yield contestant


def calmest(scenario: Scenario, contestant: Contestant, scale: Scale) -> Figures:
    """Measure, and again where something else on this machine took part of the cores; return the calmest try."""
    tries: list[Figures] = []
    while len(tries) < scale.tries and not any(disturbance(figures) < DISTURBED_PERCENT for figures in tries):
        gc.collect()
        tries.append(scenario.measure(contestant, scale))
    return min(tries, key=disturbance)


def described(error: BaseException) -> str:
    """The first of the errors of a group: the others came of it."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}"[:500]


def disturbance(figures: Figures) -> float:
    return figures.get(DISTURBED, 0.0)


def chosen(scenarios: list[Scenario], only: str | None) -> list[Scenario]:
    if only is None:
        return scenarios
    found = [scenario for scenario in scenarios if any(is_meant(scenario.name, name) for name in only.split(","))]
    if not found:
        sys.exit(f"no scenario is called {only}: --list names them")
    return found


def is_meant(name: str, given: str) -> bool:
    """A whole name means that scenario, anything else all whose names begin so."""
    return name == given if given in NAMES else name.startswith(given)


def raise_limit_on_files() -> None:
    """Ten thousand followers are as many files, here and in the server, which inherits the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # node may live in there
    sys.exit(main())
