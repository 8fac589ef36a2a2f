"""What a plugin is: an algorithm, a model or a data set.

Each is a frozen record whose fields are its settings: name, type, bounds, default and
help are said once, at the field, and the CLI, the config file, the docs and the run
record all come from there. The classes here are abstract; a plugin's own are final.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from .episode import Episodes, Metrics, Params, Samples, Task

if TYPE_CHECKING:
    from torch import Tensor, nn

    from .numerics.task_map import TaskMap

Kind = Literal["classification", "regression"]
Statistics = Literal["batch", "running"]
Split = Literal["train", "val", "test"]
Form = Literal["file", "row"]
DropShare = Annotated[float, Field(ge=0, lt=1, json_schema_extra={"stochastic": True})]
"""A setting of a model: the share of something that is dropped at random in training.

Marked, so that where training never runs the network in training mode a default or a
recommendation of it becomes 0, and a user who asks for more is told."""


class Plugin(BaseModel, ABC):
    """A frozen, validated record: its fields are its settings."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        allow_inf_nan=False,  # JSON, which the store keeps, has no infinity
    )

    paper: ClassVar[str] = ""
    """Citation with its address, shown by `metapipe plugins show`."""

    recommended: ClassVar[Mapping[str, Any]] = {}
    """Run settings this plugin does well with, by dotted name (`training.lr`). They
    replace the built-in defaults and give way to whatever the user says."""

    recommended_with: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """The same beside a certain other plugin, by its name: on this data set that
    algorithm wants another step size. Stronger than what either recommends alone."""


def stochastic_settings(cls: type[Plugin]) -> list[str]:
    """Names of the settings that are a DropShare."""
    return [
        name
        for name, field in cls.model_fields.items()
        if isinstance(field.json_schema_extra, dict)
        and field.json_schema_extra.get("stochastic")
    ]


def silently_off(algorithm: str, setting: str) -> str:
    """The line that refuses a DropShare beside an algorithm for which it does nothing.

    `setting` is NAME=VALUE, with where it was given.
    """
    name = setting.partition("=")[0]
    return (
        f"{algorithm} never runs the network in training mode, so {setting} would be "
        f"silently off: use -s {name}=0, or a method for which metapipe plugins show "
        "says that dropout acts, for example --plugin protonet"
    )


@dataclass(frozen=True)
class Problem:
    """What is to be learned: the shape of the input and what is asked of the output."""

    kind: Kind
    shape: tuple[int, ...]
    """Shape of one input: (channels, height, width) for images."""

    outputs: int
    """Number of classes in a task (ways), or of numbers to predict."""

    classes: int = 0
    """Number of classes of the split the tasks come from; 0 for regression."""


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


class Model(Plugin):
    """A network, to be built for a problem."""

    @abstractmethod
    def build(
        self, shape: tuple[int, ...], outputs: int | None, statistics: Statistics
    ) -> nn.Module:
        """A module from (n, *shape) to (n, outputs), or to features (n, d) if `outputs`
        is None.

        Parameters of the final linear layer are named `head.*`. With `statistics`
        "batch", normalisation layers use the statistics of the batch at hand, always,
        and have no buffers; with "running" they are torch's usual ones. The default
        device decides where the parameters are (`with torch.device("meta"): ...`).
        Raises UnsupportedError if `shape` does not suit the model.
        """


class Algorithm(Plugin):
    """A meta-learning algorithm: how to learn a task, and how to learn that.

    Nothing is mutated: `adapt`, `predict` and `meta_gradient` are functions of their
    arguments. `network` is only ever called through `metapipe.numerics.functional.apply`.
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


class Encoder(BaseModel, ABC):
    """How a thing of the user's (a file, a text, a row) becomes an input.

    A frozen record, JSON-able: it is kept with a run and with an adapted model, which
    need nothing else of the data set to take new items.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )

    form: ClassVar[Form] = "file"
    """Whether an item is the content of a file, whose folder is its class, or a row of
    a table that has a column for the class, called by the field `label`."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""

    @abstractmethod
    def encode(self, items: Sequence[Any]) -> Tensor:
        """Items as inputs (n, *shape), just as the data set has them.

        Raises DataError for an item that cannot be read.
        """

    def examples(self, count: int, seed: int = 0) -> Tensor:
        """(count, *shape): inputs such as `encode` gives, to check an exported model
        with.

        Type, range and what is nought have to be those of `encode`: on other inputs a
        wrong model may agree with the right one. Here: standard normal numbers.
        """
        import torch

        generator = torch.Generator().manual_seed(seed)
        return torch.randn(count, *self.shape, generator=generator)


class Source(ABC):
    """One split of a data set, opened: draws episodes."""

    encoder: Encoder | None = None
    """What makes inputs of new items; None if the data set cannot take any."""

    @property
    @abstractmethod
    def kind(self) -> Kind:
        """Classification or regression."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one input."""

    @property
    @abstractmethod
    def outputs(self) -> int | None:
        """Numbers to predict per input; None for classification (as many as ways)."""

    @property
    @abstractmethod
    def classes(self) -> Sequence[str]:
        """Names of the classes, in order; empty for regression."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of the content: equal fingerprints draw equal episodes."""

    @property
    def groups(self) -> Sequence[str]:
        """Names of the groups a regression's tasks are; empty where they have none."""
        return ()

    @property
    def sizes(self) -> Sequence[int]:
        """Items of each class, or rows of each group; empty if there is no end."""
        return ()

    @property
    def nbytes(self) -> int:
        """Bytes of the items as they are kept; 0 if they are made when drawn."""
        return 0

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """A hash of each item with its class, to find items that are there twice, and
        those of another data set that were trained on."""
        return iter(())

    @abstractmethod
    def check(self, ways: int, shots: int, queries: int) -> None:
        """Raise UnsupportedError if such episodes cannot be drawn from this split."""

    @abstractmethod
    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """The episodes of `tasks`, which agree in ways, shots and queries.

        A pure function of the tasks: neither call order nor process matters. Labels are
        assigned to classes in random order, and support and query are disjoint.
        """


class Dataset(Plugin):
    """Where tasks come from."""

    @abstractmethod
    def open(self, split: Split) -> Source:
        """The split, ready to draw from. May build and cache a bank at first use.

        Raises DataError if the data cannot be found or read.
        """


Register = Callable[[str, type[Plugin]], None]
"""`register(name, cls)`: what the registration hooks are handed."""
