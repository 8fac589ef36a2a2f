"""A command parses, calls one function and prints: what it does is Python's too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import PACKAGE

COMMANDS = sorted((PACKAGE / "cli").glob("*.py"))
WORK = ("runs", "adaptation", "experiment", "training", "data", "numerics")
"""Rooms whose functions do something; the store is looked at by its own methods."""

NOT_THE_WORK = {"display", "from_options", "of_algorithm", "load"}
"""What watches it, and what makes of words what it takes."""

EITHER = {"train": 2, "export": 2}
"""Commands that call one of two functions."""

LONGEST = 12
"""Statements of a command."""


def commands() -> Iterator[tuple[str, ast.FunctionDef, ast.Module]]:
    for path in COMMANDS:
        tree = ast.parse(path.read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and any(
                ".command(" in f"{ast.unparse(each)}(" for each in node.decorator_list
            ):
                yield f"{path.stem}:{node.name}", node, tree


FOUND = {name: (node, tree) for name, node, tree in commands()}


def test_all_commands_are_found() -> None:
    assert len(FOUND) == 18


def worked_by(function: ast.FunctionDef) -> set[str]:
    """The functions of the rooms below that a command calls, by the names at which it
    imports them: a module's as `module.function`."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").split(".")[0] in WORK
        for alias in node.names
    }
    called = {
        ast.unparse(node.func)
        for node in ast.walk(function)
        if isinstance(node, ast.Call)
    }
    return {
        name
        for name in called
        if name.split(".")[0] in imported
        and name[0].islower()
        and name not in NOT_THE_WORK
    }


@pytest.mark.parametrize("name", FOUND)
def test_a_command_calls_one_function_that_does_the_work(name: str) -> None:
    function, _ = FOUND[name]
    most = EITHER.get(function.name, 1)
    assert len(worked_by(function)) <= most, worked_by(function)


@pytest.mark.parametrize("name", FOUND)
def test_a_command_is_short(name: str) -> None:
    function, _ = FOUND[name]
    statements = [
        node
        for node in ast.walk(function)
        if isinstance(node, ast.stmt) and not isinstance(node, ast.ImportFrom)
    ]
    assert len(statements) - 2 <= LONGEST, "neither the function nor its docstring"


@pytest.mark.parametrize("path", COMMANDS, ids=lambda p: p.stem)
def test_nothing_else_in_a_commands_file_works(path: Path) -> None:
    """What formats, imports nothing that works."""
    tree = ast.parse(path.read_text())
    inside = {
        inner
        for function, parsed in FOUND.values()
        if ast.unparse(parsed) == ast.unparse(tree)
        for inner in [ast.unparse(function)]
    }
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and ast.unparse(node) not in inside:
            assert not worked_by(node), f"{path.name}: {node.name}"
