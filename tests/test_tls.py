"""PostgreSQL and Redis over TLS and with passwords: what the URLs say reaches the libraries that connect."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from subprocess import CompletedProcess

import psycopg
import pytest
import trustme
from psycopg.conninfo import make_conninfo

from tests.services.postgres import Postgres
from tests.services.redis import Redis, free_port
from tests.test_production import run

pytestmark = pytest.mark.end_to_end

PASSWORD = "not-known"
ASK_BOTH = """
import asyncio, django
django.setup()
from channels.layers import get_channel_layer
from django.core.cache import cache
from django.db import connection

with connection.cursor() as cursor:
    cursor.execute("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    print("PostgreSQL over TLS:", cursor.fetchone()[0])
    cursor.execute("SELECT current_setting('geqo'), current_setting('lock_timeout')")
    print("PostgreSQL's settings:", *cursor.fetchone())
connection.close_pool()

cache.set("key", "kept", 10)
print("Redis cache:", cache.get("key"))

async def hint():
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.send(channel, {"type": "hint"})
    return await layer.receive(channel)
print("Redis layer:", asyncio.run(hint())["type"])
"""


class SecurePostgres(Postgres):
    """Takes nothing over TCP but TLS, from a role with a password."""

    def __init__(self, certificate: trustme.LeafCert) -> None:
        super().__init__()
        self.port = free_port()
        self._key = self.directory / "key.pem"
        certificate.private_key_and_cert_chain_pem.write_to_path(self._key)
        self._key.chmod(0o600)
        if (user := self.user()) is not None:
            os.chown(self._key, user, user)
        rules = "local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n"
        Path(self._data, "pg_hba.conf").write_text(rules)

    def command(self) -> list[str]:
        secure = {"listen_addresses": "127.0.0.1", "port": self.port, "ssl": "on"}
        files = {"ssl_cert_file": self._key, "ssl_key_file": self._key}
        return super().command() + [part for item in (secure | files).items() for part in ("-c", "{}={}".format(*item))]

    def make_role(self) -> None:
        with psycopg.connect(self.url("postgres"), port=self.port, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE salas LOGIN PASSWORD '{PASSWORD}'")


class SecureRedis(Redis):
    """Wants a password, and is spoken to only through ``over_tls``: the tests' Valkey is built without TLS."""

    def command(self) -> list[str]:
        return [*super().command(), "--requirepass", PASSWORD]

    def is_ready(self) -> bool:
        return "Ready to accept connections" in self.log


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return authority, file


@pytest.fixture(scope="module")
def postgres(authority: tuple[trustme.CA, Path]) -> Iterator[SecurePostgres]:
    server = SecurePostgres(authority[0].issue_cert("127.0.0.1"))
    try:
        server.start()
        server.make_role()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module")
def redis() -> Iterator[SecureRedis]:
    server = SecureRedis()
    try:
        yield server.start()
    finally:
        server.close()


@asynccontextmanager
async def over_tls(port: int, certificate: trustme.LeafCert) -> AsyncIterator[int]:
    """Speak TLS for what listens at ``port``; the value is the port to connect to."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.TaskGroup() as group:
            group.create_task(copy(reader, inner_writer))
            group.create_task(copy(inner_reader, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_both_are_used_over_tls_with_passwords(
    postgres: SecurePostgres, redis: SecureRedis, authority: tuple[trustme.CA, Path]
) -> None:
    issuer, file = authority
    database = f"postgres://salas:{PASSWORD}@127.0.0.1:{postgres.port}/postgres"
    async with over_tls(redis.port, issuer.issue_cert("127.0.0.1")) as port:
        done = await ask_both(
            f"{database}?sslmode=verify-full&sslrootcert={file}&options=-c%20geqo%3Doff",
            f"rediss://:{PASSWORD}@127.0.0.1:{port}/0?ssl_ca_certs={file}",
        )
    assert done.stdout.splitlines() == [
        "PostgreSQL over TLS: True",
        "PostgreSQL's settings: off 5s",
        "Redis cache: kept",
        "Redis layer: hint",
    ], done


async def ask_both(database_url: str, redis_url: str) -> CompletedProcess[str]:
    return await asyncio.to_thread(run, "-c", ASK_BOTH, DATABASE_URL=database_url, REDIS_URL=redis_url)


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"password": "guessed"}, "password authentication failed"),
        ({"sslmode": "disable"}, "no encryption"),
        ({"sslrootcert": "another.pem"}, "certificate verify failed"),
    ],
)
def test_the_database_is_not_used_otherwise(
    postgres: SecurePostgres,
    authority: tuple[trustme.CA, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    changed: dict[str, str],
    refusal: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    trustme.CA().cert_pem.write_to_path("another.pem")
    given = {"user": "salas", "password": PASSWORD, "sslmode": "verify-full", "sslrootcert": str(authority[1])}
    place = make_conninfo(host="127.0.0.1", port=postgres.port, dbname="postgres")
    psycopg.connect(make_conninfo(place, **given)).close()
    with pytest.raises(psycopg.OperationalError, match=refusal):
        psycopg.connect(make_conninfo(place, **given | changed))
