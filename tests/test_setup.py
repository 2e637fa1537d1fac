"""What stands between a machine with nothing and the two commands: the locks, the Makefile, the run of CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.services.salas import ROOT

pytestmark = pytest.mark.end_to_end

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
GROUPS: dict[str, list[str]] = PROJECT["dependency-groups"]
DECLARED = {
    "run": [*PROJECT["project"]["dependencies"], *GROUPS["build"]],
    "test": GROUPS["test"],
    "check": GROUPS["check"],
    "node": GROUPS["node"],
}
PLACES = [
    {
        "python_version": version,
        "python_full_version": f"{version}.9",
        "sys_platform": system,
        "platform_machine": machine,
    }
    for version in ("3.11", "3.12", "3.13", "3.14")
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
]
REGISTRIES = re.compile(
    r"pypi\.|pythonhosted|npmjs|yarnpkg|registry\.|\"resolved\"|--(extra-)?index-url", re.IGNORECASE
)


class Pin(NamedTuple):
    name: str
    version: str
    marker: Marker | None

    def holds_in(self, place: dict[str, str]) -> bool:
        return self.marker is None or self.marker.evaluate(place)


def pins(lock: str) -> list[Pin]:
    lines = (ROOT / f"requirements/{lock}.txt").read_text().splitlines()
    found = (Requirement(line.rstrip("\\ ")) for line in lines if line[0].isalpha())
    return [Pin(canonicalize_name(each.name), str(each.specifier)[2:], each.marker) for each in found]


def versions_in(lock: str, place: dict[str, str]) -> dict[str, str]:
    return {pin.name: pin.version for pin in pins(lock) if pin.holds_in(place)}


def make(directory: Path, *arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run make as from a new terminal: what this run was made with does not reach it."""
    environment = {"PATH": path or os.environ["PATH"], "HOME": str(directory)}
    return subprocess.run(
        ["make", *arguments], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def programs(directory: Path, *names: str) -> str:
    """Return a PATH with these programs of the system and no others."""
    directory.mkdir()
    for name in names:
        program = shutil.which(name)
        assert program, name
        (directory / name).symlink_to(program)
    return str(directory)


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A directory with the Makefile and nothing that it makes."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("config", "rooms", "schema", "frontend/src", "frontend/public"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("lock", DECLARED)
@pytest.mark.parametrize("place", PLACES, ids=lambda place: "-".join(place.values()))
def test_a_lock_keeps_what_the_project_declares(lock: str, place: dict[str, str]) -> None:
    locked = versions_in(lock, place)
    for requirement in map(Requirement, DECLARED[lock]):
        if requirement.marker is None or requirement.marker.evaluate(place):
            assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("requirement", [*DECLARED["run"], *DECLARED["test"]])
def test_what_is_installed_is_not_below_its_floor(requirement: str) -> None:
    wanted = Requirement(requirement)
    if wanted.marker is None or wanted.marker.evaluate():
        assert wanted.specifier.contains(version(wanted.name)), f"{wanted} is wanted, {version(wanted.name)} is here"


def test_every_dependency_has_a_floor() -> None:
    declared = [Requirement(each) for group in DECLARED.values() for each in group]
    assert [str(each) for each in declared if not any(part.operator == ">=" for part in each.specifier)] == []


@pytest.mark.parametrize(("smaller", "larger"), [("run", "test"), ("test", "check")])
def test_a_larger_lock_holds_the_smaller_one(smaller: str, larger: str) -> None:
    assert set(pins(smaller)) <= set(pins(larger))


@pytest.mark.parametrize("lock", DECLARED)
def test_every_locked_package_has_a_hash(lock: str) -> None:
    entries = re.split(r"\n(?=\w)", (ROOT / f"requirements/{lock}.txt").read_text())
    assert all("--hash=sha256:" in entry for entry in entries)


@pytest.mark.parametrize(
    "name",
    [
        "requirements/run.txt",
        "requirements/test.txt",
        "requirements/check.txt",
        "requirements/node.txt",
        "pyproject.toml",
        "Makefile",
        ".ci/run",
        "frontend/package.json",
        "frontend/package-lock.json",
        "tests/end_to_end/documents/package.json",
        "tests/end_to_end/documents/package-lock.json",
    ],
)
def test_no_file_names_a_registry(name: str) -> None:
    assert not REGISTRIES.search((ROOT / name).read_text())


def test_help_lists_every_command() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony
    listed = set(re.findall(r"^make (\w+)", make(ROOT, "help").stdout, re.MULTILINE))
    assert listed == set(phony[1].split()) - {"browser", "pgbouncer"}


def test_make_alone_shows_the_help() -> None:
    assert make(ROOT).stdout == make(ROOT, "help").stdout


def test_a_missing_python_is_named_in_one_line(bare: Path) -> None:
    done = make(bare, ".venv/made", path=programs(bare / "bin", "make", "sh", "find"))
    assert done.returncode
    assert done.stderr.startswith("Python 3.11 or newer is missing: install it, or name it with PYTHON=")


def test_a_python_without_venv_is_named_with_what_mends_it(bare: Path) -> None:
    path = programs(bare / "bin", "make", "sh", "find")
    write_program(bare / "bin/python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    done = make(bare, ".venv/made", path=path)
    assert done.returncode
    assert done.stderr.startswith("python3 lacks venv: `sudo apt-get install python3-venv`")


def test_a_python_that_does_not_run_is_passed_over(bare: Path) -> None:
    path = programs(bare / "bin", "make", "sh", "find", "touch", "mkdir")
    write_program(bare / "bin/python3", "exit 127")
    write_program(bare / "bin/python3.12", '[ "$1" = -c ] || mkdir .venv && echo "$@" >arguments')
    assert not make(bare, ".venv/made", path=path).returncode
    assert (bare / "arguments").read_text() == "-m venv --clear .venv\n"


def test_an_environment_that_works_is_kept(bare: Path) -> None:
    (bare / ".venv/bin").mkdir(parents=True)
    write_program(bare / ".venv/bin/python", f'exec "{sys.executable}" "$@"')
    before = (bare / ".venv/bin/python").read_text()
    assert make(bare, ".venv/made", path=programs(bare / "bin", "make", "sh", "find", "touch")).stdout == ""
    assert (bare / ".venv/bin/python").read_text() == before


def test_an_environment_whose_python_is_gone_is_not_taken_for_installed(bare: Path) -> None:
    (bare / ".venv").mkdir()
    for stamp in ("made", "run", "test", "check"):
        (bare / ".venv" / stamp).touch()
    make(bare, "help")
    assert not list((bare / ".venv").iterdir())


def test_translations_are_compiled(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    texts = tmp_path / "rooms/locale/pt_BR/LC_MESSAGES"
    texts.mkdir(parents=True)
    (texts / "django.po").write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\nmsgid "room"\nmsgstr "sala"\n'
    )
    (tmp_path / ".venv/bin").mkdir(parents=True)
    write_program(tmp_path / ".venv/bin/python", f'exec "{sys.executable}" "$@"')
    requirements = tmp_path / "requirements/run.txt"
    requirements.parent.mkdir()
    requirements.touch()
    for stamp in ("made", "run"):
        (tmp_path / ".venv" / stamp).touch()
    done = make(tmp_path, "rooms/locale/pt_BR/LC_MESSAGES/django.mo")
    assert not done.returncode, done.stderr
    assert b"sala" in (texts / "django.mo").read_bytes()


@pytest.mark.parametrize("failing", ["check", "test"])
def test_ci_fails_when_either_part_fails_and_runs_both(failing: str, tmp_path: Path) -> None:
    write_program(tmp_path / "make", f'echo "$1"; [ "$1" != {failing} ]')
    done = run_ci(tmp_path)
    assert done.returncode
    assert done.stdout.split() == ["check", "test"]


def test_ci_succeeds_when_both_parts_do(tmp_path: Path) -> None:
    write_program(tmp_path / "make", "true")
    assert not run_ci(tmp_path).returncode


def run_ci(programs: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run([ROOT / ".ci/run"], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("before", "after", "heard"),
    [
        ({"PORT": "9000", "HOST": "0.0.0.0"}, (), "0.0.0.0 9000"),
        ({}, ("PORT=9001", "HOST=::1"), "::1 9001"),
        ({"PORT": "9000"}, ("PORT=9001",), "- 9001"),
        ({}, (), "- -"),
    ],
)
def test_where_to_listen_is_handed_on(bare: Path, before: dict[str, str], after: tuple[str, ...], heard: str) -> None:
    """By the environment, where the settings read it; ``-`` is nothing."""
    (bare / ".venv/bin").mkdir(parents=True)
    write_program(bare / ".venv/bin/python", '[ "$1" = -c ] || echo "$* ${HOST:--} ${PORT:--}"')
    built = ("-o", ".venv/run", "-o", "frontend/dist/manifest.json", "-o", "staticfiles/manifest.json")
    environment = {"PATH": os.environ["PATH"], "HOME": str(bare)} | before
    command = ["make", "run", *built, *after]
    done = subprocess.run(command, cwd=bare, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [f"manage.py first_run {heard}", f"manage.py serve {heard}"], done.stderr
