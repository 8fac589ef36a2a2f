"""What metapipe relies on in an algorithm."""

from __future__ import annotations

import math
import tempfile
from itertools import product
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from ..algorithm import Meta
from ..episode import Episodes, Params, Samples
from ..errors import UnsupportedError
from ..numerics.losses import task_loss
from ..settings import TrainingSettings
from ..training.checkpoint import load, save
from ..training.evaluation import figures
from ..training.learner import Learner
from ..training.loop import initial_state, iterations
from ..training.stored_learner import open_learner
from .meta_gradient import LOOP, OTHERS, MetaGradientContract, detached
from .toys import blobs
from .variants import variants


class AlgorithmContract(MetaGradientContract):
    """What metapipe relies on in an algorithm."""

    reports_adapted: ClassVar[bool] = True
    """Whether the loss that training reports is that of `adapt` and `predict`. Not so
    if training poses other problems than use does: say why there."""

    learning: ClassVar[TrainingSettings] = TrainingSettings(
        iterations=60, tasks=4, lr=0.02
    )
    """How to train it on the toy problem, where it must learn."""

    def test_training_is_for_what_use_will_do(self) -> None:
        """The loss that training reports is that of adapting to the support set and
        predicting the queries. Where running averages replace the batch's statistics in
        use, the two differ by that."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        if meta.state or not self.reports_adapted:
            return
        torch.manual_seed(0)
        step = self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        torch.testing.assert_close(
            step.metrics["loss"], self._adapted_losses(learner, meta, episodes)
        )

    def test_it_survives_a_file(self) -> None:
        """A learner that is opened from a checkpoint has its meta-parameters, state and
        constants, and predicts the same, bit for bit; no value of it is built."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "checkpoint.safetensors"
            save(path, initial_state(meta, self.learning), learner.network, {})
            other, found = open_learner(
                self.algorithm, self.model, learner.problem, "cpu", load(path).file
            )
        for mine, stored in ((meta.params, found.params), (meta.state, found.state)):
            assert set(mine) == set(stored)
            assert all(torch.equal(mine[name], stored[name]) for name in mine)
        support, ways = _first(episodes.support), episodes.tasks[0].ways
        query = episodes.query.inputs[0]
        outputs = []
        for which, known in ((learner, meta), (other, found)):
            args = (which.network, known)
            adapted = self.algorithm.adapt(*args, support, ways)
            outputs.append(self.algorithm.predict(*args, adapted, query))
        assert torch.equal(*outputs)

    def test_nothing_is_mutated(self) -> None:
        """Neither meta-parameters, state, network nor episodes."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        watched = [
            *meta.params.values(),
            *meta.state.values(),
            *learner.network.parameters(),
            *learner.network.buffers(),
            *episodes.support,
            *episodes.query,
        ]
        before = [tensor.detach().clone() for tensor in watched]
        self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        support = _first(episodes.support)
        adapted = self.algorithm.adapt(
            learner.network, meta, support, episodes.tasks[0].ways
        )
        query = episodes.query.inputs[0]
        self.algorithm.predict(learner.network, meta, adapted, query)
        for tensor, copy in zip(watched, before, strict=True):
            assert torch.equal(tensor, copy)

    def test_queries_do_not_reach_what_is_adapted(self) -> None:
        """Not by what the method keeps either: after training on other queries with
        other labels, what is learned from a support set has the same bits."""
        found = []
        for episodes in (self.episodes(), _other_queries(self.episodes())):
            learner, meta = self.learner(episodes)
            torch.manual_seed(0)
            self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
            torch.manual_seed(0)
            support, ways = _first(episodes.support), episodes.tasks[0].ways
            with torch.no_grad():
                found.append(self.algorithm.adapt(learner.network, meta, support, ways))
        _require_equal(*found)

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
        _require_equal(*found)

    def test_predictions_have_the_asked_shape(self) -> None:
        """(m, outputs) for m inputs, adapted or not, also without a graph."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        algorithm, network = self.algorithm, learner.network
        query = episodes.query.inputs[0]
        with torch.no_grad():
            adapted = algorithm.adapt(
                network, meta, _first(episodes.support), episodes.tasks[0].ways
            )
            known = [adapted, algorithm.unadapted(network, meta)]
            for params in known:
                if params is not None:
                    out = algorithm.predict(network, meta, params, query)
                    assert out.shape == (len(query), learner.problem.outputs)
                    assert torch.isfinite(out).all()

    def test_queries_see_each_other_only_through_batch_statistics(self) -> None:
        """Half of the queries are predicted as they are among all, unless the batch at
        hand normalises them: then not. With every choice of `statistics`, and on toy
        models too, of which one normalises."""
        episodes = self.episodes()
        others = [
            algorithm
            for what, algorithm in variants(self.algorithm).items()
            if what.startswith("statistics=")
        ]
        for algorithm, model in product(
            (self.algorithm, *others), (self.model, *self.toys)
        ):
            try:
                learner, meta = self.learner(episodes, model, algorithm=algorithm)
            except UnsupportedError:
                continue
            assert _sees_others(learner, meta, episodes) == learner.normalises_batches

    def test_adapting_does_not_depend_on_the_mapping(self) -> None:
        """What is predicted after adaptation, by loop, vmap, chunks and threads."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        ways = episodes.tasks[0].ways

        def outputs(support: Samples, query: Samples) -> Params:
            adapted = self.algorithm.adapt(learner.network, meta, support, ways)
            args = (learner.network, meta, adapted, query.inputs)
            return {"outputs": self.algorithm.predict(*args)}

        with torch.no_grad():
            want = LOOP(outputs, episodes)["outputs"]
            for task_map in OTHERS:
                got = task_map(outputs, episodes)["outputs"]
                torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-9)

    def test_before_adaptation_it_only_guesses(self) -> None:
        """Accuracy 1/N on fresh episodes before the support set is seen."""
        if "classification" not in self.algorithm.kinds:
            return
        learner, meta = self.learner(blobs(shape=self.shape))
        unadapted = self.algorithm.unadapted(learner.network, meta)
        if unadapted is None:
            return
        figures = []
        for seed in range(60):
            query = blobs(shape=self.shape, seed=seed).query
            for inputs, labels in zip(*query, strict=True):
                out = self.algorithm.predict(learner.network, meta, unadapted, inputs)
                figures.append(float((out.argmax(-1) == labels).double().mean()))
        mean = sum(figures) / len(figures)
        error = math.sqrt(sum((f - mean) ** 2 for f in figures)) / len(figures)
        assert abs(mean - 1 / 3) < 4 * error + 1e-9

    def test_it_learns_a_toy_problem(self) -> None:
        """A minute part of a training lowers the loss after adapting to episodes never
        seen."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        fresh = self.episodes(seed=10**6)
        before = self._adapted_losses(learner, meta, fresh).mean()
        state = initial_state(meta, self.learning, self.algorithm.groups())

        def draw(iteration: int) -> list[Episodes]:
            return [self.episodes(iteration)]

        for _ in iterations(learner, state, self.learning, draw, seed=0):
            pass
        assert self._adapted_losses(learner, state.meta, fresh).mean() < before

    def _adapted_losses(
        self, learner: Learner, meta: Meta, episodes: Episodes
    ) -> Tensor:
        """(T,): of the queries, after adapting to the support sets."""
        args, ways = (learner.network, detached(meta)), episodes.tasks[0].ways
        losses = []
        with torch.no_grad():
            for *support, inputs, targets in zip(
                *episodes.support, *episodes.query, strict=True
            ):
                adapted = self.algorithm.adapt(*args, Samples(*support), ways)
                outputs = self.algorithm.predict(*args, adapted, inputs)
                losses.append(task_loss(outputs, targets)[0])
        return torch.stack(losses)

    def test_shapes_hold_without_data(self) -> None:
        """On torch's `meta` device: nothing in the algorithm insists on the CPU."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        network = learner.network.to("meta")
        moved = Meta(_on_meta(meta.params), _on_meta(meta.state))
        support = Samples(*(t[0].to("meta") for t in episodes.support))
        adapted = self.algorithm.adapt(network, moved, support, episodes.tasks[0].ways)
        assert all(tensor.device.type == "meta" for tensor in adapted.values())
        out = self.algorithm.predict(
            network, moved, adapted, episodes.query.inputs[0].to("meta")
        )
        assert out.device.type == "meta"


def _other_queries(episodes: Episodes) -> Episodes:
    """The same support sets with other queries, whose labels are turned around."""
    inputs, targets = episodes.query
    return episodes._replace(query=Samples(1 - 2 * inputs, targets.flip(1)))


def _require_equal(first: Params, second: Params) -> None:
    assert set(first) == set(second)
    for name, value in first.items():
        assert torch.equal(value, second[name]), f"queries reach {name}"


def _first(samples: Samples) -> Samples:
    return Samples(*(tensor[0] for tensor in samples))


def _on_meta(params: Params) -> dict[str, Tensor]:
    return {name: tensor.to("meta") for name, tensor in params.items()}


def _sees_others(learner: Learner, meta: Meta, episodes: Episodes) -> bool:
    """Whether half of a task's queries are predicted otherwise than among all."""
    network, algorithm = learner.network, learner.algorithm
    query = episodes.query.inputs[0]
    half = len(query) // 2
    with torch.no_grad():
        support, ways = _first(episodes.support), episodes.tasks[0].ways
        adapted = algorithm.adapt(network, meta, support, ways)
        whole = algorithm.predict(network, meta, adapted, query)[:half]
        alone = algorithm.predict(network, meta, adapted, query[:half])
    return not torch.allclose(whole, alone, rtol=1e-9, atol=1e-9)
