"""Meta-World's arms: their contract, its own splits, and wrong names."""

import pytest

pytest.importorskip("metaworld", reason="pip install 'metapipe[metaworld]'")

from metapipe import SettingError, Task
from metapipe.data import action_noise, play
from metapipe.testing import ArenaContract
from metapipe_plugins.datasets.metaworld import MetaWorld
from metapipe_plugins.parts.worlds.robot_arms import suite


class TestReach(ArenaContract):
    dataset = MetaWorld(steps=5)
    few_tasks = True  # of 50 goals, drawn with replacement


def test_splits_are_meta_worlds_and_share_no_goal() -> None:
    tasks = [Task("x", "train", 0, index, 1, 1, 1) for index in range(400)]
    goals = {}
    for split in ("train", "val", "test"):
        arena = MetaWorld(steps=5).open(split)
        first = arena.worlds(tasks[:1], 1).envs[0].get_wrapper_attr("tasks")
        numbers = {aim["number"] for aim in arena.aims(tasks)}
        assert numbers == set(range(len(first)))
        goals[split] = {task.data for task in first}
    assert [*map(len, goals.values())] == [40, 10, 50]
    assert len(set.union(*goals.values())) == 100
    published = suite("ml1", "reach-v3", 0)
    assert goals["test"] == {task.data for task in published.test_tasks}


def test_a_goal_decides_what_is_paid_and_is_not_seen() -> None:
    arena = MetaWorld(steps=4).open("train")
    tasks = [Task("x", "train", 0, index, 1, 1, 1) for index in range(2)]
    noise = action_noise(arena, tasks[:1], 1, "x")

    def act(seen, step):
        actions = noise[step].expand(2, -1)
        return actions, actions[:, :1]

    played = play(arena, tasks, 1, "query", act)
    assert not played.inputs[..., -3:].any()
    assert (played.rewards[0] != played.rewards[1]).any()
    assert (played.success == 0).all()


def test_a_family_that_there_is_none_of() -> None:
    with pytest.raises(SettingError, match="did you mean 'reach-v3'"):
        MetaWorld(family="reach-v2").open("train")
