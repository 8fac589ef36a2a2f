"""What a search tries: for each setting a list of values, or a range."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, TypeAdapter, ValidationError

from ..errors import SettingError, did_you_mean
from ..section import LARGEST
from .experiment import SECTIONS
from .registry import RUN_TYPES, PluginType, Registry

AUTO = "auto"
BOUNDS = ("low", "high", "log", "step")
NEVER: Mapping[str, str] = {
    "evaluation": "the test is for the end",
    "run.name": "each trial is a run of its own",
    "run.observers": "it has no part in what is learned",
    "observer": "it has no part in what is learned",
    "run.device": "it is no matter of choice",
    "run.start_from": "each trial begins anew",
    "training.validate_every": "trials are compared at equal validations",
    "training.validation_episodes": "trials are compared at equal validations",
}
"""What is not searched, and why."""

Field: TypeAlias = "tuple[Any, Mapping[str, Any]]"
"""A type with its bounds, and the same as JSON schema says it."""


@dataclass(frozen=True)
class Choice:
    """Some values."""

    values: tuple[Any, ...]

    def to_json(self) -> list[Any]:
        """As it is written."""
        return list(self.values)


@dataclass(frozen=True)
class Range:
    """Numbers from one to another, both included."""

    low: float
    high: float
    log: bool = False
    """Whether factors count, and not differences."""

    step: float | None = None
    whole: bool = False
    """Whether they are integers."""

    def to_json(self) -> dict[str, Any]:
        """As it is written."""
        found = {"low": self.low, "high": self.high}
        found |= {"log": True} if self.log else {}
        return found | ({} if self.step is None else {"step": self.step})


Domain = Choice | Range
Space = dict[str, Domain]
"""What is tried, by dotted names of settings."""


def read_space(
    written: Mapping[str, Any], registry: Registry, chosen: Mapping[PluginType, str]
) -> Space:
    """What was written under `[sweep.space]`; `chosen` are names of plugins by type.

    Names with dots may be written in quotes, or not: then they are tables within
    tables. Raises SettingError for a setting that is none or is not searched, values
    that it does not take, and ranges that are none.
    """
    flat = dict(_flat(written))
    if not flat:
        raise SettingError(
            "sweep.space is empty: say what to try, for example "
            '"training.lr" = {low = 0.0001, high = 0.01, log = true}'
        )
    for name in flat:
        _require_searchable(name, flat)
    classes: dict[str, type[BaseModel]] = dict(SECTIONS)
    classes |= {kind: registry.entry(kind, chosen[kind]).cls for kind in RUN_TYPES}
    return {name: _domain(name, value, classes) for name, value in flat.items()}


def places(space: Space) -> list[dict[str, Any]]:
    """All places of a grid. Raises SettingError for a range without steps."""
    found: list[dict[str, Any]] = [{}]
    for name, domain in space.items():
        values = _listed(name, domain)
        found = [{**place, name: value} for place in found for value in values]
    return found


def _listed(name: str, domain: Domain) -> tuple[Any, ...]:
    if isinstance(domain, Choice):
        return domain.values
    if domain.step is None:
        raise SettingError(
            f"sweep.space.{name}: a grid needs a list of values, or a range with a step"
        )
    count = int((domain.high - domain.low) / domain.step + 1e-9) + 1
    return tuple(domain.low + number * domain.step for number in range(count))


def _flat(written: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in written.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value and not set(value) & set(BOUNDS):
            yield from _flat(value, f"{name}.")
        else:
            yield name, value


def _require_searchable(name: str, names: Mapping[str, Any]) -> None:
    table, _, setting = name.partition(".")
    if reason := NEVER.get(name, NEVER.get(table)):
        raise SettingError(f"sweep.space.{name}: it is not searched, {reason}")
    if table != "run" or setting not in RUN_TYPES:
        return
    if own := next((n for n in names if n.startswith(f"{setting}.")), None):
        raise SettingError(
            f"sweep.space.{own}: where several plugins are tried (run.{setting}), "
            "settings of one are not"
        )


def _domain(name: str, value: Any, classes: Mapping[str, type[BaseModel]]) -> Domain:
    field = _field(name, classes)
    if value == AUTO:
        return _auto(name, field)
    if isinstance(value, list | tuple):
        return _choice(name, value, field)
    if isinstance(value, Mapping):
        return _range(name, value, field)
    raise SettingError(
        f"sweep.space.{name} = {value!r}: a list of values is wanted, a range such as "
        "{low = 0.001, high = 1.0, log = true}, or 'auto'"
    )


def _field(name: str, classes: Mapping[str, type[BaseModel]]) -> Field:
    table, _, setting = name.partition(".")
    if table not in classes or not setting:
        hint = did_you_mean(table, classes)
        raise SettingError(
            f"sweep.space.{name}: no table '{table}' of settings; {hint}"
        )
    fields = classes[table].model_fields
    if setting not in fields:
        hint = did_you_mean(setting, fields)
        raise SettingError(f"sweep.space.{name}: unknown setting; {hint}")
    field = fields[setting]
    kind: Any = field.annotation
    if field.metadata:
        kind = Annotated[kind, *field.metadata]
    schema = TypeAdapter[Any](kind).json_schema()
    some = [part for part in schema.get("anyOf", ()) if part.get("type") != "null"]
    return kind, some[0] if len(some) == 1 else schema


def _auto(name: str, field: Field) -> Domain:
    """All that the setting allows."""
    _, schema = field
    if schema.get("type") == "boolean":
        return Choice((False, True))
    if "enum" in schema:
        return Choice(tuple(schema["enum"]))
    if schema.get("type") not in ("integer", "number"):
        raise SettingError(
            f"sweep.space.{name}: there is no end of what it may be: list the values"
        )
    low, high = _ends(schema)
    if low is None or high is None or high >= LARGEST:
        raise SettingError(
            f"sweep.space.{name}: {_bounds(schema)} has no end: say low and high, for "
            "example {low = 0.001, high = 1.0, log = true}"
        )
    return Range(low, high, whole=schema["type"] == "integer")


def _bounds(schema: Mapping[str, Any]) -> str:
    """What a number may be, in words."""
    words = {
        "minimum": "from {:g} on",
        "exclusiveMinimum": "above {:g}",
        "maximum": "up to {:g}",
        "exclusiveMaximum": "below {:g}",
    }
    known = [key for key in words if key in schema and abs(schema[key]) < LARGEST]
    return " ".join(["a number", *(words[key].format(schema[key]) for key in known)])


def _ends(schema: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The smallest and the largest that a number may be."""
    whole = schema["type"] == "integer"
    low, high = schema.get("minimum"), schema.get("maximum")
    if (above := schema.get("exclusiveMinimum")) is not None:
        low = above + 1 if whole else math.nextafter(above, math.inf)
    if (below := schema.get("exclusiveMaximum")) is not None:
        high = below - 1 if whole else math.nextafter(below, -math.inf)
    return low, high


def _choice(name: str, values: list[Any] | tuple[Any, ...], field: Field) -> Choice:
    if not values:
        raise SettingError(f"sweep.space.{name} is empty: list the values to try")
    for value in values:
        _require_taken(name, value, field)
    texts = [json.dumps(value, sort_keys=True) for value in values]
    if twice := next((t for t in texts if texts.count(t) > 1), None):
        raise SettingError(f"sweep.space.{name}: {twice} is there twice")
    return Choice(tuple(values))


def _range(name: str, written: Mapping[str, Any], field: Field) -> Range:
    path, (_, schema) = f"sweep.space.{name}", field
    if unknown := sorted(set(written) - set(BOUNDS)):
        hint = did_you_mean(unknown[0], BOUNDS)
        raise SettingError(f"{path}: a range has no '{unknown[0]}'; {hint}")
    if schema.get("type") not in ("integer", "number"):
        raise SettingError(f"{path} is no number: list the values to try")
    for end in ("low", "high"):
        if end not in written:
            raise SettingError(f"{path}: say {end}, as in {{low = 1, high = 8}}")
        _require_taken(name, written[end], field)
    low, high, step = written["low"], written["high"], written.get("step")
    log = written.get("log", False)
    if not isinstance(log, bool):
        raise SettingError(f"{path}.log = {log!r}: true or false is wanted")
    if low >= high:
        raise SettingError(f"{path}: low = {low} is not below high = {high}")
    if log and (low <= 0 or step is not None):
        fault = f"low = {low}" if low <= 0 else f"step = {step}"
        raise SettingError(
            f"{path}: {fault}; with log, low is above 0, and there is no step"
        )
    whole = schema["type"] == "integer"
    _require_step(path, step, whole=whole)
    return Range(low, high, log, step, whole)


def _require_step(path: str, step: Any, *, whole: bool) -> None:
    if step is None:
        return
    kinds = int if whole else (int, float)
    if isinstance(step, bool) or not isinstance(step, kinds) or not step > 0:
        raise SettingError(
            f"{path}.step = {step!r}: a {'whole ' if whole else ''}number above 0 is "
            "wanted"
        )


def _require_taken(name: str, value: Any, field: Field) -> None:
    kind, schema = field
    wrong = isinstance(value, bool) and schema.get("type") in ("integer", "number")
    try:
        if not wrong:
            TypeAdapter(kind).validate_python(value)
            return
        reason = "it is no number"
    except ValidationError as error:
        reason = str(error.errors()[0]["msg"]).removeprefix("Input ")
    raise SettingError(f"sweep.space.{name}: {value!r} is not possible: {reason}")
