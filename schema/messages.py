"""What a client's message of graphql-transport-ws says. What is not of the protocol raises ``Closed`` with 4400."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings

from .closing import BAD_REQUEST, Closed
from .credentials import UNCLEAR, bearer_in
from .requests import json_object

RECEIPT = re.compile(rb'\{"type": ?"pong", ?"payload": ?\{"receipt": ?([1-9][0-9]{0,17})\}\}')


def message_in(text: str | None) -> dict[str, Any]:
    """Return the JSON object that a frame holds; ``text`` is None for a binary frame."""
    if text is None:
        raise Closed(BAD_REQUEST, "Binary frames are not part of the protocol")
    if 0 < settings.LIMITS.body_bytes < len(text.encode(errors="surrogatepass")):
        raise Closed(BAD_REQUEST, f"A message must not be longer than {settings.LIMITS.body_bytes} bytes")
    try:
        return json_object(text)
    except ValueError as error:
        raise Closed(BAD_REQUEST, f"A message must be a JSON object: {error}") from error


def receipt_in(text: bytes) -> int | None:
    """The receipt that a pong signs, as JavaScript's and Python's JSON write it; None for anything else."""
    found = RECEIPT.fullmatch(text)
    return None if found is None else int(found[1])


def payload_of(message: dict[str, Any]) -> dict[str, Any] | None:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise Closed(BAD_REQUEST, "A payload must be an object")
    return payload


def id_of(message: dict[str, Any]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not operation_id:
        raise Closed(BAD_REQUEST, "An operation id must be a text that is not empty")
    return operation_id


def bearer_shown(payload: dict[str, Any] | None) -> str | None:
    """The bearer token in ``connectionParams``, None where they show none.

    It is an ``authorization``, in whatever case: clients hand on what was meant as a header. Null and false, which
    JavaScript makes of ``token && …``, are none.
    """
    found = [
        value
        for name, value in (payload or {}).items()
        if name.lower() == "authorization" and value is not None and value is not False
    ]
    if not all(isinstance(value, str) for value in found):
        raise Closed(BAD_REQUEST, "`authorization` must be a text, such as `Bearer …`, or null")
    bearer = bearer_in(found)
    if bearer is UNCLEAR and len(found) > 1:
        raise Closed(BAD_REQUEST, "`authorization` must be one text: several were sent")
    return bearer
