"""What an algorithm is: how to learn a task, and how to learn that."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Protocol, Self, TypeAlias

from .episode import Drawn, Episodes, Metrics, Params, Trajectories
from .errors import UnsupportedError
from .model import Model
from .plugin import Plugin
from .problem import Kind, Problem, Statistics

if TYPE_CHECKING:
    from torch import Tensor, nn

TaskFunction: TypeAlias = "Callable[[Drawn, Drawn], Metrics]"
"""Figures of one task, from its support and query set."""

TaskLoss: TypeAlias = "Callable[[Params, Drawn, Drawn], tuple[Tensor, Metrics]]"
"""A scalar loss of one task, and its figures."""

Predict: TypeAlias = "Callable[[Params], Tensor]"
"""What is predicted of a task's queries by what `adapt` returned."""


@dataclass(frozen=True)
class Meta:
    """Everything meta-training learns or carries along, by name.

    `params` are descended by the outer optimiser. `state` is what has no gradient but
    belongs to the learner: running statistics, moments of an inner optimiser.
    """

    params: Params
    state: Params = field(default_factory=dict)

    @classmethod
    def of(cls, network: nn.Module) -> Self:
        """The network's own parameters and buffers, detached.

        Parameters that need no gradient are constants of the network: they are in no
        `Meta`, and travel in every file beside it.
        """
        named = network.named_parameters()
        params = {name: p.detach() for name, p in named if p.requires_grad}
        return cls(params, {name: b.detach() for name, b in network.named_buffers()})


class Step(NamedTuple):
    """What one meta-batch, or a part of it, says about the meta-parameters.

    Parts are merged by their numbers of tasks: the mean of gradients and of `state`,
    whose integers have to be equal; metrics one part after the other.
    """

    gradients: Params
    """Keyed and shaped like `Meta.params`: what the outer optimiser descends."""

    metrics: Metrics
    """(T,) each: at least `loss`; for classification `accuracy`; where they exist
    `loss_before` and `accuracy_before`; and whatever else is worth recording."""

    state: Params
    """The new `Meta.state`."""


class Group(NamedTuple):
    """Meta-parameters that the outer optimiser treats in a way of their own."""

    prefix: str
    """How their names begin."""

    rate: float = 1.0
    """Their step size, as a multiple of `training.lr`."""

    decays: bool = True
    """Whether weight decay shrinks them: step sizes and penalties it should not."""


class TaskMap(Protocol):
    """How functions are mapped over the tasks of a meta-batch: one after the other, at
    once, in threads, on many machines. The result does not depend on it but for
    rounding."""

    def __call__(self, function: TaskFunction, episodes: Episodes) -> Metrics:
        """Apply `function` to each task; figures come back stacked, (T, ...)."""

    def gradient(
        self, loss: TaskLoss, params: Params, episodes: Episodes
    ) -> tuple[Params, Metrics]:
        """Gradient of the mean over tasks of `loss` with respect to `params`, keyed
        like them, and the figures, (T,) each."""


class Algorithm(Plugin):
    """A meta-learning algorithm: how to learn a task, and how to learn that.

    Nothing is mutated: `adapt`, `predict` and `meta_gradient` are functions of their
    arguments. `network` is only ever called through `metapipe.numerics.apply`.
    """

    equations: ClassVar[str] = ""
    """Which equations or algorithms of the paper are implemented, in a line."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({"classification"})
    """The kinds of problem the method is defined for."""

    stochastic: ClassVar[bool] = False
    """Whether training runs the network in training mode, so that dropout acts."""

    any_ways: ClassVar[bool] = False
    """Whether tasks may have other numbers of classes than in training. The network is
    then the model's features (n, d), without its head."""

    needs_training: ClassVar[bool] = True
    """Whether there is anything to meta-learn: a method that only adapts, to features
    that somebody else has trained, is used without a run."""

    needs_support: ClassVar[bool] = True
    """Whether a task needs at least one example to learn from."""

    statistics: Statistics
    """Where normalisation layers take their statistics from when predicting: the batch
    at hand (predictions then depend on the other queries), or running averages.

    In training, a method that embeds a whole meta-batch in one call normalises over all
    of it."""

    def groups(self) -> Sequence[Group]:
        """Meta-parameters with a step size or without a weight decay of their own; a
        parameter is in the first group whose prefix it has."""
        return ()

    def check(self, trained: Problem, asked: Problem) -> None:
        """Raise UnsupportedError if a learner trained for `trained` cannot do `asked`.

        Called before training (with the same problem twice) and before evaluation.
        """
        if asked.outputs != trained.outputs and not self.any_ways:
            raise UnsupportedError(
                f"the head was trained for {trained.outputs} outputs and cannot give "
                f"{asked.outputs}: train a run with --ways {asked.outputs}, or with a "
                "method for which 'metapipe plugins show' says any number of classes"
            )

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """The network this method needs, made from `model`: with its head, or its
        features alone if any number of classes will do."""
        outputs = None if self.any_ways else problem.outputs
        return model.build(problem.shape, outputs, self.statistics)

    def init(self, network: nn.Module) -> Meta:
        """Meta-parameters and state to start from: the network's own."""
        return Meta.of(network)

    @abstractmethod
    def adapt(
        self, network: nn.Module, meta: Meta, support: Drawn, ways: int
    ) -> Params:
        """Learn one task from its support set: inputs (n, *shape), targets (n,).

        `ways` is the number of classes, 1 for regression: under `vmap` it could not be
        read from the targets. Classes may differ in their number of examples.
        Of control, the support set is `Trajectories` of k rounds, and the method takes
        k steps, the first from the first round; so the first j rounds give the policy
        that drew the one after them.
        Returns all that `predict` needs beyond `meta`; tensors only, so that an adapted
        learner can be written to a file. Differentiable with respect to `meta.params`
        unless the method says otherwise.
        """

    def unadapted(self, network: nn.Module, meta: Meta) -> Params | None:
        """What `predict` takes before any support is seen; None if there is none. Of
        control there is one: the policy that acts first."""
        return None

    @abstractmethod
    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Outputs for one task: (m, *shape) -> logits (m, ways), or (m, outputs); of
        control, at least `Problem.policy_outputs` of them."""

    @abstractmethod
    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """The mean meta-gradient of T episodes; `over` maps functions over tasks."""

    def judge(
        self,
        network: nn.Module,
        meta: Meta,
        support: Drawn,
        query: Drawn,
        predict: Predict,
    ) -> Metrics | None:
        """Figures of one task, for a method that is judged otherwise than by loss and
        accuracy of what `predict` says after adapting; None, for all others.

        At least `loss`, a scalar, the less the better. Other scalars are kept with the
        episode under their names, and vectors (k,) as curves with the evaluation.
        `predict` calls the method's own, for queries together or each alone, as asked.
        Not asked of control, where the figure is the return of what was done.
        """
        return None

    def rounds(self, *, training: bool) -> int:
        """Of control: from how many rounds of `task.shots` trajectories `adapt` learns
        a task, in training or after it; each is drawn by the policy that the rounds
        before it gave. 0 for a method that learns while it acts."""
        return 1


class Seen(NamedTuple):
    """What a policy that remembers is told before an action; of n trajectories."""

    inputs: Tensor
    """Observations, (n, *shape)."""

    actions: Tensor
    """The action before, int64 (n,) or float32 (n, outputs); 0 where there was none."""

    rewards: Tensor
    """The reward it had, (n,); 0 where there was none."""

    ended: Tensor
    """bool (n,): whether an inner episode ended with it."""

    begun: Tensor
    """bool (n,): whether there was an action before."""


class Recurrent(Algorithm):
    """A method whose policy remembers what it saw and did in a trajectory, through all
    its inner episodes."""

    @abstractmethod
    def begin(
        self, network: nn.Module, meta: Meta, adapted: Params, count: int
    ) -> Params:
        """The memory of `count` trajectories before their first action: tensors (count,
        ...) by name."""

    @abstractmethod
    def act(
        self,
        network: nn.Module,
        meta: Meta,
        adapted: Params,
        memory: Params,
        seen: Seen,
    ) -> tuple[Tensor, Params]:
        """One step of n trajectories, of all tasks at once: outputs (n, o), and the new
        memory."""

    @abstractmethod
    def retrace(
        self, network: nn.Module, meta: Meta, adapted: Params, drawn: Trajectories
    ) -> Tensor:
        """Outputs at every step of whole trajectories, (n, H, o): what `act` said one
        step after the other, and differentiable with respect to `meta.params`."""

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Raises UnsupportedError: there is no output without a memory."""
        raise UnsupportedError("a policy that remembers acts step by step: use act")
