"""Sinusoid: the distribution of the paper, by its analytic anchors."""

import math

import pytest
import torch
from pydantic import ValidationError

from metapipe import Task, UnsupportedError
from metapipe.data.sampling import tasks
from metapipe.testing import DatasetContract
from metapipe_plugins.datasets.sinusoid import Sinusoid


class TestSinusoid(DatasetContract):
    dataset = Sinusoid()
    ways = 1
    shots = 5
    queries = 6

    def test_anchors(self) -> None:
        """algorithms.md 2: zero, best non-adaptive, and oracle predictors."""
        drawn = (
            Sinusoid().open("test").draw(tasks("s", "test", 0, 0, 20_000, 1, 10, 10))
        )
        x, y = (t.double().squeeze(-1) for t in drawn.query)
        assert (y**2).mean().item() == pytest.approx(4.2517, rel=0.02)
        assert ((y + 1.62338 * x.cos()) ** 2).mean().item() == pytest.approx(
            3.0057, rel=0.02
        )
        xs, ys = (t.double().squeeze(-1) for t in drawn.support)
        features = torch.stack([xs.sin(), xs.cos()], -1)
        weights = torch.linalg.lstsq(features, ys[..., None]).solution
        fitted = torch.stack([x.sin(), x.cos()], -1) @ weights
        assert ((fitted.squeeze(-1) - y) ** 2).max().item() < 1e-6

    def test_over_whole_turns_nothing_beats_zero(self) -> None:
        """algorithms.md 2: without adapting, 4.2517 is the least."""
        turns = Sinusoid(phase=(0.0, 2 * math.pi)).open("test")
        drawn = turns.draw(tasks("s", "test", 0, 0, 20_000, 1, 10, 10))
        x, y = (t.double().flatten() for t in drawn.query)
        features = torch.stack([x.sin(), x.cos()], -1)
        best = torch.linalg.lstsq(features, y[:, None]).solution
        assert best.abs().max().item() < 0.1
        floor = ((y - (features @ best).squeeze(-1)) ** 2).mean().item()
        assert floor == pytest.approx(4.2517, rel=0.02)
        assert (y**2).mean().item() == pytest.approx(4.2517, rel=0.02)

    def test_the_grid_is_for_evaluation_only(self) -> None:
        grid = Sinusoid(query="grid")
        recipe = tasks("s", "test", 0, 0, 2, 1, 5, 11)
        x = grid.open("test").draw(recipe).query.inputs.squeeze(-1)
        assert x[1].tolist() == pytest.approx(list(range(-5, 6)))
        assert not torch.equal(*grid.open("train").draw(recipe).query.inputs)

    def test_ranges_are_checked_and_ways_must_be_one(self) -> None:
        with pytest.raises(ValidationError, match="the first is the greater"):
            Sinusoid(amplitude=(2.0, 1.0))
        with pytest.raises(UnsupportedError, match="--ways 1"):
            Sinusoid().open("train").check(Task("s", "train", 0, 0, 5, 1, 1))
