"""What peers are told where the libraries below refuse something: our own words, and what to do."""

from __future__ import annotations

HANDSHAKE = (
    "This is no handshake of a WebSocket (RFC 6455, section 4.1): it is a GET over HTTP/1.1 with the headers Host, "
    "Upgrade, Connection, Sec-WebSocket-Key and Sec-WebSocket-Version: 13."
)
HANDSHAKES = {
    403: "No WebSocket is opened here.",
    500: "Something went wrong on our side: try again.",
    503: "Service restart: come back",
}
REQUESTS = {
    400: "This is no request of HTTP/1.1: write headers in ASCII, and address and query percent-encoded.",
    500: "Something went wrong on our side: try again.",
    503: "The request took too long: try again.",
}
CLOSES = {
    1002: "Protocol error: this is no frame of a client (RFC 6455, section 5)",
    1007: "A text must be UTF-8",
}


def handshake_refused(status: int) -> str:
    return HANDSHAKES.get(status, HANDSHAKE)


def request_refused(status: int) -> str:
    return REQUESTS.get(status, REQUESTS[400])


def close_reason(code: int, limit_bytes: int) -> str:
    if code == 1009:
        return f"A message of this size exceeds payload limit of {limit_bytes} octets"
    return CLOSES.get(code, "Come back")
