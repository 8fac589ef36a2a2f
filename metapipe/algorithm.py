"""What an algorithm is: how to learn a task, and how to learn that."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from .episode import Episodes, Metrics, Params, Samples
from .model import Model
from .plugin import Plugin
from .problem import Kind, Problem, Statistics

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .numerics.task_map import TaskMap


@dataclass(frozen=True)
class Meta:
    """Everything meta-training learns or carries along, by name.

    `params` are descended by the outer optimiser. `state` is what has no gradient but
    belongs to the learner: running statistics, moments of an inner optimiser.
    """

    params: Params
    state: Params = field(default_factory=dict)


class Step(NamedTuple):
    """What one meta-batch says about the meta-parameters."""

    gradients: Params
    """Keyed and shaped like `Meta.params`: what the outer optimiser descends."""

    metrics: Metrics
    """(T,) each: at least `loss`; for classification `accuracy`; where they exist
    `loss_before` and `accuracy_before`."""

    state: Params
    """The new `Meta.state`."""


class Algorithm(Plugin):
    """A meta-learning algorithm: how to learn a task, and how to learn that.

    Nothing is mutated: `adapt`, `predict` and `meta_gradient` are functions of their
    arguments. `network` is only ever called through `metapipe.numerics.apply`.
    """

    equations: ClassVar[str] = ""
    """Which equations or algorithms of the paper are implemented, in a line."""

    departures: ClassVar[str] = ""
    """What is done otherwise than in the paper or its authors' code, if anything."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"classification"})
    """The kinds of problem the method is defined for."""

    stochastic: ClassVar[bool] = False
    """Whether training runs the network in training mode, so that dropout acts."""

    undecayed: ClassVar[tuple[str, ...]] = ()
    """How the names of meta-parameters begin that weight decay leaves alone: learned
    step sizes."""

    statistics: Statistics
    """Where normalisation layers take their statistics from when predicting: the batch
    at hand (predictions then depend on the other queries), or running averages.

    In training, a method that embeds a whole meta-batch in one call normalises over all
    of it."""

    @abstractmethod
    def check(self, trained: Problem, asked: Problem) -> None:
        """Raise UnsupportedError if a learner trained for `trained` cannot do `asked`.

        Called before training (with the same problem twice) and before evaluation.
        """

    @abstractmethod
    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The network this method needs, made from `model`."""

    @abstractmethod
    def init(self, network: nn.Module) -> Meta:
        """Meta-parameters and state to start from."""

    @abstractmethod
    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """Learn one task from its support set: inputs (n, *shape), targets (n,).

        `ways` is the number of classes, 1 for regression: under `vmap` it could not be
        read from the targets. Classes may differ in their number of examples.
        Returns all that `predict` needs beyond `meta`; tensors only, so that an adapted
        learner can be written to a file. Differentiable with respect to `meta.params`
        unless the method says otherwise.
        """

    @abstractmethod
    def unadapted(self, network: nn.Module, meta: Meta) -> Params | None:
        """What `predict` takes before any support is seen; None if there is none."""

    @abstractmethod
    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Outputs for one task: (m, *shape) -> logits (m, ways), or (m, outputs)."""

    @abstractmethod
    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """The mean meta-gradient of T episodes; `over` maps functions over tasks."""
