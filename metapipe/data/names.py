"""Names as people write them, in one form."""

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable

UNSEEN = re.compile("[\u200b-\u200d\u2060\ufeff\xad]")
"""Signs of no width."""

WHOLE = re.compile(r"([-+]?\d+)\.0+")
"""A whole number as a table writes it whose column once had a gap."""


def normal_name(text: object) -> str:
    """The one form of a class's, a group's or a column's name: composed (NFC), and
    without blanks around it. Systems write `é` as one sign or as two, and a blank
    at the end is seen by nobody; two such names are one."""
    return unicodedata.normalize("NFC", str(text)).strip()


def nearly_one(names: Iterable[str]) -> list[list[str]]:
    """Names that differ in capital letters only, in signs of no width or of another
    width, or as 3 and 3.0 do: each group is perhaps one name, written in two ways."""
    found: dict[str, set[str]] = defaultdict(set)
    for name in names:
        plain = UNSEEN.sub("", unicodedata.normalize("NFKC", name)).casefold().strip()
        whole = WHOLE.fullmatch(plain)
        found[whole[1] if whole else plain].add(name)
    return [sorted(group) for group in found.values() if len(group) > 1]


def readable_name(name: str | os.PathLike[str]) -> str:
    """The name of a file as a text that can be shown and stored: a byte of it that is
    not UTF-8, which Python keeps as half a sign, becomes `\\xe9`."""
    content = os.fspath(name).encode("utf-8", "surrogateescape")
    return content.decode("utf-8", "backslashreplace")
