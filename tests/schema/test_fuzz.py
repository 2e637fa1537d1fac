"""Documents that nobody would write: whatever is asked, the answer is JSON and nothing of it is our fault.

Schemathesis makes them of ``schema.graphql``: every field, with arguments of the right type and any value. Frames that
are no messages are thrown at sockets in ``test_transport``. Bounded and seeded: the same ones each time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooms import exceptions
from rooms.models import MemberRole
from tests.people import make_guest, make_member, make_room, send

from .api import Api

pytestmark = pytest.mark.django_db

SCHEMA = Path(__file__).parents[2] / "schema" / "schema.graphql"
DOCUMENTS = 150
CODES = {each.code for each in vars(exceptions).values() if isinstance(each, type) and hasattr(each, "code")}


def operations(kind: str) -> st.SearchStrategy[Any]:
    """Documents with one root field of ``kind``, Query or Mutation."""
    schema = schemathesis.graphql.from_file(SCHEMA.read_text())
    return st.one_of(*(operation.as_strategy() for operation in schema[kind].values()))


@pytest.fixture
def people() -> list[Api]:
    room = make_room()
    moderator, guest = make_member(room, MemberRole.MODERATOR), make_guest(room)
    send(guest, room, "hello")
    return [Api(), Api(guest), Api(moderator)]


@pytest.mark.parametrize("kind", ["Query", "Mutation"])
def test_whatever_is_asked_nothing_is_our_fault(kind: str, people: list[Api]) -> None:
    asked = 0

    @settings(max_examples=DOCUMENTS, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(case=operations(kind), who=st.sampled_from(people))
    def ask(case: Any, who: Api) -> None:
        nonlocal asked
        asked += 1
        response = who.post({"query": case.body})
        answer = response.json()
        assert response.status_code < 500, case.body
        assert all(error["extensions"]["code"] in CODES for error in answer.get("errors", [])), (case.body, answer)

    ask()
    assert asked >= DOCUMENTS
