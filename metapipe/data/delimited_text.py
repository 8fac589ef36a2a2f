"""Rows of a CSV or TSV, as programs and people write them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import DataError
from .cell import shown
from .names import readable_name
from .row import FileRow, column_name

MAX_FIELD = 16 * 2**20
"""Characters of a field."""

DELIMITERS = (",", ";", "\t", "|")
BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
"""What files begin with that name their own encoding."""

OTHERS = (
    (b"PK\x03\x04", "a zip, or a workbook of Excel: save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "a workbook of Excel: save the sheet as CSV"),
    (b"\x1f\x8b", "gzipped: call it .csv.gz"),
    (b"PAR1", "Parquet: call it .parquet"),
    (b"BZh", "compressed by bzip2: unpack it"),
    (b"\xfd7zXZ", "compressed by xz: unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it"),
    (b"SQLite format 3", "a database of SQLite: save the table as CSV"),
)
"""What files begin with that are no text."""


def decoded(content: bytes, path: Path) -> str:
    """The text of a file: UTF-8, or what its byte-order mark says. Raises DataError
    that says where it is none."""
    name = readable_name(path)
    for start, what in OTHERS:
        if content.startswith(start):
            raise DataError(f"{name} is no text but {what}")
    encoding = next((e for bom, e in BOMS if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        place = error.start
        line = content.count(b"\n", 0, place) + 1
        raise DataError(
            f"{name} is not {encoding.removesuffix('-sig').upper()} text: byte "
            f"0x{content[place]:02x} in line {line} (byte {place + 1} of the file); "
            "save it as UTF-8"
        ) from error
    if (place := text.find("\0")) >= 0:
        line = text.count("\n", 0, place) + 1
        raise DataError(
            f"{name} has a NUL in line {line}: it is damaged, or of another encoding; "
            "save it as UTF-8"
        )
    return text


def delimited_rows(text: str, path: Path, delimiter: str) -> list[FileRow]:
    """Rows by column, without those that are blank.

    The delimiter is what a first line `sep=;` says, or what makes the most of the
    header; the one given breaks a tie. Lines above the header that begin with `#` are
    comments. Raises DataError for a row of another length than the header.
    """
    before = csv.field_size_limit(MAX_FIELD)
    try:
        return _rows(text, path, delimiter)
    finally:
        csv.field_size_limit(before)


def _rows(text: str, path: Path, delimiter: str) -> list[FileRow]:
    name = readable_name(path)
    text, above, said = _without_preamble(text, delimiter)
    delimiter = said or _delimiter(text, delimiter)
    records = _records(text, name, delimiter, above)
    _, header = next(records, (0, []))
    columns = _columns(header, name)
    rows: list[FileRow] = []
    unnamed = {i for i, cell in enumerate(header) if not cell.strip()}
    for line, record in records:
        if len(record) != len(header):
            raise DataError(_ragged(name, line, record, header, delimiter))
        if len(header) > 1 and not any(cell.strip() for cell in record):
            continue
        unnamed -= {i for i in unnamed if record[i].strip()}
        values = dict(zip(columns, record, strict=True))
        rows.append(FileRow(values, f"{name}: row {len(rows) + 1}"))
    for row in rows:
        for i in unnamed:  # a separator at the end of every line
            del row[columns[i]]
    return rows


def _without_preamble(text: str, delimiter: str) -> tuple[str, int, str | None]:
    """The text from its header on, how many lines were above it, and the delimiter
    that the first of them names."""
    lines = io.StringIO(text, newline="")
    first, said, above = lines.readline(), None, 0
    if first.lower().startswith("sep=") and len(first.rstrip("\r\n")) == 5:
        said, above = first[4], 1
    else:
        lines.seek(0)
    comments: list[str] = []
    start = lines.tell()
    while (line := lines.readline()).startswith("#") or (line and not line.strip()):
        comments.append(line)
    if comments and line:
        # A header may begin with `#` too: it has as many fields as the row below it.
        mark = said or _delimiter(line, delimiter)
        last = comments[-1]
        if (
            last.startswith("#")
            and mark in line
            and last.count(mark) == line.count(mark)
        ):
            comments.pop()
    start += sum(map(len, comments))
    return text[start:], above + len(comments), said


def _delimiter(text: str, usual: str) -> str:
    """The delimiter that makes the most of the header."""

    def fields(delimiter: str) -> int:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            return len(next(reader, []))
        except csv.Error:
            return 0

    return max((usual, *DELIMITERS), key=fields)


def _records(
    text: str, name: str, delimiter: str, above: int
) -> Iterator[tuple[int, list[str]]]:
    """(line where it begins, its fields) of each record that is not empty."""
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = above + reader.line_num + 1
        try:
            record = next(reader, None)
        except csv.Error as error:
            raise DataError(_broken(name, line, error)) from error
        if record is None:
            return
        if record:
            yield line, record


def _broken(name: str, line: int, error: csv.Error) -> str:
    text = str(error)
    if "field larger" in text:
        text = f"a field of more than {MAX_FIELD >> 20} MiB"
    elif "unexpected end" in text:
        return f'{name}: line {line} opens a quote (") that is never closed'
    return f'{name}: line {line}: {text}; is a quote (") not closed, or not doubled?'


def _columns(header: Sequence[str], name: str) -> list[str]:
    """Normal names; a column without one is called as pandas calls it."""
    columns = [
        column_name(cell) or f"Unnamed: {number}" for number, cell in enumerate(header)
    ]
    for column in columns:
        if columns.count(column) > 1:
            raise DataError(f"{name} has a column {shown(column)} twice")
    return columns


def _ragged(
    name: str, line: int, record: Sequence[str], header: Sequence[str], delimiter: str
) -> str:
    plural = "" if len(record) == 1 else "s"
    text = (
        f"{name}: line {line} has {len(record)} value{plural}, and the header "
        f"{len(header)}"
    )
    if record[0].startswith("#"):
        return f"{text}: comments (#) stand above the header only"
    if len(record) > len(header):
        return f"{text}: a value with a {_name(delimiter)} in it stands in quotes"
    return text


def _name(delimiter: str) -> str:
    return "tab" if delimiter == "\t" else f"'{delimiter}'"
