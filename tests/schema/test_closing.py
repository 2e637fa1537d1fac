"""That nobody has to guess why a socket ended, or whether to come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.limits import Limits
from schema import closing, recognition
from server.drain import REASON, SERVICE_RESTART
from server.words import close_reason

ROOT = Path(__file__).parents[2]
GUARANTEES = ROOT / "docs" / "guarantees.md"
FATAL = {1002, 1003, 1007, 1008, 1009, 1011, 4400, 4401, 4406, 4409, 4429, 4500}  # to graphql-ws: see its client.ts
NO_TEXT, TOO_BIG, SERVER_FAILED = 1007, 1009, 1013
BY_THE_SERVER = {NO_TEXT, TOO_BIG, SERVER_FAILED}  # sent below the transport: by autobahn, and by our server
OUR_CODES = {value for name, value in vars(closing).items() if type(value) is int and name != "MAX_REASON_BYTES"}


def documented() -> dict[int, tuple[str, str]]:
    """For each close code of the table, its reason and what clients do."""
    rows = re.findall(r"^\| (\d{4}) \| (.+?) \| .+? \| (.+?) \|$", GUARANTEES.read_text(), re.MULTILINE)
    return {int(code): (reason, clients) for code, reason, clients in rows}


def closes_in_code() -> Iterator[tuple[int, str]]:
    """Code and reason of each ``Closed(…)`` in the transport, with … for what only a run can fill in."""
    for file in sorted((ROOT / "schema").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            match node:
                case ast.Call(func=ast.Name(id="Closed"), args=[ast.Name(id=code), reason]):
                    yield getattr(closing, code), reason_in(reason)


def reason_in(node: ast.expr) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=parts):
            return "".join(reason_in(part) for part in parts)
        case ast.Name(id=name):
            return str(getattr(recognition, name))
    return "…"


def is_documented(code: int, reason: str) -> bool:
    said, _ = documented()[code]
    patterns = [re.escape(each).replace("…", ".*") for each in said.split("; ")]
    return any(re.fullmatch(pattern, reason) for pattern in patterns)


@pytest.mark.parametrize(("code", "reason"), sorted(set(closes_in_code())))
def test_every_reason_is_documented(code: int, reason: str) -> None:
    """Those of bad frames in general: what may be wrong with one is too much for a table."""
    assert is_documented(code, "what is wrong with the message" if code == closing.BAD_REQUEST else reason)


def test_so_are_those_of_the_server() -> None:
    """What it really sends is for tests/server/test_serving.py."""
    assert is_documented(SERVICE_RESTART, REASON)
    assert is_documented(TOO_BIG, close_reason(TOO_BIG, Limits().body_bytes))
    assert is_documented(NO_TEXT, close_reason(NO_TEXT, Limits().body_bytes))
    assert documented()[SERVER_FAILED][0] in (ROOT / "server" / "daphne.py").read_text()


def test_every_code_is_in_use() -> None:
    before_there_is_a_socket = {closing.SUBPROTOCOL_NOT_ACCEPTABLE}
    assert {code for code, _ in closes_in_code()} | before_there_is_a_socket == OUR_CODES


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
