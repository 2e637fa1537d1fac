"""Trusted documents: where the operator lists them, no other document runs.

The list is a file as tools write it: Relay's compiler and GraphQL Code Generator write an object of identifiers and
documents, Apollo's ``generate-persisted-query-manifest`` one with ``operations``. An identifier that is a hash (MD5,
SHA-1 or SHA-256 in lower-case hexadecimal digits, with or without ``sha256:``) must be its document's; others are taken
as they are. A client sends the identifier as ``documentId`` (GraphQL over HTTP, appendix "Persisted Documents") or as
Apollo's ``extensions.persistedQuery.sha256Hash``, or the very text; the SHA-256 of a document is always one of its
identifiers. What this site's own page asks for is trusted beside every list. ``python -m schema.trusted FILE…`` writes
the list of the documents in those files, one in each.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from graphql import GraphQLError, parse

from rooms.exceptions import BadUserInput, Refusal

from .requests import OperationRequest

PREFIX = "sha256:"
APOLLO_FORMAT = "apollo-persisted-query-manifest"
HASH = re.compile(r"(?:(?:md5|sha1|sha256):)?([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})", re.IGNORECASE)
HASHES = {32: "md5", 40: "sha1", 64: "sha256"}


class DocumentNotTrusted(Refusal):
    code = "DOCUMENT_NOT_TRUSTED"
    default_message = "This server runs only documents that its operator has listed: ask for this one to be added."


class PersistedQueryNotSupported(Refusal):
    """Apollo's code, on which its client sends the document itself."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"
    default_message = "No documents are listed here: send the document itself."


def text_of(request: OperationRequest) -> str:
    """Return the document that is asked for. Raises a refusal where it may not be run, or is not given."""
    path = settings.TRUSTED_DOCUMENTS
    if path:
        return _listed(request, _trusted(path, str(settings.PAGE_DOCUMENTS)))
    if request.query:
        return request.query
    if request.document_id is not None:
        raise PersistedQueryNotSupported
    raise BadUserInput("query", "There is no document.")


def _listed(request: OperationRequest, documents: Mapping[str, str]) -> str:
    identifier = digest_of(request.query or "") if request.document_id is None else request.document_id
    text = documents.get(identifier.removeprefix(PREFIX))
    if text is None or request.query not in (None, "", text):
        raise DocumentNotTrusted
    return text


def digest_of(document: str) -> str:
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def _trusted(path: str, page_path: str) -> Mapping[str, str]:
    """All trusted documents by each of their identifiers. Without a built front end there is no page that asks."""
    page = documents_in(page_path) if Path(page_path).exists() else {}
    return identified(documents_in(path)) | identified(page)


def identified(documents: Mapping[str, str]) -> dict[str, str]:
    """``documents`` by their identifiers, without ``sha256:`` before them, and by their SHA-256."""
    return list_of(documents.values()) | {name.removeprefix(PREFIX): text for name, text in documents.items()}


@cache
def documents_in(path: str) -> Mapping[str, str]:
    """The list in that file: documents by identifier. Raises ImproperlyConfigured for anything else."""
    try:
        found = _read(json.loads(Path(path).read_text(encoding="utf-8-sig")))
        for identifier, text in found.items():
            _require_document(identifier, text)
    except OSError as error:
        raise ImproperlyConfigured(f"TRUSTED_DOCUMENTS: {path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ImproperlyConfigured(f"TRUSTED_DOCUMENTS: {path} is not a list of documents: {error}") from error
    return found


def _read(found: Any) -> dict[str, str]:
    """Raises ValueError."""
    if isinstance(found, dict) and found.get("format") == APOLLO_FORMAT:
        operations = found.get("operations")
        if not isinstance(operations, list) or not all(isinstance(each, dict) for each in operations):
            raise ValueError("`operations` of the manifest is not an array of objects")
        found = {each.get("id"): each.get("body") for each in operations}
    if not isinstance(found, dict) or not all(isinstance(part, str) for item in found.items() for part in item):
        raise ValueError("it must be a JSON object of hashes and documents, or Apollo's manifest")
    return found


def _require_document(identifier: str, text: str) -> None:
    """Raises ValueError where the identifier is the hash of another document, or the text is none."""
    if (hashed := HASH.fullmatch(identifier)) is not None:
        digest = hashlib.new(HASHES[len(hashed[1])], text.encode(), usedforsecurity=False).hexdigest()
        if digest != hashed[1]:
            raise ValueError(f"{identifier} is not the hash of its document in lower-case hexadecimal digits")
    try:
        parse(text)
    except GraphQLError as error:
        raise ValueError(f"what stands at {identifier!r} is not a GraphQL document: {error.message}") from error


def list_of(documents: Iterable[str]) -> dict[str, str]:
    return {digest_of(document): document for document in documents}


if __name__ == "__main__":
    json.dump(list_of(Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]), sys.stdout, indent=2)
