"""Texts of any script, as data sets and as what a new task is made of."""

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import TfidfVectorizer
from tables import write_table

from metapipe import DataError
from metapipe.data.encoders import encoder_from
from metapipe.data.text_encoders import TextEncoder, TfidfEncoder
from metapipe.experiment.registry import load

REGISTRY = load()


def opened(root, **settings):
    settings = {"root": root, **settings}
    return REGISTRY.create("dataset", "text", settings).open("train")


SENTENCES = {
    "zh": ["我的银行卡还没有到", "什么时候才能收到银行卡", "银行卡丢了怎么办"],
    "ja": ["カードがまだ届きません", "カードはいつ届きますか", "カードをなくしました"],
    "th": ["บัตรของฉันยังไม่มา", "บัตรจะมาถึงเมื่อไร", "บัตรของฉันหาย"],
    "emoji": ["😀😀🎉", "😀🎉🎉", "🎉😀"],
}


@pytest.mark.parametrize("script", SENTENCES)
@pytest.mark.parametrize("inputs", ["tfidf", "ngrams"])
def test_texts_without_blanks_between_words_differ(tmp_path, script, inputs):
    texts = SENTENCES[script]
    rows = [{"text": text, "label": f"c{n}"} for n in range(9) for text in texts]
    source = opened(write_table(tmp_path / "t.csv", rows), inputs=inputs)
    vectors = source.items[:3].reshape(3, -1)
    assert (vectors != 0).any(1).all()
    assert len(np.unique(vectors, axis=0)) == 3
    record = source.facts.encoder.model_dump(mode="json")
    again = encoder_from(record, REGISTRY.encoders).encode(
        [{"text": text} for text in texts]
    )
    np.testing.assert_array_equal(again.numpy().reshape(3, -1), vectors)


def test_signs_are_words_of_scripts_without_blanks():
    plain = TextEncoder(text="text", label="label", words=8, grams=16)
    signs = plain.model_copy(update={"signs": True})
    assert (signs.encode(["我的银行卡"])[0, :, 0] != 0).sum() == 5
    assert (plain.encode(["我的银行卡"])[0, :, 0] != 0).sum() == 1
    english = ["My new card, has it come?"]
    assert torch.equal(plain.encode(english), signs.encode(english))
    mixed = signs.encode(["我的 card"])[0, :, 0]
    assert mixed[2] == signs.encode(["card"])[0, 0, 0]


def test_tfidf_of_signs_is_scikit_learns():
    texts = SENTENCES["zh"]
    encoder = TfidfEncoder.fit(texts, "text", "label")
    fitted = TfidfVectorizer(
        sublinear_tf=True, analyzer="char", ngram_range=(1, 2), min_df=2
    ).fit(texts)
    wanted = fitted.transform(texts).toarray()
    np.testing.assert_allclose(encoder.encode(texts), wanted, atol=1e-6)


def test_texts_that_share_nothing_are_refused_with_the_remedy():
    with pytest.raises(DataError, match=r"dataset.inputs=ngrams"):
        TfidfEncoder.fit(["red", "green", "blue"], "text", "label")


def test_composed_and_decomposed_texts_are_one():
    encoder = TextEncoder(text="text", label="label", words=4, grams=16)
    texts = ["ein cafe\u0301", "ein caf\u00e9"]
    assert torch.equal(*encoder.encode(texts))
    assert encoder.encode(["half a sign \ud800"]).any()


def test_empty_and_repeated_texts_are_told_of(tmp_path, caplog):
    rows = [{"text": f"text {n // 2}", "label": f"c{n // 4}"} for n in range(40)]
    rows[9]["text"] = " "
    with caplog.at_level("WARNING", "metapipe"):
        opened(write_table(tmp_path / "t.csv", rows))
    assert "texts that are empty: 1" in caplog.text
    assert "t.csv: row 10" in caplog.text
    assert "19 texts are more than once in a class" in caplog.text
