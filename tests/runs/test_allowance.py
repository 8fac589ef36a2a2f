"""Samples of training episodes are bounded by rate, in the long run only."""

import pytest

from metapipe.runs.allowance import Allowance


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    moment = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: moment[0])
    return moment


def test_a_day_keeps_the_rate_and_a_short_training_all(clock: list[float]) -> None:
    allowance = Allowance(rate=20.0, at_once=1000)
    assert [allowance.takes(100) for _ in range(11)] == 10 * [True] + [False]
    kept = 0
    for second in range(1, 100_001):
        clock[0] = float(second)
        kept += 100 * allowance.takes(100)
    assert kept == 20 * 100_000


def test_it_grows_to_its_limit_only_and_a_huge_meta_batch_is_kept_at_times(
    clock: list[float],
) -> None:
    allowance = Allowance(rate=20.0, at_once=1000)
    assert allowance.takes(5000)
    assert not allowance.takes(5000)
    clock[0] = 1e6
    assert allowance.takes(5000)
    assert not allowance.takes(1)
