"""`metapipe plugins list | show`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ..errors import UnknownNameError, did_you_mean
from ..plugin import table_of
from .context import App, pass_app
from .options import json_option
from .output import echo, heading, print_facts, print_json, print_table


@click.group()
def plugins() -> None:
    """See what can be used."""


@plugins.command(name="list")
@json_option
@pass_app
def list_(app: App, as_json: bool) -> None:
    """List algorithms, models, data sets, backbones and observers, and what failed
    to load."""
    rows = [
        {
            "kind": plugin["kind"],
            "name": plugin["name"],
            "version": plugin["version"],
            "origin": plugin["distribution"],
            "what": plugin["what"],
        }
        for plugin in app.catalogue.plugins
    ]
    failures = [
        {"origin": failure.origin, "reason": failure.reason}
        for failure in app.catalogue.failures
    ]
    if as_json:
        print_json({"plugins": rows, "failures": failures})
        return
    print_table(rows, ("kind", "name", "version", "origin", "what"))
    if failures:
        heading("not usable")
        print_table(failures, ("origin", "reason"))


@plugins.command()
@click.argument("name")
@json_option
@pass_app
def show(app: App, name: str, as_json: bool) -> None:
    """Show a plugin: paper, settings, bounds, help."""
    found = [plugin for plugin in app.catalogue.plugins if plugin["name"] == name]
    if not found:
        hint = did_you_mean(name, app.catalogue.names)
        raise UnknownNameError(f"no plugin '{name}'; {hint}")
    if as_json:
        print_json(found)
        return
    for plugin in found:
        _print(plugin)


def _print(plugin: Mapping[str, Any]) -> None:
    apart = (
        *("distribution", "version", "settings"),
        *("recommended", "recommended_with", "recommended_if"),
    )
    print_facts((k, v) for k, v in plugin.items() if v and k not in apart)
    table = table_of(plugin["kind"], plugin["name"])
    heading(f"settings: give them as -s {table}.NAME=VALUE")
    print_table(plugin["settings"], ("name", "type", "default", "bounds", "help"))
    if plugin["recommended"]:
        heading("run settings it recommends, unless you say otherwise")
        _print_assignments(plugin["recommended"])
    for other, values in plugin["recommended_with"].items():
        heading(f"and with {other}")
        _print_assignments(values)
    for setting, values in plugin["recommended_if"].items():
        heading(f"and with {plugin['kind']}.{setting}")
        _print_assignments(values)
    echo()


def _print_assignments(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        echo(f"  {name} = {value!r}")
