"""Names as people write them, in one form."""

import os
import unicodedata


def normal_name(text: object) -> str:
    """The one form of a class's, a group's or a column's name: composed (NFC), and
    without blanks around it. Systems write `é` as one sign or as two, and a blank
    at the end is seen by nobody; two such names are one."""
    return unicodedata.normalize("NFC", str(text)).strip()


def readable_name(name: str | os.PathLike[str]) -> str:
    """The name of a file as a text that can be shown and stored: a byte of it that is
    not UTF-8, which Python keeps as half a sign, becomes `\\xe9`."""
    content = os.fspath(name).encode("utf-8", "surrogateescape")
    return content.decode("utf-8", "backslashreplace")
