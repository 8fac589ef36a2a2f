"""Episodes of several data sets, each of one of them; and splits that are joined."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

import metapipe
from metapipe import DataError, SettingError, Source, TaskStore
from metapipe.data import (
    Augmentation,
    AugmentedSource,
    MixedSource,
    Moments,
    NormalisedSource,
)
from metapipe.data.sampling import tasks
from metapipe.experiment.registry import load
from metapipe.store import default_url
from metapipe.testing import DatasetContract
from metapipe_plugins.datasets.digits import Digits
from metapipe_plugins.datasets.glyphs import Glyphs
from metapipe_plugins.datasets.sinusoid import Sinusoid


def mixture(**settings):
    given = {"size": [1, 8, 8], "settings": {"digits": {"rotations": True}}, **settings}
    return load().create("dataset", "mixture", given)


class TestMixture(DatasetContract):
    dataset = mixture()


def same(first, second) -> bool:
    tensors = [(a, b) for a, b in zip(first.support, second.support, strict=True)]
    tensors += zip(first.query, second.query, strict=True)
    return all(torch.equal(a, b) for a, b in tensors)


@pytest.mark.parametrize("split", ["train", "test"])
def test_each_episode_is_that_of_its_own_data_set(split) -> None:
    """To the bit, in any company; its classes are of that one alone."""
    mixed = mixture(weights=[3, 1]).open(split)
    own = mixed.sources
    assert own["digits"].facts == Digits().open(split).facts
    recipes = tasks("mixture", split, 5, 0, 24, 4, 1, 2)
    drawn = mixed.draw(recipes)
    counted = Counter()
    for number, recipe in enumerate(recipes):
        name = mixed.part(recipe)
        counted[name] += 1
        alone = own[name].draw([recipe])
        there = mixed.draw([recipe])
        assert same(alone, there)
        assert torch.equal(drawn.support.inputs[number], there.support.inputs[0])
        assert torch.equal(drawn.query.targets[number], there.query.targets[0])
        assert torch.equal(drawn.items[number], alone.items[0])
        names = [mixed.facts.classes[i] for i in drawn.class_indices[number].tolist()]
        there = own[name].facts.classes
        assert names == [f"{name}/{there[i]}" for i in alone.class_indices[0].tolist()]
    assert set(counted) == {"digits", "glyphs"}


def test_they_are_drawn_by_weight() -> None:
    mixed = mixture(weights=[3, 1]).open("val")
    count = 4000
    recipes = tasks("mixture", "val", 1, 0, count, 2, 1, 1)
    found = sum(mixed.part(recipe) == "digits" for recipe in recipes)
    assert abs(found - 0.75 * count) < 4 * math.sqrt(count * 0.75 * 0.25)


def test_what_does_not_fit_is_one_line() -> None:
    with pytest.raises(SettingError, match=r"digits \[1, 8, 8\], glyphs \[1, 28, 28\]"):
        mixture(size=None).open("val")
    with pytest.raises(SettingError, match="no dataset plugin 'digit'; did you mean"):
        mixture(members=["digit", "glyphs"], settings={})
    with pytest.raises(SettingError, match=r"settings\.digits\.rotation'; did you"):
        mixture(settings={"digits": {"rotation": 3}})
    with pytest.raises(SettingError, match="1 weights for 2 members"):
        mixture(weights=[1])
    sources = {"digits": Digits().open("val"), "waves": Sinusoid().open("val")}
    with pytest.raises(DataError, match="waves is regression: only classes are mixed"):
        MixedSource(sources, (1, 1))


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mixture")
    where = {"project": folder, "progress": False, "mapping": "loop"}
    small = {
        **{"run.model": "mlp", "model.layers": [8], "task.queries": 3},
        **{"training.tasks": 4, "training.iterations": 2, "evaluation.episodes": 12},
        **{"training.validation_episodes": 10, "dataset.size": [1, 8, 8]},
    }
    metapipe.train(plugin="protonet", dataset="mixture", settings=small, **where)
    return folder


def test_an_evaluation_tells_the_accuracy_of_each(project) -> None:
    """The mean over the episodes of it; together they make the whole."""
    with TaskStore.open(default_url(project)) as store:
        for found in store.evaluations(1):
            rows = store.episodes(1, where=f"evaluation_id={found.id}", limit=None)
            source = mixture(settings={}).open(found.split)
            total = 0.0
            for name in ("digits", "glyphs"):
                own = [r.accuracy for r in rows if source.part(r.task) == name]
                mean, ci95 = found.figures[f"accuracy_of_{name}"]
                assert mean == pytest.approx(np.mean(own))
                assert ci95 == pytest.approx(1.96 * np.std(own) / math.sqrt(len(own)))
                assert found.figures[f"episodes_of_{name}"][0] == len(own)
                total += mean * len(own)
            assert found.accuracy == pytest.approx(total / found.episodes)
    assert metapipe.verify(1, project=project).matches


# Splits joined


JOINED = [
    Digits(),
    Glyphs(),
    mixture(),
]


@pytest.mark.parametrize("dataset", JOINED, ids=lambda d: type(d).__name__)
def test_two_splits_joined_have_the_classes_of_both(dataset) -> None:
    train, val = dataset.open("train"), dataset.open("val")
    both = train.joined(val)
    assert sorted(both.facts.classes) == sorted(
        [*train.facts.classes, *val.facts.classes]
    )
    sizes = dict(zip(both.facts.classes, both.facts.sizes, strict=True))
    for part in (train, val):
        own = zip(part.facts.classes, part.facts.sizes, strict=True)
        assert all(sizes[name] == size for name, size in own)
    drawn = both.draw(tasks("x", "train", 0, 0, 64, 5, 1, 1))
    met = {both.facts.classes[i] for i in drawn.class_indices.flatten().tolist()}
    assert met & set(train.facts.classes)
    assert met & set(val.facts.classes)


def test_what_is_done_to_the_images_is_done_to_all_of_them() -> None:
    train, val = Digits().open("train"), Digits().open("val")
    plain = train.joined(val)
    moments = Moments(mean=(0.5,), deviation=(2.0,))
    augmentation = Augmentation(pad=1)

    def done(source: Source) -> Source:
        return NormalisedSource(AugmentedSource(source, augmentation), moments)

    recipes = tasks("x", "train", 0, 0, 4, 5, 1, 2)
    joined = done(train).joined(NormalisedSource(val, moments))
    assert joined.facts.fingerprint == done(plain).facts.fingerprint
    assert same(joined.draw(recipes), done(plain).draw(recipes))


def test_a_run_trains_on_both_and_is_never_judged_by_them(tmp_path) -> None:
    where = {"project": tmp_path, "progress": False, "mapping": "loop"}
    asked = {
        **{"plugin": "protonet", "dataset": "digits", "iterations": 6, "tasks": 4},
        **{"queries": 3, "splits": "train+val"},
        "settings": {"run.model": "mlp", "model.layers": [8], "evaluation.episodes": 5},
    }
    with pytest.raises(SettingError, match="by --validate-every 0, and the latest"):
        metapipe.train(**asked, **where)
    asked["validate_every"] = 0
    done = metapipe.train(**asked, **where, log_every=1, store_episodes="all")
    with TaskStore.open(default_url(tmp_path)) as store:
        row = store.run(done.run_id)
        assert row.config["training"]["splits"] == "train+val"
        (test,) = store.evaluations(row.id)
        assert (test.split, test.step) == ("test", 6)
        (first, *_) = store.episodes(row.id, where="split=train", limit=1)
        recipes = [
            e.task for e in store.episodes(row.id, where="split=train", limit=99)
        ]
    both = Digits().open("train").joined(Digits().open("val"))
    assert row.fingerprint == both.facts.fingerprint
    met = both.draw(recipes).class_indices.flatten().tolist()
    names = {both.facts.classes[i].partition("/")[0] for i in met}
    assert names >= {"5", "7"}  # digits of validation
    again = metapipe.replay(first.id, project=tmp_path)
    assert again.episodes.tasks == (first.task,)
    assert metapipe.verify(1, project=tmp_path).matches
    with pytest.raises(DataError, match="8 of the 8 classes of digits were trained on"):
        metapipe.evaluate(1, split="val", project=tmp_path, progress=False)
    asked["settings"]["evaluation.split"] = "val"
    with pytest.raises(SettingError, match=r"evaluation\.split = val are trained on"):
        metapipe.train(**asked, **where)


def test_splits_that_cannot_be_joined_are_told(tmp_path) -> None:
    with pytest.raises(SettingError, match=r"train\+val with sinusoid: the splits of"):
        metapipe.train(
            **{"plugin": "reptile", "dataset": "sinusoid", "splits": "train+val"},
            **{"ways": 1, "validate_every": 0, "project": tmp_path},
            settings={"run.model": "mlp"},
            progress=False,
        )
