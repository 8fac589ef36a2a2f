"""What metapipe relies on in the meta-gradient of an algorithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch

from ..algorithm import Algorithm, Meta, Step
from ..episode import Episodes, Params
from ..errors import UnsupportedError
from ..model import Model
from ..numerics.recomputation import recomputing
from ..numerics.task_map import LocalTaskMap
from ..plugin import Plugin
from ..problem import Problem
from ..training.learner import Learner, build_learner, drops
from ..training.tensor_file import shapes
from .plugin import PluginContract
from .slopes import Slopes, slopes
from .toys import DroppingModel, TinyModel, blobs, waves
from .variants import variants

LOOP = LocalTaskMap("loop")
OTHERS = (LocalTaskMap("vmap"), LocalTaskMap("chunks", 3), LocalTaskMap("threads", 2))


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

    inexact: ClassVar[Mapping[str, object]] = {"first_order": True}
    """Values of settings with which, and only with which, it is not."""

    reported: ClassVar[str] = "loss"
    """The figure whose gradient it is."""

    toys: ClassVar[tuple[Model, ...]] = (TinyModel(), TinyModel(normalise=True))
    """Models on which settings are tried, beside `model`."""

    @property
    def plugin(self) -> Plugin:
        """The algorithm."""
        return self.algorithm

    def episodes(self, seed: int = 0) -> Episodes:
        """Toy episodes of the kind the algorithm is for."""
        regression = self.regression or "classification" not in self.algorithm.kinds
        return waves(seed=seed) if regression else blobs(shape=self.shape, seed=seed)

    def learner(
        self,
        episodes: Episodes,
        model: Model | None = None,
        seed: int = 0,
        algorithm: Algorithm | None = None,
    ) -> tuple[Learner, Meta]:
        """The algorithm on a toy model, in double precision, and where it begins."""
        return _built(algorithm or self.algorithm, model or self.model, episodes, seed)

    def test_the_gradient_fits_the_parameters(self) -> None:
        """Same names and shapes, finite, and something to descend."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        step = self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        for what, found, wanted in (
            ("gradients", step.gradients, meta.params),
            ("state", step.state, meta.state),
        ):
            assert shapes(found) == shapes(wanted), (
                f"meta_gradient returns {what} of {shapes(found)}: names and shapes "
                f"are to be those that init gave, {shapes(wanted)}"
            )
        for name, grad in step.gradients.items():
            assert torch.isfinite(grad).all(), (
                f"meta_gradient gives {name} a gradient that is not finite"
            )
        assert any(bool(grad.any()) for grad in step.gradients.values()), (
            "meta_gradient returns zeros for all parameters: the loss does not depend "
            "on them (was it detached?)"
        )

    def test_the_gradient_is_that_of_the_loss(self) -> None:
        """Along a random direction, against central differences: a gradient that is
        first order by accident is caught here."""
        if not self._exact(self.algorithm):
            return
        episodes = self.episodes()
        found = _slopes(*self.learner(episodes), episodes, self.reported)
        assert found.agree, (
            f"meta_gradient's loss has another slope than its gradient: {found}. If it "
            "is first order by intent, say exact_gradient = False, and why"
        )

    def test_figures_are_told_task_by_task(self) -> None:
        """`loss`, and in classification `accuracy`, (T,) each, without a graph."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        step = self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        expected = {"loss", self.reported}
        if learner.problem.kind == "classification":
            expected |= {"accuracy"}
        for name in sorted(expected):
            assert name in step.metrics, (
                f"meta_gradient tells {sorted(step.metrics)}, and no '{name}'"
            )
            figure, tasks = step.metrics[name], len(episodes.tasks)
            assert figure.shape == (tasks,), (
                f"meta_gradient tells '{name}' of shape {tuple(figure.shape)}: one "
                f"number for each task is ({tasks},)"
            )
            assert not figure.requires_grad, (
                f"meta_gradient tells '{name}' with its graph: detach it"
            )

    def test_running_statistics_run(self) -> None:
        """If there are any: those of an untrained network are of no data."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        step = self.algorithm.meta_gradient(learner.network, meta, episodes, LOOP)
        for name, before in meta.state.items():
            if "running" in name:
                assert not torch.equal(step.state[name], before), (
                    f"meta_gradient leaves the running statistics {name} as they were: "
                    "return those that the network has after the meta-batch in state"
                )

    def test_the_same_call_gives_the_same_answer(self) -> None:
        """Given the same torch seed."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        first, second = (_step(learner, meta, episodes, LOOP) for _ in range(2))
        for name, grad in first.gradients.items():
            assert torch.equal(grad, second.gradients[name]), (
                f"meta_gradient gives {name} another gradient the second time, from "
                "the same torch seed: take random numbers from torch, and keep nothing"
            )

    def test_dropout_acts_as_declared(self) -> None:
        """The loss of a network with dropout is another than without, from the same
        torch seed, if `stochastic` says that training is in training mode; if not, it
        is the very same. So it is where the method leaves the model out."""
        episodes = self.episodes()
        losses = []
        for share in (0.0, 0.5):
            learner, meta = self.learner(episodes, DroppingModel(share=share))
            losses.append(
                float(_step(learner, meta, episodes, LOOP).metrics["loss"].mean())
            )
        acts = self.algorithm.stochastic and drops(learner.network)
        assert (losses[0] != losses[1]) == acts, (
            f"stochastic = {self.algorithm.stochastic}, and the loss is "
            f"{losses[0]:.8g} without dropout and {losses[1]:.8g} with it"
        )

    def test_the_result_does_not_depend_on_the_mapping(self) -> None:
        """Loop, vmap, chunks and threads agree to 1e-10."""
        episodes = self.episodes()
        _require_mappings_agree(*self.learner(episodes), episodes, "as it is")

    def test_inner_steps_can_be_computed_again(self) -> None:
        """With `training.recompute` the gradient has the same bits: what `inner_loop`
        is given is a function."""
        episodes = self.episodes()
        learner, meta = self.learner(episodes)
        want = _step(learner, meta, episodes, LOOP).gradients
        with recomputing():
            got = _step(learner, meta, episodes, LOOP).gradients
        for name, grad in want.items():
            assert torch.equal(got[name], grad), (
                f"with training.recompute the gradient of {name} is another, by "
                f"{float((got[name] - grad).abs().max()):.1e}: let the loss that "
                "inner_loop is given change nothing, and read nothing that changes"
            )

    def test_other_settings_keep_the_gradient_right(self) -> None:
        """That of the loss, and the same by every mapping, with each switch turned and
        each choice made otherwise; also on toy models, of which one normalises."""
        episodes = self.episodes()
        others, built = variants(self.algorithm), set()
        for model in (self.model, *self.toys):
            own = model == self.model  # as it is it has tests of its own
            cases = others if own else {"as it is": self.algorithm, **others}
            for what, algorithm in cases.items():
                try:
                    learner, meta = self.learner(episodes, model, algorithm=algorithm)
                except UnsupportedError:
                    continue
                built.add(what)
                where = f"{what}, {type(model).__name__}({model})"
                _require_mappings_agree(learner, meta, episodes, where)
                self._require_slope(learner, meta, episodes, where, strict=own)
        assert built or not others, f"not one can be built: {', '.join(others)}"

    def _require_slope(
        self,
        learner: Learner,
        meta: Meta,
        episodes: Episodes,
        where: str,
        *,
        strict: bool,
    ) -> None:
        """That of the loss; if `strict`, what is said to be `inexact` has to be."""
        exact = self._exact(learner.algorithm)
        if exact or (strict and self.exact_gradient):
            found = _slopes(learner, meta, episodes, self.reported)
            assert found.agree == exact, f"{where}: {found}" + (
                "" if exact else "; so it needs not be `inexact`"
            )

    def _exact(self, algorithm: Algorithm) -> bool:
        """Whether differences of the reported loss tell the meta-gradient."""
        return self.exact_gradient and not any(
            getattr(algorithm, name, None) == value
            for name, value in self.inexact.items()
        )


def _built(
    algorithm: Algorithm, model: Model, episodes: Episodes, seed: int = 0
) -> tuple[Learner, Meta]:
    """In double precision: mappings and calls are compared to 1e-10."""
    problem = _problem(episodes)
    algorithm.check(problem, problem)
    learner, _ = build_learner(algorithm, model, problem, "cpu", seed)
    learner.network.double()
    return learner, algorithm.init(learner.network)


def _step(learner: Learner, meta: Meta, episodes: Episodes, over: LocalTaskMap) -> Step:
    """With the same random numbers each time."""
    torch.manual_seed(0)
    return learner.algorithm.meta_gradient(learner.network, meta, episodes, over)


def _slopes(learner: Learner, meta: Meta, episodes: Episodes, reported: str) -> Slopes:
    def loss(params: Params) -> float:
        step = _step(learner, detached(Meta(params, meta.state)), episodes, LOOP)
        return float(step.metrics[reported].mean())

    step = _step(learner, meta, episodes, LOOP)
    return slopes(step.gradients, loss, meta.params)


def _require_mappings_agree(
    learner: Learner, meta: Meta, episodes: Episodes, where: str
) -> None:
    """To 1e-10."""
    want = _step(learner, meta, episodes, LOOP).gradients
    for over in OTHERS:
        got = _step(learner, meta, episodes, over).gradients
        for name, grad in want.items():
            assert torch.allclose(got[name], grad, rtol=1e-10, atol=1e-10), (
                f"{where}: by {over} the gradient of {name} is another than by loop, "
                f"by {float((got[name] - grad).abs().max()):.1e}"
            )


def _problem(episodes: Episodes) -> Problem:
    inputs, targets = episodes.query
    shape = tuple(inputs.shape[2:])
    if targets.is_floating_point():
        return Problem("regression", shape, targets.shape[-1])
    ways, classes = int(targets.max()) + 1, episodes.class_indices
    known = 0 if classes is None else int(classes.max()) + 1
    return Problem("classification", shape, ways, known)


def detached(meta: Meta) -> Meta:
    """The same values, from which no gradient flows back."""
    return Meta({name: p.detach() for name, p in meta.params.items()}, meta.state)
