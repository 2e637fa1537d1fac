"""Tables of what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from .results import Results, compared, number, spread, wrong


class Some:
    """As much of a scenario as a table needs: this file needs none of the benchmark's own packages."""

    name = "deliveries"
    title = "Deliveries"
    main = "a second"
    more_is_better = True


def measured() -> Results:
    results = Results(rounds=3)
    for theirs, ours in ((10.0, 20.0), (30.0, 90.0), (20.0, 40.0)):
        results.add(Some, "peer", {"a second": theirs, "lost": 1.0})
        results.add(Some, "Salas", {"a second": ours, "lost": 0.0})
    results.fail(Some, "other", "it went away")
    return results


def test_a_table_has_medians_spreads_ratios_and_what_went_wrong() -> None:
    lines = measured().table(Some).splitlines()
    assert lines[:3] == ["### Deliveries", "", "| server | a second | Salas is | wrong |"]
    assert "| peer | 20.0 (10.0–30.0) | 2.00× | 3 lost |" in lines
    assert "| Salas | 40.0 (20.0–90.0) | 1.00× | 0 |" in lines
    assert lines[-1] == "other failed 1 of 3 times: it went away"


def test_what_was_written_is_added_to(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    measured().write(file)
    later = Results(rounds=1)
    later.take_from(file)
    assert later.has(Some)
    later.begin(Some)
    assert not later.has(Some)


@pytest.mark.parametrize(("more_is_better", "ratio"), [(True, "2.00×"), (False, "0.50×")])
def test_above_one_is_for_salas(more_is_better: bool, ratio: str) -> None:
    assert compared(40.0, 20.0, more_is_better) == ratio
    assert compared(None, 20.0, more_is_better) == "–"


def test_numbers_have_as_many_places_as_they_deserve() -> None:
    assert [number(value) for value in (12345.6, 99.94, 1.154, 0.123)] == ["12,346", "99.9", "1.15", "0.12"]
    assert spread([]) == "–"
    assert wrong([{"lost": 1.0, "a second": 5.0}, {"lost": 2.0, "refused": 1.0}]) == "3 lost, 1 refused"
