"""Trusted documents: where they are listed no other one runs, over HTTP and WebSocket alike."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from schema.trusted import digest_of, documents_in, list_of

from .api import Api
from .sockets import opened

ROOT = Path(__file__).parents[2]
LISTED = "query Who { viewer { isGuest } }"
DIGEST = digest_of(LISTED)
OTHER = "{ viewer { isGuest } }"

ADMITTED: list[dict[str, Any]] = [
    {"query": LISTED},
    {"documentId": DIGEST},
    {"documentId": f"sha256:{DIGEST}"},
    {"documentId": DIGEST, "query": LISTED, "operationName": "Who"},
    {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": DIGEST}}},
]
REFUSED: list[dict[str, Any]] = [
    {"query": OTHER},
    {"query": f"{LISTED} "},
    {"query": LISTED.replace("isGuest", "isGuest displayName")},
    {"query": OTHER, "documentId": DIGEST},
    {"query": LISTED, "documentId": digest_of(OTHER)},
    {"documentId": digest_of(OTHER)},
    {"documentId": DIGEST.upper()},
    {"documentId": f"sha256:sha256:{DIGEST}"},
    {"documentId": f" {DIGEST}"},
    {"query": OTHER, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": DIGEST}}},
    {"query": OTHER, "extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest_of(OTHER)}}},
    {"query": "{ __typename }"},
]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def trusted(settings: Settings, tmp_path: Path) -> Path:
    path = tmp_path / "documents.json"
    path.write_text(json.dumps(list_of([LISTED])))
    settings.TRUSTED_DOCUMENTS = str(path)
    return path


def code(answer: dict[str, Any]) -> str | None:
    return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None


@pytest.mark.parametrize("request_of", ADMITTED)
def test_what_is_listed_runs(trusted: Path, request_of: dict[str, Any]) -> None:
    assert Api().post(request_of).json()["data"] == {"viewer": {"isGuest": False}}


@pytest.mark.parametrize("request_of", REFUSED)
def test_nothing_else_does(trusted: Path, request_of: dict[str, Any]) -> None:
    assert code(Api().post(request_of).json()) == "DOCUMENT_NOT_TRUSTED"


def test_the_same_by_get(trusted: Path) -> None:
    assert code(Api().client.get("/graphql/", {"documentId": DIGEST}).json()) is None
    assert code(Api().client.get("/graphql/", {"query": OTHER}).json()) == "DOCUMENT_NOT_TRUSTED"


async def test_the_same_over_websocket(trusted: Path) -> None:
    async with opened() as socket:
        await socket.init()
        for number, request_of in enumerate(ADMITTED):
            await socket.send(type="subscribe", id=f"admitted {number}", payload=request_of)
            assert (await socket.receive())["payload"]["data"] == {"viewer": {"isGuest": False}}
            assert (await socket.receive())["type"] == "complete"
        for number, request_of in enumerate(REFUSED):
            await socket.send(type="subscribe", id=f"refused {number}", payload=request_of)
            message = await socket.receive()
            assert message["type"] == "error"
            assert message["payload"][0]["extensions"]["code"] == "DOCUMENT_NOT_TRUSTED"


def test_without_a_list_a_hash_alone_asks_for_the_document() -> None:
    hashed = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": DIGEST}}}
    assert code(Api().post(hashed).json()) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert code(Api().post({"documentId": DIGEST}).json()) == "PERSISTED_QUERY_NOT_SUPPORTED"
    assert code(Api().post({"query": OTHER, **hashed}).json()) is None


def hashed(algorithm: str, document: str) -> str:
    return hashlib.new(algorithm, document.encode()).hexdigest()


@pytest.mark.parametrize(
    "identifier",
    [
        hashed("md5", LISTED),
        hashed("sha1", LISTED),
        hashed("sha256", LISTED),
        f"sha256:{hashed('sha256', LISTED)}",
        f"md5:{hashed('md5', LISTED)}",
        "x-salas:who",
        "who",
    ],
)
def test_a_list_has_the_identifiers_that_its_tool_writes(settings: Settings, tmp_path: Path, identifier: str) -> None:
    settings.TRUSTED_DOCUMENTS = written(tmp_path, json.dumps({identifier: LISTED}))
    for shown in (identifier, DIGEST, f"sha256:{DIGEST}"):
        assert Api().post({"documentId": shown}).json()["data"] == {"viewer": {"isGuest": False}}
    assert Api().post({"query": LISTED}).json()["data"] == {"viewer": {"isGuest": False}}
    assert code(Api().post({"documentId": f"{identifier}0"}).json()) == "DOCUMENT_NOT_TRUSTED"


def test_apollo_s_manifest_is_a_list(settings: Settings, tmp_path: Path) -> None:
    operation = {"id": DIGEST, "name": "Who", "type": "query", "body": LISTED}
    manifest = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": [operation]}
    settings.TRUSTED_DOCUMENTS = written(tmp_path, json.dumps(manifest))
    persisted = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": DIGEST}}}
    assert Api().post(persisted).json()["data"] == {"viewer": {"isGuest": False}}


def test_the_page_s_own_documents_are_trusted_beside_every_list(trusted: Path, settings: Settings) -> None:
    settings.PAGE_DOCUMENTS = Path(written(trusted.parent / "page", json.dumps(list_of([OTHER]))))
    for request_of in ({"query": OTHER}, {"documentId": digest_of(OTHER)}, {"query": LISTED}):
        assert code(Api().post(request_of).json()) is None
    assert code(Api().post({"query": "{ __typename }"}).json()) == "DOCUMENT_NOT_TRUSTED"


def test_without_a_page_the_list_is_all(trusted: Path, settings: Settings) -> None:
    settings.PAGE_DOCUMENTS = trusted.parent / "no page"
    assert code(Api().post({"query": LISTED}).json()) is None


def test_a_refusal_says_what_to_do(trusted: Path) -> None:
    message = Api().post({"query": OTHER}).json()["errors"][0]["message"]
    assert message == "This server runs only documents that its operator has listed: ask for this one to be added."


def written(directory: Path, text: str) -> str:
    directory.mkdir(exist_ok=True)
    path = directory / "documents.json"
    path.write_text(text)
    return str(path)


WRONG_HASHES = [DIGEST.upper(), f"sha256:{digest_of(OTHER)}", digest_of(OTHER), hashed("md5", OTHER)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"a": 1}',
        '{"a": "{ b"}',
        '{"a": "a.graphql"}',
        '{"format": "apollo-persisted-query-manifest"}',
        '{"format": "apollo-persisted-query-manifest", "operations": [{"id": "a"}]}',
        "[" * 100_000,
        *(json.dumps({identifier: LISTED}) for identifier in WRONG_HASHES),
    ],
    ids=lambda text: text[:40],
)
def test_a_list_that_is_none_is_an_error_at_the_start(tmp_path: Path, text: str) -> None:
    path = tmp_path / "documents.json"
    path.write_text(text)
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_DOCUMENTS"):
        documents_in(str(path))


def test_a_list_that_is_not_there_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ImproperlyConfigured, match="TRUSTED_DOCUMENTS"):
        documents_in(str(tmp_path / "nothing.json"))


def test_a_list_is_written_from_files(tmp_path: Path) -> None:
    files = [tmp_path / "one.graphql", tmp_path / "other.graphql"]
    for file, text in zip(files, [LISTED, OTHER], strict=True):
        file.write_text(text)
    command = [sys.executable, "-m", "schema.trusted", *map(str, files)]
    written = subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout
    assert json.loads(written) == {DIGEST: LISTED, digest_of(OTHER): OTHER}
