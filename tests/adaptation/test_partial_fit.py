"""A few-shot classifier that gets its examples in parts."""

import numpy as np
import pytest
from pictures import picture
from sklearn.exceptions import NotFittedError

from metapipe import FewShotClassifier

X = [picture(seed, (40, 36)) for seed in range(8)]
Y = np.array(["b", "c", "b", "c", "a", "b", "a", "c"])
QUERIES = [picture(seed, (40, 36)) for seed in range(100, 105)]


def model():
    return FewShotClassifier(
        backbone="gradients", backbone_settings={"size": 32, "cell": 8}
    )


def assert_like(first, second):
    assert list(first.classes_) == list(second.classes_)
    mine, others = (each.predict_proba(QUERIES) for each in (first, second))
    np.testing.assert_allclose(mine, others, atol=1e-9)
    assert list(first.predict(QUERIES)) == list(second.predict(QUERIES))


@pytest.mark.parametrize("classes", [None, ["c", "a", "b"]])
def test_parts_are_as_good_as_all_at_once(classes):
    """With a class that comes late, also where it was told of."""
    parts = model().partial_fit(X[:4], Y[:4], classes)
    assert list(parts.classes_) == (["b", "c"] if classes is None else ["a", "b", "c"])
    assert_like(parts.partial_fit(X[4:], Y[4:]), model().fit(X, Y))
    assert_like(model().fit(X[:4], Y[:4]).partial_fit(X[4:], Y[4:]), parts)
    assert_like(parts.fit(X[:4], Y[:4]), model().fit(X[:4], Y[:4]))


def test_what_has_no_example_is_never_predicted():
    told = model().partial_fit(X[:4], Y[:4], ["a", "b", "c"])
    others = model().fit(X[:4], Y[:4])
    found = told.predict_proba(QUERIES)
    assert (found[:, 0] == 0).all()
    np.testing.assert_allclose(found[:, 1:], others.predict_proba(QUERIES))
    assert list(told.predict(QUERIES)) == list(others.predict(QUERIES))


def test_one_class_is_enough_to_begin_with_if_others_are_told_of(tmp_path):
    begun = model().partial_fit([X[0]], ["b"], ["b", "c"])
    for use in (begun.predict, begun.predict_proba):
        with pytest.raises(NotFittedError):
            use(QUERIES)
    with pytest.raises(NotFittedError):
        begun.save(tmp_path / "x")
    begun.partial_fit([X[1]], ["c"])
    assert_like(begun, model().fit(X[:2], Y[:2]))
    with pytest.raises(ValueError, match=r"one class only, \['b'\]"):
        model().partial_fit([X[0]], ["b"])


def test_mistakes_leave_what_was_learned():
    begun = model().partial_fit(X[:4], Y[:4], ["b", "c"])
    before = begun.predict_proba(QUERIES)
    for classes, labels, message in (
        (None, ["d"], r"\['d'\], which are none of the classes"),
        (["b", "d"], ["b"], "are others than before"),
        (None, [1], "mixes names and numbers"),
        (None, ["b", "c"], "1 examples and y 2"),
    ):
        with pytest.raises(ValueError, match=message):
            begun.partial_fit([X[4]], labels, classes)
        np.testing.assert_array_equal(begun.predict_proba(QUERIES), before)
