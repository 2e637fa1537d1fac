"""``make bench``: sends and deliveries per second for one room with a hundred followers, both ways to run; and what
those who never read cost a thousand others.

The load comes from this process, in Python on the same machine: the rates are what the two manage together, good for
comparing two versions in turn, not for saying what a server can do at most. The processor time is the server's alone.
Each figure is the median of the rounds, with the least and the greatest beside it.
"""

from __future__ import annotations

import asyncio
import os
from statistics import median

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from tests.bench import slow_readers  # noqa: E402
from tests.bench.load import FOLLOWED_SENDS, FOLLOWERS, SENDERS, SENDS, Round, measured  # noqa: E402
from tests.bench.servers import embedded, scaled_out  # noqa: E402

ROUNDS = 3


def main() -> None:
    print(f"{SENDERS} senders: {SENDS} messages to nobody, {FOLLOWED_SENDS} to {FOLLOWERS} followers; {ROUNDS} rounds")
    with embedded() as one, scaled_out() as other:
        ways = {"Embedded (SQLite)": one, "Scaled out (PostgreSQL and Redis, one process)": other}
        rounds: dict[str, list[Round]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, server in ways.items():
                rounds[name].append(asyncio.run(measured(server)))
    for name in ways:
        show(name, rounds[name])
    with scaled_out() as server:
        slow_readers.show(*asyncio.run(slow_readers.measured(server)))


def show(name: str, rounds: list[Round]) -> None:
    print(f"\n{name}")
    print(f"  sends a second                  {spread([each.sends for each in rounds])}")
    print(f"  deliveries a second             {spread([each.deliveries for each in rounds])}")
    print(f"  server's CPU per delivery, µs   {spread([each.cpu_per_delivery for each in rounds])}")
    print(f"  lost, repeated or out of order  {sum(each.wrong for each in rounds):9}")


def spread(values: list[float]) -> str:
    return f"{median(values):9,.0f}   ({min(values):,.0f}–{max(values):,.0f})"


if __name__ == "__main__":
    main()
