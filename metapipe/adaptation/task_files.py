"""Examples of a user's new task: files in a folder a class, or rows of a table."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import torch

from ..data.file import File, file_at
from ..data.files import is_archive, walk
from ..data.labelled import labelled
from ..data.names import normal_name, readable_name
from ..data.passed_over import first_few
from ..data.picture_files import picture_suffixes
from ..data.row import Row, column_name, origin_of
from ..data.table_files import find_tables, read_rows
from ..data.targets import read_targets
from ..encoder import Encoder
from ..episode import Samples
from ..errors import DataError, UsageError, did_you_mean
from ..problem import Kind
from ..runs.counting import counted
from .examples import Examples, Item

Unreadable = Literal["error", "skip"]

Read = Callable[[], Any]

logger = logging.getLogger("metapipe")


def read_examples(
    root: Path,
    encoder: Encoder,
    kind: Kind,
    classes: Sequence[str] | None = None,
    unreadable: Unreadable = "error",
) -> Examples:
    """Pictures in a folder a class (or a zip or tar of that); or rows of tables.

    With `classes` the labels are theirs, and others are an error. For regression the
    targets are the numbers of the label column. Pictures that cannot be read are an
    error, or named and left out. Raises DataError if nothing is there or cannot be
    read, naming it.
    """
    encoder.check()
    if encoder.form == "row":
        return _rows(root, encoder, kind, classes)
    rows, broken, found = [], [], set()
    folders = labelled(root, picture_suffixes())
    for label, name, file in counted(folders, folders.count, "reading"):
        found.add(label)
        try:
            content = file.read()
            item = Item(f"{label}/{name}", sha256(content).hexdigest())
            rows.append((label, name, file.origin, item, encoder.encode([content])))
        except DataError as error:
            broken.append(named_reason(error, file.origin))
    if not found:
        raise DataError(
            f"{root} has no pictures in folders: a folder a class is wanted, as in "
            f"{root}/rose/1.jpg"
        )
    if folders.without:
        raise DataError(
            f"{root} has folders without a picture of a known format: "
            f"{first_few(folders.without)}. Remove them, or convert their files"
        )
    if folders.unclear:
        logger.warning("%s: %s", root, folders.unclear)
    known = _known(root, sorted(found), classes)
    _report(root, broken, unreadable if rows else "error")
    rows.sort(key=lambda row: (known.index(row[0]), row[1].split("/")))
    labels = torch.tensor([known.index(row[0]) for row in rows])
    inputs = torch.cat([row[-1] for row in rows])
    _, _, names, items, _ = zip(*rows, strict=True)
    return Examples(Samples(inputs, labels), tuple(known), names, items)


def _report(root: Path, broken: Sequence[str], unreadable: Unreadable) -> None:
    if not broken:
        return
    text = f"unreadable: {first_few(broken)}"
    if unreadable == "error":
        raise DataError(
            f"{text}. Mend or remove them, or leave them out with --unreadable skip"
        )
    logger.warning("%s: left out %d %s", root, len(broken), text)


def _rows(
    root: Path, encoder: Encoder, kind: Kind, classes: Sequence[str] | None
) -> Examples:
    column = label_column(encoder)
    rows = [
        row
        for table in find_tables(root)
        for row in read_rows(table, (column,), (column,))
    ]
    inputs = encoder.encode(rows)
    origins = tuple(origin_of(row, number) for number, row in enumerate(rows))
    items = tuple(
        Item(origin, _content(row, column))
        for origin, row in zip(origins, rows, strict=True)
    )
    if kind == "regression":
        targets = torch.from_numpy(read_targets(rows, column))
        return Examples(Samples(inputs, targets), (), origins, items)
    found = [normal_name(row[column]) for row in rows]
    known = _known(root, sorted(set(found)), classes)
    labels = torch.tensor([known.index(name) for name in found])
    examples = Examples(Samples(inputs, labels), tuple(known), origins, items)
    return examples.only(labels.argsort(stable=True).tolist())


def _content(row: Row, label: str) -> str:
    """SHA-256 of all values of a row but its class."""
    values = {name: value for name, value in row.items() if name != label}
    return sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def _known(
    root: Path, found: Sequence[str], classes: Sequence[str] | None
) -> list[str]:
    known = list(found if classes is None else classes)
    for name in found:
        if name not in known:
            raise DataError(
                f"{root} has '{name}', which is no class of the support set; "
                f"{did_you_mean(name, known)}"
            )
    return known


def label_column(encoder: Encoder) -> str:
    """The column that an encoder of rows calls the class, or what is to predict."""
    return column_name(getattr(encoder, "label", "label"))


def each_item(paths: Sequence[Path], encoder: Encoder) -> Iterator[tuple[str, Read]]:
    """A name, and what reads the item, of all items in files, folders, archives or
    tables, one after the other. What cannot be read is an error when it is read."""
    if encoder.form == "file":
        for file in each_file(paths):
            yield file.origin, file.read
        return
    for path in paths:
        try:
            for table in find_tables(path):
                for number, row in enumerate(read_rows(table), start=1):
                    yield f"{readable_name(table)}:{number}", partial(_same, row)
        except DataError as error:
            yield readable_name(path), _unreadable(path, str(error)).read


def _same(row: Row) -> Row:
    return row


def each_file(paths: Sequence[Path]) -> Iterator[File]:
    """The files named, and all pictures in the folders and archives named, one after
    the other. A file that is not there is an error when it is read."""
    for path in paths:
        if not (path.is_dir() or (path.is_file() and is_archive(path))):
            yield file_at(path)
            continue
        some = False
        try:
            for file in walk(path, picture_suffixes()):
                some = True
                yield file
        except DataError as error:
            yield _unreadable(path, str(error))
            continue
        if not some:
            yield _unreadable(path, f"{path} has no picture of a known format")


def _unreadable(path: Path, reason: str) -> File:
    """What cannot be read, with the others."""

    def read() -> bytes:
        raise DataError(reason)

    return File((path.name,), readable_name(path), read)


def named_reason(error: DataError, name: str) -> str:
    """What is wrong with the file called `name`, which is told once."""
    text = str(error).replace("the image", name)
    table = name.rpartition(":")[0]  # of a row
    if name in text or (table and text.startswith(f"{table}: ")):
        return text.removeprefix("cannot read ")
    return f"{name}: {text}"


def require_ways(examples: Examples, root: Path) -> None:
    """Raise UsageError for a support set that is no task."""
    if not examples.classes:
        return
    empty = [name for name, count in examples.counts.items() if not count]
    if empty:
        raise UsageError(f"{root} has no examples of {empty[0]}")
    if len(examples.classes) < 2:
        raise UsageError(
            f"{root} has one class only, '{examples.classes[0]}': two are the least"
        )
