"""Training episodes on their way to a GPU, the next ones while the present are learned
from.

Episodes are a pure function of their tasks, so it is no matter who draws them, and
when: the bits are those without.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol

import torch

from ..dataset import Arena, Source, SourceFacts
from ..episode import Episodes, Task

SHARE = 4
"""The items are kept on a GPU if they take no more than one part of so many of what is
free there."""

logger = logging.getLogger("metapipe")


class Road(Protocol):
    """A way to a device, which a thread of its own sends things on."""

    def kept(self, source: Source) -> Source:
        """The source with its items at the other end, if there is room for them."""

    def sent(self, draw: Callable[[], Episodes]) -> object:
        """What is drawn, on its way."""

    def received(self, parcel: object) -> Episodes:
        """What was sent, for whoever asks now: that it is there is seen to."""


class Delivery(Source):
    """A source whose episodes are on a device, and there already where they were
    announced."""

    def __init__(self, source: Source, road: Road) -> None:
        self._source, self._road = road.kept(source), road
        self._worker = ThreadPoolExecutor(1, "episodes")
        self._ahead: dict[tuple[Task, ...], Future[object]] = {}

    @property
    def facts(self) -> SourceFacts:
        """The source's."""
        return self._source.facts

    def check(self, task: Task) -> None:
        """As the source does."""
        self._source.check(task)

    def part(self, task: Task) -> str | None:
        """As the source says."""
        return self._source.part(task)

    def draw(self, tasks: Sequence[Task]) -> Episodes:
        """The source's episodes, on the device."""
        recipes = tuple(tasks)
        coming = self._ahead.pop(recipes, None) or self._begun(recipes)
        return self._road.received(coming.result())

    def expect(self, parts: Iterable[Sequence[Task]]) -> None:
        """Announce what will be asked for next; what was announced before and was not
        asked for is forgotten."""
        known = self._ahead
        wanted = [tuple(part) for part in parts]
        for recipes in known.keys() - set(wanted):
            known[recipes].cancel()
        self._ahead = {r: known.get(r) or self._begun(r) for r in wanted}

    def _begun(self, recipes: tuple[Task, ...]) -> Future[object]:
        def draw() -> Episodes:
            return self._source.draw(recipes)

        return self._worker.submit(self._road.sent, draw)


class Parcel(NamedTuple):
    """Episodes on a GPU, and the moment from which on they are whole."""

    episodes: Episodes
    arrival: torch.cuda.Event


class RoadToGPU:
    """Through memory that does not move, on a stream beside that which computes."""

    def __init__(self, device: str) -> None:
        asked = torch.device(device)
        # A thread has a current device of its own, so it has to be named.
        index = torch.cuda.current_device() if asked.index is None else asked.index
        self.device = torch.device("cuda", index)
        stream: Any = torch.cuda.Stream
        self._stream = stream(self.device)

    def kept(self, source: Source) -> Source:
        """With its items on the GPU, if they fit into its share, and can be there."""
        free, _ = torch.cuda.mem_get_info(self.device)
        if not 0 < source.facts.nbytes <= free / SHARE:
            return source
        kept = source.on(str(self.device))
        torch.cuda.synchronize(self.device)
        if kept is not source:
            megabytes = source.facts.nbytes / 1e6
            logger.info("the data, %.0f MB, are kept on %s", megabytes, self.device)
        return kept

    def sent(self, draw: Callable[[], Episodes]) -> Parcel:
        """Drawn and copied beside what is computed meanwhile."""
        with torch.cuda.stream(self._stream):
            moved = draw().each(self._moved)
            return Parcel(moved, self._stream.record_event())

    def received(self, parcel: object) -> Episodes:
        """Whole for all that is computed from now on; its memory is not used again
        before that is done."""
        assert isinstance(parcel, Parcel)
        current = torch.cuda.current_stream(self.device)
        current.wait_event(parcel.arrival)

        def recorded(tensor: torch.Tensor) -> torch.Tensor:
            tensor.record_stream(current)
            return tensor

        return parcel.episodes.each(recorded)

    def _moved(self, tensor: torch.Tensor) -> torch.Tensor:
        if tensor.is_cuda or not tensor.numel():
            return tensor.to(self.device)
        return tensor.pin_memory().to(self.device, non_blocking=True)


def delivered(source: Source, device: str) -> Source:
    """A training split whose episodes are wanted on a device: on their way beforehand
    where that is a GPU; itself for worlds and other devices."""
    if isinstance(source, Arena) or not device.startswith("cuda"):
        return source
    return Delivery(source, RoadToGPU(device))
