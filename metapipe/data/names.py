"""Names as people write them, in one form."""

import unicodedata


def normal_name(text: object) -> str:
    """The one form of a class's, a group's or a column's name: composed (NFC), and
    without blanks around it. Systems write `é` as one sign or as two, and a blank
    at the end is seen by nobody; two such names are one."""
    return unicodedata.normalize("NFC", str(text)).strip()
