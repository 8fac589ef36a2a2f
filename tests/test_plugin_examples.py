"""The plugins of docs/examples/plugins pass the contracts, run, and say what the page
says of them."""

import csv
import re
import runpy
from collections import defaultdict
from types import SimpleNamespace
from typing import Any

import pytest
from commands import TINY, error_line, metapipe_json
from project import ROOT

from metapipe import TaskStore
from metapipe.store import default_url
from metapipe.testing import (
    ArenaContract,
    DatasetContract,
    ModelContract,
    ObserverContract,
)
from metapipe_plugins.datasets.gymnasium import Gymnasium

FOLDER = ROOT / "docs" / "examples" / "plugins"
PAGE = (ROOT / "docs" / "plugins.md").read_text()


def example(name: str) -> dict[str, Any]:
    return runpy.run_path(str(FOLDER / f"{name}.py"))


class TestResidual(ModelContract):
    model = example("residual")["Residual"]()


class TestBlobs(DatasetContract):
    dataset = example("blobs")["Blobs"]()


class TestRecord(ObserverContract):
    observer = SimpleNamespace(**example("record"))


class TestPendulum(ArenaContract):
    dataset = example("pendulum")["Pendulum"](steps=10)


class TestSlope(ArenaContract):
    known = example("slope")  # which registers it
    dataset = Gymnasium(id="Slope-v0", vary={"tilt": (-1.0, 1.0)})


@pytest.mark.parametrize("name", ["pendulum", "slope"])
def test_a_data_set_of_worlds_is_shown_and_short(name: str) -> None:
    page = (ROOT / "docs" / "control.md").read_text()
    assert f"{{literalinclude}} examples/plugins/{name}.py" in page
    assert len((FOLDER / f"{name}.py").read_text().splitlines()) <= 60


@pytest.mark.parametrize("name", ["residual", "blobs", "record"])
def test_an_example_is_shown_and_short(name: str) -> None:
    assert f"{{literalinclude}} examples/plugins/{name}.py" in PAGE
    assert len((FOLDER / f"{name}.py").read_text().splitlines()) <= 52


def test_they_train_together_and_the_observer_is_told_what_the_store_has(
    tmp_path,
) -> None:
    paths = [x for p in sorted(FOLDER.glob("*.py")) for x in ("--plugin-path", str(p))]
    options = ("--plugin", "maml", "--dataset", "blobs", "--model", "residual")
    short = (*TINY[6:], "--iterations", "20", "--validate-every", "10")
    told = metapipe_json(
        *paths, "train", *short, *options, "-s", "model.width=16", cwd=tmp_path
    )
    assert told["status"] == "completed"
    found = defaultdict(dict)
    (path,) = tmp_path.rglob("figures.csv")
    with path.open(newline="") as file:
        for step, name, value in csv.reader(file):
            found[int(step)][name] = float(value)
    with TaskStore.open(default_url(tmp_path)) as store:
        kept = list(store.metrics(1))
    assert kept
    for row in kept:
        assert found[row.step][row.name] == pytest.approx(row.value)
    steps = [step for step in found if step >= 0]
    names = {name for step in steps for name in found[step]}
    table = PAGE.split("## An observer")[1].split("\n## ")[0]
    assert names == set(re.findall(r"^\| `(\w+)` \|", table, re.M))


def test_an_error_of_an_example_is_one_line(tmp_path) -> None:
    line = error_line(
        *("--plugin-path", str(FOLDER / "residual.py"), "train", *TINY[6:]),
        *("--dataset", "digits", "--plugin", "protonet"),
        *("--model", "residual", "-s", "model.groups=5"),
        cwd=tmp_path,
        code=2,
    )
    assert "5 groups do not divide width=64" in line
