"""The scikit-learn baseline: what it predicts is what the library predicts."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import NearestCentroid
from sklearn.svm import SVC

from metapipe import Problem, Samples, UsageError
from metapipe.errors import SettingError, UnsupportedError
from metapipe.experiment.registry import load
from metapipe.testing import AlgorithmContract, TinyModel, blobs

REGISTRY = load()
CASES = {
    "LogisticRegression": (LogisticRegression(C=3.0), {"C": 3.0}),
    "NearestCentroid": (NearestCentroid(), {}),
    "NearestCentroid, manhattan": (
        NearestCentroid(metric="manhattan"),
        {"metric": "manhattan"},
    ),
    "NearestCentroid, priors": (
        NearestCentroid(priors=[0.8, 0.1, 0.1]),
        {"priors": [0.8, 0.1, 0.1]},
    ),
    "SVC": (SVC(random_state=0), {}),
    "SVC, linear": (SVC(kernel="linear", random_state=0), {"kernel": "linear"}),
    "GaussianNB": (GaussianNB(), {}),
}
"""What the library calls it and what it is given; classes overlap in the test, so that
scores and votes can disagree."""


def algorithm(**settings):
    return REGISTRY.create("algorithm", "sklearn", settings)


class TestScikitOnFeatures(AlgorithmContract):
    algorithm = algorithm()
    exact_gradient = False  # the classifier of all classes is descended
    reports_adapted = False  # and it is what is reported

    # What is descended says nothing of the loss on classes never trained on.
    test_it_learns_a_toy_problem = None


class TestScikitOnInputs(AlgorithmContract):
    algorithm = algorithm(features="inputs", classifier="NearestCentroid")
    exact_gradient = False  # the classifier of all classes is descended
    reports_adapted = False  # and it is what is reported
    test_it_learns_a_toy_problem = None  # nothing is learned before a task


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("ways", [2, 3])
def test_predictions_are_the_librarys(name, ways):
    reference, options = CASES[name]
    if ways == 2 and "priors" in options:
        pytest.skip("three priors are for three classes")
    method = algorithm(
        classifier=name.split(",")[0],
        options=options,
        features="inputs",
        normalise=False,
    )
    episodes = blobs(ways=ways, shots=5, queries=60)
    network = method.build(TinyModel(), Problem("classification", (6,), ways, 12))
    meta = method.init(network)
    inputs, labels = (t[0] for t in episodes.support)
    noise = torch.randn(2, 60 * ways, 6, generator=torch.manual_seed(0)).double()
    inputs = inputs + 1.5 * noise[0, : len(inputs)]
    query = episodes.query.inputs[0] + 1.5 * noise[1]
    adapted = method.adapt(network, meta, Samples(inputs, labels), ways)
    found = method.predict(network, meta, adapted, query)
    reference.fit(inputs.numpy(), labels.numpy())
    assert np.array_equal(found.argmax(-1).numpy(), reference.predict(query.numpy()))
    assert found.shape == (len(query), ways)


def test_permuting_labels_permutes_scores():
    method = algorithm(classifier="NearestCentroid", features="inputs")
    network = method.build(TinyModel(), Problem("classification", (6,), 3, 12))
    meta, episodes = method.init(network), blobs(queries=20)
    support = Samples(*(t[0] for t in episodes.support))
    noise = torch.randn(60, 6, generator=torch.manual_seed(0)).double()
    query, order = episodes.query.inputs[0] + 2 * noise, torch.tensor([2, 0, 1])
    renamed = support._replace(targets=order[support.targets])
    before, after = (
        method.predict(network, meta, method.adapt(network, meta, s, 3), query)
        for s in (support, renamed)
    )
    torch.testing.assert_close(after[:, order], before, rtol=1e-12, atol=1e-12)


def test_the_step_is_that_of_a_plain_classifier():
    """The gradient of the cross-entropy over all classes, by autograd."""
    from metapipe.numerics.task_map import LocalTaskMap

    method, episodes = algorithm(), blobs()
    network = method.build(TinyModel(), Problem("classification", (6,), 3, 12)).double()
    step = method.meta_gradient(
        network, method.init(network), episodes, LocalTaskMap("loop")
    )
    inputs = torch.cat([episodes.support.inputs, episodes.query.inputs], 1).flatten(
        0, 1
    )
    labels = torch.cat([episodes.support.targets, episodes.query.targets], 1)
    targets = episodes.class_indices.gather(1, labels).flatten()
    logits = network.features(inputs) @ network.classifier["weight"].mT
    loss = torch.nn.functional.cross_entropy(
        logits + network.classifier["bias"], targets
    )
    names = list(step.gradients)
    wanted = torch.autograd.grad(loss, [network.get_parameter(n) for n in names])
    for name, want in zip(names, wanted, strict=True):
        torch.testing.assert_close(step.gradients[name], want, msg=name)


def test_an_unknown_classifier_is_refused():
    with pytest.raises(SettingError, match="no classifier 'LogReg'"):
        algorithm(classifier="LogReg")


def test_options_it_does_not_take_are_refused():
    problem = Problem("classification", (6,), 3, 12)
    with pytest.raises(UsageError, match="options"):
        algorithm(options={"depth": 3}).check(problem, problem)
    with pytest.raises(UsageError, match="'C' parameter of SVC must be a float"):
        algorithm(classifier="SVC", options={"C": -1.0}).check(problem, problem)


def test_a_support_set_that_is_too_small_is_told_of():
    method = algorithm(
        features="inputs",
        classifier="KNeighborsClassifier",
        options={"n_neighbors": 50},
    )
    support = Samples(*(t[0] for t in blobs(tasks=1).support))
    network = method.build(TinyModel(), Problem("classification", (6,), 3, 12)).double()
    meta = method.init(network)
    adapted = method.adapt(network, meta, support, 3)
    with pytest.raises(UnsupportedError, match=r"set of 6: .*n_neighbors"):
        method.predict(network, meta, adapted, support.inputs)
