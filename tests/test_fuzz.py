"""Ten thousand inputs of users and strangers: read, or refused in a line.

`benchmarks/fuzz.py` runs any number more, and one again by its seed.
"""

from pathlib import Path

import pytest
from fuzzing.all import targets
from fuzzing.target import Target
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.long

EXAMPLES = {
    "filters": 1000,
    "assignments": 4000,
    "projects": 1000,
    "adapted models": 1000,
    "checkpoints": 500,
    "archives": 500,
    "tables": 1600,
    "pictures": 400,
}
"""How many inputs of each kind; ten thousand in all."""


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Target]:
    return {t.name: t for t in targets(tmp_path_factory.mktemp("fuzz"))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_input_is_read_or_refused_in_a_line(
    everything: dict[str, Target], name: str, tmp_path: Path
) -> None:
    target, ends = everything[name], set[str]()

    @settings(
        max_examples=EXAMPLES[name],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.integers(0, 2**63))
    def each(seed: int) -> None:
        ends.add(target.try_one(seed, tmp_path))

    each()
    assert "read" in ends, "the inputs are too far from what is read"
    assert len(ends) > 1, "nothing was refused"


def test_all_targets_are_tried() -> None:
    assert sum(EXAMPLES.values()) == 10_000
