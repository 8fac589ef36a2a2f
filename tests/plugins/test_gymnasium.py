"""Worlds of gymnasium's: their contract, and what is said of those that do not fit."""

from importlib.util import find_spec

import pytest

from metapipe import MetapipeError, Task
from metapipe.data.acting import play
from metapipe.errors import TrainingError
from metapipe.testing import ArenaContract
from metapipe_plugins.datasets.gymnasium import (
    Gymnasium,
    HalfCheetahDirection,
    HalfCheetahVelocity,
)

pytest.importorskip("gymnasium", reason="pip install 'metapipe[gymnasium]'")

needs_physics = pytest.mark.skipif(
    not (find_spec("mujoco") and find_spec("imageio")),
    reason="pip install 'metapipe[mujoco]'",
)


class TestPendulum(ArenaContract):
    dataset = Gymnasium(id="Pendulum-v1", vary={"g": (5.0, 15.0)}, steps=10)


class TestCartPole(ArenaContract):
    dataset = Gymnasium(id="CartPole-v1", steps=30)
    few_tasks = True  # nothing varies


class TestFrozenLake(ArenaContract):
    dataset = Gymnasium(id="FrozenLake-v1", settings={"is_slippery": True}, steps=10)
    few_tasks = True  # nothing varies


@needs_physics
class TestHalfCheetahDirection(ArenaContract):
    dataset = HalfCheetahDirection(steps=5)
    few_tasks = True  # there are two directions


@needs_physics
class TestHalfCheetahVelocity(ArenaContract):
    dataset = HalfCheetahVelocity(steps=5)


@needs_physics
def test_a_cheetah_is_paid_for_its_direction() -> None:
    found = {}
    for index in range(8):
        task = Task("x", "train", 0, index, 1, 1, 1)
        arena = HalfCheetahDirection(steps=5).open("train")
        worlds = arena.worlds([task], 1)
        worlds.reset(seed=[3])
        _, (reward,), _, _, infos = worlds.step(arena.spaces[1].sample()[None] * 0 + 1)
        (aim,) = worlds.get_attr("aim")
        cost = infos["reward_ctrl"][0]
        paid = aim["direction"] * infos["x_velocity"][0]
        assert reward == pytest.approx(paid + cost)
        found[aim["direction"]] = float(reward - cost)
    assert found[1.0] == pytest.approx(-found[-1.0])


def test_actions_are_scaled_to_a_worlds_own_bounds() -> None:
    arena = Gymnasium(id="Pendulum-v1", steps=3).open("train")
    assert arena.facts.outputs == 1
    worlds = arena.worlds([Task("x", "train", 0, 0, 1, 1, 1)], 2)
    seen = []
    for action in (1.0, 7.0):
        worlds.reset(seed=[1, 1])
        seen.append(worlds.step(arena.spaces[1].sample()[None] * [[0], [0]] + action))
    assert seen[0][0].tolist() == seen[1][0].tolist()
    assert worlds.envs[0].unwrapped.last_u == 2.0


REFUSED = {
    "": "dataset.id is not given",
    "MyWorld-v0": "A world of yours: --plugin-path FILE, which registers it",
    "nowhere:MyWorld-v0": "there is no module nowhere: .* by --plugin-path nowhere.py",
    "gymnasium:CartPol-v1": r"no such world; did you mean 'CartPole-v1'\?",
    "Pendlum-v1": r"gymnasium has no such world; did you mean 'Pendulum-v1'\?",
    "Pendulum-v9": r"gymnasium has no such world; did you mean 'Pendulum-v1'\?",
}


@pytest.mark.parametrize("id", REFUSED)
def test_a_world_that_is_not_there_is_named(id) -> None:
    with pytest.raises(MetapipeError, match=REFUSED[id]) as caught:
        Gymnasium(id=id).open("train")
    assert caught.value.exit_code == 2


def test_an_interval_goes_upwards() -> None:
    with pytest.raises(ValueError, match=r"\(15, 5\): the first is the greater"):
        Gymnasium(id="Pendulum-v1", vary={"g": (15.0, 5.0)})
    with pytest.raises(ValueError, match=r"\(2, 0\): the first is the greater"):
        HalfCheetahVelocity(velocity=(2.0, 0.0))
    with pytest.raises(ValueError, match="finite"):
        Gymnasium(id="Pendulum-v1", vary={"g": (5.0, float("inf"))})


@pytest.fixture
def registered():
    """Worlds that no policy fits."""
    import gymnasium
    import numpy as np
    from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, Sequence, Tuple

    class Odd(gymnasium.Env):
        def __init__(self, what="", size=2.0) -> None:
            whole, few = Box(-np.inf, np.inf, (2,)), Discrete(2)
            narrow = np.array([0, 1], np.float32)
            spaces = {
                "sequence": (Sequence(Box(0, 1, (1,))), few),
                "none": (None, few),
                "empty": (Box(0, 1, (0,)), few),
                "unbounded": (whole, whole),
                "binary": (whole, MultiBinary(2)),
                "tuple": (whole, Tuple((few, few))),
                "whole": (whole, Box(-3, 3, (2,), np.int64)),
                "fixed": (whole, Box(narrow, np.ones(2, np.float32))),
                "differing": (Box(0, 1, (int(size),)), few),
                "humped": (Box(0, 1, (2 if 2 < size < 3 else 1,)), few),
                "number": (Box(0, 1, ()), few),
                "doubles": (Dict(a=whole, b=few), Box(-3, 3, (2,), np.float64)),
            }
            self.observation_space, self.action_space = spaces[what]

    gymnasium.register("Odd-v0", Odd, disable_env_checker=True)
    yield "Odd-v0"
    del gymnasium.registry["Odd-v0"]


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("sequence", "have no fixed number of numbers"),
        ("unbounded", "have no bounds: wrap the world by gymnasium.wrappers.Rescale"),
        ("binary", "are neither one of so many, from 0 on, nor a vector"),
        ("tuple", "are neither one of so many, from 0 on, nor a vector"),
        ("whole", "int64.* are neither one of so many, .* nor a vector of real"),
        ("fixed", "leave nothing to choose"),
        ("none", "observations None have no fixed number of numbers"),
        ("empty", "have no numbers at all"),
    ],
)
def test_spaces_that_no_policy_fits_are_named(registered, what, told) -> None:
    with pytest.raises(MetapipeError, match=told) as caught:
        Gymnasium(id=registered, settings={"what": what}, steps=5).open("train")
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("what", "shape"), [("number", (1,)), ("doubles", (4,))])
def test_observations_become_an_array(registered, what, shape) -> None:
    arena = Gymnasium(id=registered, settings={"what": what}, steps=5).open("train")
    assert arena.facts.shape == shape


def test_a_world_that_cannot_be_made_is_a_line(registered) -> None:
    with pytest.raises(MetapipeError, match="cannot be made: KeyError: 'gone'") as told:
        Gymnasium(id=registered, settings={"what": "gone"}, steps=5).open("train")
    assert told.value.exit_code == 1


def test_observations_that_differ_between_tasks_are_named(registered) -> None:
    dataset = Gymnasium(
        id=registered,
        settings={"what": "differing"},
        vary={"size": (1.0, 9.0)},
        steps=5,
    )
    words = r"spaces: Box\(0.* and Box\(0.* with \{'size': .*\} and \{'size': "
    with pytest.raises(MetapipeError, match=words) as caught:
        dataset.open("train")
    assert caught.value.exit_code == 2


def test_those_that_differ_between_the_ends_end_the_run_with_where(registered) -> None:
    dataset = Gymnasium(
        id=registered, settings={"what": "humped"}, vary={"size": (1.0, 9.0)}, steps=5
    )
    arena = dataset.open("train")
    tasks = [Task("x", "train", 0, i, 1, 1, 1) for i in range(6)]
    told = r"x/train episodes 0 to 5, seed 0, at the start of query: .*tasks differ in"
    with pytest.raises(TrainingError, match=told):
        play(arena, tasks, 1, "query", lambda seen, step: (seen.actions, seen.inputs))


def test_a_setting_that_the_world_does_not_take_is_named() -> None:
    with pytest.raises(MetapipeError, match=r"does not take these settings: .*'gg'"):
        Gymnasium(id="Pendulum-v1", vary={"gg": (0.0, 1.0)}).open("train")


def test_without_the_extra_the_line_that_installs_it_is_shown(monkeypatch) -> None:
    from metapipe_plugins.parts.worlds import packages

    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    with pytest.raises(MetapipeError, match=r"pip install 'metapipe\[gymnasium\]'"):
        Gymnasium(id="Pendulum-v1").open("train")
    with pytest.raises(MetapipeError, match=r"pip install 'metapipe\[mujoco\]'"):
        HalfCheetahDirection().open("train")
