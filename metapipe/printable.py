"""What may be printed: text from outside without what acts on a terminal."""

from __future__ import annotations

import re

ACTING = re.compile(
    "[\\x00-\\x1f\\x7f-\\x9f\\xad\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e"
    "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\ud800-\\udfff\\U000e0000-\\U000e007f]"
)
"""Controls, among them escape sequences and line breaks; what turns the direction of
writing; what is not seen; halves of characters. Joiners, which names in Persian or
Hindi need, are none of them."""


PASSWORD = re.compile(r"(?<=://)([^/\s:@]*):[^/\s@]*@")
"""In an address, with the user before it."""

NO_TEXT = re.compile("[\\0\\ud800-\\udfff]")


def printable(text: str) -> str:
    """The text on one line, in which such characters are written as in Python: `\\x1b`.

    A byte of a file name that is not UTF-8 is written as that byte.
    """
    return ACTING.sub(_escape, text)


def shortened(text: str, most: int) -> str:
    """The text, or of a longer one its beginning and its end."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]} … {text[-most // 3 :]}"


def one_line(text: object) -> str:
    """Text, or what an error says, with line breaks and runs of spaces as a space."""
    return " ".join(str(text).split())


def without_passwords(text: str) -> str:
    """The text with its line breaks as spaces, and `***` for each password of an
    address."""
    return PASSWORD.sub(r"\1:***@", one_line(text))


SINGULAR = {"are": "is", "were": "was", "have": "has"}


def how_many(count: int, noun: str, verb: str = "") -> str:
    """`1 run`, `2 runs`; with the verb `are`, `1 run is` and `2 runs are`."""
    one = count == 1
    words = f"{count:,} {noun}{'' if one else 's'}"
    return f"{words} {SINGULAR[verb] if one else verb}" if verb else words


def is_text(text: str) -> bool:
    """Whether any database takes it for text: no NUL, and no halves of characters."""
    return not NO_TEXT.search(text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # what os.fsdecode makes of a byte
        code -= 0xDC00
    named = {0x09: "\\t", 0x0A: "\\n", 0x0D: "\\r"}
    if code in named:
        return named[code]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
