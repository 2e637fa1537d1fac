"""That nobody has to guess why a socket ended, or whether to come back."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schema import closing

GUARANTEES = Path(__file__).parents[2] / "docs" / "guarantees.md"
FATAL = {1002, 1003, 1007, 1008, 1009, 1011, 4400, 4401, 4406, 4409, 4429, 4500}  # to graphql-ws: see its client.ts
BY_THE_SERVER = {1009, 1013}  # sent below the transport: autobahn's for a message that is too big, and our server's
OUR_CODES = {value for name, value in vars(closing).items() if type(value) is int and name != "MAX_REASON_BYTES"}


def documented() -> dict[int, tuple[str, str]]:
    """For each close code of the table, its reason and what clients do."""
    rows = re.findall(r"^\| (\d{4}) \| (.+?) \| .+? \| (.+?) \|$", GUARANTEES.read_text(), re.MULTILINE)
    return {int(code): (reason, clients) for code, reason, clients in rows}


def test_every_code_is_documented_and_no_other() -> None:
    assert documented().keys() >= OUR_CODES
    assert documented().keys() - OUR_CODES == BY_THE_SERVER


@pytest.mark.parametrize("code", sorted(OUR_CODES | BY_THE_SERVER))
def test_what_the_documentation_says_of_coming_back_is_what_clients_do(code: int) -> None:
    reason, clients = documented()[code]
    assert reason
    assert clients.startswith("give up" if code in FATAL else "come back")


def test_no_end_is_taken_for_a_normal_one_or_for_the_last() -> None:
    assert not documented().keys() & {1000, 1011}
