from __future__ import annotations

import asyncio
import os
import socket
import sys
from argparse import SUPPRESS, ArgumentTypeError
from pathlib import Path
from typing import Any, NoReturn

from channels.routing import get_default_application
from daphne.access import AccessLogGenerator
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from server.descriptors import open_files, raise_limit
from server.drain import Timetable
from server.lifeline import Lifeline
from server.limits import Limits
from server.listening import address_of, listen
from server.serving import Serving, say
from server.workers import Workers

ROOT = Path(__file__).resolve().parents[3]

# A peer that is gone without a word is noticed within ping interval + 2 + ping timeout: Daphne looks every two seconds.
PING_INTERVAL_SECONDS = 20
PING_TIMEOUT_SECONDS = 15
KEPT_FOR_WORKERS = ("drain_seconds", "spread_seconds", "http_timeout")


def port_number(text: str) -> int:
    """Raises ArgumentTypeError."""
    if text.isdecimal() and int(text) < 2**16:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a port: a number from 0 to 65535")


def positive(text: str) -> int:
    """Raises ArgumentTypeError."""
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise ArgumentTypeError(f"{text!r} is not a whole number above 0")


class AccessLog(AccessLogGenerator):  # type: ignore[misc]  # Daphne has no types
    """Daphne's, without what stands after the question mark: clients put there what is nobody else's to know."""

    def __call__(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        super().__call__(protocol, action, details | {"path": details["path"].partition("?")[0]})


class Command(BaseCommand):
    help = "Serve HTTP and WebSockets. SIGTERM and Ctrl-C end in order; a second one ends at once."
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        host, port = getattr(settings, "LISTEN_HOST", "127.0.0.1"), getattr(settings, "LISTEN_PORT", 8000)
        parser.add_argument("--host", default=host, help="the address to listen at: else $HOST (%(default)s)")
        parser.add_argument(
            "--port", type=port_number, default=port, help="0 for one that is free: else $PORT (%(default)s)"
        )
        parser.add_argument("--workers", type=positive, default=1, help="processes that share the port (%(default)s)")
        parser.add_argument("--drain-seconds", type=float, default=10.0, help="to end in, once told to (%(default)s)")
        parser.add_argument(
            "--spread-seconds", type=float, default=3.0, help="over which sockets are sent away (%(default)s)"
        )
        parser.add_argument(
            "--http-timeout", type=positive, default=60, help="seconds to answer a request in (%(default)s)"
        )
        parser.add_argument("--access-log", action="store_true", help="write a line for each request to stdout")
        parser.add_argument("--listener-handle", type=int, help=SUPPRESS)
        parser.add_argument("--lifeline-handle", type=int, help=SUPPRESS)

    def handle(self, *args: Any, **options: Any) -> None:
        raise_limit()
        try:
            timetable = Timetable.within(options["drain_seconds"], options["spread_seconds"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        if options["listener_handle"] is not None:
            lifeline = Lifeline(options["lifeline_handle"], timetable.kill)
            serve(socket.socket(fileno=options["listener_handle"]), timetable, lifeline, options)
        say_what_fits(settings.LIMITS)
        try:
            listeners = listen(options["host"], options["port"], options["workers"])
        except OSError as error:
            raise CommandError(f"{options['host']}:{options['port']}: {error.strerror}") from error
        if len(listeners) == 1:
            serve(listeners[0], timetable, None, options)
        sys.exit(asyncio.run(serve_with_workers(listeners, timetable, options)))


def say_what_fits(limits: Limits) -> None:
    """Tell the operator where a process can hold fewer sockets than it would be let have."""
    if limits.sockets_with_room < limits.sockets:
        say(
            f"{open_files()} files may be open in a process, which is room for {limits.sockets_with_room} sockets and "
            f"not for {limits.sockets}: raise the hard limit (`ulimit -n`; LimitNOFILE= of systemd)"
        )


def serve(
    listener: socket.socket, timetable: Timetable, lifeline: Lifeline | None, options: dict[str, Any]
) -> NoReturn:
    """Serve in this process, and exit with it."""
    Serving(
        get_default_application(),
        listener,
        address_of(listener),
        timetable,
        settings.LIMITS,
        lifeline,
        action_logger=AccessLog(sys.stdout) if options["access_log"] else None,
        http_timeout=options["http_timeout"],
        ping_interval=PING_INTERVAL_SECONDS,
        ping_timeout=PING_TIMEOUT_SECONDS,
        websocket_timeout=-1,  # a socket may live for ever
    ).run()


async def serve_with_workers(listeners: list[socket.socket], timetable: Timetable, options: dict[str, Any]) -> int:
    """Serve in one process for each listener until the end; return the exit status."""
    address = address_of(listeners[0])

    def command(listener: int, lifeline: int) -> list[str]:
        given = [f"--{name.replace('_', '-')}={options[name]}" for name in KEPT_FOR_WORKERS]
        given += ["--access-log"] if options["access_log"] else []
        handles = [f"--listener-handle={listener}", f"--lifeline-handle={lifeline}"]
        return [sys.executable, "-m", "django", "serve", *given, *handles]

    return await Workers(
        command,
        listeners,
        os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))},
        kill_seconds=(timetable.kill + options["drain_seconds"]) / 2,
        on_ready=lambda: say(f"Listening on TCP address {address}"),
        say=say,
    ).run()
