"""An ASGI application that does what a path says, and writes to stderr what it is told."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from unittest.mock import patch

from daphne.server import Server

released = asyncio.Event()


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] == "/crowded":
        await refuse(receive, send)
    else:
        await (http if scope["type"] == "http" else websocket)(scope, receive, send)


def tell(what: str) -> None:
    sys.stderr.write(f"{what}\n")
    sys.stderr.flush()


async def http(scope: Any, receive: Any, send: Any) -> None:
    tell(f"heard {await size_of_body(receive)} bytes")
    match scope["path"]:
        case "/wait":
            tell("waits")
            await released.wait()
        case "/release":
            released.set()
        case "/forever":
            tell("waits")
            tell((await receive())["type"])
        case "/begins":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"a beginning", "more_body": True})
            await asyncio.Event().wait()
        case "/deaf":
            tell("waits")
            await asyncio.Event().wait()
        case "/raises":
            raise RuntimeError("a bug")
        case "/hold-up":
            tell("waits")
            time.sleep(3600)  # noqa: ASYNC251
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": str(ANSWERS.get(scope["path"], own_number)(scope)).encode()})


def own_number(_scope: Any) -> int:
    return os.getpid()


def root_path(scope: Any) -> str:
    return repr(scope["root_path"])


def sockets(_scope: Any) -> int:
    """How many there are in memory, open or not."""
    from server.daphne import Socket

    return sum(isinstance(each, Socket) for each in gc.get_objects())


ANSWERS: dict[str, Callable[[Any], object]] = {"/sockets": sockets, "/root-path": root_path}


async def size_of_body(receive: Any) -> int:
    size, more = 0, True
    while more:
        event = await receive()
        size += len(event["body"])
        more = event["more_body"]
    return size


async def websocket(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    if scope["path"] != "/undecided":
        await send({"type": "websocket.accept"})
    match scope["path"].split("/"):
        case [_, "ignores" | "later" | "old" as when]:
            await waits[when]()
            await echo(receive, send)
        case [_, "undecided"]:
            tell("thinks")
            await echo(receive, send)
        case [_, "heeds"]:
            await heed(scope, receive, send)
        case [_, "deaf" | "frames" | "pings" | "takes" | "cookies"]:
            await extended(scope, receive, send)
        case [_, "close", code, reason]:
            await send({"type": "websocket.close", "code": int(code), "reason": reason})
        case [_, "raises"]:
            raise RuntimeError("a bug")


async def grow_old() -> None:
    """Return once the server has looked, two days later, for what has been there too long."""
    looked, look, now = asyncio.Event(), Server.timeout_checker, time.time

    def look_and_tell(server: Server) -> None:
        look(server)
        looked.set()

    with patch.object(Server, "timeout_checker", look_and_tell), patch("time.time", lambda: now() + 2 * 86_400):
        await looked.wait()


waits: dict[str, Callable[[], Awaitable[object]]] = {
    "ignores": partial(asyncio.sleep, 0),
    "later": released.wait,
    "old": grow_old,
}


async def refuse(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.http.response.start", "status": 429, "headers": [(b"retry-after", b"10")]})
    await send({"type": "websocket.http.response.body", "body": b"too many"})


async def echo(receive: Any, send: Any) -> None:
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})
    tell(f"disconnected with {event['code']}")


async def extended(scope: Any, receive: Any, send: Any) -> None:
    """Use one of the extensions, or tell of the handshake."""
    if scope["path"] == "/deaf":
        await asyncio.gather(scope["extensions"]["salas.drain"]["began"].wait(), echo(receive, send))
    elif scope["path"] == "/cookies":
        await send({"type": "websocket.send", "text": dict(scope["headers"])[b"cookie"].decode()})
    elif scope["path"] == "/takes":
        await take_frames(scope["extensions"]["salas.frames"], receive, send)
    elif scope["path"] == "/pings":
        await send_pings(scope["extensions"], receive)
    else:
        await write_frames(scope["extensions"]["salas.frames"], receive, send)


async def take_frames(frames: Any, receive: Any, send: Any) -> None:
    """Take what is mine when it comes, and say so; echo the rest once two of those were taken."""
    taken = asyncio.Event()
    number = 0

    def take(text: bytes) -> bool:
        nonlocal number
        if text.startswith(b"mine"):
            number += 1
            frames["write"]([b"took " + text])
            if number == 2:
                taken.set()
            return True
        return False

    frames["listen"](take)
    await taken.wait()
    await echo(receive, send)


async def send_pings(extensions: Any, receive: Any) -> None:
    """Send a ping with each text as its payload, and say what the pongs have."""
    write, pings = extensions["salas.frames"]["write"], extensions["salas.pings"]
    pings["listen"](lambda payload: write([b"pong " + payload]))
    while (event := await receive())["type"] == "websocket.receive":
        write([b"before"])
        pings["send"](event["text"].encode())
        write([b"after"])


async def write_frames(frames: Any, receive: Any, send: Any) -> None:
    """Write texts of the sizes asked for, all in one call and before ASGI's own; then go on after the close."""
    sizes, write = [int(size) for size in (await receive())["text"].split()], frames["write"]
    write([b"%d" % (size % 10) * size for size in sizes])
    tell(f"{frames['unsent']()} bytes wait")
    await send({"type": "websocket.send", "text": "that was all"})
    write([b"and this"])
    await send({"type": "websocket.close", "code": 4000})
    write([b"but not this"])
    tell("wrote after the close")


async def heed(scope: Any, receive: Any, send: Any) -> None:
    """End in three steps, of which the client sees each."""
    await scope["extensions"]["salas.drain"]["began"].wait()
    await send({"type": "websocket.send", "text": "began"})
    await receive()
    await send({"type": "websocket.send", "text": "the answer"})
    await send({"type": "websocket.close", "code": 1012, "reason": "in its own words"})
