"""Episodes of worlds: rounds of the policies that the rounds before them gave."""

from dataclasses import replace

import pytest
import torch
from scripted_worlds import Scripted
from torch import nn

from metapipe import Algorithm, Recurrent, Step, Task
from metapipe.errors import PluginError
from metapipe.numerics import LocalTaskMap, return_figures
from metapipe.testing import TinyModel
from metapipe.training.evaluation import evaluate
from metapipe.training.learner import build_learner, problem_of
from metapipe.training.rollout import collect
from metapipe_plugins.datasets.navigation2d import Navigation2D

TASKS = [Task("plane", "train", 3, index, 1, 4, 3) for index in range(3)]


class Base(nn.Module):
    """Logits that do not depend on what is seen."""

    def __init__(self, actions: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(actions))


class Counting(Algorithm):
    """Each round adds its tasks' mean reward and 1 to what the policy says."""

    statistics: str = "batch"
    kinds = frozenset({"control"})
    steps: int = 3

    def build(self, model, problem) -> nn.Module:
        return Base(problem.policy_outputs)

    def rounds(self, *, training) -> int:
        return 1 if training else self.steps

    def unadapted(self, network, meta):
        return meta.params

    def adapt(self, network, meta, support, ways):
        worth = support.rewards.mean((1, 2)).sum() + len(support.rewards)
        return {"logits": meta.params["logits"] + worth}

    def predict(self, network, meta, adapted, inputs):
        return adapted["logits"].expand(len(inputs), -1)

    def meta_gradient(self, network, meta, episodes, over) -> Step:
        raise NotImplementedError


class Remembering(Counting, Recurrent):
    """It says how many steps it has seen, and how many inner episodes."""

    steps: int = 0

    def begin(self, network, meta, adapted, count):
        return {"steps": torch.zeros(count), "ends": torch.zeros(count)}

    def act(self, network, meta, adapted, memory, seen):
        memory = {
            "steps": memory["steps"] + seen.begun,
            "ends": memory["ends"] + seen.ended,
        }
        return torch.stack([memory["steps"], memory["ends"], seen.rewards], -1), memory

    def retrace(self, network, meta, adapted, drawn):
        raise NotImplementedError


def learner(algorithm, arena):
    return build_learner(algorithm, TinyModel(), problem_of(arena, 1), "cpu", 0)


def plane(steps: int = 7):
    return Navigation2D(steps=steps).open("train")


@pytest.mark.parametrize("mode", ["loop", "vmap"])
def test_each_round_is_drawn_by_what_the_rounds_before_it_taught(mode) -> None:
    arena = plane()
    built, meta = learner(Counting(), arena)
    built = replace(built, mapping=LocalTaskMap(mode))
    episodes = collect(built, meta, arena, TASKS, training=False)
    assert episodes.support.rewards.shape == (3, 3, 4, 7)
    assert episodes.query.inputs.shape == (3, 3, 7, 2)
    paid = episodes.support.rewards.mean((2, 3))
    real = episodes.support.real
    for number in range(3):
        said = episodes.support.outputs[:, number][real[:, number]][..., 0]
        wanted = (number + paid[:, :number].sum(1))[:, None, None]
        wanted = wanted.expand(3, 4, 7)[real[:, number]]
        torch.testing.assert_close(said, wanted)
    assert collect(built, meta, arena, TASKS, training=True).support[0].shape[1] == 1


def test_everything_follows_from_integers_and_parameters() -> None:
    arena = plane()
    built, meta = learner(Counting(), arena)
    first = collect(built, meta, arena, TASKS, training=False)
    torch.manual_seed(99)
    collect(built, meta, arena, [replace(t, index=9) for t in TASKS], training=True)
    again = collect(built, meta, arena, TASKS, training=False)
    other = replace(meta, params={"logits": torch.ones(4)})
    moved = collect(built, other, arena, TASKS, training=False)
    for one, same in zip(first.query, again.query, strict=True):
        assert torch.equal(one.nan_to_num(), same.nan_to_num())
    assert not torch.equal(first.query.targets, moved.query.targets)


def test_without_shots_there_is_nothing_to_learn_from() -> None:
    arena = plane()
    built, meta = learner(Counting(), arena)
    none = [replace(task, shots=0) for task in TASKS]
    episodes = collect(built, meta, arena, none, training=False)
    assert episodes.support.rewards.shape[:2] == (3, 0)
    assert set(return_figures(episodes)) == {"loss"}
    assert (episodes.query.outputs[episodes.query.real] == 0).all()


def test_a_policy_that_remembers_is_told_of_steps_and_inner_episodes() -> None:
    arena = Scripted(9, [[2, 3], [3, 3]], episodes=3)
    built, meta = learner(Remembering(), arena)
    tasks = [replace(task, queries=2, shots=0) for task in TASKS[:2]]
    query = collect(built, meta, arena, tasks, training=False).query
    assert query.outputs[1, 0, :, 0].tolist() == [*range(9)]
    assert query.outputs[0, 0, :6, 1].tolist() == [0, 0, 1, 1, 2, 2]
    assert query.outputs[0, 0, :3, 2].tolist() == [0, 1, 1]


def test_memory_is_each_trials_own_where_tasks_have_policies_of_their_own() -> None:
    arena = Scripted(9, [[2, 3], [3, 3]], episodes=3)
    built, meta = learner(Remembering(steps=1), arena)
    tasks = [replace(task, queries=2, shots=2) for task in TASKS[:2]]
    episodes = collect(built, meta, arena, tasks, training=False)
    assert torch.equal(episodes.query.outputs, episodes.support.outputs[:, 0])
    assert episodes.query.outputs[1, 0, :, 0].tolist() == [*range(9)]


def test_a_method_without_a_first_policy_is_named() -> None:
    class Homeless(Counting):
        def unadapted(self, network, meta):
            return None

    arena = plane()
    with pytest.raises(PluginError, match=r"Homeless\.unadapted returns None"):
        collect(*learner(Homeless(), arena), arena, TASKS, training=False)


def test_an_evaluation_tells_returns_after_each_step_and_those_of_others() -> None:
    arena = plane(30)
    built, meta = learner(Counting(), arena)
    records = list(evaluate(built, meta, arena, TASKS, step=5))
    for record in records:
        assert len(record.curves["return_by_step"]) == 4
        assert record.curves["return_by_step"][-1] == pytest.approx(-record.loss)
        assert record.curves["return_by_step"][0] == pytest.approx(-record.loss_before)
        figures = record.figures
        assert figures["random_return"] < figures["oracle_return"] < 0
        assert record.accuracy is None


def test_success_is_accuracy_where_a_world_tells_it() -> None:
    arena = Scripted(9, [[2, 3, 4], [3, 3, 3], [2, 2, 9]])
    built, meta = learner(Remembering(), arena)
    tasks = [replace(task, queries=3, shots=0) for task in TASKS]
    (record, *_) = evaluate(built, meta, arena, tasks, step=0)
    query = collect(built, meta, arena, tasks, training=False).query
    assert record.accuracy == pytest.approx(float(query.success[0].mean()))
