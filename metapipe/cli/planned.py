"""What `metapipe train --dry-run` shows."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .output import echo, print_json

if TYPE_CHECKING:
    from ..experiment.resolve import Resolved
    from ..runs.forecast import Forecast

MIB = 2**20


def show_plan(resolved: Resolved, forecast: Forecast, as_json: bool) -> None:
    """The settings with where they are from, and the memory they will take."""
    tables = resolved.experiment.to_dict()
    if as_json:
        told = {"experiment": tables, "origins": dict(resolved.origins)}
        print_json({**told, "memory": asdict(forecast)})
        return
    for table, values in tables.items():
        chosen = tables["run"].get(table)
        echo(f"[{table}.{chosen}]" if chosen else f"[{table}]")
        for name, value in values.items():
            _line(f"{name} = {value!r}", resolved.origins.get(f"{table}.{name}", ""))
        echo()
    _show_memory(forecast)


def _show_memory(forecast: Forecast) -> None:
    echo(f"Memory on {forecast.device}, in MiB, as measured on a few tasks:")
    for name, value, said in _parts(forecast):
        if value is not None:
            _line(f"{name} = {_mib(value)}", said)
    for need in forecast.needs:
        verdict = "fits" if need.fits else "does not fit"
        _line(f"in all by {need.mapping} = {_mib(need.total)}", verdict)
    if forecast.advice is not None:
        echo(f"It does not fit: {forecast.advice}")


def _parts(forecast: Forecast) -> list[tuple[str, Any, str]]:
    here = "with Python and its libraries" if forecast.device == "cpu" else "on it"
    return [
        ("available", forecast.available, ""),
        ("data", forecast.data or None, "training set as it is kept"),
        ("before training", forecast.process, here),
        ("parameters", forecast.parameters, "of that"),
        ("optimiser", forecast.optimiser, "of that"),
        ("one task", forecast.task, f"of {forecast.tasks} in a meta-batch or shard"),
        ("one task, recomputed", forecast.recomputed, "--recompute"),
    ]


def _line(text: str, said: str) -> None:
    echo(f"{text:<44}  # {said}" if said else text)


def _mib(count: int) -> str:
    return f"{count / MIB:,.1f}"
