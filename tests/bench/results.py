"""What was measured, kept as it came: tables in Markdown for people, JSON for comparing commits."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from tests.services.salas import ROOT

Figures = dict[str, float]

COUNTS = ("lost", "repeated", "reordered", "misaddressed", "faults", "refused", "wrong sequences")
"""Figures that should be 0: they are added up over the rounds."""

LARGE, SMALL = 100, 10


class Scenario(Protocol):
    """What a table says of one. ``main`` is the figure that is compared."""

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str: ...

    @property
    def main(self) -> str: ...

    @property
    def more_is_better(self) -> bool: ...


@dataclass
class Results:
    """``figures`` and ``failures`` by scenario and contestant, one for each round."""

    rounds: int
    figures: dict[str, dict[str, list[Figures]]] = field(default_factory=dict)
    failures: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def add(self, scenario: Scenario, name: str, figures: Figures) -> None:
        self.figures.setdefault(scenario.name, {}).setdefault(name, []).append(figures)

    def fail(self, scenario: Scenario, name: str, failure: str) -> None:
        self.failures.setdefault(scenario.name, {}).setdefault(name, []).append(failure)

    def table(self, scenario: Scenario) -> str:
        """One scenario: a row for each contestant, median (least–greatest) of each figure, and how Salas compares."""
        of_all = self.figures.get(scenario.name, {})
        names = [name for name in next(iter(of_all.values()), [{}])[0] if name not in COUNTS]
        lines = [f"### {scenario.title}", ""]
        lines += [row(["server", *names, "Salas is", "wrong"]), row(["---"] * (len(names) + 3))]
        ours = next((middle(figures, scenario.main) for name, figures in of_all.items() if name == "Salas"), None)
        for name, figures in of_all.items():
            theirs = middle(figures, scenario.main)
            cells = [spread([each[figure] for each in figures if figure in each]) for figure in names]
            lines.append(row([name, *cells, compared(ours, theirs, scenario.more_is_better), wrong(figures)]))
        for name, failures in self.failures.get(scenario.name, {}).items():
            lines.append(f"\n{name} failed {len(failures)} of {self.rounds} times: {failures[0]}")
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        return {"machine": machine(), "figures": self.figures, "failures": self.failures}

    def take_from(self, path: Path) -> None:
        """Keep what an earlier run wrote of other scenarios, so that a long run may be made in parts."""
        if path.exists():
            before = json.loads(path.read_text())
            self.figures, self.failures = before["figures"], before["failures"]

    def has(self, scenario: Scenario) -> bool:
        return scenario.name in self.figures or scenario.name in self.failures

    def begin(self, scenario: Scenario) -> None:
        self.figures.pop(scenario.name, None)
        self.failures.pop(scenario.name, None)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_json(), indent=1))


def middle(figures: list[Figures], name: str) -> float:
    return median(each[name] for each in figures)


def spread(values: list[float]) -> str:
    if not values:
        return "–"
    least, greatest = number(min(values)), number(max(values))
    return number(median(values)) + ("" if least == greatest else f" ({least}–{greatest})")


def number(value: float) -> str:
    """Three digits, more of what is large; two of what is small."""
    if abs(value) >= LARGE:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= SMALL else f"{value:.2f}" if abs(value) >= 1 else f"{value:.2g}"


def compared(ours: float | None, theirs: float, more_is_better: bool) -> str:
    """How many times better Salas is: above 1 is for Salas, whichever direction is better."""
    if not ours or not theirs:
        return "–"
    return f"{(ours / theirs if more_is_better else theirs / ours):.2f}×"


def wrong(figures: list[Figures]) -> str:
    sums = {name: sum(each.get(name, 0) for each in figures) for name in COUNTS}
    return ", ".join(f"{value:,.0f} {name}" for name, value in sums.items() if value) or "0"


def row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def machine() -> str:
    """The processor, its cores, the memory, the kernel, Python, and the commit."""
    processor = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "?"
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    kernel, python = platform.release(), platform.python_version()
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, Linux {kernel}, Python {python}, commit {commit}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines()
