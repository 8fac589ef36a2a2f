"""A learner tried on two tasks before it is trained: whether it can be at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor, nn

from ..algorithm import Meta, TaskFunction, TaskLoss
from ..dataset import Source
from ..episode import (
    Episodes,
    Metrics,
    Params,
    Samples,
    Task,
    Trajectories,
)
from ..errors import MetapipeError, PluginError
from ..numerics.meter import meter_of
from ..numerics.task_map import LocalTaskMap
from ..numerics.tuning import fastest
from ..printable import one_line
from .evaluation import QueryMode, figures
from .execution import meta_step
from .learner import Learner
from .rollout import adapted, draw

TRIED = 2
"""Tasks that are enough to try a model on."""

REMEDIES = {
    "derivative for aten::_scaled_dot": "call metapipe.numerics.plain_attention() in "
    "the model's build",
    "derivative for": "this operation has no second derivative: write it by others, or "
    "use a first-order method",
    "modified by an inplace operation": "leave out what changes a tensor in place, "
    "such as inplace=True",
    "would mutate a captured Tensor": "leave out what changes a buffer in place",
    "does not require grad": "let the outputs depend on the parameters, without detach",
    "must have the same dtype": "leave types out: metapipe computes in float32",
}
"""What to do, by what torch says."""


LOSING = (
    *(nn.LayerNorm, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    *(nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d),
)
"""Torch's layers through whose weight its vmap loses second derivatives, without a
word; subclasses may scale by themselves, as ours do."""


def require_sound(network: nn.Module) -> None:
    """Raise PluginError for parameters that nothing could descend."""
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and parameter.dtype != torch.float32:
            kind = str(parameter.dtype).removeprefix("torch.")
            raise PluginError(
                f"its parameter {name} is {kind}: make it float32, or let it require "
                "no gradient"
            )


def attempt(
    learner: Learner,
    meta: Meta,
    episodes: Episodes,
    mapping: LocalTaskMap,
    prediction: QueryMode = "together",
) -> None:
    """One meta-gradient and one evaluation, of which nothing is kept.

    Raises PluginError, in a line with what to do, for whatever fails in them, for
    outputs that are no logits or numbers, and for a network that acts at random.
    """
    with _tried():
        if mapping.vectorises:
            _require_whole_derivatives(learner.network)
        if isinstance(episodes.query, Trajectories):
            meta_step(learner, meta, episodes, mapping)
            adapted(replace(learner, mapping=mapping), meta, episodes)
            return
        if mapping.mode == "loop":
            _check_outputs(learner, meta, episodes)
        meta_step(learner, meta, episodes, mapping)
        with torch.no_grad(), learner.computing():
            figures(learner, meta, episodes, prediction, mapping)


def first_episodes(
    learner: Learner, meta: Meta, source: Source, tasks: Sequence[Task]
) -> Episodes:
    """What there is to try on: drawn, or played as in training.

    Raises PluginError as `attempt`.
    """
    with _tried():
        return draw(learner, meta, source, tasks, training=True)


@contextmanager
def _tried() -> Iterator[None]:
    """Whatever fails inside is a line with what to do; torch's generator stays."""
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    except MetapipeError:
        raise
    except Exception as error:  # anybody's code
        raise PluginError(_explained(error)) from error


def able(
    learner: Learner, meta: Meta, episodes: Episodes, mapping: LocalTaskMap
) -> bool:
    """Whether the learner can be trained and evaluated with tasks mapped so."""
    try:
        attempt(learner, meta, episodes, mapping)
    except MetapipeError:
        return False
    return True


def maps_tasks(learner: Learner, meta: Meta, episodes: Episodes) -> bool:
    """Whether the method's meta-gradient maps anything over tasks: one that embeds a
    whole meta-batch in one call does not."""
    watched = _Watched()
    with _tried():
        meta_step(learner, meta, episodes, watched)
    return watched.asked


def choose_test_mapping(
    learner: Learner,
    meta: Meta,
    episodes: Episodes,
    maps: Sequence[LocalTaskMap],
    prediction: QueryMode,
) -> LocalTaskMap:
    """The one of `maps` by which such episodes are judged fastest."""

    def work(task_map: LocalTaskMap) -> None:
        with torch.no_grad(), learner.computing():
            figures(learner, meta, episodes, prediction, task_map)

    tasks, meter = len(episodes.tasks), meter_of(learner.device)
    return fastest(maps, work, rounds=1, tasks=tasks, meter=meter)


def judges(
    learner: Learner,
    meta: Meta,
    episodes: Episodes,
    mapping: LocalTaskMap,
    prediction: QueryMode,
) -> bool:
    """Whether episodes can be judged with tasks mapped so."""
    try:
        with _tried(), torch.no_grad(), learner.computing():
            if mapping.vectorises:
                _require_whole_derivatives(learner.network)
            figures(learner, meta, episodes, prediction, mapping)
    except MetapipeError:
        return False
    return True


class _Watched:
    """A loop over tasks that knows whether it was asked for."""

    asked = False
    loop = LocalTaskMap("loop")

    def __call__(self, function: TaskFunction, episodes: Episodes) -> Metrics:
        self.asked = True
        return self.loop(function, episodes)

    def gradient(
        self, loss: TaskLoss, params: Params, episodes: Episodes
    ) -> tuple[Params, Metrics]:
        self.asked = True
        return self.loop.gradient(loss, params, episodes)


def few(episodes: Episodes) -> Episodes:
    """Those of the first tasks, enough to try something."""
    return episodes.first(TRIED)


def _require_whole_derivatives(network: nn.Module) -> None:
    """Raise PluginError for a layer of torch's that vmap does not differentiate."""
    for name, module in network.named_modules():
        if type(module) in LOSING and module.weight is not None:
            kind = type(module).__name__
            raise PluginError(
                f"vmap loses second derivatives through the weight of torch's {kind}, "
                f"here {name}: take that of metapipe.numerics, or weightless ones"
            )


def _check_outputs(learner: Learner, meta: Meta, episodes: Episodes) -> None:
    """Raise PluginError for outputs that are no logits or numbers, or no function of
    the inputs."""
    algorithm, network = learner.algorithm, learner.network
    support = Samples(*(tensor[0] for tensor in episodes.support))
    inputs, targets = (tensor[0] for tensor in episodes.query)
    wide = targets.shape[-1] if targets.is_floating_point() else episodes.tasks[0].ways
    with torch.no_grad(), learner.computing():
        known = algorithm.unadapted(network, meta)
        if known is not None:
            outputs = algorithm.predict(network, meta, known, inputs)
            _require_outputs(outputs, (len(inputs), wide))
        adapted = algorithm.adapt(network, meta, support, episodes.tasks[0].ways)
        outputs = algorithm.predict(network, meta, adapted, inputs)
        again = algorithm.predict(network, meta, adapted, inputs)
    if known is None:  # else a step that is too long may be what is not finite
        _require_outputs(outputs, (len(inputs), wide))
    _require_a_function(outputs, again)


def _require_outputs(outputs: Tensor, shape: tuple[int, int]) -> None:
    if outputs.shape != shape:
        raise PluginError(
            f"its outputs for {shape[0]} inputs are {tuple(outputs.shape)}: {shape} is "
            "wanted"
        )
    if outputs.dtype != torch.float32:
        raise PluginError(f"its outputs are {outputs.dtype}: return float32")
    if not torch.isfinite(outputs).all():
        raise PluginError(
            "its outputs are not finite before anything is learned: look at its "
            "initialisation, and at the scale of the inputs"
        )


def _require_a_function(outputs: Tensor, again: Tensor) -> None:
    if not torch.equal(outputs.nan_to_num(), again.nan_to_num()):
        raise PluginError(
            "it gives other outputs for the same inputs in evaluation mode: let what "
            "acts at random do so in training only, as "
            "functional.dropout(x, p, self.training) does"
        )


def _explained(error: Exception) -> str:
    text = one_line(error)
    remedy = next((r for said, r in REMEDIES.items() if said in text), "")
    short = text if len(text) < 200 else text[:200] + "..."
    return f"{type(error).__name__}: {short}" + (f"; {remedy}" if remedy else "")
