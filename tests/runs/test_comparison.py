"""Curves of runs: what is drawn is what the store says, on training's own clock."""

from pathlib import Path

import pytest
from commands import TINY, error_line, metapipe
from PIL import Image

from metapipe.errors import UnsupportedError
from metapipe.runs.curves import curves, training_minutes
from metapipe.store import TaskStore, default_url
from metapipe.store.records import MetricRow

QUICK = (*TINY, "--plugin", "protonet", "--iterations", "6", "--log-every", "2")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    for name, every in (("one", "3"), ("two", "3"), ("blind", "0")):
        options = (*QUICK, "--validate-every", every, "--name", name)
        metapipe("train", *options, cwd=folder)
    return folder


def test_points_are_the_stored_evaluations(project: Path) -> None:
    with TaskStore.open(default_url(project)) as store:
        row = store.run("one")
        (curve,) = curves(store, [row])
        stored = store.evaluations(row.id)
    validations = [e for e in stored if e.purpose == "validation"]
    assert (
        [p.step for p in curve.validations] == [e.step for e in validations] == [3, 6]
    )
    assert [p.value for p in curve.validations] == [e.accuracy for e in validations]
    assert curve.figure == "accuracy"
    assert curve.test is not None
    assert 0 < curve.validations[0].minutes < curve.validations[1].minutes
    assert row.train_seconds is not None
    assert curve.test.minutes <= row.train_seconds / 60 * 1.5


def test_the_clock_adds_up_the_speeds() -> None:
    speeds = [MetricRow(1, 10, "s", 20.0), MetricRow(1, 30, "s", 10.0)]
    steps, minutes = training_minutes(speeds, tasks=4)
    assert steps == [0, 10, 30]
    assert minutes == pytest.approx([0, 40 / 20 / 60, (40 / 20 + 80 / 10) / 60])


@pytest.mark.parametrize("axis", ["minutes", "iterations"])
def test_a_picture_is_drawn(project: Path, axis: str) -> None:
    path = project / f"{axis}.png"
    metapipe(
        "runs", "compare", "one", "two", "--png", str(path), "--x", axis, cwd=project
    )
    with Image.open(path) as image:
        assert image.size == (800, 500)
        assert len(image.convert("RGB").getcolors(10**6)) > 50


def test_what_cannot_be_drawn_says_why(project: Path) -> None:
    wrong = ("runs", "compare", "one", "blind", "--png", "x.png")
    assert "blind was never validated" in error_line(*wrong, cwd=project, code=2)
    nowhere = ("runs", "compare", "one", "--png", "/dev/null/x.png")
    assert "cannot write" in error_line(*nowhere, cwd=project, code=1)
    with TaskStore.open(default_url(project)) as store, pytest.raises(UnsupportedError):
        curves(store, [store.run("blind")])
