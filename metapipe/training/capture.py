"""A meta-gradient that is recorded once for each shape of a meta-batch, as a CUDA
graph, and played again.

A recording computes at fixed places. What is learned from is copied there before it is
played, and what comes out is copied away: nothing is shared by two iterations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor

from ..algorithm import Meta, Step
from ..episode import Episodes
from ..numerics.random_state import RandomState
from .asking import asking_nothing

WARM_UPS = 3
"""Calls before a recording: what is loaded, or chosen, when it is called first."""

Play = Callable[[], Step]
"""Compute it again; the result lies at the same places each time."""


class Recorder(Protocol):
    """What makes a recording."""

    def __call__(self, work: Callable[[], Step]) -> Play:
        """Of `work`, which reads what lies at fixed places; it may be called some
        times for that."""


class Captured:
    """A function of meta-parameters and episodes that is recorded for each of their
    shapes when it is first called with them."""

    def __init__(
        self, work: Callable[[Meta, Episodes], Step], record: Recorder
    ) -> None:
        self._work, self._record = work, record
        self._known: dict[object, tuple[list[Tensor], Play]] = {}

    def __call__(self, meta: Meta, episodes: Episodes) -> Step:
        """What the function would return, in tensors of its own. Random numbers are
        drawn from where torch's generator is."""
        given, shape = _tensors(meta, episodes), _shape(meta, episodes)
        if shape not in self._known:
            self._known[shape] = self._recorded(meta, episodes)
        places, play = self._known[shape]
        with torch.no_grad():
            for place, value in zip(places, given, strict=True):
                place.copy_(value)
        return _away(play())

    def _recorded(self, meta: Meta, episodes: Episodes) -> tuple[list[Tensor], Play]:
        meta = Meta(_copied(meta.params), _copied(meta.state))
        episodes = episodes.each(torch.clone)
        places = _tensors(meta, episodes)
        with RandomState.at(places[0].device).again():
            play = self._record(lambda: self._work(meta, episodes))
        return places, play


class GraphRecorder:
    """Records on an NVIDIA GPU, as CUDA graphs that use the same memory: one is played
    after the other, and what they leave is copied before."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self._memory: Any = None

    def __call__(self, work: Callable[[], Step]) -> Play:
        """Raises UnsupportedError for work that asks something of the CPU."""
        with torch.cuda.device(self.device):
            new: Any = torch.cuda.Stream
            stream = new()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                with asking_nothing():
                    work()
                for _ in range(WARM_UPS - 1):
                    work()
            torch.cuda.current_stream().wait_stream(stream)
            self._memory = self._memory or torch.cuda.graph_pool_handle()
            graph = torch.cuda.CUDAGraph()
            # Of this thread: another one sends the next episodes meanwhile.
            recording = torch.cuda.graph(
                graph,
                pool=self._memory,
                stream=stream,
                capture_error_mode="thread_local",
            )
            with _generator_as_before(), recording:
                kept = work()

        def play() -> Step:
            graph.replay()
            return kept

        return play


@contextmanager
def _generator_as_before() -> Iterator[None]:
    """What could not be recorded leaves torch's generator as if within a recording, and
    it then refuses to draw: a copy of its state does not."""
    try:
        yield
    except BaseException:
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        generator.graphsafe_set_state(generator.clone_state())
        raise


def _tensors(meta: Meta, episodes: Episodes) -> list[Tensor]:
    """All that is computed from."""
    held = (*meta.params.values(), *meta.state.values())
    classes = [] if episodes.class_indices is None else [episodes.class_indices]
    return [*held, *episodes.support, *episodes.query, *classes]


def _shape(meta: Meta, episodes: Episodes) -> object:
    """What a recording is good for: sizes and types; ways and shots, which a method may
    read as numbers."""
    sizes = [(t.shape, t.dtype) for t in _tensors(meta, episodes)]
    shapes = [(t.ways, t.shots, t.queries) for t in episodes.tasks]
    return tuple(sizes), tuple(shapes)


def _copied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _away(step: Step) -> Step:
    return Step(*map(_copied, step))
