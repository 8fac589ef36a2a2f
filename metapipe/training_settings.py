"""The settings of the outer loop."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from .section import NonNegativeInt, PositiveInt, Section

Execution = Literal["eager", "graph", "compile"]
"""How meta-gradients are told to the device."""

RECORDING = ("auto", "loop", "vmap", "chunks")
"""Task maps by which a meta-gradient can be recorded: they are of one thread."""

RECOMPUTING = ("auto", "loop", "threads")
"""Task maps by which inner steps can be computed again: they vectorise nothing."""

CHUNKING = ("auto", "chunks", "chunked-threads")
"""Task maps that may take some tasks at a time."""


class TrainingSettings(Section):
    """`[training]`: the outer loop."""

    iterations: PositiveInt = 1000
    """Meta-iterations: steps of the outer optimiser."""

    minutes: PositiveFloat | None = None
    """Stop, as completed, after this many minutes of training. A schedule goes over
    all `iterations`, and is cut there."""

    tasks: PositiveInt = 16
    """Episodes in a meta-batch."""

    splits: Literal["train", "train+val"] = "train"
    """Whose classes are trained on; with those of validation too there is none, and the
    latest checkpoint is tested."""

    shards: PositiveInt = 1
    """Parts of a meta-batch whose gradients are computed one after the other and added:
    less memory. Methods that normalise over a meta-batch then do so over a part."""

    passes: PositiveInt = 1
    """Steps of the outer optimiser on each meta-batch."""

    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    """Outer optimiser; sgd has Nesterov momentum if `momentum` is not 0."""

    lr: PositiveFloat = 0.001
    """Step size of the outer optimiser at the start."""

    schedule: Literal["constant", "cosine", "linear", "steps"] = "constant"
    """How the outer step size goes from `lr` to `final_lr` over the iterations; or in
    steps, by `factors`."""

    factors: tuple[tuple[PositiveInt, PositiveFloat], ...] = ()
    """For `steps`: from so many iterations on, `lr` times that, as in
    [[2000, 0.5], [4000, 0.25]]."""

    final_lr: NonNegativeFloat = 0.0
    """Outer step size at the end of a schedule."""

    momentum: NonNegativeFloat = Field(default=0.0, lt=1.0)
    """Momentum of sgd."""

    weight_decay: NonNegativeFloat = 0.0
    """Weight decay of the outer optimiser."""

    clip: PositiveFloat | None = None
    """Largest norm of the meta-gradient; longer ones are scaled down."""

    validate_every: NonNegativeInt = 250
    """Meta-iterations between validations; 0 for none."""

    validation_episodes: PositiveInt = 200
    """Episodes of one validation."""

    select: Literal["accuracy", "loss"] = "accuracy"
    """By what the best validation is told, for checkpoints and for patience; by the
    loss where there is no accuracy."""

    keep_best: PositiveInt = Field(default=1, le=100)
    """Checkpoints that are kept of the best validations, beside the latest; at least
    as many as `evaluation.ensemble`."""

    patience: PositiveInt | None = None
    """Stop after so many validations without a better one: the run is `stopped`, and
    has no final test before it is evaluated or resumed."""

    checkpoint_every: PositiveInt = 250
    """Meta-iterations between checkpoints of kind `latest`."""

    log_every: PositiveInt = 10
    """Meta-iterations whose mean is recorded as one step."""

    store_episodes: Literal["none", "sampled", "all"] = "sampled"
    """Which training episodes go to the store; sampled: one meta-batch a record, and
    beyond 10,000 episodes 20 a second at most."""

    mapping: Literal["auto", "loop", "vmap", "chunks", "threads", "chunked-threads"] = (
        "auto"
    )
    """How the gradients of a meta-batch's tasks are computed: one task after the other
    (loop), all at once (vmap), `chunk` at once (chunks), one in each thread (threads),
    or `chunk` in each (chunked-threads). auto times those that fit in memory, takes the
    fastest, and remembers it for this machine and the same work. With threads, what is
    not of single tasks, as one call that embeds a whole meta-batch, runs on one core.
    """

    chunk: PositiveInt = 8
    """Tasks vectorised at a time by `chunks`, and in each thread by
    `chunked-threads`."""

    recompute: bool = False
    """Compute the steps of an inner loop again where second derivatives want them, and
    keep none of their graphs: a step more takes the memory of its parameters alone, for
    about a quarter more time. The same numbers; by loop or threads."""

    execution: Literal["eager", "graph", "compile", "auto"] = "eager"
    """How a meta-gradient is told to the device: operation by operation (eager);
    recorded for its shape and played again, on NVIDIA's GPUs (graph: on an H100 a fifth
    of the time where networks are small, and memory of its own); or with a network that
    torch compiles, for methods that embed a meta-batch in one call (compile: takes 20 s
    to minutes first and wants a C++ compiler or Triton; on a CPU it was no faster).
    auto times those that can be and are the same, and remembers the fastest."""

    @property
    def at_once(self) -> int:
        """`chunk`, of a mapping that has one."""
        return self.chunk if self.mapping in CHUNKING else 1

    @model_validator(mode="after")
    def _patient(self) -> Self:
        if self.patience is not None and not self.validate_every:
            raise ValueError(
                f"patience = {self.patience} counts validations, and validate_every = "
                "0 makes none: validate, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _recordable(self) -> Self:
        if self.execution != "graph":
            return self
        if self.recompute:
            raise ValueError("execution = graph is not for recompute = true: use eager")
        self._require_mapping("execution = graph", RECORDING)
        return self

    @model_validator(mode="after")
    def _recomputable(self) -> Self:
        if self.recompute:
            self._require_mapping("recompute = true", RECOMPUTING)
        return self

    def _require_mapping(self, what: str, maps: tuple[str, ...]) -> None:
        if self.mapping not in maps:
            *others, last = maps
            raise ValueError(
                f"{what} is not for mapping = {self.mapping}: use {', '.join(others)} "
                f"or {last}"
            )

    @model_validator(mode="after")
    def _enough_tasks(self) -> Self:
        if self.shards > self.tasks:
            raise ValueError(f"shards = {self.shards} of {self.tasks} tasks: use fewer")
        return self

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        places = [place for place, _ in self.factors]
        if self.schedule == "steps" and not places:
            raise ValueError("schedule = steps needs factors, as in [[2000, 0.5]]")
        if places != sorted(set(places)):
            raise ValueError(f"factors are not in the order of their places: {places}")
        return self
