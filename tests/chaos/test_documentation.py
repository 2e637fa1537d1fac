"""That docs/guarantees.md tells of every fault that there is, and of none that broke the promise."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.faults import ALL
from tests.chaos.scene import RECOVERY_LIMIT_SECONDS
from tests.chaos.table import COLUMNS, LAST_COLUMN

GUARANTEES = Path(__file__).parents[2] / "docs" / "guarantees.md"


def rows() -> list[list[str]]:
    """The lines of the table, each as its cells."""
    _, _, table = GUARANTEES.read_text().partition(f"| {' | '.join((*COLUMNS, LAST_COLUMN))} |\n")
    lines = table.partition("\n\n")[0].splitlines()[1:]
    return [line.strip("| ").split(" | ") for line in lines]


def test_the_table_has_every_fault_in_its_order() -> None:
    assert [name for name, *_ in rows()] == [fault.name for fault in ALL]


def test_the_promise_was_kept_under_each() -> None:
    for _, _sent, *counts, recovery, _slowest in rows():
        assert counts == ["0"] * 5
        assert float(recovery) < RECOVERY_LIMIT_SECONDS
