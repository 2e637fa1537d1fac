"""Below which path Salas is served: what the variable may say, and what a request may not."""

from __future__ import annotations

from typing import Any

import pytest

from config.base_path import base_path, below, cookie_name, whole_path


@pytest.mark.parametrize(
    ("value", "base"),
    [
        ("", ""),
        ("/", ""),
        (" ", ""),
        ("/chat/", "/chat"),
        ("/chat", "/chat"),
        ("chat", "/chat"),
        (" /chat/ ", "/chat"),
        ("/apps/chat-2/v1.0", "/apps/chat-2/v1.0"),
        ("/~ana/", "/~ana"),
    ],
)
def test_every_spelling_has_one_normal_form(value: str, base: str) -> None:
    assert base_path(value) == base


@pytest.mark.parametrize(
    "value",
    [
        "https://chat.example/chat/",
        "/a//b",
        "/chat?x",
        "/chat#x",
        "/a b",
        "/..",
        "/a/../b",
        "/./",
        '"/chat/"',
        "/%41",
        "/ç",
        "/a;b",
    ],
)
def test_what_is_no_path_is_refused_at_the_start(value: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        base_path(value)


@pytest.mark.parametrize(
    ("base", "https", "name"),
    [
        ("", False, "sessionid"),
        ("", True, "__Host-sessionid"),
        ("/chat", False, "sessionid.chat"),
        ("/chat", True, "__Secure-sessionid.chat"),
        ("/chat/two", True, "__Secure-sessionid.chat.two"),
    ],
)
def test_installations_on_one_host_have_cookies_of_their_own(base: str, https: bool, name: str) -> None:
    assert cookie_name("sessionid", base=base, https=https) == name


@pytest.mark.parametrize("path", ["/", "/entrar/", "/graphql", "/salas/chat/", "/chatter/"])
def test_a_prefix_that_was_cut_off_is_put_back(path: str) -> None:
    assert whole_path(path, "/chat") == f"/chat{path}"


@pytest.mark.parametrize("path", ["/chat/", "/chat/entrar/", "/chat/chat/", "/chat//graphql/"])
def test_a_whole_path_stays_as_it_is(path: str) -> None:
    assert whole_path(path, "/chat") == path


def test_the_prefix_alone_is_its_first_page() -> None:
    assert whole_path("/chat", "/chat") == "/chat/"


@pytest.mark.parametrize("path", ["/", "/chat/", "*", ""])
def test_at_the_root_every_path_stays(path: str) -> None:
    assert whole_path(path, "") == path


@pytest.mark.parametrize("base", ["/salas", "/admin/x", "/graphql"])
def test_where_a_path_could_mean_two_things_the_whole_one_is_wanted(base: str) -> None:
    assert whole_path(f"{base}/salas/lobby/", base) == f"{base}/salas/lobby/"
    assert whole_path("/entrar/", base) is None


async def served(base: str, **scope: Any) -> list[Any]:
    """What the application is told, or else what is answered."""
    seen: list[Any] = []

    async def application(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append((scope.get("path"), scope.get("root_path")))

    async def receive() -> Any:
        return {"type": f"{scope['type']}.connect"}

    async def send(event: Any) -> None:
        seen.append(event)

    await below(base, application)(scope, receive, send)
    return seen


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("base", ["", "/chat"])
async def test_what_a_server_took_from_a_header_does_not_count(kind: str, base: str) -> None:
    assert await served(base, type=kind, path="/graphql/", root_path="/graphql") == [(f"{base}/graphql/", base)]


async def test_the_beginning_and_end_of_a_process_have_no_path() -> None:
    assert await served("/chat", type="lifespan") == [(None, None)]


async def test_a_proxy_that_may_not_cut_the_prefix_off_is_told_so() -> None:
    start, body = await served("/salas", type="http", path="/entrar/")
    assert start["status"] == 404
    assert b"pass on the whole path" in body["body"]
    assert await served("/salas", type="websocket", path="/graphql/") == [
        {"type": "websocket.close", "code": 4403, "reason": "Forbidden"}
    ]
