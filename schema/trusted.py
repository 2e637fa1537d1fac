"""Trusted documents: where the operator lists them, no other document runs.

The list is a JSON object, as Relay's compiler and GraphQL Code Generator write it: the SHA-256 of each document in
lower-case hexadecimal digits, and the document. A client sends the hash as ``documentId`` (GraphQL over HTTP, appendix
"Persisted Documents"; with or without ``sha256:``), as Apollo's ``extensions.persistedQuery.sha256Hash``, or the very
text. ``python -m schema.trusted FILE…`` writes the list of the documents in those files, one in each.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from rooms.exceptions import BadUserInput, Refusal

from .requests import OperationRequest

PREFIX = "sha256:"


class DocumentNotTrusted(Refusal):
    code = "DOCUMENT_NOT_TRUSTED"
    default_message = "This server runs listed documents only, and this is none of them."


class PersistedQueryNotSupported(Refusal):
    """Apollo's code, on which its client sends the document itself."""

    code = "PERSISTED_QUERY_NOT_SUPPORTED"
    default_message = "No documents are listed here: send the document itself."


def text_of(request: OperationRequest) -> str:
    """Return the document that is asked for. Raises a refusal where it may not be run, or is not given."""
    path = settings.TRUSTED_DOCUMENTS
    if path:
        return _listed(request, documents_in(path))
    if request.query:
        return request.query
    if request.document_id is not None:
        raise PersistedQueryNotSupported
    raise BadUserInput("query", "There is no document.")


def _listed(request: OperationRequest, documents: Mapping[str, str]) -> str:
    digest = digest_of(request.query or "") if request.document_id is None else request.document_id
    text = documents.get(digest.removeprefix(PREFIX))
    if text is None or request.query not in (None, "", text):
        raise DocumentNotTrusted
    return text


def digest_of(document: str) -> str:
    return hashlib.sha256(document.encode("utf-8", "surrogatepass")).hexdigest()


@cache
def documents_in(path: str) -> Mapping[str, str]:
    """The list in that file. Raises ImproperlyConfigured for anything else."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ImproperlyConfigured(f"TRUSTED_DOCUMENTS={path}: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise ImproperlyConfigured(f"TRUSTED_DOCUMENTS={path} holds no object of hashes and documents")
    if wrong := [digest for digest, text in found.items() if digest != digest_of(text)]:
        raise ImproperlyConfigured(f"TRUSTED_DOCUMENTS={path}: {wrong[0]} is not the hash of its document")
    return found


def list_of(documents: Iterable[str]) -> dict[str, str]:
    return {digest_of(document): document for document in documents}


if __name__ == "__main__":
    json.dump(list_of(Path(name).read_text(encoding="utf-8") for name in sys.argv[1:]), sys.stdout, indent=2)
