"""Plugins: what `plugins list` and `plugins show` tell."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import UnknownNameError, did_you_mean
from ..facts.plugins import (
    failure_table,
    plugin_table,
    recommendations,
    setting_table,
    told,
)
from .page import page
from .site import site_of


def show_plugins(request: Request) -> Response:
    """All plugins, and those that could not be loaded."""
    catalogue = site_of(request).catalogue
    return page(
        request,
        "plugins.html",
        usable=plugin_table(catalogue.plugins),
        failures=failure_table(catalogue.failures),
    )


def show_plugin(request: Request) -> Response:
    """One plugin: what it says of itself, its settings, what it recommends."""
    kind, name = request.path_params["kind"], request.path_params["name"]
    of_kind = [p for p in site_of(request).catalogue.plugins if p["kind"] == kind]
    plugin = next((p for p in of_kind if p["name"] == name), None)
    if plugin is None:
        hint = did_you_mean(name, [p["name"] for p in of_kind])
        raise UnknownNameError(f"no {kind} '{name}'; {hint}")
    return page(
        request,
        "plugin.html",
        plugin=plugin,
        facts=told(plugin),
        settings=setting_table(plugin),
        recommended=list(recommendations(plugin)),
    )


ROUTES = [
    Route("/plugins", show_plugins),
    Route("/plugins/{kind}/{name}", show_plugin),
]
