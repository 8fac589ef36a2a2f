"""Worlds to act in."""

from __future__ import annotations

from .reproduction import Reproduction, Test

LAST = "--checkpoint-every 100 --validate-every 0"


def _navigation(seed: int) -> Reproduction:
    """The authors' recipe, whose result files have the figures after each step: of the
    policy after the last iteration, chosen by no validation. The last test has a step
    size that was chosen on validation goals."""
    train = (
        f"--plugin maml-trpo --dataset navigation2d --seed {seed} --mapping vmap "
        "--checkpoint-every 10 --validate-every 0 -s algorithm.further_lr=0.25"
    )
    three = ("-s", "algorithm.test_steps=3")
    tests = (
        Test(published=-11.7, within=2.2),
        Test(("-s", "algorithm.test_steps=2")),
        Test(three, -3.2, 0.6),
        Test((*three, "-s", "algorithm.further_lr=0.15"), -3.2, 0.6),
    )
    return Reproduction(
        f"navigation2d-maml-trpo-{seed}",
        "2D navigation, return after 1, 2 and 3 steps",
        f"MAML-TRPO, seed {seed}",
        tuple(train.split()),
        tests,
    )


def _bandit(
    plugin: str, method: str, pulls: int, options: str, test: Test, seed: int
) -> Reproduction:
    """Five arms, judged in 20,000 trials of the test split."""
    pulled = "" if pulls == TEN else f"-s dataset.pulls={pulls} "
    train = f"--plugin {plugin} --dataset bandit {pulled}--seed {seed} {options}"
    return Reproduction(
        f"bandit-{plugin.removesuffix('-rl')}-{pulls}-{seed}",
        f"Bernoulli bandit, 5 arms, sum of the rewards of {pulls} pulls",
        f"{method}, seed {seed}",
        tuple(train.split()),
        (test,),
    )


TEN = 10
"""Pulls where nobody says."""

BANDITS = (
    ("rl2", "RL^2", TEN, f"-s algorithm.width=48 {LAST}", Test((), 6.7, 0.1)),
    (
        "snail-rl",
        "SNAIL",
        TEN,
        "--tasks 256 --iterations 800 --checkpoint-every 100 --validate-every 200 "
        "--validation-episodes 2000",
        Test((), 6.6, 0.1),
    ),
    (
        "rl2",
        "RL^2",
        100,
        "-s algorithm.width=96 -s algorithm.hidden=96 -s algorithm.remembers=100 "
        "-s algorithm.decay=0.95 -s algorithm.entropy_weight=0.2 "
        "-s algorithm.entropy_halving=250 --tasks 256 --iterations 1600 --lr 0.003 "
        f"{LAST}",
        Test((), 78.7, 1.2),
    ),
    (  # on a GPU, where a step of 2,048 trials takes as long as one of 256
        "snail-rl",
        "SNAIL",
        100,
        "-s algorithm.decay=0.95 -s algorithm.entropy_weight=0.2 "
        "-s algorithm.entropy_halving=35 -s training.passes=8 --tasks 2048 "
        "--iterations 220 --lr 0.003 --checkpoint-every 20 --validate-every 0",
        Test((), 79.1, 1.6),
    ),
)
"""Plugin, method, pulls, options and test."""


def _tabular(name: str, method: str, options: str, begins: str = "") -> Reproduction:
    """By the recommended settings, but for `options`."""
    train = f"--plugin rl2 --dataset tabular-mdp {options} -s evaluation.episodes=4000"
    return Reproduction(
        name,
        "Tabular MDP, sum of the rewards of 10 episodes of 10 steps",
        method,
        tuple(train.split()),
        (Test(published=156.2, within=6.2),),
        begins,
    )


WORLDS = [
    *map(_navigation, range(3)),
    *(_bandit(*recipe, seed) for recipe in BANDITS for seed in range(3)),
    _tabular(
        "tabular-mdp-rl2",
        "RL^2",
        "--iterations 6000 --validate-every 500 --validation-episodes 500",
    ),
    _tabular(
        "tabular-mdp-rl2-on",
        "RL^2, gone on with by longer steps",
        "--start-from tabular-mdp-rl2 --start-checkpoint latest --iterations 2000 "
        "--lr 0.004 -s algorithm.entropy_weight=0.03 -s algorithm.entropy_halving=400 "
        "--validate-every 0",
        "tabular-mdp-rl2",
    ),
]
