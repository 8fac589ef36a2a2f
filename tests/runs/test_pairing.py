"""Two runs on the same episodes, against scipy's paired t test."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from store_rows import EVALUATION, RUN, episodes

from metapipe.errors import UsageError
from metapipe.runs.pairing import Paired, episodes_needed, paired
from metapipe.store import TaskStore
from metapipe.store.records import NewEvaluation


@pytest.fixture
def store(store_url: str) -> Iterator[TaskStore]:
    with TaskStore.open(store_url) as opened:
        yield opened


def enter(
    store: TaskStore,
    accuracies: list[float] | None,
    losses: list[float] | None = None,
    evaluation: NewEvaluation = EVALUATION,
) -> int:
    run_id = store.begin_run(RUN)
    figures = accuracies or losses or []
    met = [
        replace(
            record,
            accuracy=None if accuracies is None else accuracies[n],
            loss=1.0 if losses is None else losses[n],
        )
        for n, record in enumerate(episodes(len(figures)))
    ]
    if figures:
        store.record_evaluation(run_id, evaluation, met)
    return run_id


def of(store: TaskStore, *runs: int) -> Paired:
    return paired(store, [store.run(run) for run in runs])


def drawn(
    gap: float, seed: int = 0, count: int = 60
) -> tuple[list[float], list[float]]:
    """Hard and easy episodes, which two runs share."""
    generator = np.random.default_rng(seed)
    shared = generator.normal(0.6, 0.1, count)
    one, other = (shared + generator.normal(0, 0.02, count) for _ in range(2))
    return (one + gap).tolist(), other.tolist()


def test_the_interval_is_that_of_the_paired_t_test(store: TaskStore) -> None:
    a, b = drawn(0.02)
    one, other = enter(store, a), enter(store, b)
    found = of(store, one, other)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert found.difference == pytest.approx(np.mean(a) - np.mean(b))
    assert found.difference - found.ci95 == pytest.approx(expected.low)
    assert found.difference + found.ci95 == pytest.approx(expected.high)
    assert found.means == pytest.approx((np.mean(a), np.mean(b)))
    assert found.deviation == pytest.approx(np.std(np.subtract(a, b), ddof=1))
    assert (found.episodes, found.better, found.figure) == (60, one, "accuracy")
    assert of(store, other, one).better == one


def test_of_losses_the_smaller_is_better(store: TaskStore) -> None:
    a, b = drawn(0.02)
    one, other = enter(store, None, a), enter(store, None, b)
    found = of(store, one, other)
    assert (found.figure, found.better) == ("loss", other)


def test_what_is_undecided_says_how_many_episodes_would_settle_it(
    store: TaskStore,
) -> None:
    a, b = drawn(0.001)
    found = of(store, enter(store, a), enter(store, b))
    assert found.better is None
    assert found.settled_by is not None
    assert found.settled_by > 60
    ratio = found.deviation / abs(found.difference)
    for count, settled in ((found.settled_by, True), (found.settled_by - 1, False)):
        half = stats.t.ppf(0.975, count - 1) * ratio / np.sqrt(count)
        assert (half < 1) == settled
    same = of(store, 1, enter(store, a))
    assert (same.better, same.settled_by, same.ci95) == (None, None, 0.0)
    assert episodes_needed(0.5, 0.0) == 2
    assert episodes_needed(1e-12, 1.0) == pytest.approx(1.96**2 * 1e24, rel=1e-3)


def test_the_newest_tests_of_the_same_episodes_are_taken(store: TaskStore) -> None:
    a, b = drawn(0.02)
    one, other = enter(store, a), enter(store, b)
    other_seed = replace(EVALUATION, seed=99)
    store.record_evaluation(one, other_seed, episodes(5))
    store.record_evaluation(other, replace(EVALUATION, shots=5), episodes(5))
    assert of(store, one, other).episodes == 60
    store.record_evaluation(other, other_seed, episodes(4))
    assert of(store, one, other).episodes == 4, "those that both have"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 4}, r"\(seed 9 and 4\): metapipe evaluate 2 .*--split test --seed 9"),
        ({"shots": 5}, r"\(shots 1 and 5\): metapipe evaluate 2 .*--shots 1 "),
        ({"dataset": "mine"}, "metapipe evaluate 2 --dataset other --split"),
        ({"fingerprint": "g"}, "the data are others; metapipe evaluate 1 .*, then"),
    ],
)
def test_other_episodes_are_refused_with_the_command_that_mends_it(
    store: TaskStore, change: dict[str, object], words: str
) -> None:
    enter(store, [0.5, 0.6])
    enter(store, [0.5, 0.6], evaluation=replace(EVALUATION, **change))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=words) as caught:
        of(store, 1, 2)
    assert "\n" not in str(caught.value)


def test_the_command_asks_for_unequal_classes_too(store: TaskStore) -> None:
    unequal = replace(EVALUATION, settings={"evaluation.support": 9})
    enter(store, [0.5, 0.6], evaluation=unequal)
    enter(store, None)
    with pytest.raises(UsageError, match=r"metapipe evaluate 2 .*--support 9"):
        of(store, 1, 2)


def test_what_is_no_pair_is_refused(store: TaskStore) -> None:
    one, untested = enter(store, [0.5, 0.6]), enter(store, None)
    for runs, words in (
        ((one, one), "compares two runs, not 1"),
        ((one, untested), f"run {untested} was never tested: metapipe evaluate 2"),
        ((untested, store.begin_run(RUN)), "never tested: metapipe evaluate 2; meta"),
    ):
        with pytest.raises(UsageError, match=words):
            of(store, *runs)
    lonely = enter(store, [0.5])
    with pytest.raises(UsageError, match="share 1 episodes"):
        of(store, one, lonely)


def test_all_that_is_asked_of_a_comparison(tmp_path: Path) -> None:
    import metapipe

    url = f"sqlite:///{tmp_path / 'x.db'}"
    with TaskStore.open(url) as store:
        a, b = drawn(0.02)
        for values in (a, b):
            enter(store, values)
    found = metapipe.compare(1, 2, paired=True, db=url)
    assert found.paired is not None
    assert found.paired.better == 1
    (group,) = metapipe.compare(where="id>0", group_by="algorithm", db=url).groups
    assert (group.runs, group.seeds) == (2, 1)
    for wrong in ({"paired": True, "group_by": "seed"}, {"where": "id>0"}):
        with pytest.raises(UsageError):
            metapipe.compare(1, 2, db=url, **wrong)  # type: ignore[arg-type]
