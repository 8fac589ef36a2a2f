"""A learner on toy episodes, for tests of the loop and of checkpoints."""

from metapipe import Meta, Problem
from metapipe.testing import TinyModel, blobs
from metapipe.training.learner import Learner, build_learner
from metapipe_plugins.algorithms.maml import MAML


def learner() -> tuple[Learner, Meta]:
    problem = Problem("classification", (6,), 3)
    built, _ = build_learner(MAML(inner_lr=0.1), TinyModel(), problem, "cpu", seed=0)
    built.network.double()
    return built, built.algorithm.init(built.network)


def draw(iteration: int):
    return [blobs(seed=iteration)]
