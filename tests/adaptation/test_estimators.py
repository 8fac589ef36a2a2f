"""Runs as scikit-learn estimators."""

import signal

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from metapipe import (
    FewShotClassifier,
    FewShotRegressor,
    Samples,
    UnsupportedError,
    hookimpl,
)
from metapipe.adaptation.trained_run import open_run
from metapipe.experiment.project import Project
from metapipe.experiment.registry import load
from metapipe.experiment.resolve import resolve
from metapipe.runs.pipeline import resume, train
from metapipe.store import TaskStore, default_url

SETTINGS = {
    "task.queries": 3,
    "training.tasks": 2,
    "training.validate_every": 0,
    "evaluation.episodes": 4,
}


SIZES = (1, 2, 3, 4, 5, 10, 20)
"""Numbers of features that scikit-learn's checks come with; a run has one of them."""


def write_rows(path, width, rng):
    """Classes that are blobs."""
    lines = [",".join([*(f"x{i}" for i in range(width)), "label"])]
    for name in range(30):
        centre = rng.normal(size=width) * 5
        blob = centre + rng.normal(size=(12, width))
        lines += [",".join([*map(str, row), f"c{name}"]) for row in blob]
    path.write_text("\n".join(lines) + "\n")


def rows(folder, width):
    return {
        "dataset.root": str(folder / f"rows{width}.csv"),
        "training.iterations": 20,
    }


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A store with runs called digits, rowsN (of so many features) and waves."""
    folder = tmp_path_factory.mktemp("estimators")
    rng = np.random.default_rng(0)
    for width in SIZES:
        write_rows(folder / f"rows{width}.csv", width, rng)
    url = default_url(folder)
    digits = {"model.width": 16, "model.blocks": 2, "training.iterations": 60}
    with TaskStore.open(url) as store:
        for name, algorithm, dataset, ways, settings in (
            ("digits", "protonet", "digits", 8, digits),
            *((f"rows{n}", "protonet", "table", 5, rows(folder, n)) for n in SIZES),
            ("waves", "maml", "sinusoid", 1, {"training.iterations": 20}),
        ):
            given = {
                **SETTINGS,
                "run.name": name,
                "run.algorithm": algorithm,
                "run.dataset": dataset,
                "task.ways": ways,
                **settings,
            }
            pairs = list(given.items())
            registry = load()
            experiment = resolve(Project(folder), registry, pairs).experiment
            train(experiment, registry, store, folder)
    return url


@pytest.fixture(scope="module")
def digits():
    """Digits never trained on, few of each, and many to be judged by."""
    data = load_digits()
    chosen = np.isin(data.target, [3, 4, 5, 7])
    images, labels = data.images[chosen] / 16, data.target[chosen]
    return images[:, None].astype(np.float32), np.array(list("abcdefgh"))[labels]


def test_it_learns_from_a_few(url, digits):
    images, labels = digits
    model = FewShotClassifier("digits", db=url).fit(images[:40], labels[:40])
    assert list(model.classes_) == ["d", "e", "f", "h"]
    shares = model.predict_proba(images[40:])
    assert shares.shape == (len(images) - 40, 4)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert np.array_equal(model.predict(images[40:]), model.classes_[shares.argmax(1)])
    assert model.score(images[40:], labels[40:]) > 0.7


def test_pictures_arrays_and_rows_are_the_same(url, digits):
    images, labels = digits
    model = FewShotClassifier("digits", db=url)
    wanted = model.fit(images[:40], labels[:40]).predict_proba(images[40:50])
    flat = images.reshape(len(images), -1)
    rows = clone(model).fit(flat[:40], labels[:40])
    np.testing.assert_allclose(rows.predict_proba(flat[40:50]), wanted, atol=1e-6)
    pixels = (images[:, 0] * 255).round().astype(np.uint8)
    encoded = clone(model).fit(pixels[:40], labels[:40])
    np.testing.assert_allclose(encoded.predict_proba(pixels[40:50]), wanted, atol=0.02)


def test_it_works_in_a_pipeline_and_in_cross_validation(url, digits):
    images, labels = digits
    flat = images.reshape(len(images), -1)[:200]
    model = make_pipeline(
        FunctionTransformer(np.clip, kw_args={"a_min": 0, "a_max": 1}),
        FewShotClassifier("digits", db=url),
    )
    scores = cross_val_score(model, flat, labels[:200], cv=3)
    assert scores.shape == (3,)
    assert scores.min() > 0.5


def test_an_adapted_estimator_can_be_saved(url, digits, tmp_path):
    from metapipe.adaptation.adapted_file import load as load_adapted

    images, labels = digits
    model = FewShotClassifier("digits", db=url).fit(images[:40], labels[:40])
    model.save(tmp_path / "x.metapipe")
    found = load_adapted(tmp_path / "x.metapipe", load())
    again = found.probabilities(torch.from_numpy(images[40:50]))
    np.testing.assert_allclose(again, model.predict_proba(images[40:50]), atol=1e-6)


def test_regression(url):
    x = np.linspace(-5, 5, 10, dtype=np.float32)[:, None]
    y = np.sin(x[:, 0])
    model = FewShotRegressor("waves", db=url, settings={"test_steps": 20})
    model.fit(x, y)
    assert model.predict(x).shape == (10,)
    before = FewShotRegressor("waves", db=url, settings={"test_steps": 0}).fit(x, y)
    assert model.score(x, y) > before.score(x, y)
    with pytest.raises(ValueError, match="wanted"):
        model.fit(x, np.stack([y, y], 1))
    with pytest.raises(UnsupportedError, match="FewShotClassifier"):
        FewShotRegressor("digits", db=url).fit(x, y)


def test_errors_are_one_line(url, digits):
    images, _ = digits
    with pytest.raises(NotFittedError):
        FewShotClassifier("digits", db=url).predict(images)
    with pytest.raises(ValueError, match="one class"):
        FewShotClassifier("digits", db=url).fit(images[:3], ["a"] * 3)
    with pytest.raises(ValueError, match="3 examples and y 2"):
        FewShotClassifier("digits", db=url).fit(images[:3], ["a", "b"])
    with pytest.raises(UnsupportedError, match="2 features"):
        FewShotClassifier("digits", db=url).fit(np.ones((4, 2)), [0, 1, 0, 1])


WIDTHS = {
    "check_supervised_y_2d": 3,
    "check_classifier_data_not_an_array": 2,
    "check_classifiers_classes": 2,
    "check_classifiers_train": 2,
    "check_estimators_fit_returns_self": 2,
    "check_estimators_overwrite_params": 2,
    "check_estimators_partial_fit_n_features": 2,
    "check_fit_check_is_fitted": 2,
    "check_fit_idempotent": 2,
    "check_n_features_in": 2,
    "check_readonly_memmap_input": 2,
    "check_classifiers_one_label": 3,
    "check_dict_unchanged": 3,
    "check_dont_overwrite_parameters": 3,
    "check_estimators_nan_inf": 3,
    "check_estimators_pickle": 3,
    "check_f_contiguous_array_estimator": 3,
    "check_fit2d_predict1d": 3,
    "check_fit_score_takes_y": 3,
    "check_methods_sample_order_invariance": 3,
    "check_pipeline_consistency": 3,
    "check_n_features_in_after_fitting": 4,
    "check_positive_only_tag_during_fit": 4,
    "check_estimators_dtypes": 5,
    "check_dtype_object": 10,
    "check_fit2d_1sample": 10,
}
"""Features of the data that a check comes with; 1 where any number will do."""

FAILING = {
    "check_methods_subset_invariance": "networks compute in single precision, and "
    "rounding depends on the size of the batch",
}
"""Checks that cannot pass, and why."""


@pytest.fixture(autouse=True)
def _store(url, monkeypatch):
    """Where scikit-learn's own checks, which know no store, find the runs."""
    monkeypatch.setenv("METAPIPE_DB", url)


@parametrize_with_checks(
    [FewShotClassifier("rows1")],
    expected_failed_checks=lambda estimator: FAILING,
)
def test_scikit_learns_own_checks(estimator, check):
    width = WIDTHS.get(check.func.__name__, 1)
    check(estimator.set_params(run=f"rows{width}"))


def test_the_wrong_number_of_features_is_told(url):
    """What all those checks that want another number would run into."""
    with pytest.raises(UnsupportedError, match="X has 3 features"):
        FewShotClassifier("rows2").fit(np.ones((4, 3)), [0, 1, 0, 1])


class Stops:
    """An observer that presses Ctrl-C at the first figures; twice would be a kill."""

    @hookimpl
    def step_recorded(self, step):
        if step == 2:
            signal.raise_signal(signal.SIGINT)


@pytest.fixture
def interrupted(url, tmp_path):
    """A store with a run that was interrupted, to be gone on with."""
    registry, mine = load(), default_url(tmp_path)
    given = {
        **SETTINGS,
        "run.algorithm": "protonet",
        "run.dataset": "digits",
        "run.model": "mlp",
        "model.layers": [16],
        "training.lr": 0.01,
        "training.iterations": 40,
        "training.log_every": 2,
    }
    with TaskStore.open(mine) as store:
        experiment = resolve(Project(tmp_path), registry, list(given.items()))
        outcome = train(
            experiment.experiment, registry, store, tmp_path, observers=[Stops()]
        )
    assert (outcome.status, outcome.step) == ("interrupted", 3)
    return mine


def test_a_run_that_went_on_is_opened_anew(interrupted, digits):
    """In a process that has adapted the weights before."""
    images, labels = digits
    model = FewShotClassifier(1, db=interrupted, checkpoint="latest")
    before = model.fit(images[:40], labels[:40]).predict_proba(images[40:])
    again = clone(model).fit(images[:40], labels[:40])
    assert again.adapted_.meta is model.adapted_.meta, (
        "nothing has happened: it is not opened again"
    )
    with TaskStore.open(interrupted) as store:
        resume(1, load(), store)
        trained = open_run(store, load(), 1, "latest")
    after = clone(model).fit(images[:40], labels[:40]).predict_proba(images[40:])
    support = Samples(
        torch.from_numpy(images[:40]),
        torch.from_numpy(np.unique(labels[:40], return_inverse=True)[1]),
    )
    wanted = trained.adapt(support, list("defh"))
    wanted = wanted.probabilities(torch.from_numpy(images[40:])).numpy()
    np.testing.assert_allclose(after, wanted, atol=1e-6)
    assert np.abs(after - before).max() > 0.01
