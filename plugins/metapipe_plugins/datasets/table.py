"""Tables of your own: rows to classify, or groups of rows to regress."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import NonNegativeInt

from metapipe import DataError, Dataset, Register, Source, Split, hookimpl
from metapipe.data import (
    ArraySource,
    GroupSource,
    Row,
    TableEncoder,
    find_tables,
    read_rows,
)
from metapipe_plugins.parts.data.class_splits import Lists, Shares, by_chance, by_lists


class Table(Dataset):
    """Rows of your own: tasks by class; or, with a group column, a regression for each
    group."""

    recommended: ClassVar[dict[str, object]] = {"run.model": "mlp"}

    root: Path | None = None
    """CSV, TSV (both may be gzipped) or Parquet, or a folder of them."""

    label: str = "label"
    """Column of the classes; with `group`, of the numbers to predict."""

    group: str | None = None
    """Column of the groups: each is a task of regression."""

    features: tuple[str, ...] | None = None
    """Columns to learn from; all others if not given. A column is numbers if all its
    values are; else names, one-hot."""

    lists: Path | None = None
    """Folder with train.txt, val.txt and test.txt: a class or group a line; split by
    chance if not given."""

    split_seed: NonNegativeInt = 0
    """Seed of the random split."""

    shares: Shares = (0.6, 0.2)
    """Shares of the classes or groups to train on and to validate on; the rest are
    tested on."""

    def open(self, split: Split) -> Source:
        """The rows of a split; preprocessing is fitted on those of training."""
        if self.root is None:
            raise DataError("table needs a table: -s dataset.root=PATH")
        by = self.group or self.label
        members = self._members(self.root.expanduser(), by)
        lists = self._lists(sorted(members))
        names = lists[split]
        if not names:
            raise DataError(
                f"the split leaves none of the {len(members)} values of '{by}' for "
                f"{split}: give other -s dataset.shares, or lists"
            )
        encoder = self._encoder(members, lists)
        rows = [row for name in names for row in members[name]]
        items = encoder.encode(rows).numpy()
        starts = np.cumsum([0, *(len(members[name]) for name in names)])
        if self.group is None:
            return ArraySource(items, tuple(names), starts, encoder)
        targets = self._targets(rows)
        return GroupSource(items, tuple(names), starts, encoder, targets=targets)

    def _members(self, root: Path, by: str) -> Mapping[str, list[Row]]:
        columns = (*(self.features or ()), self.label, by)
        found: dict[str, list[Row]] = defaultdict(list)
        for table in find_tables(root):
            for row in read_rows(table, columns, (by,)):
                found[str(row[by])].append(row)
        return found

    def _lists(self, names: Sequence[str]) -> Lists:
        if self.lists is not None:
            return by_lists(names, self.lists.expanduser())
        return by_chance(names, self.split_seed, self.shares)

    def _encoder(self, members: Mapping[str, list[Row]], lists: Lists) -> TableEncoder:
        known = [row for name in lists["train"] for row in members[name]]
        if not known:
            raise DataError("the split leaves nothing to train on: see dataset.shares")
        others = [c for c in known[0] if c not in (self.label, self.group)]
        features = others if self.features is None else self.features
        for name in features:
            if name in (self.label, self.group):
                raise DataError(f"column '{name}' is what is to be predicted")
        return TableEncoder.fit(known, features, self.label)

    def _targets(self, rows: Sequence[Row]) -> NDArray[np.float32]:
        try:
            values = [[float(row[self.label])] for row in rows]
        except ValueError as error:
            raise DataError(
                f"column '{self.label}' has a value that is no number: {error}"
            ) from error
        return np.array(values, np.float32)


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer tables."""
    register("table", Table)
