"""Sentence embeddings, by a small random BERT that the test makes."""

import json
import shutil

import numpy as np
import pytest
import torch
from sentences import WORDS, write_model

from metapipe import DataError, UnsupportedError
from metapipe.data.encoders import encoder_from
from metapipe.data.sampling import tasks
from metapipe.data.sentence_encoder import SentenceEncoder
from metapipe.errors import SettingError
from metapipe.experiment.registry import load

REGISTRY = load()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def table(tmp_path):
    rows = [f"{word} please {WORDS[n]},{word}" for word in WORDS for n in range(6)]
    path = tmp_path / "texts.csv"
    path.write_text("\n".join(["text,label", *rows]))
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path / "cache"))


def opened(table, model, **settings):
    chosen = {"root": table, "inputs": "sentence-embeddings", "sentence_model": model}
    return REGISTRY.create("dataset", "text", {**chosen, **settings}).open("train")


def test_vectors_are_the_mean_of_the_words(model):
    texts = ["card please", "my refund of cash limit please"]
    from transformers import AutoModel, AutoTokenizer  # slow: see sentences.py

    tokens = AutoTokenizer.from_pretrained(model)(
        texts, padding=True, return_tensors="pt"
    )
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(model)(**tokens).last_hidden_state
    mask = tokens["attention_mask"][..., None]
    expected = (hidden * mask).sum(1) / mask.sum(1)
    encoder = SentenceEncoder.of(model, "text", "label")
    torch.testing.assert_close(encoder.encode(texts), expected)
    rows = [{"text": text, "label": "?"} for text in texts]
    assert torch.equal(encoder.encode(rows), encoder.encode(texts))


def test_a_data_set_has_them_and_says_how_new_ones_are_made(table, model):
    source = opened(table, model)
    encoder = encoder_from(
        json.loads(source.facts.encoder.model_dump_json()), REGISTRY.encoders
    )
    texts = [
        f"{word} please {WORDS[n]}" for word in source.facts.classes for n in range(6)
    ]
    np.testing.assert_allclose(encoder.encode(texts), source.items, atol=1e-5)
    episode = source.draw(tasks("text", "train", 0, 0, 1, 2, 1, 1))
    assert episode.support.inputs.shape == (1, 2, 16)


def test_they_are_computed_once(table, model, monkeypatch):
    first = opened(table, model)
    monkeypatch.setattr(SentenceEncoder, "encode", None)
    again = opened(table, model)
    assert again.facts.fingerprint == first.facts.fingerprint
    assert np.array_equal(again.items, first.items)


def test_another_model_in_the_folder_is_refused(table, model, tmp_path):
    mine = shutil.copytree(model, tmp_path / "mine")
    record = SentenceEncoder.of(mine, "text", "label").model_dump()
    elsewhere = shutil.copytree(mine, tmp_path / "other")
    (elsewhere / "README.md").write_text("changed")
    with pytest.raises(DataError, match="another than the one"):
        encoder_from({**record, "folder": str(elsewhere)}, REGISTRY.encoders).encode(
            ["card"]
        )


def test_pickled_weights_are_refused(model, tmp_path):
    mine = shutil.copytree(model, tmp_path / "mine")
    (mine / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(DataError, match=r"pytorch_model.bin is pickled"):
        SentenceEncoder.of(mine, "text", "label")


def test_mistakes_are_told(table, model, tmp_path):
    with pytest.raises(DataError, match=r"-s dataset.sentence_model=PATH"):
        opened(table, None)
    with pytest.raises(DataError, match=r"no modules.json"):
        opened(table, tmp_path)
    broken = shutil.copytree(model, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(DataError, match="cannot be read"):
        opened(table, broken)
    with pytest.raises(SettingError, match="sentence-embeddings"):
        opened(table, model, inputs="sentences")
    source = opened(table, model)
    ngrams = REGISTRY.create("model", "ngrams", {})
    with pytest.raises(UnsupportedError, match="--model mlp"):
        ngrams.build(source.facts.shape, 5, "batch")
