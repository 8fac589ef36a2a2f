"""Data sets shown, and tasks of texts and of tables, by real processes."""

import csv
import json

import numpy as np
import pytest
from commands import error_line, metapipe, metapipe_json
from pictures import write_classes

from metapipe.data.sampling import choose


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


TOPICS = [f"topic{n}" for n in range(12)]


def text_rows(topics, numbers):
    return [
        {"text": f"{topic} says {topic}{n} and more", "label": topic}
        for topic in topics
        for n in numbers
    ]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    write(folder / "all.csv", text_rows(TOPICS, range(8)))
    metapipe(
        *("train", "--plugin", "protonet", "--dataset", "text", "--name", "texts"),
        *("-s", "dataset.root=all.csv", "--ways", "2", "--queries", "3"),
        *("-s", "model.buckets=512", "-s", "model.width=16", "--iterations", "10"),
        *("--tasks", "2", "--validate-every", "0", "-s", "evaluation.episodes=4"),
        cwd=folder,
    )
    return folder


def test_texts_are_adapted_to_and_predicted(texts):
    new = ["weather", "sports", "music"]
    support = write(texts / "support.csv", text_rows(new, range(3)))
    query = write(texts / "query.csv", text_rows(new, range(3, 9)))
    (texts / "all.csv").rename(texts / "gone.csv")  # the data are not needed
    try:
        found = metapipe_json(
            *("adapt", "texts", "--support", support, "--query", query),
            *("--out", "t.metapipe"),
            cwd=texts,
        )
    finally:
        (texts / "gone.csv").rename(texts / "all.csv")
    assert found["classes"] == dict.fromkeys(sorted(new), 3)
    assert found["query"]["accuracy"] > 0.8
    rows = metapipe_json("predict", "t.metapipe", query, cwd=texts)
    right = [row["label"] for row in rows]
    assert np.mean(
        [
            a == b["label"]
            for a, b in zip(right, text_rows(new, range(3, 9)), strict=True)
        ]
    ) == pytest.approx(found["query"]["accuracy"])
    assert rows[0]["path"] == f"{query}:1"


def test_rows_without_the_column_are_told_and_skipped(texts):
    support = write(texts / "s.csv", text_rows(["a1", "b1"], range(2)))
    metapipe("adapt", "texts", "--support", support, "--out", "u.metapipe", cwd=texts)
    other = write(texts / "o.csv", [{"txt": "hello"}])
    _, err = metapipe("predict", "u.metapipe", other, cwd=texts, code=1)
    assert "no column 'text'" in err
    line = error_line("adapt", "texts", "--support", other, cwd=texts, code=1)
    assert "no column 'label'" in line


def test_a_regression_is_adapted_to_and_predicted(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for group in range(10):
        slope = rng.normal()
        points = rng.normal(size=8)
        rows += [{"who": f"g{group}", "x": x, "y": slope * x} for x in points]
    write(tmp_path / "all.csv", rows)
    metapipe(
        *("train", "--plugin", "maml", "--dataset", "table", "--name", "slopes"),
        *("-s", "dataset.root=all.csv", "-s", "dataset.label=y"),
        *("-s", "dataset.group=who", "--ways", "1", "--shots", "3", "--queries", "4"),
        *("-s", "algorithm.inner_lr=0.01", "--iterations", "10", "--tasks", "2"),
        *("--validate-every", "0", "-s", "evaluation.episodes=4"),
        cwd=tmp_path,
    )
    support = write(tmp_path / "s.csv", [{"x": x, "y": 2 * x} for x in (-1.0, 1.0)])
    found = metapipe_json(
        "adapt", "slopes", "--support", support, "--out", "r.metapipe", cwd=tmp_path
    )
    told, _ = metapipe(
        "adapt", "slopes", "--support", support, "--query", support, cwd=tmp_path
    )
    assert f"support error     {found['support']['loss']:.4g}" in told
    assert f"query error       {found['support']['loss']:.4g}" in told
    rows = metapipe_json("predict", "r.metapipe", support, cwd=tmp_path)
    errors = [
        (row["prediction"][0] - y) ** 2 for row, y in zip(rows, (-2, 2), strict=True)
    ]
    assert np.mean(errors) == pytest.approx(found["support"]["loss"], rel=1e-4)
    out, _ = metapipe("predict", "r.metapipe", support, "--csv", cwd=tmp_path)
    assert float(out.splitlines()[1].split(",")[1]) == pytest.approx(
        rows[0]["prediction"][0], rel=1e-4
    )
    shown = metapipe_json("runs", "show", "slopes", cwd=tmp_path)
    assert shown["evaluations"][-1]["loss"] == pytest.approx(found["support"]["loss"])


def test_a_data_set_is_shown(tmp_path):
    root = write_classes(tmp_path / "data", dict.fromkeys("abcdefghij", 4))
    order = choose(np.array([0], np.uint64), "class split", 10, 10)[0].tolist()
    train, test = ("abcdefghij"[order[i]] for i in (0, 9))
    (root / test / "0.png").write_bytes((root / train / "1.png").read_bytes())
    given = ("-s", f"dataset.root={root}", "-s", "dataset.size=8")
    command = ("datasets", "show", "image-folder", *given)
    picture = ("--png", "x.png", "--queries", "3")
    found = metapipe_json(*command, *picture, cwd=tmp_path)
    assert [row["classes"] for row in found["splits"]] == [6, 2, 2]
    assert [row["items"] for row in found["splits"]] == [24, 8, 8]
    assert found["splits"][0]["shape"] == "3x8x8"
    assert found["shared"] == [[f"test/{test}", f"train/{train}"]]
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    out, _ = metapipe(*command, "--classes", cwd=tmp_path)
    assert "1 item is in more than one split" in out
    assert f"  test/{test} = train/{train}" in out
    line = error_line(*command, "--png", "x.png", "--ways", "9", cwd=tmp_path, code=2)
    assert "use --ways 6 or fewer" in line


def test_data_without_end_are_shown_too(tmp_path):
    out, _ = metapipe("datasets", "show", "sinusoid", cwd=tmp_path)
    assert "regression" in out
    line = error_line(
        "datasets",
        "show",
        "sinusoid",
        "--png",
        "x.png",
        "--ways",
        "1",
        cwd=tmp_path,
        code=2,
    )
    assert "cannot draw" in line
    found = metapipe("datasets", "show", "sinusoid", "--json", cwd=tmp_path)[0]
    assert json.loads(found)["classes"]["train"] == []
