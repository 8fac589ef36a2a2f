"""Returns of losses."""

import math

from metapipe.store.records import negated


def test_a_return_of_nothing_has_no_sign() -> None:
    assert [math.copysign(1, negated(loss)) for loss in (0.0, -0.0)] == [1, 1]
    assert (negated(2.5), negated(-1.0)) == (-2.5, 1.0)
