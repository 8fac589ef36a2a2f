"""Confusions, against a count by hand of the replayed episodes."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import metapipe
from metapipe import TaskStore, UnsupportedError, UsageError, load_plugins
from metapipe.errors import CheckpointError
from metapipe.runs.replay import replay
from metapipe.store import default_url

QUICK: dict[str, Any] = {
    "model": "mlp",
    "iterations": 4,
    "validate_every": 2,
    "validation_episodes": 10,
    "mapping": "loop",
    "progress": False,
}
SMALL = {"model.layers": [8], "evaluation.episodes": 40}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("confusion")
    (folder / "metapipe.toml").write_text("")
    metapipe.train(
        plugin="protonet",
        dataset="digits",
        ways=3,
        queries=4,
        tasks=2,
        settings=SMALL,
        project=folder,
        **QUICK,
    )
    return folder


def test_it_is_what_replaying_each_episode_says(project: Path) -> None:
    found = metapipe.confusion(1, project=project)
    wrong: Counter[tuple[str, str]] = Counter()
    met: Counter[tuple[str, str]] = Counter()
    queries: Counter[str] = Counter()
    registry = load_plugins(project=project)
    with TaskStore.open(default_url(project)) as store:
        test = next(e for e in store.evaluations(1) if e.purpose == "test")
        rows = store.episodes(1, where=f"evaluation_id={test.id}", limit=None)
        for row in rows:
            again = replay(row.id, registry, store)
            truth = again.episodes.query.targets[0].tolist()
            for label, predicted in zip(truth, again.predictions, strict=True):
                assert isinstance(predicted, int)
                queries[again.classes[label]] += 1
                for other in again.classes:
                    met[again.classes[label], other] += 1
                if label != predicted:
                    wrong[again.classes[label], again.classes[predicted]] += 1
    assert {(p.true, p.predicted): p.wrong for p in found.pairs} == wrong
    assert all(p.of == met[p.true, p.predicted] for p in found.pairs)
    assert {c.name: c.queries for c in found.classes} == queries
    assert found.accuracy == pytest.approx(test.accuracy)
    assert found.accuracy == pytest.approx(
        1 - wrong.total() / queries.total(), abs=1e-9
    )
    assert (found.episodes, found.evaluation.id) == (40, test.id)
    worst = found.pairs[0]
    assert all(p.share <= worst.share for p in found.pairs if p.of >= worst.of)


def test_an_evaluation_is_named_by_its_number(project: Path) -> None:
    with TaskStore.open(default_url(project)) as store:
        evaluations = store.evaluations(1)
        kept = {c.step for c in store.checkpoints(1)}
    for judged in evaluations:
        if judged.purpose == "validation" and judged.step not in kept:
            with pytest.raises(CheckpointError, match="kept no more: make another"):
                metapipe.confusion(1, evaluation=judged.id, project=project)
            continue
        found = metapipe.confusion(1, evaluation=judged.id, project=project)
        assert found.accuracy == pytest.approx(judged.accuracy)
    with pytest.raises(UsageError, match=r"no evaluation 99 \(evaluations: 1, 2, 3"):
        metapipe.confusion(1, evaluation=99, project=project)


def test_a_regression_has_no_classes(project: Path) -> None:
    metapipe.train(
        plugin="maml",
        dataset="sinusoid",
        tasks=2,
        settings={"model.layers": [4], "evaluation.episodes": 4},
        project=project,
        **QUICK,
    )
    with pytest.raises(UnsupportedError, match="regression: there are no classes"):
        metapipe.confusion("latest", project=project)
