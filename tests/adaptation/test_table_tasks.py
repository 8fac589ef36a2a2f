"""New tasks of a table: what users hand in, and the numbers that come out."""

import json
import math
import os

import numpy as np
import pytest
import torch
from commands import error_line, metapipe, metapipe_json

import metapipe as package
from metapipe import DataError, FewShotClassifier
from metapipe.adaptation.numbers import NoNumberError

RNG = np.random.default_rng(0)
CENTRES = RNG.normal(size=(12, 2)) * 4
COLOURS = ("red", "blue", "green")


def table(labels, shots, seed):
    """Blobs, of which each class has a colour."""
    rng = np.random.default_rng(seed)
    return [
        {"x": x, "y": y, "colour": COLOURS[label % 3], "label": f"c{label}"}
        for label in labels
        for x, y in (CENTRES[label] + rng.normal(size=(shots, 2))).tolist()
    ]


def write(path, rows, columns=None):
    columns = columns or list(rows[0])
    lines = [",".join(columns)]
    lines += [",".join(str(row.get(c, "")) for c in columns) for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project with a run of a table, and a model adapted to two of its classes."""
    folder = tmp_path_factory.mktemp("rows")
    write(folder / "all.csv", table(range(12), 10, 0))
    package.train(
        plugin="protonet",
        dataset="table",
        name="rows",
        ways=2,
        queries=3,
        tasks=2,
        iterations=20,
        settings={
            "dataset.root": str(folder / "all.csv"),
            "model.layers": [16],
            "training.validate_every": 0,
            "evaluation.episodes": 4,
        },
        project=folder,
    )
    support = write(folder / "support.csv", table((1, 2), 4, 1))
    package.adapt("rows", support=support, out=folder / "m.metapipe", project=folder)
    return folder


def adapted(project, **files):
    return package.adapt("rows", project=project, **files)


def strict(text):
    """JSON as its standard has it."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_columns_are_found_by_name(project, tmp_path):
    rows = table((3, 4), 5, 2)
    plain = write(tmp_path / "plain.csv", rows)
    other = write(
        tmp_path / "other.csv",
        [{**row, "more": "?"} for row in rows],
        ["more", "label", "colour", "y", "x"],
    )
    first, second = (adapted(project, support=path) for path in (plain, other))
    assert torch.equal(first.model.support.inputs, second.model.support.inputs)
    model = project / "m.metapipe"
    without = write(tmp_path / "w.csv", rows, ["colour", "y", "x"])
    expected = package.predict(model, plain, project=project)
    found = package.predict(model, without, project=project)
    assert [r["probabilities"] for r in found] == [r["probabilities"] for r in expected]
    lacking = write(tmp_path / "lacking.csv", rows, ["x", "colour", "label"])
    with pytest.raises(DataError, match=r"lacking.csv: row 1 has no column 'y'"):
        adapted(project, support=lacking)


def test_what_is_no_number_is_skipped_by_name_and_the_rest_is_done(project, tmp_path):
    rows = table((1, 2), 3, 3)
    for place, value in enumerate(("inf", "1e39", "1e30", "1,5", "NA")):
        rows[place]["x"] = f'"{value}"'
    path = write(tmp_path / "t.csv", rows)
    out, err = metapipe(
        "predict", str(project / "m.metapipe"), path, "--json", cwd=project, code=1
    )
    found = strict(out)
    assert [row["path"] for row in found] == [f"{path}:5", f"{path}:6"]
    assert all(math.isfinite(p) for row in found for p in row["probabilities"].values())
    for place, value in ((1, "inf"), (2, "1e39"), (4, "1,5")):
        assert f"t.csv: row {place}: column 'x' has '{value}'" in err
    assert "t.csv:3: no number comes out" in err
    assert err.count("t.csv") == 4
    assert "4 files could not be read" in err
    out, _ = metapipe(
        "predict", str(project / "m.metapipe"), path, "--csv", cwd=project, code=1
    )
    assert len(out.splitlines()) == 3
    assert "nan" not in out


def test_a_table_may_have_any_name(project, tmp_path):
    rows = table((1, 2), 3, 3)
    path = tmp_path / os.fsdecode(b"t\xff.csv")
    write(path, rows)
    adapted(project, support=path, query=path)
    found = package.predict(project / "m.metapipe", path, project=project)
    assert found[0]["path"] == f"{tmp_path}/t\\xff.csv:1"


def test_a_support_set_without_numbers_is_named_by_row_and_column(project, tmp_path):
    rows = table((1, 2), 3, 3)
    rows[4]["y"] = "inf"
    path = write(tmp_path / "t.csv", rows)
    line = error_line("adapt", "rows", "--support", path, cwd=project, code=1)
    assert f"{path}: row 5: column 'y' has 'inf'" in line
    rows[4]["y"] = 1e30
    path = write(tmp_path / "t.csv", rows)
    line = error_line("adapt", "rows", "--support", path, cwd=project, code=1)
    assert "no number comes out" in line


def test_all_that_is_told_as_json_is_json(project):
    for command in (("runs", "show", "rows"), ("evaluate", "rows", "--episodes", "1")):
        out, _ = metapipe(*command, "--json", cwd=project)
        strict(out)


def test_names_of_classes_have_one_form(project, tmp_path):
    rows = table((1, 2), 3, 3)
    spelled = [{**row, "label": row["label"] + "caf\u00e9"} for row in rows]
    query = [{**row, "label": row["label"] + "cafe\u0301 "} for row in rows]
    found = adapted(
        project,
        support=write(tmp_path / "s.csv", spelled),
        query=write(tmp_path / "q.csv", query),
    )
    assert found.counts == {"c1caf\u00e9": 3, "c2caf\u00e9": 3}
    assert found.query.count == 6


def test_examples_that_are_there_twice_are_told_of(project, tmp_path, caplog):
    rows = table((1, 2), 3, 3)
    support = write(tmp_path / "s.csv", [*rows, rows[0], {**rows[1], "label": "c2"}])
    query = write(tmp_path / "q.csv", [rows[4], *table((1, 2), 2, 9)])
    with caplog.at_level("WARNING", "metapipe"):
        adapted(project, support=support, query=query)
    told = caplog.text
    assert (
        f"there more than once: support {support}: row 1 = support {support}: row 7"
        in told
    )
    assert (
        f"in several classes: support {support}: row 2 = support {support}: row 8"
        in told
    )
    assert "in both support and query" in told
    assert f"support {support}: row 5 = query {query}: row 1" in told
    caplog.clear()
    with caplog.at_level("WARNING", "metapipe"):
        adapted(project, support=write(tmp_path / "t.csv", rows))
    assert not caplog.records


@pytest.fixture
def estimator(project):
    return FewShotClassifier("rows", project=project)


def test_estimators_take_rows_by_column(project, estimator, tmp_path):
    pandas = pytest.importorskip("pandas")
    rows = table((1, 2), 4, 1)
    labels = [row.pop("label") for row in rows]
    new = table((1, 2), 5, 7)
    path = write(tmp_path / "new.csv", new)
    file = package.predict(project / "m.metapipe", path, project=project)
    wanted = [list(row["probabilities"].values()) for row in file]
    frame = pandas.DataFrame(rows)
    for X in (rows, frame, frame[["colour", "y", "x"]], frame.assign(more=1)):
        model = estimator.fit(X, labels)
        for others in (new, pandas.DataFrame(new), [pandas.Series(r) for r in new]):
            found = model.predict_proba(others)
            np.testing.assert_allclose(found, wanted, atol=1e-5)
    with pytest.raises(DataError, match="row 1 has no column 'y'"):
        model.predict(frame[["x", "colour"]])
    frame.loc[2, "x"] = math.inf
    with pytest.raises(DataError, match="row 3: column 'x' has 'inf'"):
        model.predict(frame)
    frame.loc[2, "x"] = math.nan
    assert len(model.predict(frame)) == 8


def test_estimators_of_tables_say_what_they_want(project, estimator):
    rows = table((1, 2), 4, 1)
    labels = [row["label"] for row in rows]
    model = estimator.fit(rows, labels)
    for X in ("all.csv", rows[0]):
        with pytest.raises(ValueError, match="a list of them is wanted"):
            model.predict(X)
    for X in (["all.csv"], [project / "all.csv"], [b"x"]):
        with pytest.raises(DataError, match=r"a row is wanted.*read a table first"):
            model.predict(X)
    with pytest.raises(NoNumberError, match="1 of 8 inputs, first for the 3"):
        model.predict([*rows[:2], {**rows[2], "x": 1e30}, *rows[3:]])
    with pytest.raises(TypeError, match="sample_weight"):
        estimator.fit(rows, labels, sample_weight=[1] * 8)
    with pytest.raises(ValueError, match="several spellings of 'c'"):
        estimator.fit(rows, ["c", "c ", *"abcdef"])


def test_a_table_that_is_not_there_is_wrong_usage(project):
    line = error_line("adapt", "rows", "--support", "no.csv", cwd=project, code=2)
    assert "no.csv does not exist" in line
    found = metapipe_json("runs", "show", "rows", cwd=project)
    assert found["name"] == "rows"
