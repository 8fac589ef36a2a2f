"""Pictures as vectors of a backbone: the same episodes, trained on and adapted."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from pictures import picture, write_classes

import metapipe
from metapipe import PathError, SettingError
from metapipe.adaptation.card import read_card
from metapipe.adaptation.export import export_program
from metapipe.data.sampling import tasks
from metapipe.errors import UnknownNameError
from metapipe.experiment.registry import load
from metapipe.store import default_url
from metapipe.testing import DatasetContract, ModelContract
from metapipe_plugins.backbones.gradients import Gradients
from metapipe_plugins.datasets.cifar import CifarFS
from metapipe_plugins.datasets.image_folder import ImageFolder
from metapipe_plugins.models.residual_mlp import ResidualMLP

CLASSES = 15
SMALL = {"size": 32, "cell": 8}
FEATURES = {
    "inputs": "features",
    "backbone": "gradients",
    "backbone_settings": SMALL,
}
ENCODER = Gradients(**SMALL).encoder()


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path_factory.mktemp("cache")))


def opened(name="image-folder", part="train", **settings):
    return load().create("dataset", name, settings).open(part)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    return write_classes(folder, {f"c{n}": 6 + n % 3 for n in range(CLASSES)})


class TestResidualMLP(ModelContract):
    model = ResidualMLP(width=16)


def test_the_model_begins_as_the_identity():
    """But for roots and length, which leave a vector of that kind as it is."""
    model = ResidualMLP(width=16, power=False, length=3)
    network = model.build((8,), None, "running")
    inputs = torch.randn(5, 8)
    unit = inputs / inputs.norm(dim=1, keepdim=True)
    torch.testing.assert_close(network(inputs), 3 * unit)
    rooted = ResidualMLP(width=16, length=1).build((8,), None, "running")(inputs)
    roots = inputs.sign() * inputs.abs().sqrt()
    torch.testing.assert_close(rooted, roots / roots.norm(dim=1, keepdim=True))


class TestFolderOfFeatures(DatasetContract):
    @pytest.fixture(autouse=True)
    def _dataset(self, root):
        settings = {"root": root, "split": "random", **FEATURES}
        self.dataset = load().create("dataset", "image-folder", settings)

    def test_settings_survive_a_json_round_trip(self) -> None:
        """By a registry, which knows the backbone."""
        record = json.loads(self.dataset.model_dump_json())
        again = load().create("dataset", "image-folder", record)
        assert again == self.dataset


def test_episodes_are_those_of_the_pictures(root):
    """The same classes and items; vectors are what the encoder makes of the files."""
    pixels, vectors = (opened(root=root, **more) for more in ({}, FEATURES))
    asked = tasks("x", "train", 3, 0, 4, 3, 2, 2)
    drawn, others = pixels.draw(asked), vectors.draw(asked)
    assert torch.equal(drawn.class_indices, others.class_indices)
    assert torch.equal(drawn.items, others.items)
    assert vectors.facts.encoder == ENCODER
    for task in range(4):
        for label, number in enumerate(others.class_indices[task].tolist()):
            name = vectors.facts.classes[number]
            files = sorted((root / name).iterdir())
            for shot, item in enumerate(others.items[task, label, :2].tolist()):
                found = others.support.inputs[task, 2 * label + shot]
                assert torch.equal(found, ENCODER.encode([files[item]])[0])


def test_the_fingerprint_is_of_pictures_and_encoder(root, tmp_path):
    first = opened(root=root, **FEATURES).facts
    assert opened(root=root, **FEATURES).facts.fingerprint == first.fingerprint
    other = {**FEATURES, "backbone_settings": {**SMALL, "directions": 8}}
    assert opened(root=root, **other).facts.fingerprint != first.fingerprint
    assert opened(root=root).facts.fingerprint != first.fingerprint
    counts = {f"c{n}": 6 + n % 3 for n in range(CLASSES)}
    again = write_classes(tmp_path / "again", counts)
    assert opened(root=again, **FEATURES).facts.fingerprint == first.fingerprint
    picture(99).save(again / "c0" / "0.png")
    assert opened(root=again, **FEATURES).facts.fingerprint != first.fingerprint


def write_omniglot(path, characters=4, drawings=5):
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(characters * drawings):
            content = io.BytesIO()
            picture(number, (105, 105), "1").save(content, "png")
            place = f"Greek/character{number // drawings:02}/{number % drawings}.png"
            archive.writestr(f"images_background/{place}", content.getvalue())
    return path


@pytest.mark.parametrize("rotations", ["random", "classes", "none"])
def test_turned_drawings_are_encoded_turned(tmp_path, rotations):
    root = write_omniglot(tmp_path / "omniglot.zip")
    settings = {"root": root, "rotations": rotations}
    drawn = opened("omniglot", **settings, size=105, invert=False)
    vectors = opened("omniglot", **settings, **FEATURES)
    asked = tasks("x", "train", 3, 0, 3, 4, 1, 2)
    pixels, found = drawn.draw(asked), vectors.draw(asked)
    images = (pixels.query.inputs.flatten(0, 1)[:, 0] * 255).round().byte().numpy()
    expected = ENCODER.encode([np.ascontiguousarray(image) for image in images])
    assert torch.equal(found.query.inputs.flatten(0, 1), expected)
    assert len(vectors.turned) == (0 if rotations == "none" else 3)


def test_mistakes_are_one_line(root):
    for settings, message in (
        ({"inputs": "features"}, "give -s dataset.backbone=NAME"),
        ({"backbone": "gradients"}, "give -s dataset.inputs=features too"),
        ({**FEATURES, "size": 64}, "dataset.size does nothing to features"),
        ({**FEATURES, "augment": "flip"}, "dataset.augment does nothing"),
        ({**FEATURES, "backbone_settings": {"sise": 3}}, "did you mean 'size'?"),
    ):
        with pytest.raises(SettingError) as error:
            opened(root=root, **settings)
        assert message in str(error.value)
    with pytest.raises(UnknownNameError, match="did you mean 'gradients'"):
        opened(root=root, **{**FEATURES, "backbone": "gradient"})
    with pytest.raises(SettingError, match="known to a registry alone"):
        ImageFolder(root=root, **FEATURES).open("train")
    with pytest.raises(PathError, match="the pictures of CIFAR-100 are needed"):
        CifarFS().open("train")


def test_a_run_on_features_is_used_like_any_other(root, tmp_path, caplog):
    """Trained, evaluated, adapted to files, predicting them, exported; and what learns
    on pictures alone says so."""
    common = {
        "dataset": "image-folder",
        "settings": {
            "dataset.root": root,
            "dataset.split": "random",
            **{f"dataset.{name}": value for name, value in FEATURES.items()},
            "evaluation.episodes": 5,
        },
        "project": tmp_path,
    }
    run = metapipe.train(
        plugin="protonet",
        model="residual-mlp",
        iterations=3,
        ways=2,
        queries=2,
        tasks=2,
        validation_episodes=2,
        **common,
    )
    assert run.status == "completed"
    assert "nothing reads it" not in caplog.text
    found = metapipe.evaluate("latest", split="val", episodes=4, project=tmp_path)
    assert found.episodes == 4
    shots = write_classes(tmp_path / "shots", {"a": 3, "b": 2})
    out = tmp_path / "out"
    adapted = metapipe.adapt(support=shots, out=out, project=tmp_path)
    assert adapted.model.encoder == ENCODER
    rows = metapipe.predict(out, shots, project=tmp_path)
    assert len(rows) == 5
    card = read_card(out)
    assert (card.backbone.name, card.learned_by) == ("gradients", "run 1")
    assert "MIT" in card.backbone.licence
    exported = export_program(adapted.model, tmp_path / "out.pt2")
    assert exported.takes == (1, 32, 32)  # pictures: it has the backbone too
    left = metapipe.amend(out, remove="a/0.png", out=tmp_path / "b", project=tmp_path)
    (shots / "a" / "0.png").unlink()
    wanted = metapipe.adapt("1", support=shots, out=tmp_path / "c", project=tmp_path)
    assert left.counts == wanted.counts == {"a": 2, "b": 2}
    rows, expected = (
        metapipe.predict(tmp_path / name, shots, project=tmp_path) for name in "bc"
    )
    assert rows == expected
    with metapipe.TaskStore.open(default_url(tmp_path)) as store:
        row = store.run(left.run)
    assert (row.algorithm, row.model) == ("protonet", "residual-mlp")
    assert row.backbone == f"gradients@{ENCODER.sha256[:12]}"
    with pytest.raises(metapipe.MetapipeError, match=r"conv4 takes images"):
        metapipe.train(plugin="protonet", model="conv4", iterations=1, **common)
    with pytest.raises(metapipe.UnsupportedError, match="has nothing to train"):
        metapipe.train(plugin="nearest", model="identity", iterations=1, **common)
