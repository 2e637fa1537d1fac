"""Every way in which the server ends a socket: a code, a reason, and whether clients come back.

The codes from 4400 are those of graphql-transport-ws; 1012 is of RFC 6455 (IANA's registry); the rest is ours. What
graphql-ws, and so Apollo, urql, Relay and GraphiQL, do on each: they give up for good on 4400, 4401, 4406, 4409 and
4429, and come back after a pause on all others here.
"""

from __future__ import annotations

SERVICE_RESTART = 1012
BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
INIT_TIMEOUT = 4408
SUBSCRIBER_EXISTS = 4409
TOO_MANY_INITS = 4429
TRY_AGAIN = 4503
NO_RECEIPT = 4504
TOO_MANY_SOCKETS = 4505
TOO_MUCH_AT_ONCE = 4506

MAX_REASON_BYTES = 123  # RFC 6455, section 5.5


class Closed(Exception):
    """The server ends the socket. ``reason`` is cut to what fits into the frame."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode(errors="replace")[:MAX_REASON_BYTES].decode(errors="ignore")
