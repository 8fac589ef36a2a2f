"""Where settings come from, in rising precedence:

1. the defaults at their fields,
2. what the chosen data set, model and algorithm recommend,
3. `metapipe.toml`, found upwards from the working directory,
4. the environment, `METAPIPE_TRAINING__LR=0.01`,
5. the command line, `--lr 0.01` or `--set training.lr=0.01`, or the arguments of
   `metapipe.train(lr=0.01)`.

Plugins have tables of their own, `[algorithm.maml]`, so that switching leaves no
foreign keys behind; `algorithm.inner_lr` means the chosen one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import BaseModel

from ..algorithm import Algorithm
from ..errors import SettingError, did_you_mean
from ..plugin import silently_off, stochastic_settings
from .experiment import SECTIONS, Experiment
from .given import (
    ASKED,
    COMMAND_LINE,
    NOBODY,
    NOT_THE_USERS,
    RECOMMENDED,
    Given,
    checked,
    from_base,
    from_environment,
    from_file,
    from_user,
)
from .observed import OBSERVER, observer_settings
from .project import Project
from .registry import RUN_TYPES, PluginType, Registry
from .written import typed

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Resolved:
    """An experiment, and where each value that is no default came from."""

    experiment: Experiment
    origins: Mapping[str, str]


def resolve(
    project: Project,
    registry: Registry,
    asked: Iterable[tuple[str, Any]] = (),
    base: Mapping[str, Mapping[str, Any]] | None = None,
    source: str = COMMAND_LINE,
) -> Resolved:
    """The experiment that all sources together ask for.

    `asked` has dotted names with values, and `source` tells from where. With `base`,
    the stored experiment of a run, only they change anything: file and environment of
    today have no part in what was run then. Raises SettingError and UnknownNameError.
    """
    given = list(from_user(asked, source))
    if base is not None:
        given = [*from_base(base, given), *given]
    else:
        given = [*from_file(project), *from_environment(), *given]
    told = [item for item in given if item.path[0] == OBSERVER]
    given = [item for item in given if item.path[0] != OBSERVER]
    tables, _ = _merge(given, {})
    names = {kind: _chosen(kind, tables) for kind in RUN_TYPES}
    recommended = _recommended(registry, names, _merge(given, names)[0])
    tables, origins = _merge([*recommended, *given], names)
    # What is recommended may choose a model, whose recommendations then count too.
    chosen = {kind: _chosen(kind, tables) for kind in RUN_TYPES}
    if chosen != names:
        recommended = _recommended(registry, chosen, _merge(given, chosen)[0])
        tables, origins = _merge([*recommended, *given], chosen)
    _tell_of_unused(given, registry, chosen)
    classes: dict[str, type[BaseModel]] = dict(SECTIONS)
    classes |= {kind: registry.entry(kind, chosen[kind]).cls for kind in RUN_TYPES}
    for table, cls in classes.items():
        tables[table] = project.typed(table, tables.get(table, {}), cls, origins)
    _drop_foreign(tables, origins, registry, chosen)
    _drop_without_effect(tables, origins, registry, chosen)
    tables |= observer_settings(project, registry, tables["run"], told, origins)
    return Resolved(Experiment.from_dict(tables, registry, origins), origins)


def plugin_settings(
    project: Project,
    registry: Registry,
    kind: PluginType,
    name: str,
    asked: Iterable[tuple[str, Any]] = (),
    source: str = COMMAND_LINE,
) -> tuple[dict[str, Any], dict[str, str]]:
    """The settings of one plugin that file, environment and user give, and where each,
    by dotted name, came from: what `resolve` would give it, were it chosen.

    Raises SettingError, and UnknownNameError if there is no such plugin.
    """
    given = [
        *from_file(project),
        *from_environment(),
        *from_user(asked, source),
    ]
    tables, origins = _merge(given, {kind: name})
    cls = registry.entry(kind, name).cls
    return project.typed(kind, tables.get(kind, {}), cls, origins), origins


def _merge(
    given: Iterable[Given], names: Mapping[PluginType, str]
) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Tables, later values winning; plugin tables of others than `names` left out."""
    tables: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    for item in given:
        table, *middle, key = item.path
        if middle and names.get(table) != middle[0]:  # type: ignore[call-overload]  # a section is no kind
            continue
        tables.setdefault(table, {})[key] = item.value
        origins[f"{table}.{key}"] = item.source
    return tables, origins


def _chosen(kind: PluginType, tables: Mapping[str, Mapping[str, Any]]) -> str:
    field = SECTIONS["run"].model_fields[kind]
    given: dict[str, Any] = {kind: tables.get("run", {}).get(kind, field.default)}
    return str(typed("run", given, SECTIONS["run"])[kind])


def _recommended(
    registry: Registry,
    names: Mapping[PluginType, str],
    given: Mapping[str, Mapping[str, Any]],
) -> list[Given]:
    """What the chosen plugins recommend: data set, then model, then algorithm; then
    what each recommends beside one of the others; then with a setting that is given."""
    kinds: tuple[PluginType, ...] = ("dataset", "model", "algorithm")
    chosen = [(names[kind], registry.entry(kind, names[kind]).cls) for kind in kinds]
    told = [(f"{RECOMMENDED} by {name}", cls.recommended) for name, cls in chosen]
    told += [
        (f"{RECOMMENDED} by {name} with {other}", cls.recommended_with.get(other, {}))
        for name, cls in chosen
        for other, _ in chosen
    ]
    told += [
        (f"{RECOMMENDED} by {name} with {setting}", values)
        for kind, (name, cls) in zip(kinds, chosen, strict=True)
        for setting, values in cls.recommended_if.items()
        if given.get(kind, {}).get(setting) is not None
    ]
    return [
        Given(checked(name.split("."), f"{name} ({source})"), value, source)
        for source, settings in told
        for name, value in settings.items()
    ]


def _tell_of_unused(
    given: Iterable[Given], registry: Registry, names: Mapping[PluginType, str]
) -> None:
    """A table for a plugin that is not chosen may wait in the config file, but one that
    no plugin has is a slip, and on the command line either is."""
    tables = {(*item.path[:2], item.source) for item in given if len(item.path) == 3}
    for kind in RUN_TYPES:
        known = registry.names(kind)
        for table, name, source in sorted(tables):
            if table != kind or name == names[kind]:
                continue
            chosen = registry.entry(kind, names[kind]).cls
            if source in ASKED and table == kind and name in chosen.model_fields:
                raise SettingError(
                    f"'{kind}.{name}' ({source}) is one setting: write {kind}.{name}="
                    "{ NAME = VALUE }"
                )
            if source in ASKED:
                raise SettingError(
                    f"'{kind}.{name}' ({source}): the {kind} is '{names[kind]}'"
                )
            if name not in known:
                hint = did_you_mean(name, known)
                logger.warning("%s: no %s plugin '%s'; %s", source, kind, name, hint)


def _drop_foreign(
    tables: dict[str, dict[str, Any]],
    origins: dict[str, str],
    registry: Registry,
    names: Mapping[PluginType, str],
) -> None:
    """Leave out recommendations for settings that the chosen plugin does not have."""
    for kind in RUN_TYPES:
        known = registry.entry(kind, names[kind]).cls.model_fields
        for key in [k for k in tables.get(kind, {}) if k not in known]:
            if origins[f"{kind}.{key}"].startswith(RECOMMENDED):
                del tables[kind][key], origins[f"{kind}.{key}"]


def _drop_without_effect(
    tables: dict[str, dict[str, Any]],
    origins: dict[str, str],
    registry: Registry,
    names: Mapping[PluginType, str],
) -> None:
    """Set dropout to 0 beside an algorithm for which it would do nothing, whether it is
    the model's own, recommended, or that of a repeated run. Raises SettingError if a
    user asks for it: what was asked for is not left out without a word."""
    name = names["algorithm"]
    if cast(type[Algorithm], registry.entry("algorithm", name).cls).stochastic:
        return
    model = registry.entry("model", names["model"]).cls
    values = tables.setdefault("model", {})
    for key in stochastic_settings(model):
        value = values.get(key, model.model_fields[key].default)
        if not (isinstance(value, int | float) and value > 0):
            continue
        source = origins.get(f"model.{key}", NOBODY)
        if not source.startswith(NOT_THE_USERS):
            raise SettingError(silently_off(name, f"model.{key}={value!r} ({source})"))
        values[key] = 0.0
        origins[f"model.{key}"] = f"off: {name} never trains in training mode"
