"""Long lists by pages: by offset, and after the last row seen."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from store_rows import EVALUATION, RUN, episodes

from metapipe.errors import FilterError, NotFoundError
from metapipe.store import TaskStore


@pytest.fixture
def store(store_url: str) -> Iterator[TaskStore]:
    with TaskStore.open(store_url) as opened:
        yield opened


def test_runs_by_pages(store: TaskStore) -> None:
    ids = [store.begin_run(replace(RUN, seed=n % 2)) for n in range(7)]
    assert store.count_runs() == 7
    assert store.count_runs("seed=1") == 3
    pages = [store.runs(limit=3, offset=offset) for offset in (0, 3, 6, 9)]
    assert [[row.id for row in page] for page in pages] == [
        ids[:3:-1],
        ids[3:0:-1],
        ids[:1],
        [],
    ]
    assert [r.id for r in store.runs(limit=2, after=ids[4])] == [ids[3], ids[2]]
    assert [r.id for r in store.runs(sort="id", after=ids[4])] == ids[5:]
    assert [r.id for r in store.runs("seed=0", sort="id", after=ids[2])] == ids[4::2]


@pytest.mark.parametrize("regression", [False, True])
def test_the_hardest_by_pages_are_the_hardest(
    store: TaskStore, regression: bool
) -> None:
    """Many episodes share an accuracy, some their loss too."""
    run_id = store.begin_run(RUN)
    met = [
        replace(
            record,
            accuracy=None if regression else (n % 3) / 2,
            loss=float(n % 5),
        )
        for n, record in enumerate(episodes(40))
    ]
    store.record_evaluation(run_id, EVALUATION, met)
    store.record_episodes(run_id, episodes(4, split="train")[:0])
    expected = [row.id for row in store.episodes(run_id, hardest=100)]
    assert len(expected) == 40
    found: list[int] = []
    while page := store.episodes(run_id, hardest=7, after=found[-1] if found else None):
        found += [row.id for row in page]
    assert found == expected
    assert [e.id for e in store.episodes(run_id, hardest=7, offset=7)] == expected[7:14]
    first, last = expected[0], expected[-1]
    some = store.episodes(run_id, hardest=50, after=first, where="loss>=2")
    assert {e.loss for e in some} == {2.0, 3.0, 4.0}
    assert store.episodes(run_id, hardest=3, after=last) == []


def test_episodes_by_pages(store: TaskStore) -> None:
    run_id, other = store.begin_run(RUN), store.begin_run(RUN)
    store.record_evaluation(run_id, EVALUATION, episodes(10))
    store.record_episodes(other, episodes(5))
    ids = [row.id for row in store.episodes(run_id)]
    assert [e.id for e in store.episodes(run_id, after=ids[6])] == ids[7:]
    assert [e.id for e in store.episodes(run_id, sort="-id", after=ids[2])] == [
        ids[1],
        ids[0],
    ]
    assert [e.id for e in store.episodes(run_id, offset=8)] == ids[8:]
    assert (store.count_episodes(run_id), store.count_episodes(other)) == (10, 5)
    assert store.count_episodes(run_id, "purpose=test and accuracy<0.95") == 4


def test_a_page_that_cannot_be_says_why(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    with pytest.raises(FilterError, match="order id, -id or hardest, not '-accuracy'"):
        store.runs(sort="-accuracy", after=1)
    with pytest.raises(FilterError, match="not at both"):
        store.episodes(run_id, offset=1, after=1)
    with pytest.raises(NotFoundError, match="no episode 5"):
        store.episodes(run_id, hardest=1, after=5)
    with pytest.raises(FilterError, match="no field 'acuracy'"):
        store.count_runs("acuracy>1")
