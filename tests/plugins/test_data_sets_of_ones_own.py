"""Texts and tables of one's own, and the named readers, on real data where there is."""

import numpy as np
import pytest
import torch
from shared import DATA, needs_data
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tables import write_table

from metapipe import DataError, PathError, Task, UnsupportedError
from metapipe.data.encoders import encoder_from
from metapipe.data.row_encoder import TableEncoder
from metapipe.data.sampling import tasks
from metapipe.data.table_files import read_rows
from metapipe.data.text_encoders import TextEncoder
from metapipe.experiment.registry import load
from metapipe.testing import DatasetContract

REGISTRY = load()
SPLITS = ("train", "val", "test")


@pytest.fixture
def texts(tmp_path):
    words = ["card", "top", "up", "refund", "pin", "transfer", "fee", "limit", "cash"]
    rows = [
        {"text": f"{word} please number {n}", "label": word}
        for word in words
        for n in range(6)
    ]
    return write_table(tmp_path / "texts.csv.gz", rows)


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    rows = [
        {
            "group": f"g{g}",
            "x": rng.normal(g) if n else "",
            "colour": ["red", "blue"][n % 2],
            "y": float(g + n),
        }
        for g in range(10)
        for n in range(8)
    ]
    return write_table(tmp_path / "table.csv", rows)


def opened(name, split="train", **settings):
    return REGISTRY.create("dataset", name, settings).open(split)


def test_classes_of_texts_are_split(texts):
    sources = [opened("text", split, root=texts) for split in SPLITS]
    names = [set(source.facts.classes) for source in sources]
    assert [len(part) for part in names] == [5, 1, 3]
    assert len(set.union(*names)) == 9
    assert all(list(s.facts.sizes) == [6] * len(s.facts.classes) for s in sources)


def test_texts_say_how_new_ones_become_inputs(texts):
    source = opened("text", root=texts)
    encoder = encoder_from(
        source.facts.encoder.model_dump(mode="json"), REGISTRY.encoders
    )
    episode = source.draw(tasks("text", "train", 0, 0, 1, 2, 1, 1))
    name = source.facts.classes[int(episode.class_indices[0, 0])]
    number = int(episode.items[0, 0, 0])
    found = encoder.encode([f"{name} please number {number}"])
    assert torch.equal(found[0], episode.support.inputs[0, 0])


def test_n_grams_are_of_words_pairs_and_letters():
    encoder = TextEncoder(text="text", label="label", words=4, grams=16)
    one, two, other = encoder.encode(["lost card", "lost cards", "top up"])
    assert one.shape == (4, 16)
    assert torch.equal(one[0], two[0])
    shared = set(one[1].tolist()) & set(two[1].tolist()) - {0}
    assert len(shared) >= 3  # <ca, car, ard, ...
    assert one[2:].eq(0).all()
    assert not set(one.flatten().tolist()) & set(other.flatten().tolist()) - {0}
    assert one.max() < 2**24
    assert torch.equal(encoder.encode([{"text": "Lost CARD"}])[0], one)


def test_long_texts_are_cut_and_empty_ones_are_empty():
    encoder = TextEncoder(text="text", label="label", words=2, grams=3)
    long, empty = encoder.encode(["a b c d e f", ""])
    assert long.ne(0).all(-1).all()
    assert empty.eq(0).all()


def test_tfidf_is_scikit_learns_fitted_on_training_classes(texts):
    source = opened("text", "test", root=texts, inputs="tfidf")
    rows = read_rows(texts)
    train = opened("text", root=texts).facts.classes
    reference = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2)
    reference.fit([row["text"] for row in rows if row["label"] in train])
    wanted = reference.transform(["refund please number 2"]).toarray()
    found = source.facts.encoder.encode(["refund please number 2"])
    np.testing.assert_allclose(found.numpy(), wanted, atol=1e-6)


def test_texts_in_two_classes_are_told(tmp_path, caplog):
    rows = [{"text": "same", "label": name} for name in "abcdef"]
    with caplog.at_level("WARNING", "metapipe"):
        opened("text", root=write_table(tmp_path / "t.csv", rows))
    assert "'same'" in caplog.text


def test_a_table_is_preprocessed_by_scikit_learn_on_training_rows_only(table):
    source = opened("table", "test", root=table, label="y", group="group")
    train = opened("table", root=table, label="y", group="group")
    rows = read_rows(table)
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    fitted = ColumnTransformer(
        [
            ("x", numbers, [0]),
            ("colour", OneHotEncoder(), [1]),
        ]
    )

    def columns(members):
        return np.array(
            [[float(r["x"] or "nan"), r["colour"]] for r in members], dtype=object
        )

    fitted.fit(columns([row for row in rows if row["group"] in train.facts.groups]))
    members = [row for row in rows if row["group"] in source.facts.groups]
    members.sort(key=lambda row: list(source.facts.groups).index(row["group"]))
    wanted = fitted.transform(columns(members)).astype(float)
    np.testing.assert_allclose(source.items, wanted, atol=1e-5)


def test_a_group_is_a_task(table):
    source = opened("table", root=table, label="y", group="group")
    assert (source.facts.kind, source.facts.outputs, source.facts.shape) == (
        "regression",
        1,
        (3,),
    )
    episodes = source.draw(tasks("table", "train", 0, 0, 20, 1, 3, 4))
    for support, query in zip(
        episodes.support.targets, episodes.query.targets, strict=True
    ):
        values = torch.cat([support, query]).flatten().tolist()
        assert len(set(values)) == 7  # y = group + row: rows differ, one group
        assert max(values) - min(values) < 8


def test_rows_by_class(table):
    source = opened("table", root=table, label="group")
    assert source.facts.kind == "classification"
    assert list(source.facts.sizes) == [8] * 6


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"label": "why"}, "no column 'why'"),
        ({"label": "y", "group": "group", "features": ("y",)}, "to be predicted"),
        ({"label": "colour", "group": "group"}, "no number"),
        ({"label": "group", "features": ("shape",)}, "no column 'shape'"),
    ],
)
def test_wrong_columns_are_refused(table, settings, message):
    with pytest.raises(DataError, match=message):
        opened("table", root=table, **settings)


def test_identifiers_are_refused():
    rows = [{"id": f"n{i}", "label": "a"} for i in range(200)]
    with pytest.raises(DataError, match="200 different names"):
        TableEncoder.fit(rows, ["id"], "label")


def test_ragged_and_foreign_files_are_refused(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n1,2\n3\n")
    with pytest.raises(DataError, match="line 3 has 1 value,"):
        read_rows(tmp_path / "x.csv")
    (tmp_path / "x.csv.gz").write_bytes(b"no gzip")
    with pytest.raises(DataError, match="cannot read"):
        read_rows(tmp_path / "x.csv.gz")
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match="none of"):
        read_rows(tmp_path / "x.json")


def test_parquet_is_read_like_csv(tmp_path, table):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="the extra metapipe[parquet]")
    pandas.read_csv(table).to_parquet(tmp_path / "t.parquet")
    plain = opened("table", root=table, label="y", group="group")
    found = opened("table", root=tmp_path / "t.parquet", label="y", group="group")
    np.testing.assert_allclose(found.items, plain.items)


@needs_data
class TestBanking77(DatasetContract):
    dataset = REGISTRY.create("dataset", "banking77", {"root": DATA / "banking77"})


@needs_data
class TestCifarFS(DatasetContract):
    dataset = REGISTRY.create("dataset", "cifar-fs", {"root": DATA})
    twice = 0.02  # CIFAR-100 has some pictures under two names


@needs_data
def test_named_splits_have_the_papers_sizes():
    for name, sizes in (("cifar-fs", [64, 16, 20]), ("fc100", [60, 20, 20])):
        sources = [opened(name, split, root=DATA) for split in SPLITS]
        assert [len(source.facts.classes) for source in sources] == sizes
        assert {size for source in sources for size in source.facts.sizes} == {200}
    banking = [opened("banking77", s, root=DATA / "banking77") for s in SPLITS]
    assert [len(source.facts.classes) for source in banking] == [42, 10, 25]
    assert sum(sum(source.facts.sizes) for source in banking) == 13083


def test_named_readers_say_what_they_need():
    for name in ("cifar-fs", "fc100", "mini-imagenet", "banking77", "text", "table"):
        with pytest.raises(PathError, match=r"dataset\.root"):
            opened(name)
    with pytest.raises(PathError, match=r"-s dataset\.sentence_model=PATH"):
        opened("text", inputs="sentence-embeddings")


def test_mini_imagenet_takes_ravis_lists(tmp_path):
    from pictures import write_classes

    root = write_classes(tmp_path, dict.fromkeys(["n01", "n02", "n03"], 2))
    for split, name in zip(SPLITS, ["n01", "n02", "n03"], strict=True):
        (root / f"{split}.csv").write_text(f"filename,label\n{name}1.jpg,{name}\n")
    source = opened("mini-imagenet", "test", root=root, size=8)
    assert list(source.facts.classes) == ["n03"]
    assert source.facts.shape == (3, 8, 8)
    with pytest.raises(UnsupportedError, match="1 classes"):
        source.check(Task("m", "test", 0, 0, 5, 1, 1))
