"""What a method reads, keeps and changes: nothing that it should not."""

from __future__ import annotations

import torch

from ..episode import Episodes, Params, Samples
from ..training.evaluation import figures
from ..training.learner import held_by
from .meta_gradient import LOOP, MetaGradientContract


class PurityContract(MetaGradientContract):
    """What metapipe relies on in what an algorithm reads, keeps and changes."""

    def test_nothing_is_mutated(self) -> None:
        """Neither meta-parameters, state, network nor episodes."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        watched = {
            **{f"meta.params['{name}']": p for name, p in meta.params.items()},
            **{f"meta.state['{name}']": s for name, s in meta.state.items()},
            **{f"the network's {n}": t for n, t in held_by(learner.network).items()},
            **{f"the support {n}": t for n, t in episodes.support._asdict().items()},
            **{f"the query {n}": t for n, t in episodes.query._asdict().items()},
        }
        before = {name: tensor.detach().clone() for name, tensor in watched.items()}

        def require_unchanged(method: str) -> None:
            for name, tensor in watched.items():
                assert torch.equal(tensor, before[name]), (
                    f"{method} changes {name} in place: return new tensors (torch's "
                    "functions without an underscore at their end)"
                )

        args = (learner.network, meta)
        self.algorithm.meta_gradient(*args, episodes, LOOP)
        require_unchanged("meta_gradient")
        support = first_task(episodes.support)
        adapted = self.algorithm.adapt(*args, support, episodes.tasks[0].ways)
        require_unchanged("adapt")
        self.algorithm.predict(*args, adapted, episodes.query.inputs[0])
        require_unchanged("predict")

    def test_queries_do_not_reach_what_is_adapted(self) -> None:
        """Not by what the method keeps either: after training on other queries with
        other labels, what is learned from a support set has the same bits."""
        found = []
        for episodes in (self.episodes(), _other_queries(self.episodes())):
            learner, meta = self.learner(episodes)
            torch.manual_seed(0)
            self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
            torch.manual_seed(0)
            support, ways = first_task(episodes.support), episodes.tasks[0].ways
            with torch.no_grad():
                found.append(self.algorithm.adapt(learner.network, meta, support, ways))
        require_equal(
            found[0], found[1], "queries reach {}: adapt reads what meta_gradient kept"
        )

    def test_evaluating_does_not_reach_training(self) -> None:
        """The meta-gradient has the same bits, whatever was evaluated before it."""
        episodes, unseen = self.episodes(), self.episodes(seed=10**6)
        learner, meta = self.learner(episodes)
        found = []
        for tested in (unseen, _other_queries(unseen)):
            with torch.no_grad():
                figures(learner, meta, tested, "together", LOOP)
            torch.manual_seed(0)
            step = self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
            found.append({**step.gradients, **step.state})
        require_equal(
            found[0],
            found[1],
            "what was evaluated reaches {} of meta_gradient: adapt, predict and judge "
            "may keep nothing",
        )


def _other_queries(episodes: Episodes) -> Episodes:
    """The same support sets with other queries, whose labels are turned around."""
    inputs, targets = episodes.query
    return episodes._replace(query=Samples(1 - 2 * inputs, targets.flip(1)))


def require_equal(first: Params, second: Params, told: str) -> None:
    """To the bit; `told` says of a name what is wrong."""
    assert set(first) == set(second), (
        f"there are other names: {sorted(set(first) ^ set(second))} are in one only"
    )
    for name, value in first.items():
        assert torch.equal(value, second[name]), told.format(name)


def first_task(samples: Samples) -> Samples:
    """Of the first task."""
    return Samples(*(tensor[0] for tensor in samples))
