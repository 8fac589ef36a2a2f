"""The floor plan: which room may import which, and what plugins may import."""

import ast
import re
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from house import PACKAGE, ROOT, floors, imports, modules, parsed, room, rooms

# Any room may import the vocabulary, which is the files at the door, and beside it:
LAW = {
    "numerics data store experiment": "",
    "training": "numerics data",
    "testing": "numerics data training",
    "facts": "store",
    "runs": "numerics data store facts experiment training",
    "adaptation": "numerics data store experiment training runs",
    "ui": "store facts experiment runs adaptation",
    "cli": "store facts experiment runs adaptation ui",
}
DOORS = (
    "metapipe",
    "metapipe.numerics",
    "metapipe.data",
    "metapipe.store",
    "metapipe.testing",
)
"""What a plugin may import."""

PLUGINS = sorted(
    path for path in (ROOT / "plugins").rglob("*.py") if path.stem != "__init__"
)
OUTSIDE = [*PLUGINS, *sorted((ROOT / "tests" / "distribution").glob("*.py"))]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text()
VOCABULARY = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__", "__main__"}


def test_each_room_imports_what_the_law_allows() -> None:
    allowed = {
        name: set(below.split()) | VOCABULARY
        for names, below in LAW.items()
        for name in names.split()
    }
    found = rooms()
    assert set(found) == set(allowed) | VOCABULARY
    for name, targets in found.items():
        more = targets - allowed.get(name, VOCABULARY)
        assert not more, f"{name} imports {', '.join(sorted(more))}"


def test_no_import_goes_in_a_circle() -> None:
    below_the_door = {
        module: {other for other in found if room(other)}
        for module, found in modules().items()
        if room(module)
    }
    tuple(TopologicalSorter(below_the_door).static_order())  # raises CycleError


def test_there_are_at_most_ten_floors() -> None:
    assert max(floors(rooms()).values()) < 10


def test_the_drawing_in_the_docs_is_of_this_house() -> None:
    drawn, law = re.findall(r"```text\n(.*?)```", ARCHITECTURE, re.DOTALL)
    shown = {
        name: int(line.split()[0])
        for line in drawn.splitlines()
        for name in line.split()[1:]
    }
    assert shown == floors(rooms())
    told = dict(line.split(":") for line in law.splitlines())
    assert {name: below.strip() for name, below in told.items()} == LAW


def test_every_file_that_a_walk_goes_through_is_there() -> None:
    walks = ARCHITECTURE.split("## Four walks")[1]
    named = re.findall(r"`([\w/]+\.py)`", walks)
    assert len(named) > 15
    for name in named:
        assert (PACKAGE / name).is_file(), name


@pytest.mark.parametrize("name", ["experiment", "training", "runs", "adaptation"])
def test_a_room_without_a_door_imports_nothing_for_being_entered(name: str) -> None:
    path = PACKAGE / name / "__init__.py"
    assert not list(imports(path))
    assert ast.get_docstring(parsed(path))


@pytest.mark.parametrize("path", OUTSIDE, ids=lambda p: p.stem)
def test_plugins_use_the_doors_only(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports in plugins are absolute"
            if (node.module or "").split(".")[0] == "metapipe":
                assert node.module in DOORS, f"{path.name}:{node.lineno}"


def test_the_docs_name_the_doors_and_nothing_below_them() -> None:
    for path in sorted((ROOT / "docs").glob("*.md")):
        if path.stem == "architecture":
            continue
        for found in re.findall(
            r"(?:from|import) (metapipe[\w.]*\w)", path.read_text()
        ):
            third_party = found == "metapipe_nearest"  # the example's own
            assert found in DOORS or third_party, f"{path.name}: {found}"
    text = (ROOT / "docs" / "plugins.md").read_text()
    sentence = text.split("Plugins import from five doors")[1].split(".\n")[0]
    assert tuple(re.findall(r"`(metapipe[\w.]*)`", sentence)) == DOORS


def test_nobody_imports_what_another_file_keeps_to_itself() -> None:
    tests = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").glob("*.py")]
    for path in [*PACKAGE.rglob("*.py"), *PLUGINS, *tests]:
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and "metapipe" in (node.module or "."):
                private = [a.name for a in node.names if re.match("_[a-z]", a.name)]
                assert not private, f"{path.name}:{node.lineno}: {private}"


def test_a_name_is_given_once_in_a_file() -> None:
    """A second value for a constant is a slip: whoever reads the first is deceived."""
    for path in [*PACKAGE.rglob("*.py"), *PLUGINS]:
        given = [
            target.id
            for node in parsed(path).body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        ]
        assert sorted(given) == sorted(set(given)), path.name


def test_tests_use_nothing_private() -> None:
    """An attribute with an underscore is its own file's; `_replace` is Python's,
    and `_repr_html_` Jupyter's."""
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr):
                own = isinstance(node.value, ast.Name) and node.value.id == "self"
                assert own or node.attr in ("_replace", "_repr_html_"), (
                    f"{path.name}:{node.lineno}"
                )


def test_every_plugin_file_has_an_entry_point_and_the_reverse() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = set(project["project"]["entry-points"]["metapipe"].values())
    assert named == {module(path) for path in PLUGINS if "parts" not in path.parts}


def test_every_part_is_part_of_something() -> None:
    parts = {module(path) for path in PLUGINS if "parts" in path.parts}
    used = {
        node.module
        for path in PLUGINS
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ImportFrom)
    }
    assert parts <= used


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "plugins").with_suffix("").parts)


@pytest.mark.parametrize(
    "name",
    ["metapipe", "metapipe.store", "metapipe.experiment", "metapipe.ui.application"],
)
def test_what_only_looks_needs_no_torch(name: str) -> None:
    rest = [m for m in modules() if m.startswith("metapipe.experiment.")]
    names = rest if name == "metapipe.experiment" else [name]
    program = f"import sys, {', '.join(names)}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
