"""Tables as spreadsheets and scripts write them: separators, encodings, odd cells."""

from __future__ import annotations

import gzip
from pathlib import Path
from random import Random

from metapipe.data import TableEncoder, read_rows

from .target import Target
from .values import damaged, number, text

SUFFIXES = (".csv", ".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet")
ENCODINGS = ("utf-8",) * 8 + ("utf-8-sig", "utf-16", "cp1252", "shift-jis", "utf-32")
MISSING = ("", "NA", "N/A", "nan", "NULL", "-", "?", "None", "#N/A")


def make(random: Random) -> tuple[str, bytes]:
    """A file's name and its bytes."""
    suffix = random.choice(SUFFIXES)
    common = "\t" if ".tsv" in suffix else ","
    separator = random.choice((*[common] * 6, ";", "|"))
    columns = ["label", *_columns(random)]
    kinds = [random.choice((0, 0, 0, 1, 1, 2, 3)) for _ in columns]
    rows = [columns] if random.random() < 0.97 else []
    for _ in range(random.choice((0, 1, 5, 5, 12))):
        row = [_cell(random, kind) for kind in kinds]
        rows.append(row if random.random() < 0.995 else row[: random.randrange(9)])
    end = random.choice(("\n", "\n", "\r\n", "\r"))
    lines = [separator.join(_quoted(random, c, separator) for c in row) for row in rows]
    content = end.join(lines).encode(random.choice(ENCODINGS), "replace")
    if random.random() < 0.15:
        content = damaged(random, content)
    if suffix.endswith(".gz"):
        content = gzip.compress(content)
        content = damaged(random, content) if random.random() < 0.3 else content
    return f"table{suffix}", content


def read(made: tuple[str, bytes], folder: Path) -> None:
    """The rows, an encoder fitted to them, and the rows by it; all are numbers."""
    path = folder / made[0]
    path.write_bytes(made[1])
    rows = read_rows(path, ("label",), ("label",))
    features = [name for name in rows[0] if name != "label"]
    encoded = TableEncoder.fit(rows, features, "label").encode(rows)
    if not encoded.isfinite().all():
        raise ValueError("what is no number came through")


def _columns(random: Random) -> list[str]:
    if random.random() < 0.7:
        return ["a", "b", "c d", "é"][: random.randrange(1, 5)]
    return [text(random) for _ in range(random.randrange(5))]


def _cell(random: Random, kind: int) -> str:
    if random.random() < 0.1:
        return random.choice(MISSING)
    match kind:
        case 0:
            return str(random.uniform(-5, 5))
        case 1:
            return random.choice(("red", "green", "blue"))
        case 2:
            return str(number(random))
        case _:
            return text(random)


def _quoted(random: Random, cell: str, separator: str) -> str:
    special = any(sign in cell for sign in (separator, '"', "\n", "\r"))
    if special and random.random() < 0.9:
        return '"' + cell.replace('"', '""') + '"'
    return cell


TABLES = Target("tables", make, read)
