"""Inner steps whose graph is computed again where it is wanted, and not kept.

A second derivative through k inner steps keeps what each of them computed: memory grows
with k. Here a step keeps its parameters alone, and what else its graph had is computed
anew when the outer gradient comes by (Chen et al. 2016, arXiv 1604.06174, with a step
for a segment): the same numbers, to the bit where the device repeats itself, for one
more computation of each step.

Torch's own `checkpoint` keeps what a gradient inside of it has asked for, and an inner
step is nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from weakref import ref

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from ..episode import Params
from ..errors import PluginError, UnsupportedError
from .random_state import RandomState


@dataclass
class Recomputation:
    """Of inner steps, while it is on."""

    steps: int = 0
    """Of how many the graph was left out so far."""


_recomputation: ContextVar[Recomputation | None] = ContextVar(
    "recomputation", default=None
)
_repeats: ContextVar[bool] = ContextVar("repeats", default=False)


@contextmanager
def recomputing(on: bool = True) -> Iterator[Recomputation]:
    """Let `inner_loop` leave out its steps' graphs inside, or not; inside of one that
    does, the same goes on."""
    here = _recomputation.get() or Recomputation()
    token = _recomputation.set(here if on else None)
    try:
        yield here
    finally:
        _recomputation.reset(token)


def recomputes() -> bool:
    """Whether inner steps leave out their graphs, at this point."""
    return _recomputation.get() is not None


def repeats() -> bool:
    """Whether what is computed at this point was computed before."""
    return _repeats.get()


def recomputed(step: Callable[[Params], Params], params: Params) -> Params:
    """`step(params)`, differentiable as ever, which keeps no more than `params`.

    `step` is a function of its argument, of what it encloses, and of torch's generator,
    and is called twice. Raises UnsupportedError for one that draws random numbers in a
    worker thread: the generator is everybody's.
    """
    if (here := _recomputation.get()) is not None:
        here.steps += 1
    return _Step(step, params).first()


class _Saved:
    """A tensor that a graph keeps: it is there, or to be computed again."""

    __slots__ = ("__weakref__", "value")

    def __init__(self, value: Tensor) -> None:
        self.value: Tensor | None = value


class _Step:
    """A step, and places for what its graph keeps, in the order of its computation."""

    def __init__(self, step: Callable[[Params], Params], params: Params) -> None:
        self._step, self._params = step, params
        # The gradient may come by in another thread, which has another context.
        self._context = copy_context()
        self._context.run(_recomputation.set, None)
        self._places: list[ref[_Saved]] = []
        self._random: RandomState | None = None
        self._left = False

    def first(self) -> Params:
        """The result, with a graph that has nothing left in it."""
        before = RandomState.at(_device(self._params))
        with saved_tensors_hooks(self._save, self._saved):
            result = self._context.copy().run(self._step, self._params)
        if before.moved():
            _require_one_thread()
            self._random = before
        for place in self._places:
            if (saved := place()) is not None:
                saved.value = None
        self._left = True
        return result

    def _save(self, tensor: Tensor) -> _Saved:
        saved = _Saved(tensor.detach())
        self._places.append(ref(saved))
        return saved

    def _saved(self, saved: _Saved) -> Tensor:
        """What a place has; it is asked for once, as a rule, and then given up."""
        if saved.value is None:
            self._again()
        value = saved.value
        assert value is not None
        if self._left:
            saved.value = None
        return value

    def _again(self) -> None:
        """Fill all places that somebody still has."""
        count = 0

        def save(tensor: Tensor) -> Tensor:
            nonlocal count
            place = self._places[count] if count < len(self._places) else None
            count += 1
            value = tensor.detach()
            if place is not None and (saved := place()) is not None:
                saved.value = value
            return value

        context = self._context.copy()
        context.run(_repeats.set, True)
        with torch.enable_grad(), saved_tensors_hooks(save, lambda tensor: tensor):
            if self._random is None:
                context.run(self._step, self._params)
            else:
                with self._random.again():
                    context.run(self._step, self._params)
        if count != len(self._places):
            raise PluginError(
                f"an inner step kept {len(self._places)} tensors, and {count} when it "
                "was computed again: let it be a function of its parameters alone, or "
                "leave training.recompute off"
            )


def _device(params: Params) -> torch.device:
    return next(iter(params.values())).device


def _require_one_thread() -> None:
    if threading.current_thread() is not threading.main_thread():
        raise UnsupportedError(
            "inner steps that draw random numbers are not computed again in threads: "
            "use training.mapping = loop, or leave training.recompute off"
        )
