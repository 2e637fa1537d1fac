from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from tests.server.served import Served

Serve = Callable[..., Served]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """What starts ``manage.py serve`` with the options and limits given."""
    with ExitStack() as stack:

        def start(*options: str, **limits: float) -> Served:
            served = Served(*options, **limits)
            stack.callback(served.close)
            return served.start()

        yield start


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """One that is shared, to be left alive. Nobody waits for its drain: applications of these tests may never end."""
    with closing(Served().start()) as served:
        yield served
        served.kill()
