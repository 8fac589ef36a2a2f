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
from ..training.checkpoint import load, save
from ..training.learner import Learner
from ..training.loop import initial_state, iterations
from ..training.stored_learner import open_learner
from ..training_settings import TrainingSettings
from .meta_gradient import LOOP, OTHERS, detached
from .purity import PurityContract, first_task, require_equal
from .saying import saying
from .toys import blobs
from .variants import variants


class AlgorithmContract(PurityContract):
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
            step.metrics["loss"],
            self._adapted_losses(learner, meta, episodes),
            msg=saying(
                "the losses that meta_gradient reports are not those of adapt and "
                "predict: change one of them, or say reports_adapted = False, and why"
            ),
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
            require_equal(mine, stored, "init gives {} another value than a file has")
        support, ways = first_task(episodes.support), episodes.tasks[0].ways
        query = episodes.query.inputs[0]
        outputs = []
        for which, known in ((learner, meta), (other, found)):
            args = (which.network, known)
            adapted = self.algorithm.adapt(*args, support, ways)
            outputs.append(self.algorithm.predict(*args, adapted, query))
        assert torch.equal(*outputs), (
            "a learner from a checkpoint predicts otherwise than the one that was "
            "saved: predict depends on something that is in no parameter, state or "
            "buffer"
        )

    def test_predictions_have_the_asked_shape(self) -> None:
        """(m, outputs) for m inputs, adapted or not, also without a graph."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        algorithm, network = self.algorithm, learner.network
        query = episodes.query.inputs[0]
        with torch.no_grad():
            adapted = algorithm.adapt(
                network, meta, first_task(episodes.support), episodes.tasks[0].ways
            )
            known = [adapted, algorithm.unadapted(network, meta)]
            for params in known:
                if params is not None:
                    out = algorithm.predict(network, meta, params, query)
                    wanted = (len(query), learner.problem.outputs)
                    assert out.shape == wanted, (
                        f"predict gives {tuple(out.shape)} for {len(query)} inputs: "
                        f"(m, outputs) is {wanted}"
                    )
                    assert torch.isfinite(out).all(), "predict gives no finite numbers"

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
            sees = _sees_others(learner, meta, episodes)
            assert sees == learner.normalises_batches, (
                f"on {type(model).__name__}({model}), statistics = "
                f"{algorithm.statistics!r}: predict gives a query "
                + ("another" if sees else "the same")
                + " output when other queries are beside it, and "
                + ("no layer" if sees else "a layer")
                + " normalises by the batch: hand the network's state to apply in "
                "predict, or declare other statistics"
            )

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
                torch.testing.assert_close(
                    got,
                    want,
                    rtol=1e-9,
                    atol=1e-9,
                    msg=saying(
                        f"adapt and predict by {task_map} are not what they are by "
                        "loop: use torch's functions, no branch on values and no "
                        "random numbers"
                    ),
                )

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
        assert abs(mean - 1 / 3) < 4 * error + 1e-9, (
            f"before adaptation {mean:.3f} of three classes are right, and 1/3 is all "
            "that can be guessed: what unadapted returns knows the labels"
        )

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
        after = self._adapted_losses(learner, state.meta, fresh).mean()
        assert after < before, (
            f"after {self.learning.iterations} iterations the loss on episodes never "
            f"seen is {after:.4g}, and was {before:.4g}: see meta_gradient, or give "
            "the contract other `learning` (iterations, lr)"
        )

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
        for name, tensor in adapted.items():
            assert tensor.device.type == "meta", (
                f"adapt makes {name} on {tensor.device}: make new tensors on the "
                "device of its inputs (torch.zeros_like, x.new_zeros)"
            )
        out = self.algorithm.predict(
            network, moved, adapted, episodes.query.inputs[0].to("meta")
        )
        assert out.device.type == "meta", (
            f"predict makes its outputs on {out.device}: make new tensors on the "
            "device of its inputs"
        )


def _on_meta(params: Params) -> dict[str, Tensor]:
    return {name: tensor.to("meta") for name, tensor in params.items()}


def _sees_others(learner: Learner, meta: Meta, episodes: Episodes) -> bool:
    """Whether half of a task's queries are predicted otherwise than among all."""
    network, algorithm = learner.network, learner.algorithm
    query = episodes.query.inputs[0]
    half = len(query) // 2
    with torch.no_grad():
        support, ways = first_task(episodes.support), episodes.tasks[0].ways
        adapted = algorithm.adapt(network, meta, support, ways)
        whole = algorithm.predict(network, meta, adapted, query)[:half]
        alone = algorithm.predict(network, meta, adapted, query[:half])
    return not torch.allclose(whole, alone, rtol=1e-9, atol=1e-9)
