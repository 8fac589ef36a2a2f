"""The generated reference has everything that there is; CI builds the site itself."""

import re
import runpy
import shlex
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from metapipe import hookspecs
from metapipe.cli.main import cli
from metapipe.experiment.registry import load
from metapipe.plugin import table_of

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import generate
    finally:
        sys.path.remove(str(ROOT / "docs"))
    return generate.pages()


def commands(group: click.Group, path: str = "metapipe") -> list[str]:
    """The paths of all commands below a group."""
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        below = f"{path} {name}"
        found += [below]
        found += commands(command, below) if isinstance(command, click.Group) else []
    return found


def test_every_command_and_option_has_its_entry(pages: dict[str, str]) -> None:
    text = "\n".join(pages[name] for name in pages if name.startswith("commands/"))
    headings = re.findall(r"^#+ `(metapipe [^`]+)`$", text, re.M)
    assert sorted(headings) == sorted(commands(cli))
    assert "`--plugin-path FILE`" in pages["commands/index.md"]
    assert "`--lr FLOAT`" in pages["commands/train.md"]


def test_every_plugin_has_its_page(pages: dict[str, str]) -> None:
    entries = [e for e in load().entries() if e.origin.distribution == "metapipe"]
    titles = {
        (name.split("/")[1], re.match("# `(.+)`\n", text)[1])
        for name, text in pages.items()
        if re.match("plugins/.+/", name)
    }
    assert titles == {(entry.plugin_type, entry.name) for entry in entries}
    for entry in entries:
        path = f"plugins/{entry.plugin_type}/{entry.name.replace('+', '-plus')}.md"
        table = table_of(entry.plugin_type, entry.name)
        for field in entry.cls.model_fields:
            assert f"| `{table}.{field}` |" in pages[path]


def test_figures_stand_on_the_pages_of_the_plugins_that_made_them(
    pages: dict[str, str],
) -> None:
    for path in ("algorithm/maml", "model/conv4", "dataset/glyphs"):
        assert "89.24 ± 0.60 %" in pages[f"plugins/{path}.md"]
    assert "89.24" not in pages["plugins/algorithm/reptile.md"]
    assert "Not measured." in pages["plugins/model/resnet12.md"]


def test_every_hook_has_its_entry(pages: dict[str, str]) -> None:
    headings = re.findall(r"^## `(\w+)\(", pages["hooks.md"], re.M)
    specs = {
        name
        for name, value in vars(hookspecs).items()
        if hasattr(value, "metapipe_spec")
    }
    assert set(headings) == specs


def test_every_public_name_has_its_entry(pages: dict[str, str]) -> None:
    doors = [name for name in pages if name.startswith("api/metapipe")]
    assert len(doors) == 5
    for page in doors:
        door = page.removeprefix("api/").removesuffix(".md")
        for name in import_module(door).__all__:
            assert re.search(rf"\{{py:\w+\}} {door}\.{name}\b", pages[page]), name


def console_lines() -> list[tuple[str, list[str]]]:
    """(page, arguments) of every metapipe command that a page shows; not of those that
    it shows to fail, which test_pages.py types."""
    found = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        if "reference" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        for line in re.findall(r"^\$ (.+)$(?!\nError: )", text, re.M):
            for command in line.split(" && "):
                words = shlex.split(command.split(" > ")[0], comments=True)
                if words[0] == "metapipe":
                    found.append((path.name, words[1:]))
    return found


@pytest.mark.parametrize(("page", "arguments"), console_lines())
def test_the_commands_on_the_pages_exist(page: str, arguments: list[str]) -> None:
    outcome = CliRunner().invoke(cli, [*arguments, "--help"])
    assert outcome.exit_code == 0, f"{page}: {outcome.output}"


def test_the_tutorial_draws_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(ROOT / "docs" / "tutorial" / "shapes.py"))
    for folder, count in {"shots": 3, "more": 7}.items():
        for name in ("circle", "square", "triangle"):
            assert len(list(Path(folder, name).glob("*.png"))) == count
