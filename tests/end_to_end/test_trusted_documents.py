"""Lists of trusted documents as the tools from npm write them, and the page beside such a list."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import expect
from pytest_django import Settings

from tests.people import make_room
from tests.plugins.browser import NewPage
from tests.plugins.servers import MakeServers
from tests.schema.api import Api
from tests.services.salas import ROOT
from tests.settings_of import settings_with

from .test_page import enter, log, say

TOOLS = Path(__file__).parent / "documents"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Another front end, with Relay and GraphQL Code Generator installed, and nothing compiled yet."""
    project = tmp_path / "project"
    shutil.copytree(TOOLS, project, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copy(ROOT / "schema/schema.graphql", project)
    (project / "node_modules").symlink_to(TOOLS / "node_modules")
    return project


def run(project: Path, program: str, *arguments: str) -> None:
    command = [str(project / "node_modules/.bin" / program), *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def compiled_by_relay(project: Path, **options: str) -> tuple[Path, str]:
    """The list, and the identifier that Relay's runtime sends."""
    config = json.loads((project / "relay.config.json").read_text())
    config["persistConfig"] |= options
    (project / "relay.config.json").write_text(json.dumps(config))
    (project / "relay.json").write_text("{}")  # Relay wants the file to be there
    run(project, "relay-compiler")
    artifact = (project / "relay/__generated__/appLobbyQuery.graphql.js").read_text()
    return project / "relay.json", identifier_in(artifact, r'"id": "([^"]+)",\s*"metadata"')


def generated_by_codegen(project: Path, **options: str) -> tuple[Path, str]:
    """The list, and the identifier that is in the typed document for clients to send."""
    config = json.loads((project / "codegen.json").read_text())
    config["generates"]["./generated/"]["presetConfig"]["persistedDocuments"] = options or True
    (project / "codegen.json").write_text(json.dumps(config))
    run(project, "graphql-codegen", "--config", "codegen.json")
    typed = (project / "generated/graphql.ts").read_text()
    return project / "generated/persisted-documents.json", identifier_in(typed, r'"hash":\s*"([^"]+)"')


def identifier_in(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    assert found, text
    return found[1]


@pytest.mark.parametrize(
    ("tool", "options", "form"),
    [
        (compiled_by_relay, {}, r"[0-9a-f]{32}"),
        (compiled_by_relay, {"algorithm": "SHA256"}, r"[0-9a-f]{64}"),
        (generated_by_codegen, {}, r"sha256:[0-9a-f]{64}"),
        (generated_by_codegen, {"hashAlgorithm": "sha1"}, r"[0-9a-f]{40}"),
    ],
)
@pytest.mark.django_db
def test_the_list_of_a_tool_is_taken_and_its_client_served(
    project: Path,
    settings: Settings,
    tool: Callable[..., tuple[Path, str]],
    options: dict[str, str],
    form: str,
) -> None:
    listed, identifier = tool(project, **options)
    assert re.fullmatch(form, identifier)
    settings.TRUSTED_DOCUMENTS = settings_with(TRUSTED_DOCUMENTS=str(listed)).TRUSTED_DOCUMENTS
    make_room(slug="lobby", name="Lobby")
    assert lobby({"documentId": identifier})["data"]["room"]["name"] == "Lobby"
    (text,) = json.loads(listed.read_text()).values()
    assert lobby({"query": text})["data"]["room"]["name"] == "Lobby"
    assert "errors" in lobby({"query": "{ __typename }"})


def lobby(asked: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = Api().post(asked | {"variables": {"slug": "lobby"}}).json()
    return answer


async def test_the_page_works_beside_a_list_of_other_documents(
    make_servers: MakeServers, new_page: NewPage, tmp_path: Path
) -> None:
    (tmp_path / "list.json").write_text(json.dumps({"x-other": "{ viewer { isGuest } }"}))
    (server,) = make_servers(environment={"TRUSTED_DOCUMENTS": str(tmp_path / "list.json")})
    room = await server.acall(make_room)
    page = await enter(await new_page(), server, room, "Ana")
    await say(page, "olá")
    await expect(log(page)).to_contain_text("olá")
    async with httpx.AsyncClient() as client:
        refused = (await client.post(server.graphql_url, json={"query": "{ __typename }"})).json()
    assert refused["errors"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"
