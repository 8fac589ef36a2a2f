"""Tables of one's own: which columns are learned from, and what rows are called."""

import re
from pathlib import Path

import numpy as np
import pytest
from commands import error_line, metapipe
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_iris,
    load_wine,
)
from tables import write_table

from metapipe import DataError
from metapipe.experiment.registry import load

REGISTRY = load()
SPLITS = ("train", "val", "test")


def opened(root, split="train", **settings):
    settings = {"root": root, **settings}
    return REGISTRY.create("dataset", "table", settings).open(split)


def noise(columns, classes=10, shots=12):
    """Rows sorted by class, in which no column says anything about it."""
    rng = np.random.default_rng(0)
    return [
        {**{f"x{i}": rng.normal() for i in range(columns)}, "label": f"c{label}"}
        for label in range(classes)
        for _ in range(shots)
    ]


def test_an_index_is_refused_unless_it_is_asked_for(tmp_path):
    rows = [{"Unnamed: 0": i, **row} for i, row in enumerate(noise(2))]
    path = write_table(tmp_path / "t.csv", rows)
    with pytest.raises(DataError, match=r"""-s 'dataset.without=\["Unnamed: 0"\]'"""):
        opened(path)
    plain = opened(write_table(tmp_path / "u.csv", noise(2)))
    without = opened(path, without=["Unnamed: 0"])
    np.testing.assert_array_equal(without.items, plain.items)
    taken = opened(path, features=["Unnamed: 0", "x0", "x1"])
    assert taken.facts.shape == (3,)


def test_each_table_of_a_folder_is_looked_at_for_its_own_index(tmp_path):
    rows = [{"i": i, **row} for i, row in enumerate(noise(1))]
    for name, part in (("a", rows[:60]), ("b", rows[60:])):
        write_table(tmp_path / f"{name}.csv", part)
    with pytest.raises(DataError, match="'i' counts the rows"):
        opened(tmp_path)
    write_table(tmp_path / "b.csv", noise(2))
    with pytest.raises(DataError, match="different columns: 'i' is not in all"):
        opened(tmp_path)


def test_columns_that_look_like_numbers_may_be_names(tmp_path):
    rows = [{**row, "code": i % 3} for i, row in enumerate(noise(1))]
    path = write_table(tmp_path / "t.csv", rows)
    assert opened(path).facts.shape == (2,)
    assert opened(path, names=["code"]).facts.shape == (4,)
    for table in ("without", "names"):
        with pytest.raises(DataError, match="no column 'cod'; did you mean 'code'"):
            opened(path, **{table: ["cod"]})
    with pytest.raises(DataError, match="both features and without"):
        opened(path, features=["code"], without=["code"])


def test_a_word_among_numbers_is_told_of_with_its_row(tmp_path):
    rows = noise(1)
    for value in ("NA", "N/A", "?", "-", "null", ""):
        rows[3]["x0"] = value
        assert opened(write_table(tmp_path / "t.csv", rows)).facts.shape == (1,)
    rows = [
        {**row, "x0": "unknown" if n % 50 == 3 else n % 7} for n, row in enumerate(rows)
    ]
    with pytest.raises(DataError, match=r"'unknown' \(.*t.csv: row \d+\)"):
        opened(write_table(tmp_path / "t.csv", rows))


def test_classes_have_one_spelling_and_missing_ones_are_told_of(tmp_path, caplog):
    spelled = ["cafe\u0301", "caf\u00e9 ", "NA"]
    rows = [
        {"x0": row["x0"], "label": spelled[i % 3] if row["label"] == "c0" else "c1"}
        for i, row in enumerate(noise(1))
    ]
    path = write_table(tmp_path / "t.csv", rows)
    with caplog.at_level("WARNING", "metapipe"):
        splits = [opened(path, split, shares=(0.4, 0.3)) for split in SPLITS]
    found = [name for source in splits for name in source.facts.classes]
    assert sorted(found) == ["NA", "c1", "caf\u00e9"]
    assert "4 rows say 'NA' in 'label'" in caplog.text


def test_a_target_that_is_no_number_is_named_by_its_row(tmp_path):
    rows = [{**row, "y": 1.5} for row in noise(1)]
    for value in ("nan", "inf", "", "1e39"):
        rows[7]["y"] = value
        path = write_table(tmp_path / "t.csv", rows)
        with pytest.raises(DataError, match=rf"t.csv: row 8: column 'y' has '{value}'"):
            opened(path, label="y", group="label", shares=(1, 0))


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (["0.5,K1"] * 2, "'label' has names that may be one, written in two ways"),
        (["0.5,k\u200b1"], r"'k1' and 'k\\u200b1'"),
        (["0.25,k1"] * 3, "2 rows are there twice, most of them where 'label' is 'k1'"),
    ],
)
def test_what_is_perhaps_one_is_told_of_once(extra, told, tmp_path: Path) -> None:
    rows = [f"{n * n % 83 / 7},k{n % 8}" for n in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["x,label", *rows, *extra]))
    table = ("datasets", "show", "table", "-s", "dataset.root=t.csv")
    _, lines = metapipe(*table, cwd=tmp_path)
    assert len(re.findall(told, lines)) == 1


def test_a_header_in_the_middle_is_refused(tmp_path: Path) -> None:
    """As `cat` makes one of two tables."""
    rows = [f"{n * n % 83 / 7},k{n % 8}" for n in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["x,label", *rows, "x,label", *rows]))
    table = ("datasets", "show", "table", "-s", "dataset.root=t.csv")
    line = error_line(*table, cwd=tmp_path, code=1)
    assert "row 81 is the header again" in line


@pytest.mark.parametrize("written", ["\u22121.5", "0x1f", "1.5D+02", "3:07"])
def test_a_number_in_another_spelling_is_no_name(written, tmp_path: Path) -> None:
    rows = [f"{written if n % 2 else n * n % 83 / 7},k{n % 8}" for n in range(80)]
    (tmp_path / "t.csv").write_text("\n".join(["x,label", *rows]))
    table = ("datasets", "show", "table", "-s", "dataset.root=t.csv")
    line = error_line(*table, cwd=tmp_path, code=1)
    assert "which is read as no number" in line


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ("5 7 9 11 -999 -999", True),
        ("-20 0 40 12 -99.0 -99", True),
        ("5 7 9 11 -999 3", False),  # once: it may be so
        ("5 7 -500 11 -999 -999", False),  # others are as far
        ("5 7 9 11 -998 -998", False),
        ("-99 -99 1 1 1 2", False),  # codes, perhaps
        ("5 7 9 11 999 999", False),  # what is cut off at the top
        ("5 7 9 x -999 -999", False),
    ],
)
def test_a_number_that_stands_for_what_is_missing_is_told_of(
    values: str, told: bool, tmp_path, caplog
) -> None:
    lines = [f"{v},{'aabbcc'[n]}" for n, v in enumerate(values.split())]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x,label", *lines]))
    try:
        REGISTRY.create("dataset", "table", {"root": path}).open("train")
    except DataError:  # a word among numbers is refused
        assert "x" in values
    assert ("if that says that nothing is known, leave" in caplog.text) == told


def test_no_table_of_scikit_learn_seems_to_have_stand_ins(caplog) -> None:
    from metapipe_plugins.parts.data.stand_ins import tell_of_stand_ins

    for load_ in (load_iris, load_wine, load_breast_cancer, load_diabetes, load_digits):
        rows = [dict(enumerate(row)) for row in load_().data.tolist()]
        tell_of_stand_ins(rows, rows[0])
    assert not caplog.records
