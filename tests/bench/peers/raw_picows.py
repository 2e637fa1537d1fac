"""A raw broadcast, no GraphQL, by picows on uvloop: what somebody sends goes to all others at the same path."""

from __future__ import annotations

import os
from collections import defaultdict

import uvloop
from picows import WSFrame, WSListener, WSTransport, WSUpgradeRequest, ws_create_server

rooms: defaultdict[bytes, set[WSTransport]] = defaultdict(set)


class Member(WSListener):
    def __init__(self, path: bytes) -> None:
        self._room = rooms[path]

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._room.add(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        message = frame.get_payload_as_bytes()
        for other in self._room:
            if other is not transport:
                other.send(frame.msg_type, message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._room.discard(transport)


def admitted(request: WSUpgradeRequest) -> Member:
    return Member(request.path)


async def main() -> None:
    server = await ws_create_server(admitted, "127.0.0.1", int(os.environ["PORT"]))
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
