"""Parts of what a run has: figures of stretches, and the episodes of one evaluation."""

from dataclasses import replace

import pytest
from store_rows import EVALUATION, RUN, episodes

from metapipe.errors import NotFoundError
from metapipe.store import TaskStore


def test_long_curves_come_as_means_of_stretches(store_url: str) -> None:
    with TaskStore.open(store_url) as store:
        run_id = store.begin_run(RUN)
        for step in range(1, 11):
            store.record_metrics(run_id, step, {"loss": float(step), "lr": 0.5})
        found = store.metrics(run_id, most=4)
        assert [(m.step, m.value) for m in found if m.name == "loss"] == [
            (3, 2.0),
            (6, 5.0),
            (9, 8.0),
            (10, 10.0),
        ]
        assert {m.value for m in found if m.name == "lr"} == {0.5}
        assert store.metrics(run_id, "loss", most=10) == store.metrics(run_id, "loss")
        assert store.metrics(run_id + 1, most=4) == []


def test_the_episodes_of_one_evaluation(store_url: str) -> None:
    with TaskStore.open(store_url) as store:
        run_id, other = store.begin_run(RUN), store.begin_run(RUN)
        store.record_episodes(run_id, episodes(9))
        first = store.record_evaluation(run_id, EVALUATION, episodes(5))
        second = store.record_evaluation(
            run_id, replace(EVALUATION, seed=10), episodes(3)
        )
        assert len(store.episodes(run_id)) == 17
        found = store.episodes(run_id, evaluation=first)
        assert {episode.evaluation_id for episode in found} == {first}
        assert len(found) == 5
        worst = store.episodes(run_id, evaluation=second, hardest=2)
        assert [episode.task.index for episode in worst] == [2, 1]
        rest = store.episodes(run_id, evaluation=second, hardest=2, after=worst[-1].id)
        assert [episode.task.index for episode in rest] == [0]
        with pytest.raises(NotFoundError, match=f"run {other} has no evaluation"):
            store.episodes(other, evaluation=first)


def test_where_settings_came_from_is_kept(store_url: str) -> None:
    origins = {"training.lr": "command line"}
    with TaskStore.open(store_url) as store:
        run_id = store.begin_run(replace(RUN, origins=origins))
        assert store.run(run_id).origins == origins
        assert store.run(store.begin_run(RUN)).origins is None
