"""Columns of a table to learn from: what they hold, and what is refused."""

import math
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
import torch

from metapipe import DataError
from metapipe.data.column import require_no_counter, type_of_column
from metapipe.data.row import FileRow
from metapipe.data.row_encoder import TableEncoder
from metapipe.data.targets import read_targets

NOTHING = ["", " ", "NA", "N/A", "null", "None", "-", "?", "nan", "NaN", "#N/A", "<NA>"]


def rows_of(values, column="x"):
    return [
        FileRow({column: value, "label": "a"}, f"t.csv: row {number}")
        for number, value in enumerate(values, start=1)
    ]


@pytest.mark.parametrize("nothing", [*NOTHING, None, math.nan, np.float32("nan")])
def test_usual_words_for_missing_become_the_median(nothing):
    encoder = TableEncoder.fit(rows_of(["1", nothing, "2", "9"]), ["x"], "label")
    assert encoder.shape == (1,)
    assert encoder.numbers[0].median == 2
    assert encoder.numbers[0].mean == 3.5
    found = encoder.encode([{"x": nothing}, {"x": 2.0}])
    assert torch.equal(found[0], found[1])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2e3", " -4.5 ", "+1", ".5", "NA"], "numbers"),
        ([1, 2.5, np.float32(3), Decimal("1.5"), np.int64(4)], "numbers"),
        (["red", "blue", "", "red", "7"], "names"),
        (["yes", "no", "yes", "no", "no"], "names"),
        ([True, False, True, np.bool_(False), True], "names"),
        (["True", "False", "True", "False", ""], "names"),
        (["2024_01", "2024_02", "2024_01", "x", "x"], "names"),
    ],
)
def test_what_a_column_holds(values, kind):
    if values[0] == "2024_01":  # Python would read 202401
        with pytest.raises(DataError, match="'2024_01'"):
            type_of_column("x", rows_of(values[:3]))
        return
    assert type_of_column("x", rows_of(values)) == kind


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1", "2", "x1", "3"], r"'x1' \(t.csv: row 3\)"),
        (["1", "2", "inf", "3"], r"'inf' \(t.csv: row 3\).*no finite"),
        (["1", "2", "1e200", "3"], r"'1e200' \(t.csv: row 3\)"),
        (["1", "2", "1e39", "3"], "1e39"),
        (["1", "2", "-Infinity", "3"], "Infinity"),
        (["1", "2", 10**400, "3"], "no finite"),
        (["1,5", "2,5", "3", "3"], r"'1,5' \(t.csv: row 1\).*with a point"),
        (["1,234", "1,000,000", "3,000", "2,000"], "without separators"),
        (["1 234", "2", "3", "3"], "'1 234'"),
        (["12 %", "13%", "5 %", "5 %"], "percent"),
        (["$5", "€ 6", "£7.50", "$5"], "units"),
        (["2024-01-31", "2024-02-01", "", "2024-02-01"], "has dates.*2024-01-31"),
        (["31.12.2024", "1/2/24", "1/2/24", "1/2/24"], "has dates"),
        (["2024-01-31 12:00:00", "2024-01-31T12:00Z"] * 2, "has dates"),
        ([date(2024, 1, 1)] * 4, "has dates"),
        ([[1, 2], [3], [], []], "lists"),
        ([{"a": 1}] * 4, "lists or records"),
        ([np.ones(2)] * 4, "lists"),
        ([b"x"] * 4, "lists"),
        (["", "NA", None, "-"], "is empty"),
        (list("abcdefgh"), "8 different names in 8 rows"),
        ([f"n{i % 150}" for i in range(300)], "150 different names"),
    ],
)
def test_what_has_to_be_cleared_first_is_told(values, message):
    with pytest.raises(DataError, match=message) as caught:
        type_of_column("x", rows_of(values))
    assert "column 'x'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_of_names_may_look_like_anything():
    for values in (["1", "2", "x1"], ["1,5", "2"], ["2024-01-01", ""], ["inf", "1"]):
        encoder = TableEncoder.fit(rows_of(values), ["x"], "label", ["x"])
        assert encoder.categories[0].values == tuple(sorted(values))


def test_names_have_one_form():
    values = ["cafe\u0301", "caf\u00e9 ", "tea", "tea"]
    encoder = TableEncoder.fit(rows_of(values), ["x"], "label")
    assert encoder.categories[0].values == ("caf\u00e9", "tea")
    found = encoder.encode([{"x ": "cafe\u0301"}, {"x": "tea "}, {"x": "milk"}])
    assert found.tolist() == [[1, 0], [0, 1], [0, 0]]


def test_a_constant_column_is_told_of(caplog):
    with caplog.at_level("WARNING", "metapipe"):
        TableEncoder.fit(rows_of(["3"] * 4), ["x"], "label")
    assert "column 'x' is the same in all" in caplog.text


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("inf", "'inf'"),
        (math.inf, "'inf'"),
        ("1e39", "'1e39'"),
        (10**400, "no finite number"),
        ("red", "'red'"),
        ("1,5", "'1,5'"),
        ("1_0", "'1_0'"),
        ([1], r"'\[1\]'"),
        (Decimal("1e99"), "1E"),
        (date(2024, 1, 1), "2024-01-01"),
        (np.ones(3), "1. 1. 1."),
        ("x" * 500 + "\n", "x…'"),
    ],
)
def test_what_is_no_number_is_named_by_row_and_column(value, message):
    encoder = TableEncoder.fit(rows_of(["1", "2", "4"]), ["x"], "label")
    with pytest.raises(DataError, match=message) as caught:
        encoder.encode([{"x": 1}, {"x": value}])
    assert str(caught.value).startswith("row 2: column 'x' has '")
    with pytest.raises(DataError, match=r"^t.csv: row 1: column 'x'"):
        encoder.encode(rows_of([value]))
    assert "\n" not in str(caught.value)


def test_what_is_no_row_is_told():
    encoder = TableEncoder.fit(rows_of(["1", "2", "4"]), ["x"], "label")
    for item in ("t.csv", 3, None, [1.0], np.ones(1)):
        with pytest.raises(DataError, match="row 1: a row is wanted"):
            encoder.encode([item])
    with pytest.raises(DataError, match="row 1 has no column 'x'; known: X"):
        encoder.encode([{"X": 1}])
    with pytest.raises(DataError, match="two columns of one name"):
        encoder.encode([{"x": 1, " x": 2}])
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"x": [4.0], "more": ["?"]})
    found = encoder.encode([frame.iloc[0]])
    assert torch.equal(found, encoder.encode([{"x": "4"}]))


COUNT = list(range(60))


def counter(values, labels):
    return [
        FileRow({"x": value, "label": label}, "t")
        for value, label in zip(values, labels, strict=True)
    ]


LABELS = [f"c{i // 20}" for i in COUNT]


@pytest.mark.parametrize(
    "values",
    [
        COUNT,
        [str(i) for i in COUNT],
        COUNT[::-1],
        [i + 1 for i in COUNT],
        [1000 + i for i in COUNT],
        [float(i) for i in COUNT],
        [f"{i}.0" for i in COUNT],
        [i / 10 for i in COUNT],
        [5 * i for i in COUNT],
        [(37 * i) % 60 for i in COUNT],  # shuffled afterwards
        [i + i // 7 for i in COUNT],  # some rows were left out
        [-3 * i - i % 2 for i in COUNT],
        [i % 30 for i in COUNT],  # two tables, one below the other
        ["", *COUNT[1:]],
    ],
)
def test_a_column_that_counts_rows_is_refused(values):
    with pytest.raises(DataError, match=r"counts the rows.*dataset.without=\[\"x\"\]"):
        require_no_counter("x", counter(values, LABELS), "label")


@pytest.mark.parametrize(
    "values",
    [
        np.random.default_rng(0).normal(size=60).tolist(),
        np.random.default_rng(0).integers(0, 9, 60).tolist(),
        np.random.default_rng(0).integers(0, 9**9, 60).tolist(),
        sorted(np.random.default_rng(0).normal(size=60).tolist()),
        sorted(np.random.default_rng(0).integers(0, 9, 60).tolist()),
        [i % 20 for i in COUNT],  # time within each class
        [i % 3 for i in COUNT],
        [7] * 60,
        [i // 2 for i in COUNT],
        [f"n{i}" for i in COUNT],  # names are refused as identifiers
    ],
)
def test_a_column_that_says_something_is_none(values):
    require_no_counter("x", counter(values, LABELS), "label")


def test_another_whole_number_in_each_row_is_told_of(caplog):
    values = np.random.default_rng(0).integers(0, 9**9, 60).tolist()
    with caplog.at_level("WARNING", "metapipe"):
        require_no_counter("x", counter(values, LABELS), "label")
    assert "-s 'dataset.without=[\"x\"]'" in caplog.text


@pytest.mark.parametrize("value", ["nan", "inf", "", "?", "1e39", "1,5", None, "x"])
def test_a_target_is_a_number(value):
    rows = rows_of(["1", value, "3"], "y")
    with pytest.raises(DataError, match=r"^t.csv: row 2: column 'y' has '"):
        read_targets(rows, "y")
    np.testing.assert_array_equal(read_targets(rows[::2], "y "), [[1], [3]])
