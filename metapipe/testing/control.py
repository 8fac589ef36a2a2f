"""What metapipe relies on in an algorithm for control, beside its worlds."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from ..algorithm import Algorithm, Meta, Recurrent
from ..episode import Drawn, Episodes, Metrics, Params, Task, Trajectories, each
from ..model import Model
from ..numerics.losses import at_each_step
from ..problem import Problem
from ..training.learner import Learner, build_learner
from .meta_gradient import LOOP, OTHERS, MetaGradientContract
from .saying import saying
from .strolls import COUNT, GAUSSIAN, strolls

TASKS = 3
NOBODY = "unadapted gives None: of control there is a policy that acts first"


class ControlContract(MetaGradientContract):
    """What metapipe relies on in an algorithm for control: of its meta-gradient, and of
    how it adapts and speaks. What is descended is told as `surrogate`."""

    problem: ClassVar[Problem] = GAUSSIAN
    reported: ClassVar[str] = "surrogate"

    def episodes(self, seed: int = 0) -> Episodes:
        """Toy trajectories, by the policies that the untrained learner would have."""
        learner, meta = self.learner()
        algorithm = self.algorithm
        count = algorithm.rounds(training=True)

        def played(support: Drawn | None, number: int, lead: int) -> Trajectories:
            def say(drawn: Trajectories) -> Tensor:
                return _said(algorithm, learner.network, meta, support, drawn)

            shape = (TASKS,) if lead < 2 else (TASKS, 1)
            return strolls(self.problem, shape, say, seed=100 * seed + number)

        rounds = played(None, 0, 2)
        for number in range(1, count):
            more = played(rounds, number, 1)
            both = zip(rounds, more, strict=True)
            rounds = Trajectories(*(torch.cat([a, b[:, None]], 1) for a, b in both))
        support = rounds if count else each(rounds, lambda tensor: tensor[:, :0])
        query = played(support, 99, 1)
        tasks = tuple(
            Task("strolls", "train", seed, i, 1, COUNT if count else 0, COUNT)
            for i in range(TASKS)
        )
        return Episodes(tasks, support, query)

    def learner(
        self,
        episodes: Episodes | None = None,
        model: Model | None = None,
        seed: int = 0,
        algorithm: Algorithm | None = None,
    ) -> tuple[Learner, Meta]:
        """The algorithm on a toy model, in double precision, and where it begins."""
        algorithm = algorithm or self.algorithm
        algorithm.check(self.problem, self.problem)
        built, _ = build_learner(
            algorithm, model or self.model, self.problem, "cpu", seed
        )
        built.network.double()
        return built, algorithm.init(built.network)

    def test_adapting_does_not_depend_on_the_mapping(self) -> None:
        """What is learned of the rounds, by loop, vmap, chunks and threads; there is
        nothing in it but tensors, and the queries do not reach it."""
        episodes = self.episodes()
        learner, meta = self.learner()

        def adapt(support: Drawn, query: Drawn) -> Params:
            return self.algorithm.adapt(learner.network, meta, support, 1)

        other = episodes._replace(query=each(episodes.query, lambda t: t.flip(1)))
        with torch.no_grad():
            want = LOOP(adapt, episodes)
            again = LOOP(adapt, other)
            for name, value in want.items():
                assert torch.equal(value, again[name]), f"queries reach {name}"
            for task_map in OTHERS:
                got = task_map(adapt, episodes)
                for name, value in want.items():
                    torch.testing.assert_close(
                        got[name],
                        value,
                        rtol=1e-9,
                        atol=1e-9,
                        msg=saying(f"adapt gives another '{name}' by {task_map}"),
                    )

    def test_it_says_how_to_act(self) -> None:
        """Finite outputs for each step, at least `policy_outputs` of them, before and
        after adaptation; nothing is mutated."""
        episodes = self.episodes()
        learner, meta = self.learner()
        before = [p.clone() for p in (*meta.params.values(), *episodes.query[:3])]
        first = self.algorithm.unadapted(learner.network, meta)
        assert first is not None, NOBODY
        self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        outputs = episodes.query.outputs
        needed = self.problem.policy_outputs
        assert outputs.shape[-1] >= needed, (
            f"predict gives {outputs.shape[-1]} outputs: an action needs {needed}"
        )
        assert torch.isfinite(outputs).all(), "predict gives what is no finite number"
        after = (*meta.params.values(), *episodes.query[:3])
        assert all(map(torch.equal, before, after)), (
            "meta_gradient changes its arguments: make new tensors"
        )


def _said(
    algorithm: Algorithm,
    network: nn.Module,
    meta: Meta,
    support: Drawn | None,
    drawn: Trajectories,
) -> Tensor:
    """What an algorithm says at each step of T tasks' trajectories."""
    with torch.no_grad():
        if isinstance(algorithm, Recurrent):
            lead = drawn.rewards.shape
            flat = each(drawn, lambda tensor: tensor.flatten(0, len(lead) - 2))
            return algorithm.retrace(network, meta, {}, flat).reshape(*lead, -1)
        first = algorithm.unadapted(network, meta)
        assert first is not None, NOBODY
        if support is None:
            return at_each_step(
                lambda seen: algorithm.predict(network, meta, first, seen), drawn
            )

        def of_a_task(support: Drawn, query: Drawn) -> Metrics:
            own = algorithm.adapt(network, meta, support, 1)
            return {
                "said": at_each_step(
                    lambda seen: algorithm.predict(network, meta, own, seen), query
                )
            }

        tasks = tuple(Task("", "train", 0, i, 1, 1, 1) for i in range(len(drawn[0])))
        return LOOP(of_a_task, Episodes(tasks, support, drawn))["said"]
