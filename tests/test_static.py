"""How files reach browsers: compressed at the build, kept where a name has a hash, else asked for again."""

from __future__ import annotations

import gzip
import json
import re
from contextlib import closing
from functools import cache
from typing import Any

import pytest
from django.conf import settings
from django.http.response import HttpResponseBase
from django.test import Client

pytestmark = pytest.mark.django_db  # the end of a response closes old connections

HASHED = "/static/salas/assets/"
PLAIN = ["/static/admin/css/base.css", "/static/admin/js/core.js", "/static/salas/favicon.svg"]
MAIN = "src/page/main.tsx"


def get(path: str, **headers: str) -> HttpResponseBase:
    return Client().get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})


def content(response: Any) -> bytes:
    with closing(response):
        return b"".join(response.streaming_content)


@cache
def manifest() -> dict[str, Any]:
    """What `make build` has made."""
    read: dict[str, Any] = json.loads((settings.STATIC_ROOT / "manifest.json").read_text())
    return read


def assets_of(entry: str) -> list[str]:
    """What the page of an entry loads before anything is done there, as the manifest says."""
    chunk = manifest()[entry]
    imported = [asset for name in chunk.get("imports", []) for asset in assets_of(name)]
    return list(dict.fromkeys([chunk["file"], *chunk.get("css", []), *imported]))


def transferred(entry: str, encoding: str) -> int:
    return sum(len(content(get(f"/static/{file}", Accept_Encoding=encoding))) for file in assets_of(entry))


@pytest.mark.parametrize("path", [*PLAIN, MAIN])
@pytest.mark.parametrize(("accepted", "encoding"), [("br, gzip", "br"), ("gzip, deflate, br", "br"), ("gzip", "gzip")])
def test_a_file_is_sent_as_small_as_the_browser_takes_it(path: str, accepted: str, encoding: str) -> None:
    path = f"/static/{manifest()[MAIN]['file']}" if path == MAIN else path
    response = get(path, Accept_Encoding=accepted)
    assert response.headers["Content-Encoding"] == encoding
    assert response.headers["Vary"] == "Accept-Encoding"
    assert len(content(response)) < len(content(get(path)))


def test_what_is_compressed_is_the_same() -> None:
    path = PLAIN[0]
    assert gzip.decompress(content(get(path, Accept_Encoding="gzip"))) == content(get(path))


@pytest.mark.parametrize("accepted", ["", "identity", "zstd"])
def test_who_takes_no_compression_gets_none(accepted: str) -> None:
    response = get(PLAIN[0], Accept_Encoding=accepted)
    assert "Content-Encoding" not in response.headers
    assert response.headers["Vary"] == "Accept-Encoding"
    response.close()


@pytest.mark.parametrize("entry", ["src/page/main.tsx", "src/graphiql/main.tsx"])
def test_a_name_with_a_hash_is_kept_for_ever(entry: str) -> None:
    for file in assets_of(entry):
        response = get(f"/static/{file}")
        response.close()
        assert file.startswith("salas/assets/")
        assert response.headers["Cache-Control"] == "max-age=315360000, public, immutable"


@pytest.mark.parametrize("path", [*PLAIN, "/static/manifest.json"])
def test_a_name_without_a_hash_is_asked_for_again(path: str) -> None:
    response = get(path)
    response.close()
    assert "immutable" not in response.headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/entrar/", "/salas/lobby/"])
def test_a_page_is_asked_for_each_time(path: str) -> None:
    """It names its code by hash; after an upgrade an old page would ask for the old code."""
    assert get(path).headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize("path", PLAIN)
@pytest.mark.parametrize("accepted", ["", "gzip"])
def test_what_has_not_changed_is_not_sent_again(path: str, accepted: str) -> None:
    known = get(path, Accept_Encoding=accepted)
    known.close()
    for header, value in (
        ("If_None_Match", known.headers["ETag"]),
        ("If_Modified_Since", known.headers["Last-Modified"]),
    ):
        again = get(path, Accept_Encoding=accepted, **{header: value})
        assert (again.status_code, content(again)) == (304, b"")


def test_head_and_ranges_are_answered() -> None:
    head = Client().head(PLAIN[0])
    whole = content(get(PLAIN[0]))
    assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(whole)))
    part = get(PLAIN[0], Range="bytes=10-19")
    assert (part.status_code, content(part)) == (206, whole[10:20])
    beyond = get(PLAIN[0], Range=f"bytes={len(whole)}-")
    assert beyond.status_code == 416


def test_a_file_that_is_not_there_is_not_found() -> None:
    assert get(f"{HASHED}main-AAAAAAAA.js").status_code == 404


@pytest.mark.parametrize(("entry", "kilobytes"), [("src/page/main.tsx", 100), ("src/graphiql/main.tsx", 2_000)])
def test_a_page_is_not_heavier_than_it_was(entry: str, kilobytes: int) -> None:
    assert transferred(entry, "gzip") < kilobytes * 1000
    assert transferred(entry, "br") < transferred(entry, "gzip")


def test_every_file_that_gains_by_it_is_compressed_beside_itself() -> None:
    files = [file for file in settings.STATIC_ROOT.rglob("*") if file.suffix in {".js", ".css", ".svg", ".ttf"}]
    large = [file for file in files if file.stat().st_size > 2_000]
    assert len(large) > 20
    missing = [
        f"{file.name}{end}" for file in large for end in (".gz", ".br") if not file.with_name(file.name + end).exists()
    ]
    assert missing == []


def test_no_file_of_the_build_names_where_it_is_served() -> None:
    """One build serves below any prefix."""
    scripts = [*settings.STATIC_ROOT.glob("salas/assets/*.js"), *settings.STATIC_ROOT.glob("salas/assets/*.css")]
    assert scripts
    assert [file.name for file in scripts if re.search(r"[\"'(`]/static/", file.read_text())] == []
