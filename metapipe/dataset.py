"""What a data set is: where tasks come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, Protocol

from .encoder import Encoder
from .episode import Episodes, Task
from .errors import UnsupportedError
from .plugin import Plugin
from .problem import Actions, Kind, Split

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class SourceFacts:
    """What is known of a split before anything is drawn."""

    kind: Kind
    shape: tuple[int, ...]
    """Shape of one input."""

    fingerprint: str
    """A hash of the content: equal fingerprints draw equal episodes."""

    outputs: int | None = None
    """Numbers to predict per input; None for classification (as many as ways). Of
    control, discrete actions, or numbers of a continuous one."""

    classes: Sequence[str] = ()
    """Names of the classes, in order; empty for regression."""

    groups: Sequence[str] = ()
    """Names of the groups a regression's tasks are; empty where they have none."""

    sizes: Sequence[int] = ()
    """Items of each class, or rows of each group; empty if there is no end."""

    nbytes: int = 0
    """Bytes of the items as they are kept; 0 if they are made when drawn."""

    encoder: Encoder | None = None
    """What makes inputs of new items; None if the data set cannot take any."""

    actions: Actions = ""
    """Of control: what is chosen in a world."""


class Source(ABC):
    """One split of a data set, opened: draws episodes."""

    @property
    @abstractmethod
    def facts(self) -> SourceFacts:
        """What is known of it; asked for often, so worth keeping."""

    def digests(self) -> Iterator[tuple[bytes, str]]:
        """A hash of each item with its class, to find items that are there twice, and
        those of another data set that were trained on."""
        return iter(())

    @abstractmethod
    def check(self, task: Task) -> None:
        """Raise UnsupportedError if such an episode cannot be drawn from this split."""

    @abstractmethod
    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """The episodes of `tasks`, which agree in all but their index.

        A pure function of the tasks: neither call order nor process matters. Labels are
        assigned to classes in random order, and support and query are disjoint.
        """

    def part(self, task: Task) -> str | None:
        """Which part of it the episode is of, where evaluations should tell figures for
        each part too, such as a member of a mixture; None where it is all one."""
        return None

    def on(self, device: str) -> Source:
        """The same with its items kept on that device, such as "cuda:0", where it then
        draws the same episodes to the bit; itself if it cannot be."""
        return self

    def joined(self, other: Source) -> Source:
        """All classes of this split and of another one of the same data set, to be
        trained on together.

        Raises UnsupportedError where the two cannot be joined.
        """
        raise UnsupportedError("the splits of this data set cannot be joined")

    def depict(self, figure: Figure, episodes: Episodes) -> None:
        """Draw an episode, a meta-batch of one on the CPU, into an empty figure of
        matplotlib's, as its data would best be seen.

        Raises UnsupportedError where it has no way of its own: images, regressions of
        one number and rewards over steps are drawn without.
        """
        raise UnsupportedError("this data set cannot draw its episodes")


class Worlds(Protocol):
    """T tasks' worlds, n copies of each, stepped together: of a
    `gymnasium.vector.VectorEnv` with `AutoresetMode.DISABLED`, which is one, all that
    is used.

    World t * n + c is copy c of task t. Everything is NumPy's or torch's, and actions
    come as observations do. Equal seeds and actions give equal bits, whatever the
    worlds did before and whoever is beside them.
    """

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """The first observations (T * n, *shape), and what there is to say of them.

        `seed` is a list of T * n integers, and all later chance follows from them; None
        to go on. `options["reset_mask"]`, bool (T * n), starts only those anew.
        """

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Observations, rewards, whether it is over, whether time is over, (T * n, ...)
        each, and what there is to say: `success` is kept.

        `actions` are int64 (T * n), or float32 (T * n, outputs) without bounds, which
        the world clips where it has some.
        """


class Arena(Source):
    """One split of a control data set: worlds to act in, instead of samples."""

    horizon: int
    """Steps of a trajectory, at most."""

    episodes: int = 1
    """Inner episodes of a trajectory: when one ends the world starts anew, and what a
    policy remembers stays."""

    @abstractmethod
    def worlds(self, tasks: Sequence[Task], copies: int) -> Worlds:
        """So many copies of each task's world.

        A pure function of the tasks' integers, such as of
        `metapipe.data.uniform(keys(tasks), "goal", 2)`. They are used until the next
        call, which may return the same object with other tasks in it.
        """

    def references(self, tasks: Sequence[Task]) -> dict[str, Sequence[float]]:
        """What is known to be had in each task's world, by name, to compare returns
        with: of acting at `random`, of an `oracle` that knows the task."""
        return {}

    def check(self, task: Task) -> None:
        """Worlds have one way, and no unequal classes."""
        if task.ways != 1:
            raise UnsupportedError(
                f"ways = {task.ways}: control has no classes; use --ways 1"
            )
        if task.support is not None:
            raise UnsupportedError(
                f"support = {task.support}: control has no classes that could have "
                "unequal numbers; leave it out"
            )

    def draw(self, tasks: Sequence[Task]) -> NoReturn:
        """Raises UnsupportedError: what happens in a world depends on who acts."""
        raise UnsupportedError(
            f"{tasks[0].dataset} has worlds and no samples: train a policy in them, as "
            "by metapipe train --plugin maml-trpo"
        )


class Dataset(Plugin):
    """Where tasks come from."""

    kind: ClassVar[Kind | None] = None
    """The kind of problem that it poses, if that is known before it is opened: data may
    be large, or still have to be downloaded."""

    def check(self) -> None:
        """Raise DataError, with the name of the setting, if a file or a folder that the
        settings name is not there, or one that is needed is not named.

        Quick: nothing is decoded. Asked before a run is resolved; `open` asks it again.
        """

    @abstractmethod
    def open(self, split: Split) -> Source:
        """The split, ready to draw from. May build and cache a bank at first use.

        Raises DataError if the data cannot be found or read.
        """
