from __future__ import annotations

import socket
import sys
from contextlib import ExitStack

import pytest

from server.listening import address_of, listen


def test_every_worker_has_a_socket_at_the_same_address() -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(each) for each in listen("127.0.0.1", 0, 3)]
        assert len({address_of(each) for each in listeners}) == 1
        assert len({each.fileno() for each in listeners}) == (3 if sys.platform == "linux" else 1)


@pytest.mark.parametrize("count", [1, 2])
def test_two_servers_do_not_share_a_port_by_accident(count: int) -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(each) for each in listen("127.0.0.1", 0, 2)]
        with pytest.raises(OSError, match="in use"):
            listen("127.0.0.1", listeners[0].getsockname()[1], count)


def test_a_name_and_ipv6_will_do() -> None:
    for host in ("localhost", "::1") if socket.has_ipv6 else ("localhost",):
        with listen(host, 0, 1)[0] as listener:
            assert address_of(listener).startswith(("127.0.0.1:", "[::1]:"))
