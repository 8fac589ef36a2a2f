"""Figures and intervals, and what "alone" means, against independent computations."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from metapipe import EpisodeRecord, Meta, Task
from metapipe.data.sampling import tasks
from metapipe.errors import DivergedError
from metapipe.numerics.functional import apply
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.training.evaluation import evaluate, predict
from metapipe.training.intervals import mean_ci95, summarise
from metapipe.training.learner import Learner, build_learner, problem_of
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.datasets.digits import Digits
from metapipe_plugins.models.mlp import MLP

RECIPES = tasks("digits", "test", 3, 0, 40, 3, 2, 5)


@pytest.fixture(scope="module")
def source():
    return Digits().open("test")


def learner(source, normalise: bool = True) -> tuple[Learner, Meta]:
    model = MLP(layers=(12,), normalise=normalise)
    algorithm = MAML(inner_lr=0.05)
    return build_learner(algorithm, model, problem_of(source, 3), "cpu", seed=0)


def test_mean_and_interval_of_the_fixture() -> None:
    """algorithms.md 23.2."""
    mean, ci95 = mean_ci95([0.2, 0.4, 0.6, 0.8, 1.0])
    assert mean == pytest.approx(0.6)
    assert ci95 == pytest.approx(0.24792, abs=1e-5)
    numbers = np.random.default_rng(0).random(1000)
    mean, ci95 = mean_ci95(numbers.tolist())
    assert mean == pytest.approx(numbers.mean())
    assert ci95 == pytest.approx(1.96 * numbers.std() / 1000**0.5)


def test_figures_that_do_not_exist_are_none() -> None:
    task = Task("s", "test", 0, 0, 1, 10, 10)
    summary = summarise([EpisodeRecord(task, 5, loss=x) for x in (1.0, 3.0)])
    assert (summary.loss, summary.accuracy, summary.loss_before) == (2.0, None, None)
    assert summary.episodes == 2


def test_before_adaptation_accuracy_is_chance(source) -> None:
    ours, meta = learner(source)
    many = tasks("digits", "test", 5, 0, 400, 3, 1, 5)
    summary = summarise(list(evaluate(ours, meta, source, many, step=0)))
    assert summary.accuracy_before == pytest.approx(1 / 3, abs=0.03)
    assert summary.accuracy is not None
    assert summary.accuracy > 0.4, "even an untrained network learns something"


def test_shuffled_support_labels_leave_chance(source) -> None:
    ours, meta = learner(source)
    right = []
    for start in range(0, 300, 20):
        episodes = source.draw(tasks("digits", "test", 6, start, 20, 3, 1, 5))
        generator = torch.Generator().manual_seed(start)
        for task in range(20):
            order = torch.randperm(3, generator=generator)
            support = type(episodes.support)(
                episodes.support.inputs[task], episodes.support.targets[task][order]
            )
            with torch.no_grad():
                adapted = ours.algorithm.adapt(ours.network, meta, support, 3)
                out = apply(ours.network, adapted, episodes.query.inputs[task])
            hits = out.argmax(-1) == episodes.query.targets[task]
            right.append(hits.double().mean().item())
    assert np.mean(right) == pytest.approx(
        1 / 3, abs=4 * np.std(right) / len(right) ** 0.5
    )


def test_records_are_in_order_and_do_not_depend_on_batches_or_mapping(source) -> None:
    ours, meta = learner(source)
    whole = list(evaluate(ours, meta, source, RECIPES, step=7))
    assert [record.task for record in whole] == RECIPES
    assert {record.step for record in whole} == {7}
    parts = list(evaluate(ours, meta, source, RECIPES[33:], step=7))
    threads = replace(ours, mapping=LocalTaskMap("threads", 2))
    vmapped = replace(ours, mapping=LocalTaskMap("vmap"))
    for other in (
        list(evaluate(threads, meta, source, RECIPES, step=7))[33:],
        list(evaluate(vmapped, meta, source, RECIPES, step=7))[33:],
        parts,
    ):
        for a, b in zip(whole[33:], other, strict=True):
            assert a.loss == pytest.approx(b.loss, rel=1e-4)


def test_evaluation_changes_nothing(source) -> None:
    ours, meta = learner(source)
    tensors = [*meta.params.values(), *ours.network.state_dict().values()]
    before = [tensor.clone() for tensor in tensors]
    list(evaluate(ours, meta, source, RECIPES[:5], step=0))
    assert all(torch.equal(a, b) for a, b in zip(tensors, before, strict=True))


def test_alone_each_query_has_only_the_support_set_for_company(source) -> None:
    ours, meta = learner(source)
    episodes = source.draw(RECIPES[:1])
    support = type(episodes.support)(*(t[0] for t in episodes.support))
    query = episodes.query.inputs[0]
    adapted = ours.algorithm.adapt(ours.network, meta, support, 3)
    together = predict(ours, meta, adapted, support, query, "together")
    alone = predict(ours, meta, adapted, support, query, "alone")
    assert not torch.allclose(alone, together), "batch statistics see the queries"
    for number, one in enumerate(query):
        batch = torch.cat([support.inputs, one[None]])
        expected = apply(ours.network, adapted, batch)[-1]
        torch.testing.assert_close(alone[number], expected, rtol=1e-4, atol=1e-5)
    fewer = predict(ours, meta, adapted, support, query[:2], "alone")
    torch.testing.assert_close(fewer, alone[:2])


def test_without_batch_statistics_alone_and_together_agree(source) -> None:
    ours, meta = learner(source, normalise=False)
    assert not ours.normalises_batches
    one, two = (
        [
            r.loss
            for r in evaluate(ours, meta, source, RECIPES[:6], step=0, prediction=p)
        ]
        for p in ("together", "alone")
    )
    assert one == two


def test_a_diverged_learner_is_an_error(source) -> None:
    ours, meta = learner(source)
    broken = Meta({name: p * float("nan") for name, p in meta.params.items()})
    with pytest.raises(DivergedError, match="test episode 0 is nan"):
        list(evaluate(ours, broken, source, RECIPES[:2], step=9))
