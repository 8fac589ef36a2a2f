"""A command parses, calls one function and prints: what it does is Python's too."""

import ast
from collections.abc import Iterator

import pytest
from house import PACKAGE

COMMANDS = sorted((PACKAGE / "cli").glob("*.py"))
WORK = ("runs", "adaptation", "experiment", "training", "data", "numerics")
"""Rooms whose functions do something; the store is looked at by its own methods."""

NOT_THE_WORK = {
    "counting",
    "display",
    "from_options",
    "tables_of",
    "parse_assignment",
    "load",
    "evaluated",
    "trained",
}
"""What watches it, what makes of words what it takes, and who is called to do it."""

TWO = {"adapt:adapt", "train:train", "episodes:show"}
"""Commands that call one of two functions, or draw what the first one found."""

LONGEST = 12
"""Statements of a command."""


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    for path in COMMANDS:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.FunctionDef):
                yield f"{path.stem}:{node.name}", node


def is_command(function: ast.FunctionDef) -> bool:
    shown = (ast.unparse(each) for each in function.decorator_list)
    return any(".command(" in text for text in shown)


FUNCTIONS = dict(functions())
FOUND = {name: node for name, node in FUNCTIONS.items() if is_command(node)}


def test_all_commands_are_found() -> None:
    assert len(FOUND) == 33


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
    function = FOUND[name]
    assert len(worked_by(function)) <= 1 + (name in TWO), worked_by(function)


@pytest.mark.parametrize("name", FOUND)
def test_a_command_is_short(name: str) -> None:
    statements = [
        node
        for node in ast.walk(FOUND[name])
        if isinstance(node, ast.stmt) and not isinstance(node, ast.ImportFrom)
    ]
    assert len(statements) - 2 <= LONGEST, "neither the function nor its docstring"


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - set(FOUND)))
def test_what_prints_does_nothing_else(name: str) -> None:
    assert not worked_by(FUNCTIONS[name])
