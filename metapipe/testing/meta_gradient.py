"""What metapipe relies on in the meta-gradient of an algorithm."""

from __future__ import annotations

import math
from typing import ClassVar

import torch

from ..contracts import Algorithm, Meta, Model, Plugin, Problem
from ..episode import Episodes
from ..learner import Learner, build_learner, drops
from ..mapping import TaskMap
from ..tensorfile import shapes
from .plugin import PluginContract
from .toys import DroppingModel, TinyModel, blobs, waves

LOOP = TaskMap("loop")
OTHERS = (TaskMap("vmap"), TaskMap("chunks", 3), TaskMap("threads", 2))


class MetaGradientContract(PluginContract):
    """What metapipe relies on in the meta-gradient of an algorithm."""

    algorithm: ClassVar[Algorithm]
    model: ClassVar[Model] = TinyModel()
    shape: ClassVar[tuple[int, ...]] = (6,)
    """Of one input of the toy classification."""

    regression: ClassVar[bool] = False
    """Whether the toy problem is one of regression, for an algorithm that can do both;
    one that can do that alone needs not say so."""

    exact_gradient: ClassVar[bool] = True
    """Whether the meta-gradient is that of the reported loss. Not so for first-order
    methods, or if something else than the reported loss is descended: say why there."""

    @property
    def plugin(self) -> Plugin:
        """The algorithm."""
        return self.algorithm

    def _episodes(self, seed: int = 0) -> Episodes:
        regression = self.regression or "classification" not in self.algorithm.kinds
        return waves(seed=seed) if regression else blobs(shape=self.shape, seed=seed)

    def _learner(
        self, episodes: Episodes, model: Model | None = None
    ) -> tuple[Learner, Meta]:
        """In double precision: mappings and calls are compared to 1e-10."""
        problem = _problem(episodes)
        chosen = model or self.model
        learner, _ = build_learner(self.algorithm, chosen, problem, "cpu", 0)
        learner.network.double()
        return learner, self.algorithm.init(learner.network)

    def test_the_gradient_fits_the_parameters(self) -> None:
        """Same names and shapes, finite, and something to descend."""
        episodes = self._episodes()
        learner, meta = self._learner(episodes)
        step = self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        assert shapes(step.gradients) == shapes(meta.params)
        assert shapes(step.state) == shapes(meta.state)
        for name, grad in step.gradients.items():
            assert torch.isfinite(grad).all(), f"the gradient of {name} is not finite"
        assert any(bool(grad.any()) for grad in step.gradients.values())

    def test_the_gradient_is_that_of_the_loss(self) -> None:
        """Along a random direction, against central differences: a gradient that is
        first order by accident is caught here."""
        if not self.exact_gradient:
            return
        episodes = self._episodes()
        learner, meta = self._learner(episodes)
        generator = torch.Generator().manual_seed(0)
        along = {
            name: torch.randn(p.shape, generator=generator, dtype=p.dtype)
            for name, p in meta.params.items()
        }

        def loss(distance: float) -> float:
            moved = {k: p + distance * along[k] for k, p in meta.params.items()}
            return self._loss(learner, Meta(moved, meta.state), episodes)

        torch.manual_seed(0)
        step = self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        slope = sum(float((g * along[k]).sum()) for k, g in step.gradients.items())
        # Smaller than usual: where a rectifier bends, the loss after adapting jumps.
        difference = (loss(1e-7) - loss(-1e-7)) / 2e-7
        assert math.isclose(slope, difference, rel_tol=1e-4, abs_tol=1e-7), (
            f"the gradient says {slope:.8g}, differences say {difference:.8g}"
        )

    def test_figures_are_told_task_by_task(self) -> None:
        """`loss`, and in classification `accuracy`, (T,) each, without a graph."""
        episodes = self._episodes()
        learner, meta = self._learner(episodes)
        step = self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        expected = {"loss"}
        if not episodes.query.targets.is_floating_point():
            expected |= {"accuracy"}
        assert expected <= set(step.metrics)
        for name in expected:
            assert step.metrics[name].shape == (len(episodes.tasks),)
            assert not step.metrics[name].requires_grad

    def test_running_statistics_run(self) -> None:
        """If there are any: those of an untrained network are of no data."""
        episodes = self._episodes()
        learner, meta = self._learner(episodes)
        step = self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        for name, before in meta.state.items():
            if "running" in name:
                assert not torch.equal(step.state[name], before), name

    def test_the_same_call_gives_the_same_answer(self) -> None:
        """Given the same torch seed."""
        episodes = self._episodes()
        learner, meta = self._learner(episodes)
        steps = []
        for _ in range(2):
            torch.manual_seed(0)
            steps.append(
                self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
            )
        for name, grad in steps[0].gradients.items():
            assert torch.equal(grad, steps[1].gradients[name])

    def test_dropout_acts_as_declared(self) -> None:
        """The loss of a network with dropout is another than without, from the same
        torch seed, if `stochastic` says that training is in training mode; if not, it
        is the very same. So it is where the method leaves the model out."""
        episodes = self._episodes()
        losses = []
        for share in (0.0, 0.5):
            learner, meta = self._learner(episodes, DroppingModel(share=share))
            losses.append(self._loss(learner, meta, episodes))
        acts = self.algorithm.stochastic and drops(learner.network)
        assert (losses[0] != losses[1]) == acts, (
            f"stochastic = {self.algorithm.stochastic}, and the loss is "
            f"{losses[0]:.8g} without dropout and {losses[1]:.8g} with it"
        )

    def test_the_result_does_not_depend_on_the_mapping(self) -> None:
        """Loop, vmap, chunks and threads agree to 1e-10."""
        episodes = self._episodes()
        learner, meta = self._learner(episodes)
        torch.manual_seed(0)
        want = self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        for task_map in OTHERS:
            torch.manual_seed(0)
            got = self.algorithm.meta_gradient(
                learner.network, meta, episodes, task_map
            )
            for name, grad in want.gradients.items():
                torch.testing.assert_close(
                    got.gradients[name], grad, rtol=1e-10, atol=1e-10
                )

    def _loss(self, learner: Learner, meta: Meta, episodes: Episodes) -> float:
        torch.manual_seed(0)
        step = self.algorithm.meta_gradient(
            learner.network, detached(meta), episodes, LOOP
        )
        return float(step.metrics["loss"].mean())


def _problem(episodes: Episodes) -> Problem:
    inputs, targets = episodes.query
    shape = tuple(inputs.shape[2:])
    if targets.is_floating_point():
        return Problem("regression", shape, targets.shape[-1])
    ways, classes = int(targets.max()) + 1, episodes.classes
    known = 0 if classes is None else int(classes.max()) + 1
    return Problem("classification", shape, ways, known)


def detached(meta: Meta) -> Meta:
    """Without a graph."""
    return Meta({name: p.detach() for name, p in meta.params.items()}, meta.state)
