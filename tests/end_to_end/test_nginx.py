"""Salas in production, behind nginx with the configuration of ``docs/nginx.conf``."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
import websockets
from pytest_django import DjangoDbBlocker

from rooms.models import Room
from schema.transport import PROTOCOL
from tests.people import make_room
from tests.plugins.servers import Databases
from tests.services.nginx import Nginx
from tests.services.salas import Salas

from .client import FOLLOW, JOIN, SEND, room_id

pytestmark = pytest.mark.end_to_end

NAME = "chat.example"
PRODUCTION = {
    "ALLOWED_HOSTS": NAME,
    "TRUSTED_PROXIES": "127.0.0.1",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
}


@dataclass(frozen=True)
class Site:
    """What answers to ``NAME``, as clients see it."""

    server: Salas
    nginx: Nginx
    trust: ssl.SSLContext

    @property
    def origin(self) -> str:
        return f"https://{NAME}:{self.nginx.https_port}"

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        """A client that finds ``NAME`` at this machine."""
        transport = AtThisMachine(httpx.AsyncHTTPTransport(verify=self.trust))
        async with httpx.AsyncClient(base_url=self.origin, transport=transport) as client:
            yield client

    def socket(self, cookie: str, origin: str = "") -> websockets.connect:
        return websockets.connect(
            f"wss://{NAME}:{self.nginx.https_port}/graphql/",
            subprotocols=[websockets.Subprotocol(PROTOCOL)],
            additional_headers={"Origin": origin or self.origin, "Cookie": cookie},
            ssl=self.trust,
            host="127.0.0.1",
            port=self.nginx.https_port,
        )


class AtThisMachine(httpx.AsyncBaseTransport):
    """Goes to 127.0.0.1 whatever the name is, and names it all the same."""

    def __init__(self, inner: httpx.AsyncHTTPTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        here = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1"),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return await self._inner.handle_async_request(here)

    async def aclose(self) -> None:
        await self._inner.aclose()


@pytest.fixture(scope="module")
def site(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory, django_db_blocker: DjangoDbBlocker
) -> Iterator[Site]:
    authority = trustme.CA()
    certificate: Path = tmp_path_factory.mktemp("certificate") / "chain.pem"
    authority.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(certificate)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with ExitStack() as stack:
        url = databases.new(stack, scaled=False)
        server = Salas(url, "", PRODUCTION, django_db_blocker.unblock, ["--spread-seconds=0"])
        stack.callback(server.close)
        server.start()
        nginx = Nginx(server.port, certificate)
        stack.callback(nginx.close)
        yield Site(server, nginx.start(), trust)


async def join(client: httpx.AsyncClient, site: Site, room: Room) -> httpx.Response:
    body = {"query": JOIN, "variables": {"input": {"slug": room.slug, "displayName": "Ana"}}}
    return await client.post("/graphql/", json=body, headers={"Origin": site.origin})


async def test_plain_http_leads_to_https(site: Site) -> None:
    async with httpx.AsyncClient() as client:
        asked = await client.get(f"http://127.0.0.1:{site.nginx.http_port}/entrar/?a=1", headers={"Host": NAME})
    assert (asked.status_code, asked.headers["Location"]) == (301, f"https://{NAME}/entrar/?a=1")


async def test_a_page_is_there_with_all_that_guards_it(site: Site) -> None:
    async with site.client() as client:
        answered = await client.get("/entrar/")
    assert answered.status_code == 200
    assert answered.headers["Strict-Transport-Security"] == "max-age=31536000"
    assert answered.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "nginx/" not in answered.headers["Server"]


async def test_cookies_are_for_this_host_over_tls_alone(site: Site) -> None:
    room = await site.server.acall(make_room)
    async with site.client() as client:
        cookie = (await join(client, site, room)).headers["Set-Cookie"]
    assert cookie.startswith("__Host-sessionid=")
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))


async def test_people_talk_over_tls_and_a_socket(site: Site) -> None:
    room = await site.server.acall(make_room)
    async with site.client() as client:
        answered = await join(client, site, room)
        cursor = answered.json()["data"]["joinRoom"]["room"]["cursor"]
        async with site.socket(answered.headers["Set-Cookie"].partition(";")[0]) as socket:
            await tell(socket, "connection_init")
            assert await heard(socket, "connection_ack") == {}
            payload = {"query": FOLLOW, "variables": {"roomId": room_id(room), "after": cursor}}
            await tell(socket, "subscribe", id="1", payload=payload)
            said = {"input": {"roomId": room_id(room), "text": "olá"}}
            sent = await client.post(
                "/graphql/", json={"query": SEND, "variables": said}, headers={"Origin": site.origin}
            )
            assert "errors" not in sent.json()
            assert (await heard(socket, "next"))["data"]["messages"]["message"]["text"] == "olá"


async def test_another_site_gets_no_socket(site: Site) -> None:
    with pytest.raises(websockets.InvalidStatus) as refusal:
        async with site.socket("", origin="https://evil.example"):
            pass
    assert refusal.value.response.status_code == 403


async def test_a_body_that_is_too_big_is_refused_in_json(site: Site) -> None:
    async with site.client() as client:
        answered = await client.post("/graphql/", content=b"x" * (256 * 1024 + 1))
    assert answered.status_code == 413
    assert answered.json()["errors"][0]["extensions"]["code"] == "REFUSED_BY_PROXY"


async def test_another_name_is_not_answered(site: Site) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        await asyncio.open_connection(
            "127.0.0.1", site.nginx.https_port, ssl=site.trust, server_hostname="other.example"
        )
    async with httpx.AsyncClient() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"http://127.0.0.1:{site.nginx.http_port}/", headers={"Host": "other.example"})


async def test_who_is_not_the_proxy_gets_no_page_without_tls(site: Site) -> None:
    async with httpx.AsyncClient() as client:
        answered = await client.get(f"{site.server.url}/entrar/", headers={"Host": NAME})
    assert (answered.status_code, answered.headers["Location"]) == (301, f"https://{NAME}/entrar/")


async def test_no_query_string_is_logged(site: Site) -> None:
    async with site.client() as client:
        await client.get("/entrar/", params={"token": "canary"})
    site.nginx.stop()
    written = (site.nginx.directory / "access.log").read_text()
    site.nginx.start()
    assert re.search(r'"GET /entrar/" 200', written)
    assert "canary" not in written


async def tell(socket: websockets.ClientConnection, kind: str, **members: Any) -> None:
    await socket.send(json.dumps({"type": kind, **members}))


async def heard(socket: websockets.ClientConnection, kind: str) -> dict[str, Any]:
    """The payload of the next message, which is of that kind."""
    message = json.loads(await asyncio.wait_for(socket.recv(), 10))
    assert message["type"] == kind, message
    payload: dict[str, Any] = message.get("payload") or {}
    return payload
