"""What came of each fault, as text."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.scene import Outcome

COLUMNS = ("fault", "sent", "lost", "repeated", "reordered", "phantom", "refused though stored", "seconds to recover")
LAST_COLUMN = "slowest send, s"


def table(outcomes: Sequence[Outcome]) -> str:
    """A line for each fault; below it what broke the promise, if anything did."""
    rows = [row(outcome) for outcome in outcomes]
    heading = (*COLUMNS, LAST_COLUMN)
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]
    lines = [aligned(heading, widths), "-+-".join("-" * width for width in widths)]
    for outcome, cells in zip(outcomes, rows, strict=True):
        lines.append(aligned(cells, widths))
        lines += [f"  FAILED: {failure}" for failure in outcome.failures()]
    return "\n".join(lines)


def notes(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(f"{outcome.name}: {'; '.join(outcome.notes)}" for outcome in outcomes if outcome.notes)


def verdict(outcomes: Sequence[Outcome]) -> str:
    broken = [outcome.name for outcome in outcomes if not outcome.is_clean]
    if broken:
        return f"BROKEN by {len(broken)} of {len(outcomes)}: {', '.join(broken)}"
    return f"KEPT under all {len(outcomes)}"


def row(outcome: Outcome) -> tuple[str, ...]:
    counts = outcome.counts
    numbers = (
        counts.sent,
        counts.lost,
        counts.repeated,
        counts.reordered,
        counts.phantom,
        counts.refused_though_stored,
    )
    return (outcome.name, *map(str, numbers), f"{outcome.recovery:.2f}", f"{outcome.slowest:.2f}")


def aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = cells
    right = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
    return " | ".join([first.ljust(widths[0]), *right])
