"""Policies that remember: RL^2 and SNAIL-RL."""

from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from toy_worlds import CHOICE, GAUSSIAN, drawn

from metapipe import Episodes, Meta, Problem, Seen, Task, Trajectories
from metapipe.numerics import LocalTaskMap
from metapipe.testing import TinyModel
from metapipe.training.learner import Learner, build_learner, problem_of
from metapipe.training.loop import initial_state, iterations
from metapipe.training.rollout import collect
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.rl2 import RL2
from metapipe_plugins.algorithms.snail_rl import SNAILRL
from metapipe_plugins.datasets.bandit import Bandit
from metapipe_plugins.models.identity import Identity

METHODS = [
    RL2(width=4),
    RL2(width=4, hidden=3, answered=True),
    SNAILRL(embedding=5, filters=3, span=4),
]


def built(method, problem: Problem):
    """In double precision, and not silent as at first."""
    torch.manual_seed(0)
    network = method.build(TinyModel(width=3), problem).double()
    meta = method.init(network)
    moved = {k: p + 0.3 * torch.randn_like(p) for k, p in meta.params.items()}
    return network, Meta(moved, meta.state)


def trial(problem: Problem, tasks: int = 3) -> Trajectories:
    """(tasks, n, H), with inner episodes that end."""
    like = torch.nn.Linear(2, problem.policy_outputs).double()
    found = drawn(like, (tasks,), seed=1, problem=problem)
    ends = torch.rand(found.rewards.shape) < 0.3
    return found._replace(ends=ends & found.real)


def seen_at(found: Trajectories, step: int) -> Seen:
    """What a world tells before an action, (n, ...)."""
    begun = torch.full(found.real[:, 0].shape, step > 0)
    if step == 0:
        nothing = [torch.zeros_like(t[:, 0]) for t in (found.targets, found.rewards)]
        return Seen(found.inputs[:, 0], *nothing, begun, begun)
    before = (found.targets, found.rewards, found.ends)
    return Seen(found.inputs[:, step], *(t[:, step - 1] for t in before), begun)


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("problem", [GAUSSIAN, CHOICE], ids=lambda p: p.actions)
def test_acting_step_by_step_is_retracing_it(method, problem) -> None:
    network, meta = built(method, problem)
    found = Trajectories(*(t[0] for t in trial(problem)))
    whole = method.retrace(network, meta, {}, found)
    assert whole.shape == (4, 5, problem.policy_outputs + 1)
    memory = method.begin(network, meta, {}, 4)
    for step in range(5):
        outputs, memory = method.act(network, meta, {}, memory, seen_at(found, step))
        torch.testing.assert_close(outputs, whole[:, step], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_memory_keeps_to_its_trial_and_goes_on_in_it(method) -> None:
    network, meta = built(method, CHOICE)
    found = Trajectories(*(t[0] for t in trial(CHOICE)))
    whole = method.retrace(network, meta, {}, found)
    rewards = found.rewards.clone()
    rewards[1, 1] += 1
    other = method.retrace(network, meta, {}, found._replace(rewards=rewards))
    same = torch.ones(4, 5, dtype=torch.bool)
    same[1, 2:] = False  # a reward is told at the next step of its own trial
    assert torch.equal(whole[same], other[same])
    changed = (whole - other).abs().amax(-1)
    assert (changed[1, 2:] > 1e-6).all()


@pytest.mark.parametrize("method", METHODS, ids=str)
@pytest.mark.parametrize("problem", [GAUSSIAN, CHOICE], ids=lambda p: p.actions)
def test_the_gradient_is_that_of_the_loss_that_is_told(method, problem) -> None:
    """Against central differences, where the policy is not quite that which acted."""
    network, meta = built(method, problem)
    query = trial(problem)
    flat = Trajectories(*(t.flatten(0, 1) for t in query))
    said = method.retrace(network, meta, {}, flat)
    said = (said + 0.05 * torch.randn_like(said)).unflatten(0, (3, 4))
    query = query._replace(outputs=said)
    recipes = tuple(Task("toy", "train", 0, i, 1, 0, 4) for i in range(3))
    support = Trajectories(*(t[:, None][:, :0] for t in query))

    episodes = Episodes(recipes, support, query)

    def step(move: dict, scale: float):
        params = {k: p + scale * move[k] for k, p in meta.params.items()}
        moved = Meta(params, meta.state)
        return method.meta_gradient(network, moved, episodes, LocalTaskMap())

    direction = {k: torch.randn_like(p) for k, p in meta.params.items()}
    h = 1e-6
    up, down = (step(direction, s).metrics["surrogate"][0] for s in (h, -h))
    found = step(direction, 0.0)
    slope = sum((found.gradients[k] * direction[k]).sum() for k in direction)
    assert slope.item() == pytest.approx(((up - down) / (2 * h)).item(), rel=1e-5)
    returns = (query.rewards * query.real).sum(-1).mean(-1)
    torch.testing.assert_close(found.metrics["loss"], -returns)


@pytest.mark.parametrize("answered", [False, True])
def test_it_may_be_told_what_an_action_answered(answered) -> None:
    """What was seen at the first step reaches the second by the memory of it alone:
    with the units' own path cut, only if it is told."""
    network, meta = built(RL2(width=4, answered=answered), CHOICE)
    cut = {k: torch.zeros_like(p) if "_hh_" in k else p for k, p in meta.params.items()}
    found = Trajectories(*(t[0] for t in trial(CHOICE)))
    update_gate = slice(4, 8)
    cut["memory.bias_ih_l0"][update_gate] = -1e9  # nothing of the units is kept
    moved = found._replace(inputs=found.inputs + (torch.arange(5) == 0)[:, None])
    method = RL2(width=4, answered=answered)
    one, other = (
        method.retrace(network, Meta(cut, meta.state), {}, each)
        for each in (found, moved)
    )
    changed = (one != other).any(-1).any(0).tolist()
    assert changed == [True, answered, False, False, False]


def test_units_remember_for_as_long_as_they_are_told() -> None:
    """Where nothing comes in, a unit forgets 1 / t a step, t uniform from 2 to 40;
    torch's own forget half."""
    torch.manual_seed(0)
    memory = RL2(width=2000, remembers=40).build(TinyModel(width=3), CHOICE).memory
    with torch.no_grad():
        for name, p in memory.named_parameters():
            if "weight" in name:
                p.zero_()
        held = torch.ones(1, 1, 2000)
        before, _ = memory(torch.zeros(1, 1, memory.input_size), held)
        after, _ = memory(torch.zeros(1, 1, memory.input_size), 2 * held)
    times = 1 / (1 - (after - before)[0, 0])
    assert times.min() >= 2 - 1e-3
    assert times.max() <= 40 + 1e-3
    quartiles = times.quantile(torch.tensor([0.25, 0.5, 0.75])).tolist()
    assert quartiles == pytest.approx([11.5, 21.0, 30.5], abs=1.5)


def test_a_memory_of_one_step_is_none() -> None:
    with pytest.raises(ValidationError, match="remembers"):
        RL2(remembers=1)


def test_the_weight_of_entropy_halves() -> None:
    """After as many steps as are asked for; what is told follows it."""
    method = RL2(width=4, entropy_weight=0.8, entropy_halving=3)
    network, meta = built(method, CHOICE)
    query = trial(CHOICE)
    support = Trajectories(*(t[:, None][:, :0] for t in query))
    recipes = tuple(Task("toy", "train", 0, i, 1, 0, 4) for i in range(3))
    flat = Trajectories(*(t.flatten(0, 1) for t in query))
    said = method.retrace(network, meta, {}, flat).unflatten(0, (3, 4))
    episodes = Episodes(recipes, support, query._replace(outputs=said))
    totals = []
    for _ in range(4):
        step = method.meta_gradient(network, meta, episodes, LocalTaskMap())
        totals.append(float(step.metrics["surrogate"][0]))
        meta = Meta(meta.params, step.state)
    uncertain = float(step.metrics["entropy"][0])
    assert totals[3] - totals[0] == pytest.approx(0.4 * uncertain, rel=1e-6)


class Deceived(RL2):
    """Is told the rewards of other trials."""

    def act(self, network, meta, adapted, memory, seen):
        seen = seen._replace(rewards=seen.rewards.roll(1, 0))
        return super().act(network, meta, adapted, memory, seen)


def test_what_it_learns_in_a_trial_it_learns_from_rewards() -> None:
    """Two arms whose means differ by 1.1 in the mean, six pulls: chance brings 0. Told
    the rewards of other trials, it brings no more than that."""
    arena = Bandit(arms=2, pulls=6, rewards="gaussian", spread=0.1).open("train")
    problem = problem_of(arena, 1)
    settings = TrainingSettings(iterations=40, passes=4, lr=0.01, tasks=128)
    learner, meta = build_learner(RL2(width=16), Identity(), problem, "cpu", 0)
    state = initial_state(meta, settings)

    def tasks(seed: int, count: int) -> list[Task]:
        return [Task("bandit", "train", seed, i, 1, 0, 1) for i in range(count)]

    def played(learner: Learner, seed: int, count: int = 128) -> Episodes:
        recipes = tasks(seed, count)
        return collect(learner, state.meta, arena, recipes, training=True)

    def draw(iteration: int) -> list[Episodes]:
        return [played(learner, iteration)]

    for _ in iterations(learner, state, settings, draw, seed=0):
        pass
    deceived = replace(learner, algorithm=Deceived(width=16))
    gains = [
        float(played(each, 10**6, 500).query.rewards.sum(-1).mean())
        for each in (learner, deceived)
    ]
    assert gains[0] > 1.5
    assert abs(gains[1]) < 0.6  # two standard errors of a mean over 500 bandits
