"""Trajectories: what is kept of worlds, and what is said when they fail."""

import numpy as np
import pytest
import torch
from scripted_worlds import Scripted

from metapipe import Task
from metapipe.data import normal, play
from metapipe.errors import TrainingError

TASKS = [Task("scripted", "train", 7, index, 1, 2, 2) for index in (4, 5)]
LENGTHS = [[2, 9], [4, 3]]


def ones(seen, step):
    """Always the action 1, or 2 from the third step on."""
    return torch.full((len(seen.inputs),), 1 + (step >= 2)), seen.inputs.clone()


def test_trajectories_end_where_their_worlds_do() -> None:
    drawn = play(Scripted(6, LENGTHS), TASKS, 2, "query", ones)
    assert drawn.rewards.shape == drawn.real.shape == (2, 2, 6)
    assert drawn.real.sum(-1).tolist() == [[2, 6], [4, 3]]
    assert torch.equal(drawn.rewards, drawn.real.float())
    assert drawn.ends.sum(-1).tolist() == [[1, 0], [1, 1]]
    last = drawn.real.sum(-1, keepdim=True) - 1
    assert drawn.ends.gather(-1, last).squeeze(-1).tolist() == [[1, 0], [1, 1]]
    assert drawn.inputs[1, 0, :4, 0].tolist() == [0, 1, 2, 3]
    assert torch.equal(drawn.outputs, drawn.inputs)
    assert drawn.targets[1, 0, :4].tolist() == [1, 1, 2, 2]
    assert drawn.success.tolist() == [[0, 0], [1, 1]]


def test_memory_is_told_what_was_done_and_inner_episodes_begin_anew() -> None:
    told = []

    def act(seen, step):
        told.append(seen)
        return ones(seen, step)

    drawn = play(Scripted(9, [[2, 3]], episodes=3), TASKS[:1], 2, "query", act)
    assert drawn.real.sum(-1).tolist() == [[6, 9]]
    assert drawn.ends.sum(-1).tolist() == [[3, 3]]
    assert drawn.inputs[0, 0, :6].tolist() == [
        [0, 0],
        [1, 0],
        [0, 1],
        [1, 1],
        [0, 2],
        [1, 2],
    ]
    first, second, third = told[:3]
    assert not first.begun.any()
    assert second.begun.all()
    assert second.actions.tolist() == [1, 1]
    assert second.rewards.tolist() == [1, 1]
    assert third.ended.tolist() == [True, False]


def test_rounds_and_tasks_have_seeds_of_their_own() -> None:
    arena, seeds = Scripted(2, LENGTHS), []
    for name in ("round 0", "round 1", "round 0"):
        play(arena, TASKS, 2, name, ones)
        seeds.append(arena.seeds)
    assert seeds[0] == seeds[2]
    assert len({*seeds[0], *seeds[1]}) == 8


FAULTS = {
    "nan": r"scripted/train episode 5, seed 7, at step 3 of round 1: the reward is not "
    "finite",
    "raise": r"episodes 4 to 5, seed 7, at step 3 of round 1: the world failed: "
    "ZeroDivisionError: no ground",
    "shape": r"at the start of round 1: observations are \(4, 5\), and \(4, 2\) is",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_the_integers_and_the_step(fault) -> None:
    arena = Scripted(6, [[9, 9], [9, 9]], fault=fault)
    with pytest.raises(TrainingError, match=FAULTS[fault]):
        play(arena, TASKS, 2, "round 1", ones)


def test_what_is_not_finite_after_the_end_is_nobodys_business() -> None:
    drawn = play(Scripted(6, [[9, 9], [9, 2]], fault="nan"), TASKS, 2, "query", ones)
    assert torch.isfinite(drawn.rewards).all()


def test_normal_numbers_are_normal_and_depend_on_their_position_only() -> None:
    from scipy import stats

    numbers = normal(np.arange(50, dtype=np.uint64), "x", 4000)
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 0.01
    fewer = normal(np.arange(7, 9, dtype=np.uint64), "x", 10)
    assert np.array_equal(numbers[7:9, :10], fewer)
