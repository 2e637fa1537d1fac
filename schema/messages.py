"""What a client's message of graphql-transport-ws says. What is not of the protocol raises ``Closed`` with 4400."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings

from .closing import BAD_REQUEST, Closed
from .credentials import UNCLEAR, bearer_in
from .requests import json_object

BYTE_ORDER_MARK = "\ufeff"
LEGACY_TYPES = frozenset({"start", "stop", "connection_terminate"})
RECEIPT = re.compile(rb'\{"type": ?"pong", ?"payload": ?\{"receipt": ?([1-9][0-9]{0,17})\}\}')


def message_in(frame: str | bytes) -> dict[str, Any]:
    """Return the JSON object that a frame holds, of text or of bytes that are text in UTF-8."""
    data = frame.encode(errors="surrogatepass") if isinstance(frame, str) else frame
    if 0 < settings.LIMITS.body_bytes < len(data):
        raise Closed(BAD_REQUEST, f"A message must not be longer than {settings.LIMITS.body_bytes} bytes")
    try:
        return json_object(_text_of(frame).removeprefix(BYTE_ORDER_MARK))
    except ValueError as error:
        raise Closed(BAD_REQUEST, f"A message must be a JSON object: {error}") from error


def _text_of(frame: str | bytes) -> str:
    try:
        return frame if isinstance(frame, str) else frame.decode()
    except UnicodeDecodeError as error:
        raise Closed(BAD_REQUEST, "A binary frame must hold a message as text in UTF-8") from error


def unknown_type(message_type: object) -> Closed:
    if isinstance(message_type, str) and message_type in LEGACY_TYPES:
        return Closed(
            BAD_REQUEST, f"`{message_type}` is of the legacy protocol: set your client to graphql-transport-ws"
        )
    return Closed(BAD_REQUEST, "Unknown message type")


def receipt_in(text: bytes) -> int | None:
    """The receipt that a pong signs, as JavaScript's and Python's JSON write it; None for anything else."""
    found = RECEIPT.fullmatch(text)
    return None if found is None else int(found[1])


def payload_of(message: dict[str, Any]) -> dict[str, Any] | None:
    payload = message.get("payload")
    if payload is not None and not isinstance(payload, dict):
        raise Closed(BAD_REQUEST, f"The payload of `{message.get('type')}` must be an object, or null")
    return payload


def signed_in(payload: dict[str, Any] | None) -> int | None:
    """The receipt that a pong signs; None for one that signs nothing, 0 for none that there is.

    A number may have become a decimal fraction on its way through a client that knows no other numbers.
    """
    number = (payload or {}).get("receipt")
    if number is None:
        return None
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number if type(number) is int else 0


def may_be_pinged(payload: dict[str, Any] | None) -> bool:
    """The ``pings`` of ``connectionParams``: false for a client that a ``ping`` of the protocol would end."""
    pings = (payload or {}).get("pings", True)
    if pings is None or isinstance(pings, bool):
        return pings is not False
    raise Closed(BAD_REQUEST, "`pings` must be true, or false for a client that can't answer a `ping` message")


def id_of(message: dict[str, Any]) -> str:
    operation_id = message.get("id")
    if not isinstance(operation_id, str) or not operation_id:
        raise Closed(BAD_REQUEST, 'An operation `id` must be a text that is not empty, such as "1"')
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
