"""What a search may try, as it is written and as the settings allow."""

import math

import pytest

from metapipe import SettingError
from metapipe.experiment.registry import load
from metapipe.experiment.space import Choice, Range, places, read_space
from metapipe.experiment.sweep_settings import SweepSettings

CHOSEN = {"algorithm": "maml", "model": "conv4", "dataset": "glyphs"}


@pytest.fixture(scope="module")
def registry():
    return load()


def test_lists_ranges_and_what_a_setting_allows(registry) -> None:
    written = {
        "training.lr": {"low": 0.001, "high": 0.1, "log": True},
        "task": {"shots": {"low": 1, "high": 5, "step": 2}},
        "algorithm": {"first_order": "auto"},
        "training.optimiser": "auto",
        "training.momentum": "auto",
        "model.width": [16, 32],
        "training.factors": [[], [[10, 0.5]]],
    }
    found = read_space(written, registry, CHOSEN)
    assert found == {
        "training.lr": Range(0.001, 0.1, log=True),
        "task.shots": Range(1, 5, step=2, whole=True),
        "algorithm.first_order": Choice((False, True)),
        "training.optimiser": Choice(("adam", "adamw", "sgd")),
        "training.momentum": Range(0.0, math.nextafter(1.0, 0.0)),
        "model.width": Choice((16, 32)),
        "training.factors": Choice(([], [[10, 0.5]])),
    }


def test_a_grid_has_every_place_once(registry) -> None:
    written = {
        "task.shots": {"low": 1, "high": 6, "step": 2},
        "training.optimiser": ["adam", "sgd"],
    }
    found = places(read_space(written, registry, CHOSEN))
    assert [tuple(place.values()) for place in found] == [
        *((1, "adam"), (1, "sgd"), (3, "adam"), (3, "sgd"), (5, "adam"), (5, "sgd"))
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({}, "sweep.space is empty"),
        ({"training.lrr": [1]}, "sweep.space.training.lrr: .* did you mean 'lr'"),
        ({"trainig.lr": [1]}, "no table 'trainig'.*; did you mean 'training'"),
        ({"training.lr": []}, "is empty: list the values"),
        ({"training.lr": [0.1, -1.0]}, "training.lr: -1.0 is not possible: should be"),
        ({"training.lr": [0.1, 0.1]}, "0.1 is there twice"),
        ({"training.lr": [True]}, "True is not possible: it is no number"),
        ({"training.lr": 0.1}, "a list of values is wanted, a range"),
        ({"training.lr": "auto"}, "a number above 0 has no end: say low and high"),
        ({"task.shots": "auto"}, "a number from 0 on has no end: say low"),
        ({"run.dataset": "auto"}, "no end of what it may be: list the values"),
        ({"training.lr": {"low": 1.0}}, "training.lr: say high"),
        ({"training.lr": {"low": 1.0, "high": 0.5}}, "low = 1.0 is not below high"),
        ({"training.lr": {"low": 0.0, "high": 0.5}}, "0.0 is not possible"),
        ({"training.lr": {"low": 1, "hihg": 2}}, "no 'hihg'; did you mean 'high'"),
        (
            {"training.final_lr": {"low": 0.0, "high": 0.5, "log": True}},
            "low = 0.0; with log, low is above 0",
        ),
        ({"task.shots": {"low": 1, "high": 5, "step": 0.5}}, "step = 0.5: a whole"),
        ({"task.shots": {"low": 1, "high": 5, "log": "yes"}}, "true or false"),
        ({"training.optimiser": {"low": 1, "high": 2}}, "is no number: list"),
        ({"evaluation.seed": [1, 2]}, "it is not searched, the test is for the end"),
        ({"run.name": ["a"]}, "it is not searched, each trial is a run of its own"),
        (
            {"run.algorithm": ["maml", "anil"], "algorithm.steps": [1, 2]},
            "where several plugins are tried",
        ),
    ],
)
def test_what_cannot_be_searched_is_said_in_a_line(registry, written, said) -> None:
    with pytest.raises(SettingError, match=said) as caught:
        read_space(written, registry, CHOSEN)
    assert "\n" not in str(caught.value)


def test_a_grid_needs_steps(registry) -> None:
    space = read_space({"training.lr": {"low": 0.1, "high": 1}}, registry, CHOSEN)
    with pytest.raises(SettingError, match="a grid needs a list of values, or a range"):
        places(space)


def test_the_test_chooses_nothing() -> None:
    with pytest.raises(SettingError, match="never by the test"):
        SweepSettings().changed({"metric": "accuracy"}, "command line")


def test_what_is_tried_is_added_to_the_files() -> None:
    found = SweepSettings(space={"a": 1, "b": 2}, trials=5).changed(
        {"space": {"b": 3}, "trials": 7}, "command line"
    )
    assert (found.space, found.trials) == ({"a": 1, "b": 3}, 7)
