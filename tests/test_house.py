"""Who may import whom. The layers are data; the walk is thirty lines."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    ["errors", "episode", "memory"],
    ["contracts", "events", "records", "settings", "tensorfile", "validation"],
    ["functional", "hookspecs", "normalisation", "sampling", "bank"],
    ["images", "folders", "rows"],
    ["texts", "tables"],
    ["sentences"],
    ["encoding"],
    ["mapping", "classification", "download", "resized", "unseen"],
    ["arrays"],
    ["registry", "store"],
    ["learner", "experiment"],
    ["config", "training", "evaluation"],
    ["checkpoint"],
    ["testing"],
    ["run"],
    ["session"],
    ["preparation"],
    ["adapted"],
    ["examples", "export"],
    ["pipeline", "replay", "trained"],
    ["comparison", "estimators"],
    ["drawing"],
    ["cli"],
]
"""A module imports of ours only from the lists above its own, or its own folder."""

PUBLIC = {
    "metapipe",
    "metapipe.data.array_source",
    "metapipe.data.bank",
    "metapipe.data.image_source",
    "metapipe.data.download",
    "metapipe.data.files",
    "metapipe.numerics.functional",
    "metapipe.data.image_encoder",
    "metapipe.numerics.task_map",
    "metapipe.numerics.normalisation",
    "metapipe.data.table_files",
    "metapipe.data.sampling",
    "metapipe.data.sentence_encoder",
    "metapipe.data.row_encoder",
    "metapipe.testing",
    "metapipe.data.text_encoders",
}
"""What a plugin may import: the API."""

SOURCES = sorted((ROOT / "metapipe").rglob("*.py"))
PLUGINS = sorted(
    path for path in (ROOT / "plugins").rglob("*.py") if path.stem != "__init__"
)


def module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "plugins").with_suffix("").parts)


def layer(name: str) -> int:
    return next(i for i, names in enumerate(LAYERS) if name in names)


def imported(path: Path, package: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """(line, dotted parts from `metapipe` on) of all imports outside TYPE_CHECKING."""
    tree = ast.parse(path.read_text())
    typing_only = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if node in typing_only:
            continue
        if isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level + 1]) if node.level else []
            parts = base + (node.module or "").split(".") if node.module else base
            names = [alias.name for alias in node.names]
            for name in names if parts == ["metapipe"] else [""]:
                yield node.lineno, [*parts, name] if name else parts
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.split(".")


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_downwards(path: Path) -> None:
    parts = path.relative_to(ROOT).with_suffix("").parts
    own = parts[1]
    if own in ("__init__", "__main__"):
        return
    for line, found in imported(path, parts[:-1]):
        if found[0] != "metapipe" or len(found) < 2 or found[1] == "__version__":
            continue
        target = found[1]
        allowed = target == own or layer(target) < layer(own)
        same = layer(target) == layer(own) and not (path.parent / target).exists()
        assert allowed or same, f"{path.name}:{line} imports {'.'.join(found)}"


def test_every_module_has_a_layer() -> None:
    modules = {p.relative_to(ROOT / "metapipe").parts[0] for p in SOURCES}
    names = {m.removesuffix(".py") for m in modules} - {"__init__", "__main__"}
    assert names == {name for names in LAYERS for name in names}


@pytest.mark.parametrize("path", PLUGINS, ids=lambda p: p.stem)
def test_our_plugins_use_the_public_api_only(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports in plugins are absolute"
            if (node.module or "").split(".")[0] == "metapipe":
                assert node.module in PUBLIC, f"{path.name}:{node.lineno}"


def test_every_plugin_file_has_an_entry_point_and_the_reverse() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    named = set(project["project"]["entry-points"]["metapipe"].values())
    assert named == {module(path) for path in PLUGINS if path.parent.name != "parts"}


def test_every_part_is_part_of_something() -> None:
    parts = {module(path) for path in PLUGINS if path.parent.name == "parts"}
    used = {
        node.module
        for path in PLUGINS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
    }
    assert parts <= used


def test_the_store_never_imports_torch() -> None:
    for path in (ROOT / "metapipe" / "store").glob("*.py"):
        assert "torch" not in path.read_text().replace(
            "never imports torch", ""
        ).replace("Never imports torch", "")
