"""What counts as a credential: one rule for the header ``Authorization`` and for ``connectionParams``.

Only ``Bearer`` is a scheme of ours (RFC 6750, section 2.1). An empty value, a scheme that is a proxy's (``Basic``,
``Digest``, ``Negotiate``), and ``Bearer`` with nothing behind it, or with what a program writes for nothing, is no
credential: the client is known by its session, or not at all. Anything else is a token, in force or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# What JavaScript, Python, Ruby, Swift and Objective-C write for nothing, where a text is put together.
NOTHING = frozenset({"", "null", "undefined", "none", "nil", "(null)", "false"})
PART = re.compile(r"(?:^|,)\s*bearer(?:\s+([^,]*)|\s*)(?=,|$)", re.IGNORECASE)
BARE_TOKEN = re.compile(r"[\w.~+/=-]{20,}")  # no scheme is called so: a token whose scheme was forgotten

UNCLEAR = "unclear"  # in force nowhere: tokens of ours are longer, and a provider's have dots


def bearer_in(values: Iterable[str]) -> str | None:
    """The bearer token that the values of ``Authorization`` show; None where they show none.

    Several different ones, and a token without its scheme, are one that is in force nowhere: what is meant is not
    guessed.
    """
    shown = {token for value in values for token in _tokens_in(value.strip())}
    if len(shown) > 1:
        return UNCLEAR
    return shown.pop() if shown else None


def _tokens_in(value: str) -> list[str]:
    if BARE_TOKEN.fullmatch(value):
        return [UNCLEAR]
    found = [token.strip().strip("\"'") for token in PART.findall(value)]
    return [token for token in found if token.lower() not in NOTHING]
