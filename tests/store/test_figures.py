"""Further figures and curves of an algorithm, by name; tags and notes of people."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from store_rows import EVALUATION, RUN, episodes

from metapipe.errors import FilterError, UsageError
from metapipe.store import TaskStore

NAN, INF = float("nan"), float("inf")


@pytest.fixture
def store(store_url: str) -> Iterator[TaskStore]:
    with TaskStore.open(store_url) as opened:
        yield opened


def test_an_evaluation_keeps_figures_and_curves(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    curve = ((0.2, 0.02), (0.8, 0.01))
    new = replace(
        EVALUATION,
        figures={"residual": (0.5, 0.1), "broken": (NAN, INF)},
        curves={"accuracy": curve},
    )
    row = store.evaluation(store.record_evaluation(run_id, new, []))
    assert row.figures == {"residual": (0.5, 0.1), "broken": (None, None)}
    assert row.curves == {"accuracy": curve}
    plain = store.evaluation(store.record_evaluation(run_id, EVALUATION, []))
    assert (plain.figures, plain.curves) == ({}, {})


def test_episodes_are_found_and_sorted_by_further_figures(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    kept = ({"residual": 0.7}, {"residual": 0.2, "a.b": 1}, {}, {"residual": NAN})
    met = [
        replace(record, figures=figures)
        for record, figures in zip(episodes(4), kept, strict=True)
    ]
    store.record_evaluation(run_id, EVALUATION, met)

    def found(where: str = "", sort: str = "id") -> list[int]:
        rows = store.episodes(run_id, where=where, sort=sort)
        return [row.task.index for row in rows]

    assert found("figures.residual > 0.5") == [0]
    assert found("figures.residual=null") == [2, 3]
    assert found("figures.a.b=1") == [1]
    assert found("figures.none>0") == []
    assert found(sort="figures.residual") == [1, 0, 2, 3]
    assert found(sort="-figures.residual") == [0, 1, 2, 3]
    assert store.count_episodes(run_id, "figures.residual<1") == 2
    assert [row.figures for row in store.episodes(run_id)] == [
        {"residual": 0.7},
        {"residual": 0.2, "a.b": 1},
        {},
        {"residual": None},
    ]
    with pytest.raises(FilterError, match="no field 'figure"):
        store.episodes(run_id, where="figure.residual>1")


def test_unequal_shots_are_part_of_the_recipe(store: TaskStore) -> None:
    run_id = store.begin_run(RUN)
    record = episodes(1)[0]
    task = replace(record.task, support=17)
    store.record_evaluation(run_id, EVALUATION, [replace(record, task=task)])
    (row,) = store.episodes(run_id, where="support>10")
    assert row.task == task


def test_tags_are_put_on_and_taken_off(store: TaskStore) -> None:
    first, second = store.begin_run(RUN), store.begin_run(RUN)
    store.tag(first, ["baseline", "good"])
    store.tag(first, ["baseline", "new"], remove=["good", "never there"])
    store.note(first, "looks well")
    assert store.run(first).tags == ("baseline", "new")
    assert store.run(first).notes == "looks well"
    assert [row.tags for row in store.runs(sort="id")] == [("baseline", "new"), ()]
    store.note(first, "")
    assert store.run(first).notes is None
    for tag in ("", " ", "x" * 101):
        with pytest.raises(UsageError, match="1 to 100 characters"):
            store.tag(second, [tag])
    store.delete_run(first)
    assert [row.tags for row in store.runs()] == [()]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("tag=baseline", [1, 2]),
        ("tag='baseline'", [1, 2]),
        ("tag~BASE", [1, 2]),
        ("tag~%", []),
        ("not tag=baseline", [3]),
        ("tag!=baseline", [3]),
        ("tag=baseline and tag=good", [2]),
        ("tag=null", [3]),
        ("tag!=null", [1, 2]),
        ("tag=7", []),
    ],
)
def test_runs_are_found_by_tag(store: TaskStore, where: str, expected) -> None:
    for tags in (["baseline"], ["baseline", "good"], []):
        store.tag(store.begin_run(RUN), tags)
    assert [row.id for row in store.runs(where, sort="id")] == expected
    assert store.count_runs(where) == len(expected)


def test_tags_have_no_order(store: TaskStore) -> None:
    with pytest.raises(FilterError, match="no order"):
        store.runs(sort="tag")
    with pytest.raises(FilterError, match="compares by"):
        store.runs("tag<3")
    with pytest.raises(FilterError, match="compares by"):
        store.runs("tag~null")
