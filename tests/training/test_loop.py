"""The outer loop: schedules, optimisers, divergence, and going on where it stopped."""

import math
from dataclasses import replace
from itertools import islice
from typing import ClassVar

import pytest
import torch
from toy_training import draw, learner

from metapipe import Group, Meta
from metapipe.errors import DivergedError
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.training.loop import (
    choose_mapping,
    initial_state,
    iterations,
    lr_at,
    same_rates,
)
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.maml import MAML


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_each_optimiser_is_torchs(optimiser: str) -> None:
    settings = TrainingSettings(
        iterations=3, optimiser=optimiser, lr=0.1, momentum=0.9, weight_decay=0.01
    )
    ours, meta = learner()
    state = initial_state(meta, settings)
    reference = [p.clone().requires_grad_() for p in meta.params.values()]
    common = {"lr": 0.1, "weight_decay": 0.01}
    kinds = {
        "adam": lambda p: torch.optim.Adam(p, **common),
        "adamw": lambda p: torch.optim.AdamW(p, **common),
        "sgd": lambda p: torch.optim.SGD(p, momentum=0.9, nesterov=True, **common),
    }
    theirs = kinds[optimiser](reference)
    for iteration in iterations(ours, state, settings, draw, seed=0):
        current = dict(zip(meta.params, (p.detach() for p in reference), strict=True))
        step = ours.algorithm.meta_gradient(
            ours.network, Meta(current), draw(iteration.step - 1)[0], ours.mapping
        )
        for p, grad in zip(reference, step.gradients.values(), strict=True):
            p.grad = grad
        theirs.step()
    for p, q in zip(state.meta.params.values(), reference, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-12)


def test_steps_hold_from_their_places_on() -> None:
    settings = TrainingSettings(
        iterations=100, lr=0.2, schedule="steps", factors=[[10, 0.5], [40, 0.1]]
    )
    places = [0, 9, 10, 39, 40, 99]
    want = [0.2, 0.2, 0.1, 0.1, 0.02, 0.02]
    assert [lr_at(settings, n) for n in places] == pytest.approx(want)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"schedule": "steps", "factors": [[5, 0.5]]}, True),
        ({"schedule": "cosine"}, False),
        ({"schedule": "linear"}, False),
        ({"schedule": "linear", "final_lr": 0.1}, True),
    ],
)
def test_only_some_schedules_depend_on_the_end(changes, same) -> None:
    short, long = (TrainingSettings(iterations=n, lr=0.1, **changes) for n in (10, 20))
    assert same_rates(short, long, 10) == same


@pytest.mark.parametrize(
    ("factors", "told"),
    [([], "needs factors"), ([[9, 0.5], [9, 0.1]], "not in the order")],
)
def test_steps_without_places_in_order_are_refused(factors, told) -> None:
    with pytest.raises(ValueError, match=told):
        TrainingSettings(schedule="steps", factors=factors)


def test_schedules_end_where_they_should() -> None:
    for schedule in ("linear", "cosine"):
        settings = TrainingSettings(
            iterations=100, lr=1.0, final_lr=0.2, schedule=schedule
        )
        assert lr_at(settings, 0) == 1.0
        assert lr_at(settings, 50) == pytest.approx(0.6)
        assert lr_at(settings, 100) == pytest.approx(0.2)
    settings = TrainingSettings(iterations=100, lr=1.0, schedule="cosine")
    assert lr_at(settings, 25) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_a_long_gradient_is_clipped_to_the_norm() -> None:
    ours, meta = learner()
    settings = TrainingSettings(iterations=1, optimiser="sgd", lr=1.0, clip=1e-3)
    state = initial_state(meta, settings)
    (iteration,) = iterations(ours, state, settings, draw, seed=0)
    moved = [
        (p - before).flatten()
        for p, before in zip(
            state.meta.params.values(), meta.params.values(), strict=True
        )
    ]
    assert torch.cat(moved).norm().item() == pytest.approx(1e-3, rel=1e-6)
    assert iteration.grad_norm > 1e-3, "the recorded norm is the one before clipping"


def test_a_stopped_loop_goes_on_bit_for_bit() -> None:
    settings = TrainingSettings(iterations=8, lr=0.01, schedule="cosine")
    ours, meta = learner()
    whole, halves = initial_state(meta, settings), initial_state(meta, settings)
    for _ in iterations(ours, whole, settings, draw, seed=0):
        pass
    for _ in islice(iterations(ours, halves, settings, draw, seed=0), 5):
        pass
    torch.rand(17)  # whatever else the process did in between
    for _ in iterations(ours, halves, settings, draw, seed=0):
        pass
    assert whole.step == halves.step == 8
    for name, p in whole.meta.params.items():
        assert torch.equal(p, halves.meta.params[name])


def test_a_loss_that_is_no_number_stops_training_and_keeps_the_state() -> None:
    settings = TrainingSettings(iterations=10, optimiser="sgd", lr=1e300)
    ours, meta = learner()
    state = initial_state(meta, settings)
    loop = iterations(ours, state, settings, draw, seed=0)
    next(loop)
    before = {k: p.detach().clone() for k, p in state.meta.params.items()}
    with pytest.raises(DivergedError, match=r"at iteration 2: lower training\.lr"):
        next(loop)
    assert state.step == 1
    for name, p in state.meta.params.items():
        assert torch.equal(p, before[name])


def test_a_finite_but_exploding_loss_stops_training() -> None:
    settings = TrainingSettings(iterations=50, optimiser="sgd", lr=1e4)
    ours, meta = learner()
    state = initial_state(meta, settings)
    with pytest.raises(DivergedError, match="the loss grew from"):
        for _ in iterations(ours, state, settings, draw, seed=0):
            pass


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_learned_step_sizes_are_not_decayed(optimiser) -> None:
    """5.5: without a gradient, weights shrink and rates stay."""
    settings = TrainingSettings(optimiser=optimiser, weight_decay=0.1, lr=0.5)
    meta = Meta({"weight": torch.ones(2), "rate.weight": torch.ones(2)})
    state = initial_state(meta, settings, (Group("rate.", decays=False),))
    for p in state.meta.params.values():
        p.grad = torch.zeros_like(p)
    state.optimiser.step()
    assert (state.meta.params["weight"] < 1).all()
    assert torch.equal(state.meta.params["rate.weight"], torch.ones(2))


class Noting(MAML):
    """Notes how many threads each meta-gradient has for its own operations."""

    seen: ClassVar[list[tuple[str, int]]] = []

    def meta_gradient(self, network, meta, episodes, over):
        self.seen.append((over.mode, torch.get_num_threads()))
        return super().meta_gradient(network, meta, episodes, over)


def test_task_maps_are_timed_with_the_threads_of_training() -> None:
    ours, meta = learner()
    noting = Noting()
    state = initial_state(meta, TrainingSettings())
    maps = [LocalTaskMap("loop"), LocalTaskMap("threads", 2)]
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        best = choose_mapping(replace(ours, algorithm=noting), state, maps, draw)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert best in maps
    assert {("loop", 2), ("threads", 1)} == set(noting.seen)
