"""What the operating system is asked about processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from .cores import cpu_seconds, resident_bytes, waited_seconds, with_descendants

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
for _ in range(3_000_000): pass
print(child.pid, flush=True)
input()
child.communicate(b"\\n")
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.communicate("\n", timeout=20)


def test_a_server_is_all_its_processes(parent: subprocess.Popen[str]) -> None:
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert with_descendants(parent.pid) == [parent.pid, child]
    assert 0.02 < cpu_seconds([parent.pid]) <= cpu_seconds([parent.pid, child])
    assert resident_bytes([parent.pid, child]) > resident_bytes([child]) > 1_000_000
    assert waited_seconds([os.getpid()]) > 0


def test_one_that_has_ended_costs_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert (cpu_seconds([ended.pid]), resident_bytes([ended.pid]), with_descendants(ended.pid)) == (0, 0, [ended.pid])
