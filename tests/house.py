"""The house as the imports have it: modules, rooms, floors."""

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "metapipe"
Graph = dict[str, set[str]]


@cache
def parsed(path: Path) -> ast.Module:
    """A file of Python, read once."""
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[str]:
    """The dotted modules of ours that a file imports when it is imported or called;
    what only type checkers read does not count."""
    tree = parsed(path)
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
            module = _absolute(node, path)
            for alias in node.names:
                inner = f"{module}.{alias.name}"
                yield inner if _is_module(inner) else module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


@cache
def modules() -> Graph:
    """Every module of the package, and the modules it imports."""
    graph = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        ours = {m for m in imports(path) if m.split(".")[0] == "metapipe"}
        graph[_name(path)] = ours - {_name(path)}
    return graph


def rooms() -> Graph:
    """Every folder and every file at the door, and what it imports of the others. The
    door itself, which loads its public functions late, is none of them."""
    graph: Graph = {}
    for module, found in modules().items():
        if room(module):
            targets = {room(other) for other in found} - {"", room(module)}
            graph.setdefault(room(module), set()).update(targets)
    return graph


def room(module: str) -> str:
    """`metapipe.store.query` -> `store`; nothing for the door."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else ""


def floors(graph: Mapping[str, set[str]]) -> dict[str, int]:
    """A room stands a floor above all that it imports; the lowest are on floor 0."""
    found: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((floor(below) for below in graph[name]), default=-1)
        return found[name]

    for name in graph:
        floor(name)
    return found


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if not node.level:
        return node.module or ""
    package = _name(path).split(".")
    keep = len(package) - node.level + (path.stem == "__init__")
    return ".".join([*package[:keep], *([node.module] if node.module else [])])


def _is_module(dotted: str) -> bool:
    path = ROOT.joinpath(*dotted.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
