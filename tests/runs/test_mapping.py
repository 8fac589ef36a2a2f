"""Which task maps a training chooses from."""

from dataclasses import replace

import pytest
import torch
from commands import error_line, metapipe, metapipe_json

import metapipe as mp
from metapipe.experiment.experiment import Experiment
from metapipe.experiment.registry import load
from metapipe.numerics.task_map import LocalTaskMap
from metapipe.runs import mapping
from metapipe.runs.preparation import prepare
from metapipe.runs.recipes import draw_meta_batch
from metapipe.store import TaskStore, default_url
from metapipe.training.loop import initial_state

REGISTRY = load()


@pytest.mark.parametrize(
    ("algorithm", "names"),
    [
        ("protonet", "loop threads:2"),
        ("maml", "loop vmap threads:2 chunked-threads:2x8"),
    ],
)
def test_only_what_makes_a_difference_is_timed(
    monkeypatch, tmp_path, algorithm, names
) -> None:
    """protonet embeds a whole meta-batch in one call: nothing is mapped."""
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    timed = []

    def choose(learner, state, maps, draw):
        timed.extend(maps)
        return maps[-1]

    monkeypatch.setattr(mapping, "choose_mapping", choose)
    tables = {
        "run": {"algorithm": algorithm, "model": "mlp", "dataset": "digits"},
        "task": {"ways": 3, "queries": 2},
        "training": {"tasks": 4, "iterations": 1, "validate_every": 0},
        "evaluation": {"episodes": 2, "split": "val"},
    }
    ready = prepare(Experiment.from_dict(tables, REGISTRY))
    state = initial_state(ready.meta, ready.experiment.training)

    def draw(iteration):
        source = ready.sources["train"]
        return draw_meta_batch(
            ready.experiment, ready.learner, ready.meta, source, iteration
        )

    learner = replace(ready.learner, device="cpu")
    best = mapping.mapping_for(ready.experiment, learner, state, draw)
    assert " ".join(map(str, timed)) == names
    assert best == timed[-1]


def train(folder, **options):
    return mp.train(
        plugin="protonet",
        model="mlp",
        dataset="digits",
        settings={"model.layers": [6], "evaluation.episodes": 20},
        iterations=2,
        validate_every=0,
        tasks=2,
        ways=2,
        queries=2,
        progress=False,
        project=folder,
        **options,
    )


def test_a_test_is_mapped_as_is_fastest_for_it_and_done_again_so(
    monkeypatch, tmp_path
) -> None:
    """Episodes of another shape than training's; chosen once, and kept with the
    result."""
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path / "cache"))
    timed = []

    def choose(learner, meta, episodes, maps, prediction):
        timed.append([task.queries for task in episodes.tasks])
        return LocalTaskMap("chunks", 8)

    monkeypatch.setattr(mapping, "choose_test_mapping", choose)
    monkeypatch.setattr(mapping, "ENOUGH", 20)
    first = train(tmp_path, mapping="auto")
    asked = train(tmp_path, mapping="vmap")
    assert asked.evaluation.mapping == "vmap"
    timed.clear()
    for _ in range(2):
        other = mp.evaluate(first.run_id, queries=4, project=tmp_path)
        assert other.mapping == "chunks:8"
    assert timed == [[4] * 16]
    few = mp.evaluate(first.run_id, queries=4, episodes=19, project=tmp_path)
    assert few.mapping == first.mapping
    assert mp.verify(first.run_id, evaluation=True, project=tmp_path).matches


def test_a_test_of_all_shapes_is_stored_and_done_again(tmp_path) -> None:
    train(tmp_path)
    train(tmp_path, seed=1)
    for run in (1, 2):
        judged = mp.evaluate(
            run, ways_to=4, shots_to=3, episodes=40, seed=3, project=tmp_path
        )
    assert (judged.ways, judged.ways_to, judged.shots, judged.shots_to) == (2, 4, 1, 3)
    with TaskStore.open(default_url(tmp_path)) as store:
        rows = store.episodes(2, evaluation=judged.id, limit=None)
    assert [row.task.index for row in rows] == list(range(40))
    assert {(row.task.ways, row.task.shots) for row in rows} == {
        (ways, shots) for ways in (2, 3, 4) for shots in (1, 2, 3)
    }
    mean = sum(row.accuracy for row in rows) / 40
    assert judged.accuracy == pytest.approx(mean)
    again = mp.confusion(2, evaluation=judged.id, project=tmp_path)
    queries = sum(row.task.ways * row.task.queries for row in rows)
    right = sum(row.accuracy * row.task.ways * row.task.queries for row in rows)
    assert again.accuracy == pytest.approx(right / queries)
    found = mp.compare(1, 2, paired=True, project=tmp_path).paired
    assert {each.ways_to for each in found.evaluations} == {4}
    assert found.episodes == 40
    assert mp.verify(2, evaluation=True, project=tmp_path).matches
    shown = metapipe_json("episodes", "show", str(rows[5].id), cwd=tmp_path)
    assert shown["loss"] == pytest.approx(rows[5].loss, rel=1e-4)
    told, _ = metapipe("runs", "show", "2", cwd=tmp_path)
    assert "2 to 4-way 1 to 3-shot" in told
    narrow = ("--ways-to", "2", "--shots-to", "1", "--episodes", "3")
    alike = metapipe_json("evaluate", "2", *narrow, cwd=tmp_path)
    assert alike["ways_to"] is alike["shots_to"] is None
    line = error_line("evaluate", "2", "--ways-to", "1", cwd=tmp_path, code=2)
    assert "evaluation.ways_to = 1 is less than ways = 2" in line
