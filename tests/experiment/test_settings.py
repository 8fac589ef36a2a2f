"""Every setting that can be given means something: it is read somewhere."""

import ast
from pathlib import Path

import pytest

from metapipe.experiment.experiment import SECTIONS

PACKAGE = Path(__file__).parents[2] / "metapipe"
HOLDERS = {"run", "task", "training", "evaluation", "settings"}
"""What a section is called where it is read."""


def read() -> set[str]:
    """Attributes of sections that are read outside of the file that defines them."""
    return {
        node.attr
        for path in PACKAGE.rglob("*.py")
        if path.name != "settings.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and HOLDERS & {getattr(node.value, "id", ""), getattr(node.value, "attr", "")}
    }


def test_every_setting_is_read() -> None:
    derived = {"ways_to": "most_ways", "shots_to": "most_shots", "images": "queries_of"}
    derived |= {"chunk": "at_once"}
    found = read()
    for section, cls in SECTIONS.items():
        for name in cls.model_fields:
            if (section, name) in {("run", "algorithm"), ("run", "model")}:
                continue  # getattr, by type of plugin
            assert derived.get(name, name) in found, f"{section}.{name} is never read"


@pytest.mark.parametrize("name", ["precision", "patience", "passes", "shards"])
def test_the_test_can_fail(name: str) -> None:
    assert name in read()
    assert f"{name}_that_is_none" not in read()
