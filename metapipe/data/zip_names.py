"""Names in a zip that does not say what encoding they are in."""

from __future__ import annotations

import re
from collections.abc import Sequence

USUAL = {
    "cp932": rb"(?:\x82[\x9f-\xf1]|\x83[\x40-\x96]|\x81[\x40-\x5b]"
    rb"|[\x88-\x97][\x40-\xfc]){2,}",
    "gbk": rb"(?:[\xb0-\xd7][\xa1-\xfe])+",
}
"""By encoding, runs of its usual signs: kana and the common half of kanji, of which
one alone may be `Köln`; the common half of hanzi."""

DOS = "cp437"
"""What names are in that say nothing else, by the standard."""

LEAST = 0.8
"""Share of the bytes that are no ASCII and have to be in usual signs."""


def encoding_of(names: Sequence[str]) -> str:
    """The encoding of names that were read as those of DOS: UTF-8 if they are;
    Japanese or Chinese if nearly all of them are usual signs of that; else DOS's."""
    content = "\n".join(names).encode(DOS)
    if _is(content, "utf-8"):
        return "utf-8"
    shares = {
        encoding: _foreign(b"".join(re.findall(usual, content))) / _foreign(content)
        for encoding, usual in USUAL.items()
        if _is(content, encoding)
    }
    best = max(shares, key=lambda encoding: shares[encoding], default=DOS)
    return best if shares.get(best, 0) >= LEAST else DOS


def _is(content: bytes, encoding: str) -> bool:
    try:
        content.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _foreign(content: bytes) -> int:
    """Bytes that are no ASCII."""
    return sum(byte > 127 for byte in content)
