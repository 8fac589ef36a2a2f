"""Runs by groups: figures over seeds, against numpy and scipy's own t interval."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from store_rows import EVALUATION, RUN

from metapipe.errors import FilterError
from metapipe.store import TaskStore


@pytest.fixture
def store(store_url: str) -> Iterator[TaskStore]:
    with TaskStore.open(store_url) as opened:
        yield opened


def enter(
    store: TaskStore,
    seed: int,
    accuracy: float | None,
    algorithm: str = "maml",
    lr: float = 0.01,
    **facts: object,
) -> int:
    config = {"run": {"seed": seed, "name": None}, "training": {"lr": lr, "clip": None}}
    new = replace(RUN, seed=seed, algorithm=algorithm, config=config)
    run_id = store.begin_run(replace(new, **facts))  # type: ignore[arg-type]
    if accuracy is not None:
        for purpose in ("validation", "test"):
            figures = replace(EVALUATION, purpose=purpose, accuracy=accuracy)
            store.record_evaluation(run_id, figures, [])
    store.finish_run(run_id, "completed", metrics={"val_loss": 1.0 + seed})
    return run_id


def test_a_group_has_the_mean_and_the_interval_of_students_t(store: TaskStore) -> None:
    accuracies = [0.61, 0.58, 0.64, 0.55]
    for seed, accuracy in enumerate(accuracies):
        enter(store, seed, accuracy)
    enter(store, 0, 0.7, algorithm="anil")
    anil, maml = store.groups(["algorithm"])
    assert (anil.group, maml.group) == ({"algorithm": "anil"}, {"algorithm": "maml"})
    assert (maml.runs, maml.seeds, maml.differs) == (4, 4, ())
    low, high = stats.t.interval(0.95, 3, np.mean(accuracies), stats.sem(accuracies))
    for name in ("val_accuracy", "accuracy"):
        fold = maml.figures[name]
        assert fold.mean == pytest.approx(np.mean(accuracies))
        assert fold.ci95 == pytest.approx((high - low) / 2)
        assert fold.seeds == 4
    assert anil.figures["accuracy"].mean == pytest.approx(0.7)
    assert anil.figures["accuracy"].ci95 is None, "one seed has no interval"


def test_a_seed_counts_once_however_often_it_ran(store: TaskStore) -> None:
    for seed, accuracy in ((0, 0.5), (0, 0.7), (1, 0.8), (2, None)):
        enter(store, seed, accuracy)
    (group,) = store.groups("algorithm")
    assert (group.runs, group.seeds) == (4, 3)
    fold = group.figures["accuracy"]
    assert (fold.seeds, fold.mean) == (2, pytest.approx(0.7))
    low, high = stats.t.interval(0.95, 1, 0.7, stats.sem([0.6, 0.8]))
    assert fold.ci95 == pytest.approx((high - low) / 2)


def test_what_differs_within_a_group_is_told(store: TaskStore) -> None:
    enter(store, 0, 0.5, fingerprint="a")
    enter(store, 1, 0.6, lr=0.1, fingerprint="b")
    more = {"run": {"seed": 2}, "training": {"lr": 0.01, "clip": None, "new": 1}}
    enter(store, 2, 0.7, config=more, fingerprint="a")
    (group,) = store.groups(["algorithm"])
    assert group.differs == ("data", "training.lr", "training.new")
    low, high = store.groups(["training.lr"], sort="training.lr")
    assert [low.group, high.group] == [{"training.lr": 0.01}, {"training.lr": 0.1}]
    assert (low.runs, low.differs, high.differs) == (2, ("training.new",), ())
    (one,) = store.groups(["training.clip"], "seed<2")
    assert one.group == {"training.clip": None}
    store.begin_run(RUN)
    (group,) = store.groups(["algorithm"], "training.lr=0.01 and seed!=2")
    assert {"status", "training.clip", "training.schedule"} <= set(group.differs)


def test_groups_are_ordered_filtered_and_paged(store: TaskStore) -> None:
    for number, name in enumerate("abc"):
        for seed in range(number + 1):
            enter(store, seed, 0.5 + number / 10 + seed / 100, algorithm=name)

    def names(**asked: object) -> list[str]:
        found = store.groups("algorithm, model", **asked)  # type: ignore[arg-type]
        return [group.group["algorithm"] for group in found]

    assert names() == ["c", "b", "a"]
    assert names(sort="runs") == ["a", "b", "c"]
    assert names(sort="-accuracy", limit=1, offset=1) == ["b"]
    assert names(where="seed>0") == ["c", "b"]
    assert names(ids=[1, 2]) == ["b", "a"]
    assert names(figures=["metrics.val_loss", "step"], sort="-metrics.val_loss")[0]
    (best, *_) = store.groups(["algorithm"], figures="metrics.val_loss")
    assert best.figures["metrics.val_loss"].mean == pytest.approx(1.0)


def test_a_group_without_figures_and_one_that_diverged(store: TaskStore) -> None:
    enter(store, 0, None)
    for seed, loss in ((0, 1.0), (1, float("nan"))):
        run_id = store.begin_run(replace(RUN, seed=seed, algorithm="anil"))
        store.record_evaluation(run_id, replace(EVALUATION, loss=loss), [])
    found = {group.group["algorithm"]: group for group in store.groups("algorithm")}
    assert found["maml"].figures["loss"].mean is None
    assert found["anil"].figures["loss"].mean == float("inf")
    assert found["anil"].figures["loss"].ci95 is None


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ({"by": ["algoritm"]}, "did you mean 'algorithm'"),
        ({"by": ["training.learning"]}, "no setting 'learning'"),
        ({"by": ["algorithm.inner_rl"]}, "did you mean 'algorithm.inner_lr'"),
        ({"by": ["tag"]}, "any number of tags"),
        ({"by": []}, "names nothing"),
        ({"by": ["seed"], "figures": ["name"]}, "'name' is no number"),
        ({"by": ["seed"], "figures": ["acuracy"]}, "did you mean 'accuracy'"),
        ({"by": ["seed"], "sort": "-acuracy"}, "did you mean 'accuracy'"),
    ],
)
def test_what_is_not_there_names_the_nearest(
    store: TaskStore, asked: dict[str, list[str]], hint: str
) -> None:
    config = {"run": {"seed": 0}, "algorithm": {"inner_lr": 0.1}}
    enter(store, 0, 0.5, config=config)
    with pytest.raises(FilterError, match=hint) as caught:
        store.groups(**asked)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
