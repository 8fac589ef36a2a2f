"""Pixels with a mean subtracted and divided by a deviation, against numpy."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pictures import write_classes
from PIL import Image

from metapipe import Problem, Samples, SettingError
from metapipe.adaptation.adapted_model import ModelOrigin, adapt
from metapipe.adaptation.export import export_onnx, export_program
from metapipe.data import Moments, NormalisedSource
from metapipe.data.encoders import encoder_from
from metapipe.data.normalised_source import pictures
from metapipe.data.resized_source import fitted
from metapipe.data.sampling import tasks
from metapipe.experiment.registry import load
from metapipe.training.learner import build_learner
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.models.conv4 import Conv4

REGISTRY = load()
SPLITS = ("train", "val", "test")
GIVEN = {"mean": [0.1, 0.2, 0.3], "deviation": [0.5, 1.0, 2.0]}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Three classes a split, of pictures that are larger than they are asked for."""
    cache = pytest.MonkeyPatch()
    cache.setenv("METAPIPE_CACHE", str(tmp_path_factory.mktemp("cache")))
    folder = tmp_path_factory.mktemp("pictures")
    for split in SPLITS:
        write_classes(folder / split, {f"{split}{n}": 3 + n for n in range(3)})
    yield folder
    cache.undo()


def opened(root, split, **settings):
    settings = {"root": root, "size": 8, **settings}
    return REGISTRY.create("dataset", "image-folder", settings).open(split)


def shaped(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)[:, None, None]


@pytest.mark.parametrize("augment", ["none", "crop-flip-jitter"])
@pytest.mark.parametrize("split", SPLITS)
def test_all_splits_are_normalised_by_the_training_pictures(root, split, augment):
    train = opened(root, "train")
    names = train.bank.classes
    raw = np.concatenate(
        [
            train.bank.items[train.bank.starts[n] : train.bank.starts[n + 1]]
            for n, name in enumerate(names)
            if name.startswith("train")
        ]
    )
    assert raw.shape == (12, 8, 8, 3)
    mean = (raw / 255).mean((0, 1, 2))
    deviation = (raw / 255).std((0, 1, 2))
    plain = opened(root, split, augment=augment)
    source = opened(root, split, augment=augment, normalise="train")
    drawn = tasks("image-folder", split, 0, 0, 4, 3, 1, 2)
    before, after = plain.draw(drawn), source.draw(drawn)
    for old, new in ((before.support, after.support), (before.query, after.query)):
        want = (old.inputs.double() - shaped(mean)) / shaped(deviation)
        torch.testing.assert_close(new.inputs.double(), want, rtol=0, atol=1e-5)
        assert torch.equal(old.targets, new.targets)
    assert source.facts.fingerprint == plain.facts.fingerprint
    assert list(source.digests()) == list(plain.digests())
    back = pictures(source, after).support.inputs
    torch.testing.assert_close(back, before.support.inputs, rtol=0, atol=1e-6)


def test_new_pictures_are_treated_alike(root):
    source = opened(root, "test", normalise=GIVEN)
    record = source.facts.encoder.model_dump(mode="json")
    again = encoder_from(record, REGISTRY.encoders)
    assert again == source.facts.encoder
    path = next((root / "test" / "test0").iterdir())
    plain = opened(root, "test").facts.encoder.encode([path])
    want = (plain - shaped([0.1, 0.2, 0.3])) / shaped([0.5, 1.0, 2.0])
    torch.testing.assert_close(again.encode([path]).double(), want, rtol=0, atol=1e-6)
    white = again.encode([Image.new("RGB", (8, 8), "white")])[0, :, 0, 0]
    torch.testing.assert_close(white, torch.tensor([1.8, 0.8, 0.35]))
    known = encoder_from({**record, "moments": None}, REGISTRY.encoders)
    del record["moments"]  # as before there were any
    assert encoder_from(record, REGISTRY.encoders) == known


def test_other_data_are_normalised_as_the_learner_was_taught(root):
    ours = opened(root, "test", normalise=GIVEN).facts.encoder
    problem = Problem("classification", (3, 8, 8), 3)
    drawn = tasks("image-folder", "test", 0, 0, 2, 3, 1, 2)
    want = opened(root, "test", normalise=GIVEN).draw(drawn).query.inputs
    for other in (opened(root, "test"), opened(root, "test", normalise="train")):
        found = fitted(other, problem, "other", ours)
        assert torch.equal(found.draw(drawn).query.inputs, want)
    plain = opened(root, "test")
    unit = plain.facts.encoder
    other = opened(root, "test", normalise="train")
    found = fitted(other, problem, "other", unit).draw(drawn)
    assert torch.equal(found.query.inputs, plain.draw(drawn).query.inputs)
    assert fitted(other, problem, "other") is other, "nobody knows how it was taught"


def test_exported_models_take_pixels_and_normalise_them(root, tmp_path):
    source = opened(root, "test", normalise=GIVEN)
    assert isinstance(source, NormalisedSource)
    algorithm, model = ProtoNet(), Conv4(width=8, blocks=2)
    problem = Problem("classification", (3, 8, 8), 3, 3)
    learner, meta = build_learner(algorithm, model, problem, "cpu", 0)
    drawn = source.draw(tasks("image-folder", "test", 0, 0, 1, 3, 1, 2))
    support = Samples(*(tensor[0] for tensor in drawn.support))
    settings = {"algorithm": algorithm.model_dump(), "model": model.model_dump()}
    origin = ModelOrigin("protonet", "conv4", settings, "run 0", {})
    adapted = adapt(learner, meta, support, list("abc"), source.facts.encoder, origin)
    paths = sorted((root / "val" / "val0").iterdir())
    want = adapted.outputs(adapted.encoder.encode(paths)).softmax(-1)
    pixels = opened(root, "test").facts.encoder.encode(paths)
    assert export_program(adapted, tmp_path / "x.pt2").difference < 1e-5
    found = torch.export.load(tmp_path / "x.pt2").module()(pixels)
    found = found[0] if isinstance(found, tuple) else found
    torch.testing.assert_close(found, want, rtol=1e-4, atol=1e-5)
    pytest.importorskip("onnxruntime", reason="the extra metapipe[onnx]")
    pytest.importorskip("onnxscript", reason="the extra metapipe[onnx]")
    assert export_onnx(adapted, tmp_path / "x.onnx").difference < 1e-5


def test_numbers_that_do_not_fit_are_refused(root):
    grey = {"colour": False, "normalise": GIVEN}
    with pytest.raises(SettingError, match="3 means, and the pictures 1 channels"):
        opened(root, "train", **grey)
    for wrong, said in (
        ({"mean": [0.5], "deviation": []}, "1 means and 0 deviations: one of each"),
        ({"mean": [0.5], "deviation": [0]}, r"normalise\.deviation\.0 = 0: should be"),
        ("trian", r"^dataset\.normalise = 'trian': should be 'none' or 'train'$"),
    ):
        with pytest.raises(SettingError, match=said):
            opened(root, "train", normalise=wrong)
    assert Moments(mean=(0.5,), deviation=(0.25,)).mean == (0.5,)
