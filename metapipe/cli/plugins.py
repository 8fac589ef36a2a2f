"""`metapipe plugins list | show`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ..errors import UnknownNameError, did_you_mean
from ..facts.plugins import (
    failure_table,
    plugin_table,
    recommendations,
    setting_table,
    told,
)
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
    usable = plugin_table(app.catalogue.plugins)
    failures = failure_table(app.catalogue.failures)
    if as_json:
        print_json({"plugins": usable.rows, "failures": failures.rows})
        return
    print_table(usable.rows, usable.columns)
    if failures.rows:
        heading("not usable")
        print_table(failures.rows, failures.columns)


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
    print_facts(told(plugin))
    table = table_of(plugin["kind"], plugin["name"])
    heading(f"settings: give them as -s {table}.NAME=VALUE")
    settings = setting_table(plugin)
    print_table(settings.rows, settings.columns)
    for title, values in recommendations(plugin):
        heading(title)
        _print_assignments(values)
    echo()


def _print_assignments(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        echo(f"  {name} = {value!r}")
