"""How far to trust it: adapted models, their files, the estimator and the commands."""

import json

import numpy as np
import pytest
import torch
from commands import metapipe, metapipe_json
from PIL import Image
from sklearn.base import clone

from metapipe import FewShotClassifier, Problem, Samples
from metapipe.adaptation.adapted_file import load
from metapipe.adaptation.adapted_model import ModelOrigin, adapt
from metapipe.adaptation.predictions import classified
from metapipe.errors import CheckpointError, UnsupportedError
from metapipe.experiment.registry import load as load_registry
from metapipe.testing import blobs
from metapipe.training.learner import build_learner
from metapipe.training.tensor_file import read_tensors, write_tensors
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.models.mlp import MLP

WAYS, SHOTS, LEVEL = 4, 6, 35


def pictures(count, seed=0, kinds=range(WAYS)):
    """Stripes of a direction a class, on noise that sometimes hides them."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:24, :24]
    made, labels = [], []
    for kind in kinds:
        angle = np.pi * kind / 6
        for _ in range(count):
            phase = (np.cos(angle) * x + np.sin(angle) * y) / 2 + rng.uniform(0, 6)
            noise = rng.normal(0, LEVEL, (24, 24))
            made.append(np.clip(127 + 60 * np.sin(phase) + noise, 0, 255))
            labels.append(f"kind {kind}")
    return [image.astype(np.uint8) for image in made], labels


@pytest.fixture(scope="module")
def classifier():
    settings = {"size": 24, "cell": 6}
    made = FewShotClassifier(backbone="gradients", backbone_settings=settings)
    return clone(made).fit(*pictures(SHOTS))


def test_the_estimator_knows_what_to_expect(classifier):
    expected = classifier.expected_
    assert expected.count == WAYS * SHOTS
    assert expected.folds == SHOTS
    assert expected.low < expected.accuracy < expected.high
    queries, labels = pictures(40, seed=1)
    accuracy = np.mean(classifier.predict(queries) == labels)
    assert 0.5 < accuracy < 1, "or there is nothing to tell"
    assert expected.low <= accuracy <= expected.high
    told = classifier.predict_proba(queries)
    np.testing.assert_allclose(told.sum(1), 1)
    assert told.max(1).mean() == pytest.approx(accuracy, abs=0.12)
    sets = classifier.predict_set(queries)
    held = np.mean([label in each for label, each in zip(labels, sets, strict=True)])
    assert held > 0.8
    firsts = [each[0] for each in sets]
    assert firsts == classifier.predict(queries).tolist()
    wide = classifier.predict_set(queries, coverage=0.95)
    assert all(set(a) <= set(b) for a, b in zip(sets, wide, strict=True))
    own = classifier.typicality(queries)
    strange = classifier.typicality([np.full((24, 24), 255, np.uint8)])
    assert strange[0] < np.median(own)
    assert own.max() <= 1
    assert own.min() > 0


def test_what_cannot_be_known_is_not_told():
    settings = {"size": 24, "cell": 6}
    made = FewShotClassifier(backbone="gradients", backbone_settings=settings)
    images, labels = pictures(2, kinds=range(3))
    one = clone(made).fit(images[::2], labels[::2])
    assert one.expected_ is None
    with pytest.raises(UnsupportedError, match="need 9 examples or more"):
        one.predict_set(images)
    two = clone(made).fit(images, labels)
    assert two.expected_.count == 6
    with pytest.raises(ValueError, match="need 9 examples or more"):
        two.predict_set(images)
    with pytest.raises(UnsupportedError, match="five examples of each"):
        two.typicality(images)
    with pytest.raises(ValueError, match="between 0 and 1"):
        two.predict_set(images, coverage=90)


def test_a_file_keeps_it_to_the_bit(classifier, tmp_path):
    """And one of before is read, and has no confidence."""
    path, registry = tmp_path / "x.metapipe", load_registry()
    classifier.save(path)
    ours, again = classifier.adapted_, load(path, registry, "cpu")
    queries, _ = pictures(5, seed=2)
    inputs = ours.encoder.encode(queries)
    found, wanted = again.probabilities(inputs), ours.probabilities(inputs)
    assert torch.equal(found, wanted)
    assert torch.equal(again.sets(found), ours.sets(wanted))
    assert torch.equal(again.typicality(inputs), ours.typicality(inputs))
    assert again.trust.estimate == ours.trust.estimate
    file = read_tensors(path, "adapted")
    for change, message in (
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"suspects": 3}, "suspects"),
        ({"estimate": {**file.header["trust"]["estimate"], "confusion": []}}, "number"),
    ):
        header = {**file.header, "trust": {**file.header["trust"], **change}}
        write_tensors(tmp_path / "y", "adapted", file.tensors, header)
        with pytest.raises(CheckpointError, match=f"y has a damaged header.*{message}"):
            load(tmp_path / "y", registry, "cpu")
    fewer = {k: v for k, v in file.tensors.items() if k != "trust/own"}
    write_tensors(tmp_path / "y", "adapted", fewer, file.header)
    with pytest.raises(CheckpointError, match="it lacks its own"):
        load(tmp_path / "y", registry, "cpu")
    directions = {k: v for k, v in file.tensors.items() if k != "trust/means"}
    write_tensors(tmp_path / "y", "adapted", directions, file.header)
    anew = load(tmp_path / "y", registry, "cpu")  # from the vectors that it keeps
    assert torch.equal(anew.typicality(inputs), ours.typicality(inputs))
    assert anew.trust.estimate == ours.trust.estimate
    before = {k: v for k, v in file.header.items() if k not in ("trust", "items")}
    kept = ("trust/", "labels", "support")
    older = {k: v for k, v in file.tensors.items() if not k.startswith(kept)}
    write_tensors(tmp_path / "z", "adapted", older, before)
    old = load(tmp_path / "z", registry, "cpu")
    assert old.trust is None
    assert old.sets(found) is None
    assert torch.equal(
        old.probabilities(inputs), ours.outputs(inputs).double().softmax(-1)
    )


def origin(algorithm):
    tables = {"algorithm": {}, "model": {}}
    return ModelOrigin(algorithm, "mlp", tables, "run 1", {})


@pytest.mark.parametrize(
    ("algorithm", "compares"), [(ProtoNet(), True), (MAML(inner_lr=0.5), False)]
)
def test_a_learner_of_a_run_is_told_of_by_adapting_again(algorithm, compares):
    """As a fold by hand says; only what compares features knows strangers."""
    episodes = blobs(tasks=1, ways=3, shots=5, queries=2, shape=(6,))
    noise = torch.randn(15, 6, generator=torch.manual_seed(0)).double()
    support = Samples(
        (episodes.support.inputs[0] + 2 * noise).float(), episodes.support.targets[0]
    )
    model = MLP(layers=(8,))
    problem = Problem("classification", (6,), 3, 3)
    learner, meta = build_learner(algorithm, model, problem, "cpu", 0)
    names = ("a", "b", "c")
    ours = adapt(learner, meta, support, names, None, origin("x"))
    assert ours.trust.estimate.folds == 5
    assert (ours.trust.typicality is not None) is compares
    places = torch.arange(15) % 5 != 0  # the first of each class
    part = Samples(support.inputs[places], support.targets[places])
    fold = adapt(learner, meta, part, names, None, origin("x"))
    logits = fold.outputs(support.inputs[~places]).double()
    told = (logits / ours.trust.temperature).softmax(-1).diagonal()
    torch.testing.assert_close(ours.trust.right[:3], told)
    inputs, calls = support.inputs[3:10], []
    watch = learner.network.register_forward_hook(lambda *_: calls.append(1))
    rows = classified(ours, inputs)
    watch.remove()
    assert not compares or len(calls) == 1, "features serve both"
    found = torch.tensor([list(row["probabilities"].values()) for row in rows])
    torch.testing.assert_close(found.double(), ours.probabilities(inputs))
    typical = ours.typicality(inputs)
    assert [row["typical"] for row in rows] == (
        [None] * 7 if typical is None else typical.tolist()
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Shots of four classes, and some to be predicted."""
    place = tmp_path_factory.mktemp("trusted")
    for part, count, seed in (("shots", SHOTS, 0), ("more", 3, 1)):
        for number, (image, name) in enumerate(
            zip(*pictures(count, seed), strict=True)
        ):
            (place / part / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(place / part / name / f"{number:03}.png")
    return place


def test_the_commands_say_it(folder, classifier):
    chosen = ("--backbone", "gradients", "-s", "backbone.size=24")
    command = ("adapt", *chosen, "-s", "backbone.cell=6", "--support", "shots")
    found = metapipe_json(*command, "--out", "x", cwd=folder)
    expected = classifier.expected_
    assert found["expected"]["accuracy"] == expected.accuracy
    assert found["expected"]["confusion"] == expected.confusion
    assert 0 <= found["strangers"]["told"] <= 1
    row = metapipe_json("runs", "show", str(found["run"]), cwd=folder)
    (evaluation,) = row["evaluations"]
    assert evaluation["settings"]["judged"] == "held-out"
    assert evaluation["settings"]["interval"] == [expected.low, expected.high]
    assert evaluation["accuracy"] == expected.accuracy
    out, _ = metapipe(*command, "--query", "more", cwd=folder)
    assert f"expected accuracy  {100 * expected.accuracy:.0f} % (95 % interval" in out
    assert "strangers are told, and 1 in 10 of your own" in out
    assert "query accuracy" in out
    rows = metapipe_json("predict", "x", "more", cwd=folder)
    assert all(row["calibrated"] and row["label"] == row["set"][0] for row in rows)
    assert all(0 < row["typical"] <= 1 for row in rows)
    shown, _ = metapipe("predict", "x", "more", cwd=folder)
    for line, row in zip(shown.splitlines(), rows, strict=True):
        text = line.partition(": ")[2]
        if row["typical"] <= 0.1:
            assert text == f"none of these? (nearest: {row['label']})"
        elif len(row["set"]) == 1:
            assert text == f"{row['label']} {100 * row['probability']:.0f} %"
        else:
            assert " or " in text
    table, _ = metapipe("predict", "x", "more", "--csv", cwd=folder)
    cells = table.splitlines()[1].split(",")
    assert cells[4].split("|") == rows[0]["set"]
    assert json.loads(cells[5]) == pytest.approx(rows[0]["typical"], rel=1e-5)


def test_one_example_a_class_has_no_estimate(folder, tmp_path):
    for name in ("kind 0", "kind 1"):
        (tmp_path / "one" / name).mkdir(parents=True)
        first = sorted((folder / "shots" / name).iterdir())[0]
        (tmp_path / "one" / name / "1.png").write_bytes(first.read_bytes())
    command = ("adapt", "--backbone", "gradients", "--support", "one", "--out", "x")
    out, _ = metapipe(*command, cwd=tmp_path)
    assert "no estimate: one example a class, and none can be held out" in out
    (row,) = metapipe_json("predict", "x", "one/kind 0", cwd=tmp_path)
    assert (row["calibrated"], row["set"], row["typical"]) == (False, None, None)
    out, _ = metapipe("predict", "x", "one/kind 0", cwd=tmp_path)
    assert "kind 0 (before kind 1; no confidence is known)" in out
