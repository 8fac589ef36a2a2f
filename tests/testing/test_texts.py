"""Every failure of a contract says what was expected, and which method to change."""

import ast

import pytest
from project import ROOT

import metapipe.testing
from metapipe.testing import DatasetContract, ModelContract

FOLDER = ROOT / "metapipe" / "testing"


def said(node: ast.AST) -> bool:
    """Whether an assertion has words of its own."""
    if isinstance(node, ast.Assert):
        return node.msg is not None
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("assert_close"):
        return any(keyword.arg == "msg" for keyword in node.keywords)
    return True


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda p: p.stem)
def test_no_assertion_is_without_words(path) -> None:
    silent = [n for n in ast.walk(ast.parse(path.read_text())) if not said(n)]
    assert not silent, [ast.unparse(node) for node in silent]


def test_every_contract_is_public() -> None:
    named = {name for name in metapipe.testing.__all__ if name.endswith("Contract")}
    page = (ROOT / "docs" / "plugins.md").read_text()
    assert {name for name in named if f"`{name}`" not in page} == set()


def test_a_failure_names_the_method() -> None:
    from torch import nn

    class Headless(metapipe.testing.TinyModel):
        def build(self, shape, outputs, statistics) -> nn.Module:
            whole = super().build(shape, outputs, statistics)
            return nn.Sequential(*whole.children())  # names are numbers then

    contract = ModelContract()
    contract.model, contract.shape = Headless(), (6,)
    with pytest.raises(AssertionError, match=r"build\(\.\.\., outputs=7\).*`head`"):
        contract.test_outputs_are_as_many_as_asked()


def test_a_data_set_that_draws_from_a_global_generator_is_told_so() -> None:
    import numpy as np

    from metapipe import Dataset
    from metapipe.data import ArraySource

    class Source(ArraySource):
        def draw(self, tasks):
            drawn = super().draw(tasks)
            noise = float(np.random.default_rng().random())
            moved = drawn.support._replace(inputs=drawn.support.inputs + noise)
            return drawn._replace(support=moved)

    class Noisy(Dataset):
        def open(self, split):
            items = np.arange(40, dtype=np.float32).reshape(20, 2)
            return Source(items, tuple("abcd"), np.arange(5) * 5)

    contract = DatasetContract()
    contract.dataset = Noisy()
    with pytest.raises(AssertionError, match="draw gives task 3 other inputs in"):
        contract.test_an_episode_depends_on_its_task_only()
