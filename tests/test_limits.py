"""The limits object, and what its environment variables may say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from importlib import import_module
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.limits import Limits


def test_every_limit_has_a_default_and_a_variable() -> None:
    names = [field.name for field in fields(Limits)]
    given = {f"SALAS_LIMIT_{name.upper()}": "7" for name in names}
    assert Limits.from_environment(given) == Limits(**dict.fromkeys(names, 7))
    assert all(getattr(Limits(), name) > 0 for name in names)


def test_the_documentation_lists_every_limit_with_its_default() -> None:
    text = (Path(__file__).parents[1] / "docs" / "limits.md").read_text()
    listed = {name: float(default) for name, default in re.findall(r"^\| `(\w+)` \| ([\d.]+) \|", text, re.MULTILINE)}
    assert listed == {field.name: getattr(Limits(), field.name) for field in fields(Limits)}


@pytest.mark.parametrize("side", ["keeps", "exceeds"])
def test_every_limit_is_tested_on_both_sides(side: str) -> None:
    assert sorted(set(limits_marked(side))) == sorted(field.name for field in fields(Limits))


def limits_marked(side: str) -> Iterator[str]:
    """The limits that tests anywhere say they show from that side."""
    tests = Path(__file__).parent
    for path in tests.rglob("test_*.py"):
        module = import_module(".".join(("tests", *path.relative_to(tests).with_suffix("").parts)))
        for test in vars(module).values():
            marks = getattr(test, "pytestmark", None)
            for mark in marks if isinstance(marks, list) else ():
                yield from mark.args if mark.name == side else ()


def test_other_variables_are_nobodys_limit() -> None:
    assert Limits.from_environment({"PATH": "/bin", "SALAS_OTHER": "x"}) == Limits()


def test_zero_is_none() -> None:
    assert Limits.from_environment({"SALAS_LIMIT_SENDS_PER_SECOND": "0"}).sends_per_second == 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SALAS_LIMIT_DOCUMENT_DEPTH", "ten"),
        ("SALAS_LIMIT_DOCUMENT_DEPTH", "2.5"),
        ("SALAS_LIMIT_DOCUMENT_DEPTH", "-1"),
        ("SALAS_LIMIT_SENDS_PER_SECOND", "inf"),
        ("SALAS_LIMIT_SENDS_PER_SECOND", "nan"),
        ("SALAS_LIMIT_NO_SUCH", "1"),
    ],
)
def test_what_is_no_limit_is_named(variable: str, value: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=variable):
        Limits.from_environment({variable: value})
