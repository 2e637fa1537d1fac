"""The services that the other tests stand on."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import psycopg
import pytest
from playwright.async_api import Page

from rooms import services
from rooms.models import Room
from tests.plugins.browser import NewPage
from tests.plugins.servers import MakeServers
from tests.services import postgres
from tests.services.guard import is_running, read, the_guard
from tests.services.postgres import DatabaseServer, Postgres
from tests.services.redis import Redis
from tests.services.salas import ROOT, Salas
from tests.services.service import ServiceError, wait_until

pytestmark = pytest.mark.end_to_end


@pytest.fixture
def redis() -> Iterator[Redis]:
    redis = Redis()
    yield redis.start()
    redis.close()


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    postgres = Postgres()
    yield postgres.start()
    postgres.close()


def test_postgres_keeps_what_was_committed_when_it_is_killed(own_postgres: Postgres) -> None:
    url = own_postgres.create_database("kept")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE said AS SELECT 'oi' AS text")
    own_postgres.kill()
    own_postgres.start()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT text FROM said").fetchone() == ("oi",)


def test_a_paused_postgres_answers_nobody_until_it_is_resumed(own_postgres: Postgres) -> None:
    with own_postgres.connection() as connection, ThreadPoolExecutor() as pool:
        own_postgres.pause()
        answer = pool.submit(connection.execute, "SELECT 1")
        with pytest.raises(TimeoutError):
            answer.result(0.2)
        own_postgres.resume()
        assert answer.result(10).fetchone() == (1,)


def test_the_bundled_postgres_starts_where_the_machine_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "candidates", postgres.bundled)
    server = Postgres()
    server.start()
    assert server.create_database("there")
    server.close()
    assert not server.directory.exists()


def test_a_missing_postgres_is_named_with_what_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_BIN", "/nowhere")
    with pytest.raises(ServiceError, match="make test"):
        postgres.find_binaries()


def test_redis_comes_back_empty_at_its_port(redis: Redis) -> None:
    from redis import Redis as Client

    with Client.from_url(redis.url) as client:
        client.set("key", "value")
        redis.kill()
        redis.start()
        assert client.get("key") is None


def test_the_guard_forgets_what_has_ended() -> None:
    lines = ["process 7 15\n", "process 8 2\n", "forget process 7\n", "directory /a b\n", "directory /c\n"]
    assert read([*lines, "forget directory /c\n"]) == ({8: 2}, {"/a b"})


def test_the_guard_forgets_what_has_ended_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[int] = []
    monkeypatch.setattr(the_guard(), "forget_process", forgotten.append)
    redis = Redis().start()
    pid = redis.pid
    redis.signal(signal.SIGKILL)
    assert wait_until(lambda: not redis.is_running, 10)
    redis.close()
    assert forgotten == [pid]


def test_a_run_has_one_guard() -> None:
    program = (
        "from concurrent.futures import ThreadPoolExecutor as P; from tests.services.guard import the_guard as g\n"
    )
    program += "with P(8) as pool: print(len({id(each) for each in pool.map(lambda _: g(), range(8))}))"
    assert subprocess.check_output([sys.executable, "-c", program], text=True, cwd=ROOT) == "1\n"


def test_nothing_outlives_a_run_that_is_killed() -> None:
    program = (
        "from tests.services.redis import Redis; r = Redis().start(); print(r.pid, r.directory, flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as run:
        assert run.stdout
        pid, directory = run.stdout.readline().split()
        run.kill()
    assert wait_until(lambda: not is_running(int(pid)) and not Path(directory).exists(), 10)


def test_a_server_keeps_its_port_and_its_database(make_servers: MakeServers) -> None:
    [server] = make_servers()
    room = server.call(services.create_room, slug="kept", name="Kept")
    port = server.port
    server.kill()
    server.start()
    assert server.port == port
    assert server.call(Room.objects.get).slug == room.slug


def test_a_server_answers(server: Salas) -> None:
    assert status_of(f"{server.url}/admin/login/") == 200


def test_scaled_servers_share_a_database(scaled_servers: list[Salas]) -> None:
    one, other = scaled_servers
    one.call(services.create_room, slug="shared-database", name="Shared")
    assert one.port != other.port
    assert other.call(Room.objects.filter(slug="shared-database").exists)


def test_databases_of_servers_are_their_own(embedded_server: Salas, database_server: DatabaseServer) -> None:
    embedded_server.call(services.create_room, slug="embedded-only", name="Embedded")
    assert embedded_server.database_url.startswith("sqlite:")


async def test_pages_are_opened_as_by_different_people(new_page: NewPage, embedded_server: Salas) -> None:
    first, second = await new_page(), await new_page()
    await visit(first, embedded_server)
    await first.evaluate("localStorage.setItem('name', 'Ana')")
    await visit(second, embedded_server)
    assert await second.evaluate("localStorage.getItem('name')") is None


async def visit(page: Page, server: Salas) -> None:
    response = await page.goto(f"{server.url}/admin/login/")
    assert response
    assert response.ok


def status_of(url: str) -> int:
    try:
        with urlopen(url) as response:
            status: int = response.status
            return status
    except HTTPError as error:
        with error:
            return error.code
