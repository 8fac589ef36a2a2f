"""Tables of your own: rows to classify, or groups of rows to regress."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from pydantic import AfterValidator, NonNegativeInt

from metapipe import DataError, Dataset, Register, Source, Split, hookimpl
from metapipe.data import (
    ArraySource,
    GroupSource,
    Row,
    TableEncoder,
    column_name,
    find_tables,
    read_rows,
    read_targets,
    require_no_counter,
)
from metapipe_plugins.parts.data.class_splits import (
    Lists,
    Shares,
    by_chance,
    by_lists,
    read_lists,
)
from metapipe_plugins.parts.data.labelled_rows import (
    by_name,
    tell_of_doubles,
    tell_of_names,
)
from metapipe_plugins.parts.data.required import require_root
from metapipe_plugins.parts.data.stand_ins import tell_of_stand_ins

Column = Annotated[str, AfterValidator(column_name)]


class Table(Dataset):
    """Rows of your own: tasks by class; or, with a group column, a regression for each
    group."""

    recommended: ClassVar[dict[str, object]] = {"run.model": "mlp"}
    recommended_if: ClassVar[dict[str, dict[str, object]]] = {"group": {"task.ways": 1}}

    root: Path | None = None
    """CSV, TSV (both may be gzipped) or Parquet, or a folder of them."""

    label: Column = "label"
    """Column of the classes; with `group`, of the numbers to predict."""

    group: Column | None = None
    """Column of the groups: each is a task of regression."""

    features: tuple[Column, ...] | None = None
    """Columns to learn from; all others if not given. A column is numbers if all its
    values are; else names, one-hot."""

    without: tuple[Column, ...] = ()
    """Columns to leave out, such as an index that was saved with the table."""

    names: tuple[Column, ...] = ()
    """Columns of names even if they look like numbers or dates, such as codes."""

    lists: Path | None = None
    """Folder with train.txt, val.txt and test.txt: a class or group a line; split by
    chance if not given."""

    split_seed: NonNegativeInt = 0
    """Seed of the random split."""

    shares: Shares = (0.6, 0.2)
    """Shares of the classes or groups to train on and to validate on; the rest are
    tested on."""

    def check(self) -> None:
        """Root and lists are there."""
        require_root(self.root, "table needs a table, or a folder of them")
        if self.lists is not None:
            read_lists(self.lists.expanduser())

    def open(self, split: Split) -> Source:
        """The rows of a split; preprocessing is fitted on those of training."""
        self.check()
        assert self.root is not None
        by = self.group or self.label
        tables = self._tables(self.root.expanduser(), by)
        features = self._features(tables, by)
        members = by_name((row for rows in tables for row in rows), by)
        if split == "train":  # all splits are of the same rows: once is enough
            tell_of_names(members, by)
            tell_of_doubles(members, by)
            tell_of_stand_ins([row for rows in tables for row in rows], features)
        lists = self._lists(sorted(members))
        names = lists[split]
        if not names:
            raise DataError(
                f"the split leaves none of the {len(members)} values of '{by}' for "
                f"{split}: give other -s dataset.shares, or lists"
            )
        known = [row for name in lists["train"] for row in members[name]]
        if not known:
            raise DataError("the split leaves nothing to train on: see dataset.shares")
        encoder = TableEncoder.fit(known, features, self.label, self.names)
        rows = [row for name in names for row in members[name]]
        items = encoder.encode(rows).numpy()
        starts = np.cumsum([0, *(len(members[name]) for name in names)])
        if self.group is None:
            return ArraySource(items, tuple(names), starts, encoder)
        targets = read_targets(rows, self.label)
        return GroupSource(items, tuple(names), starts, encoder, targets=targets)

    def _tables(self, root: Path, by: str) -> list[list[Row]]:
        columns = (*(self.features or ()), *self.without, *self.names, self.label, by)
        tables = [read_rows(path, columns, (by,)) for path in find_tables(root)]
        for rows in tables:
            if others := set(rows[0]) ^ set(tables[0][0]):
                raise DataError(
                    f"{root} has tables of different columns: '{min(others)}' is not "
                    "in all of them"
                )
        return tables

    def _lists(self, names: Sequence[str]) -> Lists:
        if self.lists is not None:
            return by_lists(names, self.lists.expanduser())
        return by_chance(names, self.split_seed, self.shares)

    def _features(self, tables: Sequence[Sequence[Row]], by: str) -> Sequence[str]:
        """The columns to learn from. Those that nobody named must not count rows."""
        for name in self.features or ():
            if name in (self.label, self.group):
                raise DataError(f"column '{name}' is what is to be predicted")
            if name in self.without:
                raise DataError(f"column '{name}' is in both features and without")
        if self.features is not None:
            return self.features
        left = (self.label, self.group, *self.without)
        features = [name for name in tables[0][0] if name not in left]
        for name in features:
            if name not in self.names:
                for rows in tables:
                    require_no_counter(name, rows, by)
        return features


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer tables."""
    register("table", Table)
