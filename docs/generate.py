"""The reference, made from the code: commands, settings, hooks, plugins, figures.

`pages()` is all of it as Markdown by path. `conf.py` writes it to `docs/reference/`
before each build, `tests/test_site.py` reads it without one, and none of it is
committed. What the code says nothing about is an error here, and so one of the build.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from api import api_pages

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

# All that this script needs of ours beside the public modules.
from reproductions import REPRODUCTIONS  # noqa: E402
from result_tables import tables as results  # noqa: E402

from metapipe import hookspecs  # noqa: E402
from metapipe.cli.main import cli  # noqa: E402
from metapipe.cli.train import train  # noqa: E402
from metapipe.experiment.experiment import SECTIONS  # noqa: E402
from metapipe.experiment.options import (  # noqa: E402
    TRAINING,
    from_options,
    option_names,
)
from metapipe.experiment.plugin_facts import facts as facts_of  # noqa: E402
from metapipe.experiment.plugin_facts import settings_of  # noqa: E402
from metapipe.experiment.project import PROJECT, Project  # noqa: E402
from metapipe.experiment.registry import PLUGIN_TYPES, RUN_TYPES, Entry, load  # noqa: E402
from metapipe.experiment.resolve import resolve  # noqa: E402
from metapipe.plugin import table_of  # noqa: E402

TITLES = {
    "algorithm": "Algorithms",
    "model": "Models",
    "dataset": "Data sets",
    "backbone": "Backbones",
    "observer": "Observers",
}
FIGURES = ROOT / "benchmarks" / "results.json"


def pages() -> dict[str, str]:
    """Every generated page by its path below `docs/reference/`."""
    found = {
        "settings.md": settings_page(),
        "hooks.md": hooks_page(),
        "results.md": (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8"),
        "cost.md": (ROOT / "benchmarks" / "COST.md").read_text(encoding="utf-8"),
        **command_pages(),
        **plugin_pages(),
    }
    found |= {f"api/{name}": text for name, text in api_pages().items()}
    return found


def write(folder: Path) -> None:
    """Bring `folder` to what `pages()` says; a page that is the same is left alone."""
    wanted = {folder / name: text for name, text in pages().items()}
    for path in set(folder.rglob("*.md")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def page_of(name: str) -> str:
    """A plugin's name as a file's: `maml++` is `maml-plus-plus`."""
    return name.replace("+", "-plus")


# Commands


def command_pages() -> dict[str, str]:
    """A page for each command, with its subcommands, from click's own objects."""
    context = click.Context(cli, info_name="metapipe", **cli.context_settings)
    names = cli.list_commands(context)
    options = "\n".join(_command(cli, context, 2))
    found = {
        "commands/index.md": _contents(
            "Commands", f"{options}\n\n## All commands", names
        )
    }
    for name in names:
        command = cli.get_command(context, name)
        assert command is not None, name
        below = click.Context(command, parent=context, info_name=name)
        lines = _command(command, below, 1)
        found[f"commands/{name}.md"] = "\n".join(lines) + "\n"
    return found


def _command(command: click.Command, context: click.Context, level: int) -> list[str]:
    """A command's usage, help and options; then those of its subcommands."""
    path = context.command_path
    if not command.help:
        raise ValueError(f"'{path}' has no help")
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    lines = [f"{'#' * level} `{path}`", "", "```text", usage, "```", ""]
    lines += [inspect.cleandoc(command.help), ""]
    records = [
        record
        for parameter in command.get_params(context)
        if isinstance(parameter, click.Option)
        if (record := parameter.get_help_record(context))
    ]
    for option, text in records:
        if not text:
            raise ValueError(f"'{path}': {option} has no help")
    lines += _table(("option", "what"), ((f"`{o}`", t) for o, t in records))
    if isinstance(command, click.Group) and command is not cli:
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None, name
            below = click.Context(inner, parent=context, info_name=name)
            lines += ["", *_command(inner, below, level + 1)]
    return lines


# Settings and hooks


def settings_page() -> str:
    """Every table of `metapipe.toml` that belongs to no plugin."""
    lines = [
        "# Settings",
        "",
        "A setting of a run is given in `metapipe.toml`, by a variable "
        "(`METAPIPE_TRAINING__LR=0.01`) or on the command line "
        "(`-s training.lr=0.01`); those of `[run]`, `[task]` and `[training]` are also "
        "options of `train` by their own names. `metapipe train --dry-run` shows each "
        "value and where it came from. "
        "Settings of plugins are on [their pages](plugins/index.md).",
    ]
    for name, section in {**SECTIONS, **PROJECT}.items():
        lines += ["", f"## `[{name}]`", "", _first_paragraph(section), ""]
        lines += _settings_table(settings_of(section), name)
    return "\n".join(lines) + "\n"


def hooks_page() -> str:
    """Every hook, from its specification."""
    lines = ["# Hooks", "", inspect.getdoc(hookspecs) or "", ""]
    for name, function in hooks().items():
        if not function.__doc__:
            raise ValueError(f"hook {name} has no docstring")
        arguments = ", ".join(inspect.signature(function).parameters)
        lines += [f"## `{name}({arguments})`", "", inspect.getdoc(function) or "", ""]
        kinds = [
            (f"`{p.name}`", f"`{p.annotation}`")
            for p in inspect.signature(function).parameters.values()
        ]
        lines += [*_table(("argument", "type"), kinds), ""]
    return "\n".join(lines)


def hooks() -> dict[str, Any]:
    """The hook specifications by name."""
    return {
        name: function
        for name, function in vars(hookspecs).items()
        if hasattr(function, "metapipe_spec")
    }


# Plugins


def entries() -> list[Entry]:
    """Our own plugins. Raises ValueError if one does not load."""
    registry = load()
    if registry.failures:
        raise ValueError(f"plugins that do not load: {registry.failures}")
    return [e for e in registry.entries() if e.origin.distribution == "metapipe"]


def plugin_pages() -> dict[str, str]:
    """A page for each plugin, and a list of them."""
    measured = measurements()
    found: dict[str, str] = {}
    lines = ["# Plugins", "", "What `metapipe plugins list` shows.", ""]
    for kind in PLUGIN_TYPES:
        lines += [f"## {TITLES[kind]}", ""]
        rows = []
        for entry in [e for e in entries() if e.plugin_type == kind]:
            path = f"{kind}/{page_of(entry.name)}.md"
            figures = measured.get((kind, entry.name), {})
            found[f"plugins/{path}"] = plugin_page(entry, figures)
            link = f"[`{entry.name}`]({path})"
            rows.append((link, facts_of(entry)["what"], str(len(figures) or "none")))
        lines += [*_table(("name", "what", "runs measured"), rows), ""]
    names = [name.removeprefix("plugins/").removesuffix(".md") for name in found]
    found["plugins/index.md"] = "\n".join([*lines, *_toctree(names, hidden=True)])
    return found


def plugin_page(entry: Entry, figures: Mapping[str, Any]) -> str:
    """What the class says of itself, its settings, and what was measured with it."""
    facts = facts_of(entry)
    about = inspect.getdoc(import_module(entry.cls.__module__))
    if not facts["what"] or not about:
        raise ValueError(f"{entry.plugin_type} {entry.name} lacks a docstring")
    apart = {
        "name",
        "what",
        "distribution",
        "version",
        "settings",
        "recommended",
        "recommended_with",
        "recommended_if",
    }
    told = [(name, _linked(facts[name])) for name in facts if name not in apart]
    lines = [f"# `{entry.name}`", "", facts["what"], ""]
    lines += _table(("", ""), [(name, value) for name, value in told if value])
    lines += ["", about, "", "## Settings", ""]
    lines += _settings_table(
        facts["settings"], table_of(entry.plugin_type, entry.name)
    ) or ["None."]
    own = {f"{facts['kind']}.{k}": v for k, v in facts["recommended_if"].items()}
    beside = {"": facts["recommended"], **facts["recommended_with"], **own}
    if any(beside.values()):
        lines += ["", "## Recommends", "", "Where you say nothing else.", ""]
        rows = [
            (f"`{name}`", f"`{json.dumps(value)}`", f"`{other}`" if other else "")
            for other, values in beside.items()
            for name, value in values.items()
        ]
        lines += _table(("setting", "value", "beside"), rows)
    lines += ["", "## Measured", "", _measured(figures)]
    return "\n".join(lines) + "\n"


def measurements() -> dict[tuple[str, str], dict[str, Any]]:
    """Measured figures by plugin, and by recipe.

    Which plugins a recipe means is resolved as for a training, but for the data, which
    need not be here: some recommend others.
    """
    figures = json.loads(FIGURES.read_text(encoding="utf-8"))
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for recipe in [r for r in REPRODUCTIONS if r.name in figures]:
        files = [path.format(benchmarks=FIGURES.parent) for path in recipe.plugins]
        registry = load(tuple(map(Path, files)))
        options = [part.format(data="data") for part in recipe.train]
        given = train.make_context("train", options).params
        named = {name: given[name] for name in option_names(TRAINING) if name in given}
        asked = [*from_options(named, TRAINING), *given["settings"]]
        chosen = resolve(Project(ROOT), registry, asked).experiment.chosen
        for kind in RUN_TYPES:
            of_plugin = found.setdefault((kind, chosen[kind]), {})
            of_plugin[recipe.name] = figures[recipe.name]
    return found


def _measured(figures: Mapping[str, Any]) -> str:
    """The tables of the results, without their title and preface."""
    if not figures:
        return "Not measured."
    _, _, groups = results(dict(figures)).partition("\n## ")
    told = "[The results](../../results.md) tell how these were made."
    return f"{told}\n\n### {groups}".replace("\n## ", "\n### ")


# Markdown


def _settings_table(fields: Iterable[Mapping[str, Any]], table: str) -> list[str]:
    rows = []
    for field in fields:
        name = f"{table}.{field['name']}"
        if not field["help"]:
            raise ValueError(f"setting {name} has no help")
        bounds = f"`{field['bounds']}`" if field["bounds"] else ""
        default = f"`{json.dumps(field['default'])}`"
        rows.append((f"`{name}`", f"`{field['type']}`", default, bounds, field["help"]))
    return _table(("setting", "type", "default", "bounds", "help"), rows)


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, or nothing if there are no rows."""
    cells = [[_cell(cell) for cell in row] for row in rows]
    lines = [heads, ["---"] * len(heads), *cells]
    return [f"| {' | '.join(line)} |" for line in lines] if cells else []


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _linked(text: str) -> str:
    """Addresses in a citation as links."""
    return re.sub(r"https://[^\s,;]+", r"<\g<0>>", text)


def _contents(title: str, text: str, names: Sequence[str]) -> str:
    return "\n".join([f"# {title}", "", text, "", *_toctree(names)])


def _toctree(names: Sequence[str], hidden: bool = False) -> Iterator[str]:
    yield from ["```{toctree}", *([":hidden:"] if hidden else []), ":maxdepth: 1", ""]
    yield from [*names, "```", ""]


def _first_paragraph(cls: type) -> str:
    return (inspect.getdoc(cls) or "").split("\n\n")[0]
