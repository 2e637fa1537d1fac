"""Normal forms of text, and what is no text: written once, for every way in (``docs/adr``, *One form of text*).

Names follow RFC 8266 (white space is one space, none around), passwords and keys RFC 8265's OpaqueString, both in NFC.
Joiners stay where a script or an emoji needs them.

Invariants: each function does work in proportion to its input: the length is checked before anything that costs more,
and no text with a long run of combining marks is normalised, which takes the square of the run. What is returned is its
own normal form.
Dependencies: the standard library, and gettext's mark for what is to be translated.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from django.utils.translation import gettext_noop as _

LONGEST_SPELLING = 4
"""Code points in the longest canonical equivalent of one code point in NFC (UAX #15, *Maximum Expansion Factors*)."""
MARKS_TO_NORMALISE = 30
"""In a row, as UAX #15 has it for its Stream-Safe Text Format."""
MARKS_IN_A_ROW = 8
"""On one letter. Tibetan stacks nine letters, eight of them marks to Unicode; pointed and accented Hebrew has five."""
MARKS_IN_ONE_PLACE = 4
"""Of those, in one place: above, say (a canonical combining class). Vietnamese has two, phonetic script three."""
REPLACEMENT = "\ufffd"

VIRAMA = 9  # a canonical combining class, as the next
FIRST_ACCENT = 10  # below are what makes another letter of one: nuktas, voicing marks, viramas

SHOWS_NOTHING = "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U0001d159"  # Hangul fillers, the empty Braille pattern …
OVERRIDES = "\u202a-\u202e\u2066-\u2069"  # embeddings, overrides and isolates: they turn around what follows
CONTROLS = "\0-\x1f\x7f-\x9f\u2028\u2029"  # with all that begins a new line

_MANY_MARKS = re.compile(b"[^\\0]{%d}" % (MARKS_TO_NORMALISE + 1))
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_NEW_LINE = re.compile("\r\n?")
_CONTROL = re.compile(f"[{CONTROLS}]")
_CONTROL_BUT_NEW_LINE_AND_TAB = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f]")
_OVERRIDE = re.compile(f"[{OVERRIDES}]")
_OTHER_SPACE = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_WHITE_SPACE = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\uffa0]+")
_IGNORED = re.compile("[\u00ad\u061c\u180e\u200b\u200e\u200f\u2060-\u2065\u206a-\u206f\ufeff\ufff9-\ufffb\U000e0001]")
_TAG_WITHOUT_FLAG = re.compile("(\U0001f3f4[\U000e0020-\U000e007f]+)|[\U000e0020-\U000e007f]")
_ENDS_OF_PLANES = "".join(f"{chr(plane - 2)}-{chr(plane - 1)}" for plane in range(0x20000, 0x110001, 0x10000))
_NO_CHARACTER = re.compile(f"[\u2065\ufdd0-\ufdef\ufff0-\uffff\U000e0000-\U000e0fff{_ENDS_OF_PLANES}]")
_JOINERS = "\u200c\u200d"
_SLUG = re.compile("[-a-z0-9_]{1,80}")

TOO_LONG = _("At most %(most)s characters, not %(found)s.")
NOT_TEXT = _("NUL and halves of surrogate pairs are not text.")
TOO_MANY_MARKS = _("Too many marks on one letter.")
NO_NAME = _("A name has at least one character that can be seen.")
NOT_ONE_LINE = _("A name is one line: leave out new lines, control characters and what overrides directions.")
NO_MESSAGE = _("A message has some text.")
NOT_IN_MESSAGES = _("Of control characters, only new line and tab are text.")
NOT_IN_PASSWORDS = _("A password has no control characters.")
TURNS_AROUND = _("Leave out what overrides directions: a description does not turn around what follows.")


class Unfit(ValueError):
    """This is not such a text. ``reason`` is one of the texts above, which ``values`` go into."""

    def __init__(self, reason: str, **values: str) -> None:
        super().__init__(reason % values)
        self.reason = reason
        self.values = values


# Each of these raises Unfit.


def normal(text: str, max_length: int) -> str:
    """Return ``text`` in NFC (UAX #15), without looking at what can only be longer than ``max_length`` in that form."""
    _require_length(text, max_length, LONGEST_SPELLING * max_length)
    if not is_storable(text):
        raise Unfit(NOT_TEXT)
    if text.isascii():
        return text
    if not is_quickly_normalised(text):
        raise Unfit(TOO_MANY_MARKS)
    return unicodedata.normalize("NFC", text)


def message(text: str, max_length: int, max_length_with_white_space: int) -> str:
    """Return ``text`` in NFC and with LF for CRLF and CR, else as it was typed."""
    text = _NEW_LINE.sub("\n", text)
    _require_length(text.strip(), max_length, LONGEST_SPELLING * max_length)
    text = normal(text, max_length_with_white_space)
    _require_length(text.strip(), max_length)
    _require_length(text, max_length_with_white_space)
    _require_few_marks(text)
    if not is_visible(text):
        raise Unfit(NO_MESSAGE)
    if _CONTROL_BUT_NEW_LINE_AND_TAB.search(text):
        raise Unfit(NOT_IN_MESSAGES)
    return text


def description(text: str, max_length: int) -> str:
    """Return ``text`` as a message is, but that it may be empty, and that nothing turns around what stands after it."""
    text = normal(_NEW_LINE.sub("\n", text).strip(), max_length)
    _require_length(text, max_length)
    _require_few_marks(text)
    if _CONTROL_BUT_NEW_LINE_AND_TAB.search(text):
        raise Unfit(NOT_IN_MESSAGES)
    if _OVERRIDE.search(text):
        raise Unfit(TURNS_AROUND)
    return text if is_visible(text) else ""


def name(text: str, max_length: int) -> str:
    """Return the name of a room, a member or an account: NFC, one line, one space between words and none around.

    What shows nothing and joins nothing is left out. It has something to see, few marks on a letter, and does not turn
    around what stands after it.
    """
    text = text.strip()
    _require_length(text, max_length, LONGEST_SPELLING * max_length)
    if _CONTROL.search(text) or _OVERRIDE.search(text):
        raise Unfit(NOT_ONE_LINE if is_storable(text) else NOT_TEXT)
    text = normal(_without_ignored(_WHITE_SPACE.sub(" ", text)), max_length)
    text = _WHITE_SPACE.sub(" ", text).strip()
    _require_length(text, max_length)
    _require_few_marks(text)
    if not is_visible(text):
        raise Unfit(NO_NAME)
    return text


def opaque(text: str, max_length: int) -> str:
    """Return ``text`` as RFC 8265, section 4.2.1, has it compared: its spaces are U+0020, and it is in NFC.

    An empty one is its own normal form: whether there may be one is for the caller to say.
    """
    _require_length(text, max_length, LONGEST_SPELLING * max_length)
    text = normal(_OTHER_SPACE.sub(" ", text), max_length)
    _require_length(text, max_length)
    return text


def password(text: str, max_length: int) -> str:
    """Return ``text`` as passwords are stored: ``opaque``, and without control characters (RFC 8264, section 9.12)."""
    text = opaque(text, max_length)
    if _CONTROL.search(text):
        raise Unfit(NOT_IN_PASSWORDS)
    return text


# And these do not.


def slug(text: str) -> str | None:
    """Return the slug that this stands for, in lower case; None for what is no slug."""
    is_short = len(text) <= 80 and text.isascii()
    return found[0] if is_short and (found := _SLUG.fullmatch(text.lower())) else None


def mended_name(text: str, max_length: int, instead: str = REPLACEMENT) -> str:
    """Return a name as near to ``text`` as can be, where it is too late to refuse; ``instead`` where none can be."""
    text = _UNSTORABLE.sub(REPLACEMENT, text.strip()[: LONGEST_SPELLING * max_length])
    text = _without_ignored(_OVERRIDE.sub("", _CONTROL.sub(" ", text)))
    text = unicodedata.normalize("NFC", "".join(_not_piled(text)))
    try:
        return name(text[:max_length], max_length)
    except Unfit:
        return instead


def mended_description(text: str, max_length: int) -> str:
    text = _UNSTORABLE.sub(REPLACEMENT, _NEW_LINE.sub("\n", text)[:max_length])
    text = _OVERRIDE.sub("", _CONTROL_BUT_NEW_LINE_AND_TAB.sub(REPLACEMENT, text))
    text = unicodedata.normalize("NFC", "".join(_not_piled(text)))
    try:
        return description(text[:max_length], max_length)
    except Unfit:
        return ""


def folded(text: str) -> str:
    """Return ``text`` as it is searched: case, accents and width do not count, nor does what shows nothing.

    For texts that are in shape: of long runs of marks only so many are looked at.
    """
    folded = _decomposed(_decomposed(text).casefold())
    return "".join(each for each in folded if _is_searched(each))


def is_storable(text: str) -> bool:
    """Whether this is text at all: neither NUL, which PostgreSQL cannot store, nor half of a surrogate pair."""
    return _UNSTORABLE.search(text) is None


def is_quickly_normalised(text: str) -> bool:
    """Whether no run of marks is so long that it takes the square of its length."""
    return _MANY_MARKS.search(bytes(map(unicodedata.combining, text))) is None


def is_visible(text: str) -> bool:
    """Whether any of it can be seen: more than controls, formats, separators, marks alone and empty letters."""
    return any(map(_is_seen, text))


def is_piled(text: str) -> bool:
    """Whether a letter has more marks than those of any script."""
    return not text.isascii() and len("".join(_not_piled(text))) < len(text)


def _is_seen(character: str) -> bool:
    category = unicodedata.category(character)
    if category == "Cn":  # perhaps a newer emoji than this Python knows
        return _NO_CHARACTER.fullmatch(character) is None
    return category == "Co" or (category[0] not in "CZM" and character not in SHOWS_NOTHING)


def _is_searched(character: str) -> bool:
    return unicodedata.combining(character) < FIRST_ACCENT and unicodedata.category(character) != "Cf"


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFKD", text if is_quickly_normalised(text) else "".join(_not_piled(text)))


def _not_piled(text: str) -> Iterator[str]:
    """The characters of ``text`` but for the marks that are too many."""
    marks: list[int] = []
    for each in text:
        category = unicodedata.category(each)
        if category[0] == "M":
            place = unicodedata.combining(each)
            if len(marks) == MARKS_IN_A_ROW or (place and marks.count(place) == MARKS_IN_ONE_PLACE):
                continue
            marks.append(place)
        elif category != "Cf":  # joiners and the like do not begin another letter
            marks.clear()
        yield each


def _without_ignored(text: str) -> str:
    """Without what shows nothing: of format characters those stay that scripts and emoji are spelled with."""
    if text.isascii():
        return text
    text = _TAG_WITHOUT_FLAG.sub(r"\1", _IGNORED.sub("", text))
    if not any(joiner in text for joiner in _JOINERS):
        return text
    return "".join(_with_joiners_that_join(text))


def _with_joiners_that_join(text: str) -> Iterator[str]:
    """RFC 5892, appendix A.1 and A.2, and what emoji, Persian and Bengali are written with besides."""
    base = before = ""
    for each, after in zip(text, (*text[1:], ""), strict=True):
        if each in _JOINERS:
            if not _joins(each, base, before, after):
                continue
            base = ""
        elif unicodedata.category(each)[0] != "M":
            base = each
        before = each
        yield each


def _joins(joiner: str, base: str, before: str, after: str) -> bool:
    """``base`` is the letter or symbol that the joiner comes after, marks or not; ``before`` its very neighbour."""
    if any(each and unicodedata.combining(each) == VIRAMA for each in (before, after)):
        return True
    if base and unicodedata.bidirectional(base) in {"AL", "R"}:
        return True
    return joiner == "\u200d" and _is_symbol(base) and _is_symbol(after)


def _is_symbol(character: str) -> bool:
    """Whether emoji are made of it; a code point that is not known here may be a new one."""
    return character != "" and unicodedata.category(character) in {"So", "Sm", "Sk", "Cn"}


def _require_few_marks(text: str) -> None:
    if is_piled(text):
        raise Unfit(TOO_MANY_MARKS)


def _require_length(text: str, told: int, max_length: int | None = None) -> None:
    """``max_length`` is what is checked, where not what is ``told``: the normal form may be shorter."""
    if len(text) > (told if max_length is None else max_length):
        raise Unfit(TOO_LONG, most=f"{told:,}", found=f"{len(text):,}")
