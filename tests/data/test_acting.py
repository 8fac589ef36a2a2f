"""Trajectories: what is kept of worlds, and what is said when they fail."""

import numpy as np
import pytest
import torch
from scripted_worlds import Scripted

from metapipe import Arena, SourceFacts, Task
from metapipe.data import normal, play
from metapipe.data.acting import known_returns
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
    "finite: mend the world",
    "raise": r"episodes 4 to 5, seed 7, at step 3 of round 1: the world failed: "
    "ZeroDivisionError: no ground; mend the world",
    "exit": r"at step 3 of round 1: the world failed: SystemExit: 3;",
    "shape": r"at the start of round 1: observations are \(4, 5\), and \(4, 2\) is",
    "later shape": r"at step 3 of round 1: observations are \(4, 1\), and \(4, 2\) is",
    "reward column": r"at step 3 of round 1: rewards are \(4, 1\), and \(4,\) is",
    "one reward": r"at step 3 of round 1: rewards are \(\), and \(4,\) is",
    "one end": r"at step 3 of round 1: ends are \(\), and \(4,\) is wanted",
    "four": r"at step 3 of round 1: the world failed: ValueError: not enough values",
    "words": r"at step 3 of round 1: the world failed: ValueError: could not convert",
    "success": r"at step 3 of round 1: successes are \(4, 1\), and \(4,\) is wanted",
    "no infos": r"at step 3 of round 1: the world failed: TypeError",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_with_the_integers_and_the_step(fault) -> None:
    arena = Scripted(6, [[9, 9], [9, 9]], fault=fault)
    with pytest.raises(TrainingError, match=FAULTS[fault]):
        play(arena, TASKS, 2, "round 1", ones)


class Inplace(Arena):
    """Worlds of torch that show the same memory at each step: the step's number."""

    horizon = 4

    @property
    def facts(self) -> SourceFacts:
        return SourceFacts("control", (1,), "i", outputs=3, actions="discrete")

    def worlds(self, tasks, copies):
        self.seen = torch.zeros(len(tasks) * copies, 1)
        return self

    def reset(self, *, seed=None, options=None):
        return self.seen, {}

    def step(self, actions):
        self.seen += 1
        over = torch.zeros(len(actions), dtype=torch.bool)
        return self.seen, self.seen[:, 0], over, over, {}


def test_a_world_may_use_its_memory_again() -> None:
    drawn = play(Inplace(), TASKS, 1, "query", ones)
    assert drawn.inputs[:, 0, :, 0].tolist() == [[0, 1, 2, 3]] * 2
    assert drawn.rewards[:, 0].tolist() == [[1, 2, 3, 4]] * 2


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ([1.0], r"episodes 4 to 5, seed 7: references: 'best' is \[1.0\]"),
        ([1.0, float("nan")], "'best' is .*nan.*: a finite number for each of 2 tasks"),
        (["much", 1], "references failed: ValueError: could not convert"),
    ],
)
def test_what_is_known_of_worlds_is_a_number_a_task(known, told) -> None:
    class Known(Scripted):
        def references(self, tasks):
            return {"best": known}

    with pytest.raises(TrainingError, match=told):
        known_returns(Known(6, LENGTHS), TASKS)
    assert known_returns(Scripted(6, LENGTHS), TASKS) == {}


def test_what_is_not_finite_after_the_end_is_nobodys_business() -> None:
    drawn = play(Scripted(6, [[9, 9], [9, 2]], fault="nan"), TASKS, 2, "query", ones)
    assert torch.isfinite(drawn.rewards).all()


def test_normal_numbers_are_normal_and_depend_on_their_position_only() -> None:
    from scipy import stats

    numbers = normal(np.arange(50, dtype=np.uint64), "x", 4000)
    assert stats.kstest(numbers.ravel(), "norm").pvalue > 0.01
    fewer = normal(np.arange(7, 9, dtype=np.uint64), "x", 10)
    assert np.array_equal(numbers[7:9, :10], fewer)
