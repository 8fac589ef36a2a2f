"""The worlds that need nothing: their contract, and figures known otherwise."""

import numpy as np
import pytest
import torch

from metapipe import Task
from metapipe.data import mean_returns, play, random_returns
from metapipe.testing import ArenaContract
from metapipe_plugins.datasets.bandit import Bandit, optimum
from metapipe_plugins.datasets.navigation2d import Navigation2D
from metapipe_plugins.datasets.tabular_mdp import TabularMDP
from metapipe_plugins.parts.worlds.gittins import indices


class TestNavigation2D(ArenaContract):
    dataset = Navigation2D(steps=12)


class TestNavigation2DWithItsGoal(ArenaContract):
    dataset = Navigation2D(steps=12, goal_visible=True)


class TestBandit(ArenaContract):
    dataset = Bandit(pulls=40)


class TestGaussianBandit(ArenaContract):
    dataset = Bandit(rewards="gaussian")


class TestTabularMDP(ArenaContract):
    dataset = TabularMDP(episodes=3)


def tasks(count: int, queries: int = 1) -> list[Task]:
    return [Task("x", "test", 5, index, 1, 1, queries) for index in range(count)]


def near(values, wanted: float) -> bool:
    """Within four standard errors."""
    values = np.asarray(values)
    return abs(values.mean() - wanted) < 4 * values.std() / np.sqrt(len(values))


@pytest.mark.parametrize(
    ("arms", "pulls", "value"),
    [(2, 2, 13 / 12), (5, 5, 3.052083), (5, 10, 6.659988), (10, 10, 6.713951)],
)
def test_the_best_that_can_be_expected_of_a_bandit(arms, pulls, value) -> None:
    assert optimum(arms, pulls) == pytest.approx(value, abs=5e-7)


def test_more_arms_than_pulls_are_none() -> None:
    assert optimum(50, 6) == optimum(6, 6)


def test_a_bandit_pays_what_its_arms_are_worth() -> None:
    for rewards in ("bernoulli", "gaussian"):
        arena = Bandit(arms=3, pulls=400, rewards=rewards).open("test")
        drawn = tasks(20)
        best = torch.from_numpy(arena.means(drawn)).argmax(-1)

        def act(seen, step, best=best):
            return best, torch.zeros(20, 1)

        played = play(arena, drawn, 1, "query", act).rewards[:, 0]
        wanted = torch.tensor(arena.references(drawn)["oracle"])
        assert near((played.sum(-1) - wanted).numpy(), 0.0)
        if rewards == "bernoulli":
            assert set(played.unique().tolist()) == {0, 1}
        else:
            assert (played - wanted[:, None] / 400).std() == pytest.approx(1, abs=0.03)


def beliefs(rule):
    """A way to play that knows how often each arm was right and wrong."""
    right, wrong = 0, 0

    def act(seen, step):
        nonlocal right, wrong
        last = torch.nn.functional.one_hot(seen.actions, 5) * (step > 0)
        paid = last * seen.rewards[:, None]
        right, wrong = right + paid, wrong + last - paid
        actions = torch.from_numpy(rule(right.numpy() + 1, wrong.numpy() + 1))
        return actions.argmax(-1), torch.zeros(len(actions), 1)

    return act


@pytest.mark.parametrize(
    ("pulls", "gittins", "thompson", "greedy"),
    [(10, 6.66, 5.84, 6.63), (100, 78.49, 75.06, 75.65)],
)
def test_known_ways_to_play_bring_what_is_known(
    pulls, gittins, thompson, greedy
) -> None:
    """Of five arms, in 2,000 bandits, against another program's figures of 20,000; Duan
    et al. have 6.6 and 78.3 for Gittins' index."""
    arena, drawn = Bandit(pulls=pulls).open("test"), tasks(2000)
    chance = np.random.default_rng(0)
    rules = {thompson: chance.beta, greedy: lambda a, b: a / (a + b)}
    for wanted, rule in rules.items():
        played = play(arena, drawn, 1, "query", beliefs(rule))
        assert near(mean_returns(played), wanted)
    assert near(arena.references(drawn)["gittins"], gittins)


def test_the_index_of_an_arm() -> None:
    """Never pulled, with one pull left: its mean. With two, l where a pull and then the
    better of l and what it came to is worth 2 l: 1/2 (1 + 2/3) + 1/2 l = 2 l."""
    table = indices(2)
    assert table[1, 0, 0] == pytest.approx(1 / 2, abs=1e-9)
    assert table[2, 0, 0] == pytest.approx(5 / 9, abs=1e-9)
    assert table[1, 1, 0] == pytest.approx(2 / 3, abs=1e-9)
    found = np.array([indices(40)[left, 0, 0] for left in range(1, 41)])
    assert (np.diff(found) > 0).all()  # the more there is to gain by knowing


def test_random_actions_bring_what_their_mean_says() -> None:
    for dataset in (Bandit(), TabularMDP(episodes=2)):
        arena, drawn = dataset.open("test"), tasks(400)
        exact = np.array(arena.references(drawn)["random"])
        assert near(np.array(random_returns(arena, drawn, 1)) - exact, 0.0)


def test_the_best_policy_of_a_process_is_that_of_backward_induction() -> None:
    arena = TabularMDP(states=4, actions=3, steps=5, episodes=2).open("test")
    drawn = tasks(300)
    rewards, moves = arena.tables(drawn)
    assert moves.sum(-1) == pytest.approx(1)
    assert near(rewards.ravel(), 1.0)
    plans, value = [], np.zeros((300, 4))
    for _ in range(5):
        of_actions = rewards + (moves * value[:, None, None, :]).sum(-1)
        plans.insert(0, of_actions.argmax(-1))
        value = of_actions.max(-1)

    def act(seen, step):
        state = seen.inputs.argmax(-1)
        plan = torch.from_numpy(plans[step % 5])
        return plan[torch.arange(300), state], torch.zeros(300, 1)

    played = mean_returns(play(arena, drawn, 1, "query", act))
    wanted = np.array(arena.references(drawn)["oracle"])
    assert wanted == pytest.approx(2 * value[:, 0])
    assert near(np.array(played) - wanted, 0.0)


def test_published_processes_have_the_returns_they_are_known_for() -> None:
    """Of 20,000 processes: 21.839 ± 0.031 an episode at best, 10.009 ± 0.020 at
    random."""
    found = TabularMDP(episodes=1).open("test").references(tasks(1000))
    assert near(found["oracle"], 21.839)
    assert near(found["random"], 10.009)


def test_the_straight_way_is_the_best_in_the_plane() -> None:
    arena, drawn = Navigation2D(goal_visible=True).open("test"), tasks(50)

    def act(seen, step):
        here, goal = seen.inputs.chunk(2, -1)
        return 10 * (goal - here), torch.zeros(50, 1)

    played = play(arena, drawn, 1, "query", act)
    best = arena.references(drawn)["oracle"]
    assert mean_returns(played) == pytest.approx(best, abs=1e-5)
    assert played.real.sum(-1).max() <= 6
    assert (played.inputs[..., 2:].abs() <= 0.5).all()


def test_who_stands_still_is_paid_the_distance() -> None:
    arena, drawn = Navigation2D().open("test"), tasks(5000)

    def act(seen, step):
        return torch.zeros(5000, 2), torch.zeros(5000, 1)

    assert near(mean_returns(play(arena, drawn, 1, "query", act)), -38.26)


def test_actions_are_clipped_and_scaled() -> None:
    arena, drawn = Navigation2D(steps=2).open("train"), tasks(1)

    def act(seen, step):
        return torch.tensor([[5.0, -0.5]]), torch.zeros(1, 1)

    second = play(arena, drawn, 1, "query", act).inputs[0, 0, 1]
    assert second.tolist() == pytest.approx([0.1, -0.05])
