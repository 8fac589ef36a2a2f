"""`metapipe plugins list | show`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from ..errors import UnknownNameError, did_you_mean
from .context import App, pass_app
from .options import json_option
from .output import print_facts, print_json, print_table

if TYPE_CHECKING:
    from ..experiment.registry import Entry

UNTRAINED = "none: a head for metapipe adapt --backbone NAME"
"""Of an algorithm that needs no run."""


@click.group()
def plugins() -> None:
    """See what can be used."""


@plugins.command(name="list")
@json_option
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List algorithms, models, data sets and backbones, and what failed to load."""
    rows = [
        {
            "kind": entry.plugin_type,
            "name": entry.name,
            "version": entry.origin.version,
            "origin": entry.origin.distribution,
            "what": _summary(entry.cls),
        }
        for entry in app.registry.entries()
    ]
    failures = [
        {"origin": failure.origin, "reason": failure.reason}
        for failure in app.registry.failures
    ]
    if as_json:
        print_json({"plugins": rows, "failures": failures})
        return
    print_table(rows, ("kind", "name", "version", "origin", "what"))
    if failures:
        click.echo("\nnot usable")
        print_table(failures, ("origin", "reason"))


@plugins.command()
@click.argument("name")
@json_option
@pass_app
def show(app: App, name: str, as_json: bool) -> None:
    """Show a plugin: paper, settings, bounds, help."""
    found = [entry for entry in app.registry.entries() if entry.name == name]
    if not found:
        names = [entry.name for entry in app.registry.entries()]
        raise UnknownNameError(f"no plugin '{name}'; {did_you_mean(name, names)}")
    if as_json:
        print_json([_as_dict(entry) for entry in found])
        return
    for entry in found:
        _print(entry)


def _print(entry: Entry) -> None:
    facts = _as_dict(entry)
    settings = facts.pop("settings")
    recommended, beside = facts.pop("recommended"), facts.pop("recommended_with")
    print_facts((name, value) for name, value in facts.items() if value)
    click.echo(f"\nsettings: give them as -s {entry.plugin_type}.NAME=VALUE")
    print_table(settings, ("name", "type", "default", "bounds", "help"))
    if recommended:
        click.echo("\nrun settings it recommends, unless you say otherwise")
        _print_assignments(recommended)
    for other, values in beside.items():
        click.echo(f"\nand with {other}")
        _print_assignments(values)
    click.echo()


def _print_assignments(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        click.echo(f"  {name} = {value!r}")


def _as_dict(entry: Entry) -> dict[str, Any]:
    cls: Any = entry.cls
    return {
        "kind": entry.plugin_type,
        "name": entry.name,
        "what": _summary(cls),
        "paper": cls.paper,
        "implements": getattr(cls, "equations", ""),
        "departs": getattr(cls, "departures", ""),
        "problems": ", ".join(sorted(getattr(cls, "kinds", ()))),
        "training": "" if getattr(cls, "needs_training", True) else UNTRAINED,
        **(_whose(cls) if entry.plugin_type == "backbone" else {}),
        "normalisation": _normalisation(entry),
        "dropout": _dropout(cls) if entry.plugin_type == "algorithm" else "",
        "origin": f"{entry.origin} ({entry.origin.module})",
        "settings": _settings(cls),
        "recommended": dict(cls.recommended),
        "recommended_with": {k: dict(v) for k, v in cls.recommended_with.items()},
    }


def _whose(cls: Any) -> dict[str, str]:
    """What a backbone takes, whose it is, and where it comes from."""
    return {
        "takes": {"file": "files", "row": "rows of a table"}[cls.form],
        "licence": cls.licence,
        "source": cls.source,
        "install": cls.install,
    }


def _normalisation(entry: Entry) -> str:
    """Where an algorithm's normalisation layers take their statistics from."""
    if entry.plugin_type != "algorithm":
        return ""
    if entry.cls.recommended.get("model.normalise") is False:
        return "no such layers: predictions are inductive"
    default = entry.cls.model_fields["statistics"].default
    if default == "running":
        return "running averages: predictions are inductive"
    return (
        "statistics of the batch: predictions are transductive, unless each query is "
        "evaluated alone"
    )


def _dropout(cls: Any) -> str:
    """Whether a network's dropout does anything beside an algorithm."""
    if cls.stochastic:
        return "acts: the network is trained in training mode"
    return "never acts: the network is never in training mode"


def _settings(cls: Any) -> list[dict[str, Any]]:
    """Each field as its JSON schema tells it: type, default, bounds, help."""
    schema = cls.model_json_schema()
    return [
        {
            "name": name,
            "type": _type(facts),
            "default": facts.get("default"),
            "bounds": _bounds(facts),
            "help": " ".join(facts.get("description", "").split()),
        }
        for name, facts in schema.get("properties", {}).items()
    ]


def _type(facts: dict[str, Any]) -> str:
    if "const" in facts:
        return repr(facts["const"])
    if "enum" in facts:
        return " | ".join(map(repr, facts["enum"]))
    if "anyOf" in facts:
        return " | ".join(map(_type, facts["anyOf"]))
    return str(facts.get("format") or facts.get("type", "any"))


def _bounds(facts: dict[str, Any]) -> str:
    words = {
        "exclusiveMinimum": ">",
        "minimum": ">=",
        "exclusiveMaximum": "<",
        "maximum": "<=",
    }
    for option in (facts, *facts.get("anyOf", ())):
        found = [
            f"{sign} {option[key]:g}" for key, sign in words.items() if key in option
        ]
        if found:
            return " and ".join(found)
    return ""


def _summary(cls: type) -> str:
    return " ".join((cls.__doc__ or "").strip().split("\n\n")[0].split())
