"""The mean of the best checkpoints, against one that is written out."""

from pathlib import Path
from typing import Any

import pytest
import torch

import metapipe as mp
from metapipe import SettingError, TaskStore, UnsupportedError
from metapipe.runs.patience import Patience
from metapipe.runs.replay import replay
from metapipe.store import default_url
from metapipe.training.checkpoint import load
from metapipe_plugins.datasets.digits import Digits
from metapipe_plugins.models.mlp import MLP

RATE = 0.05
SETTINGS = {
    "model.layers": [6],
    "algorithm.inner_lr": RATE,
    "algorithm.inner_loss": "mean",
    "evaluation.episodes": 6,
    "evaluation.ensemble": 3,
    "training.checkpoint_every": 3,
    "training.lr": 0.03,
}


class Stop:
    @mp.hookimpl
    def stop_run(self, run, step, metrics):
        return "asked" if step == 5 and "val_loss" in metrics else None


def train(folder: Path, settings=None, **options):
    (folder / "metapipe.toml").touch()
    return mp.train(
        plugin="maml",
        model="mlp",
        dataset="digits",
        settings=SETTINGS | (settings or {}),
        ways=3,
        queries=2,
        tasks=2,
        **{"iterations": 12, "validate_every": 1, "validation_episodes": 4} | options,
        mapping="loop",
        progress=False,
        project=folder,
    )


def kept(folder: Path, run: int = 1):
    """Steps and tensors of the best checkpoints, the very best first."""
    with TaskStore.open(default_url(folder)) as store:
        rows = [row for row in store.checkpoints(run) if row.which != "latest"]
    assert [row.which for row in rows][1:] == [f"best-{n + 1}" for n in range(1, 3)]
    return {row.step: load(Path(row.path), row.sha256).file.tensors for row in rows}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("ensemble")
    train(folder)
    return folder


def test_the_best_by_validation_are_kept(project: Path) -> None:
    with TaskStore.open(default_url(project)) as store:
        found = {m.step: m.value for m in store.metrics(1, "val_accuracy")}
        directory = Path(store.run(1).directory)
    assert len(found) == 12
    best = sorted(found, key=lambda step: (-found[step], step))[:3]
    assert list(kept(project)) == best != sorted(best), "else order shows nothing"
    assert len(list(directory.glob("*.safetensors"))) == 4, "and no others"


def test_the_best_may_be_told_by_loss(project: Path, tmp_path: Path) -> None:
    train(tmp_path, {"training.select": "loss"})
    with TaskStore.open(default_url(tmp_path)) as store:
        found = {m.step: m.value for m in store.metrics(1, "val_loss")}
    best = sorted(found, key=lambda step: (found[step], step))[:3]
    assert list(kept(tmp_path)) == best != list(kept(project))


@pytest.mark.parametrize(("select", "stops"), [("loss", True), ("accuracy", False)])
def test_patience_goes_by_the_same(select: str, stops: bool) -> None:
    patience = Patience(2, select, before=[-1.0 if select == "loss" else 0.5])
    run: Any = None
    patience.run_started(run)
    told = [
        patience.stop_run(run, step, {"val_loss": 1.0 + step, "val_accuracy": accuracy})
        for step, accuracy in enumerate((0.6, 0.7, 0.8))
    ]
    assert any(told) == stops


def outputs(params, support, queries):
    """Of a perceptron with one hidden layer, a step down the mean loss away."""

    def logits(inputs, tensors):
        one, two, three, four = tensors
        hidden = torch.relu(inputs.flatten(1) @ one.T + two)
        return hidden @ three.T + four

    names = list(MLP(layers=(6,)).build((1, 8, 8), 3, "batch").state_dict())
    tensors = [params[f"params/{name}"].requires_grad_() for name in names]
    loss = torch.nn.functional.cross_entropy(logits(support[0], tensors), support[1])
    grads = torch.autograd.grad(loss, tensors)
    moved = [t - RATE * g for t, g in zip(tensors, grads, strict=True)]
    return logits(queries, moved).detach()


def test_outputs_are_the_mean_of_the_members(project: Path) -> None:
    members = kept(project)
    source = Digits().open("test")
    with TaskStore.open(default_url(project)) as store:
        (test,) = [e for e in store.evaluations(1) if e.purpose == "test"]
        rows = store.episodes(1, where=f"evaluation_id={test.id}", limit=None)
    assert test.settings == {"ensemble": list(members)}
    assert test.step == next(iter(members)), "that of the very best"
    for row in rows:
        drawn = source.draw([row.task])
        support = [tensor[0] for tensor in drawn.support]
        inputs, targets = (tensor[0] for tensor in drawn.query)
        found = [outputs(each, support, inputs) for each in members.values()]
        mean = torch.stack(found).mean(0)
        loss = torch.nn.functional.cross_entropy(mean, targets)
        assert row.loss == pytest.approx(float(loss), abs=1e-5)
        right = mean.argmax(-1) == targets
        assert row.accuracy == pytest.approx(float(right.float().mean()))
    first = torch.nn.functional.cross_entropy(found[0], targets)
    assert abs(float(first) - rows[-1].loss) > 1e-3, "one member is not the mean"
    assert mp.confusion(1, project=project).accuracy == pytest.approx(test.accuracy)
    registry = mp.load_plugins(project=project)
    with TaskStore.open(default_url(project)) as store:
        assert replay(rows[0].id, registry, store).loss == pytest.approx(rows[0].loss)


def test_a_run_that_is_resumed_keeps_the_same(project: Path, tmp_path: Path) -> None:
    assert train(tmp_path, observers=[Stop()]).status == "stopped"
    assert mp.resume(1, project=tmp_path, progress=False).status == "completed"
    whole, resumed = kept(project), kept(tmp_path)
    assert list(whole) == list(resumed)
    for step, tensors in whole.items():
        assert all(torch.equal(t, resumed[step][name]) for name, t in tensors.items())
    assert mp.verify(1, project=tmp_path).matches


def test_what_cannot_be_is_refused(project: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"run 1 keeps 3 .* training\.keep_best=4"):
        mp.evaluate(1, project=project, ensemble=4)
    with pytest.raises(SettingError, match="leave one of the two out"):
        mp.evaluate(1, project=project, ensemble=2, checkpoint="latest")
    with pytest.raises(SettingError, match="validated 2 times"):
        train(tmp_path, iterations=10, validate_every=5)
    with pytest.raises(SettingError, match="validated 0 times"):
        train(tmp_path, validate_every=0)
    with pytest.raises(UnsupportedError, match="that has no mean"):
        train(tmp_path, {"algorithm.curve": True})
    with TaskStore.open(default_url(tmp_path)) as store:
        assert store.runs() == []
