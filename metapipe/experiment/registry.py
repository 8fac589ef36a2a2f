"""What plugins there are: found by entry points and files, by kind and name.

The core knows no plugin by name. Ours come in by the same entry-point group `metapipe`
as anybody's. A plugin that fails to load or clashes in name is recorded and left out;
it never takes the others down.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast, get_args

import pluggy
from pydantic import ValidationError

from .. import hookspecs
from ..algorithm import Algorithm
from ..backbone import Backbone
from ..dataset import Dataset
from ..encoder import Encoder
from ..errors import PluginError, SettingError, UnknownNameError, did_you_mean
from ..model import Model
from ..observer import Observer
from ..plugin import CONTRACT, Plugin, table_of
from ..problem import Kind
from .plugin_files import Stamp, module_of, stamp
from .setting_errors import first_error
from .written import typed

GROUP = "metapipe"
PluginType = Literal["algorithm", "model", "dataset", "backbone", "observer"]
PLUGIN_TYPES: tuple[PluginType, ...] = get_args(PluginType)
RUN_TYPES: tuple[PluginType, ...] = ("algorithm", "model", "dataset")
"""Of which a training run has one each, with a table of its settings."""

PLUGIN_TABLES: tuple[PluginType, ...] = (*RUN_TYPES, "observer")
"""Types whose settings people give: `[observer.tensorboard]`."""

BASES: Mapping[str, type[Plugin] | type[Encoder]] = {
    "algorithm": Algorithm,
    "model": Model,
    "dataset": Dataset,
    "backbone": Backbone,
    "observer": Observer,
    "encoder": Encoder,
}
"""What can be registered, each by the hook `register_KINDs`."""

NAME = re.compile("[a-z][a-z0-9_+-]*")
"""What can be a TOML table, part of a dotted setting and of an environment variable."""


@dataclass(frozen=True)
class Origin:
    """Where a plugin comes from."""

    module: str
    distribution: str
    """Name of the distribution, or the path of a plugin file."""

    version: str

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True)
class Entry:
    """A registered plugin."""

    plugin_type: PluginType
    name: str
    cls: type[Plugin]
    origin: Origin


@dataclass(frozen=True)
class Failure:
    """A plugin that could not be used, and why, in one line."""

    origin: str
    reason: str


class Registry:
    """Plugins by kind and name, and the manager that calls their hooks."""

    def __init__(self) -> None:
        self.manager = new_manager()
        self.failures: list[Failure] = []
        self.encoders: dict[str, type[Encoder]] = {}
        """By name: what reads the record of one."""

        self._entries: dict[tuple[PluginType, str], Entry] = {}
        self._taken: dict[tuple[str, str], Origin] = {}

    def add(self, plugin: ModuleType, origin: Origin, key: str) -> None:
        """Register a module that has hook implementations; faults are recorded."""
        written_for = getattr(plugin, "contract", CONTRACT)
        if written_for != CONTRACT:
            self._fail(key, PluginError(_other_contract(written_for)))
            return
        try:
            # pluggy leaves a plugin that fails half registered: try it elsewhere first
            trial = new_manager()
            trial.register(plugin)
            trial.check_pending()
            self.manager.register(plugin, name=key)
        except (pluggy.PluginValidationError, ValueError) as error:
            self._fail(key, error)
            return
        for kind in BASES:
            hook = f"register_{kind}s"
            if self.manager.parse_hookimpl_opts(plugin, hook) is not None:
                try:
                    getattr(plugin, hook)(partial(self._register, kind, origin, key))
                except (Exception, SystemExit) as error:  # anybody's code
                    self._fail(key, error)

    def entries(self, kind: PluginType | None = None) -> list[Entry]:
        """What is registered, by kind and name."""
        rows = [e for e in self._entries.values() if kind in (None, e.plugin_type)]
        return sorted(rows, key=lambda e: (PLUGIN_TYPES.index(e.plugin_type), e.name))

    def names(self, kind: PluginType) -> list[str]:
        """The names of a kind."""
        return [entry.name for entry in self.entries(kind)]

    def defined_for(self, kind: Kind) -> list[str]:
        """The names of the algorithms that can be trained for such problems."""
        rows = self.entries("algorithm")
        found = [(e.name, cast(type[Algorithm], e.cls)) for e in rows]
        return [n for n, cls in found if kind in cls.kinds and cls.needs_training]

    def entry(self, kind: PluginType, name: str) -> Entry:
        """One plugin. Raises UnknownNameError, with the nearest name."""
        try:
            return self._entries[kind, name]
        except KeyError:
            hint = did_you_mean(name, self.names(kind))
            message = f"no {kind} plugin '{name}'; {hint}"
            if self.failures:
                message += (
                    " ('metapipe plugins list' shows plugins that failed to load)"
                )
            raise UnknownNameError(message) from None

    def create(
        self,
        kind: PluginType,
        name: str,
        settings: Mapping[str, Any],
        origins: Mapping[str, str] | None = None,
        table: str | None = None,
    ) -> Any:
        """The plugin with these settings, which stand in that table if not in its own.

        Its validators find others of ours in their context: `context["backbone"]` makes
        a backbone of a name and settings, `context["dataset"]` a data set. `origins`
        tells, by dotted name, where a value came from, for the message of the
        SettingError that an unknown or invalid one raises.
        """
        cls = self.entry(kind, name).cls
        try:
            known = {
                "backbone": partial(self.create, "backbone"),
                "dataset": self._member,
            }
            return cls.model_validate(dict(settings), context=known)
        except ValidationError as error:
            where = table or table_of(kind, name)
            raise SettingError(first_error(error, cls, where, origins or {})) from error

    def _member(self, name: str, settings: Mapping[str, Any]) -> Any:
        """A data set within another; paths are relative to the working directory."""
        cls, table = self.entry("dataset", name).cls, f"dataset.settings.{name}"
        return self.create("dataset", name, typed(table, settings, cls), table=table)

    def versions(self, chosen: Mapping[PluginType, str]) -> dict[str, str]:
        """Distribution and version of the plugins of these names."""
        return {
            f"{kind} {name}": str(self.entry(kind, name).origin)
            for kind, name in chosen.items()
        }

    def _register(
        self, kind: str, origin: Origin, key: str, name: str, cls: type[Any]
    ) -> None:
        if fault := self._fault(kind, origin, name, cls):
            self._fail(key, PluginError(fault))
            return
        self._taken[kind, name] = origin
        if kind == "encoder":
            self.encoders[name] = cls
        else:
            plugin_type = cast(PluginType, kind)
            self._entries[plugin_type, name] = Entry(plugin_type, name, cls, origin)

    def _fault(self, kind: str, origin: Origin, name: Any, cls: Any) -> str | None:
        """Why it cannot be registered, if so."""
        base = BASES[kind]
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            shape = "lower-case letters, digits, -, _ and +, a letter first"
            return f"{name!r} is no name for a plugin: {shape}"
        if not (isinstance(cls, type) and issubclass(cls, base)):
            return f"'{name}' is no metapipe.{base.__name__}"
        if missing := sorted(getattr(cls, "__abstractmethods__", ())):
            return f"'{name}' lacks {', '.join(missing)}"
        if taken := self._taken.get((kind, name)):
            return (
                f"{kind} '{name}' of {origin.module} is left out: "
                f"{taken.module} has that name already"
            )
        if kind == "encoder" and _type_of(cls) != name:
            return f"encoder '{name}' has no field type: Literal['{name}'] = '{name}'"
        return None

    def _fail(self, key: str, error: BaseException) -> None:
        text = " ".join(str(error).split()) or "no reason given"
        kind = "" if isinstance(error, PluginError) else f"{type(error).__name__}: "
        self.failures.append(Failure(key, f"{kind}{text}"))


def _type_of(encoder: Any) -> Any:
    """What the records of an encoder's class say that it is."""
    field = encoder.model_fields.get("type")
    return field and field.default


def _other_contract(version: object) -> str:
    newer = isinstance(version, int) and version > CONTRACT
    advice = "upgrade metapipe" if newer else "get a newer version of the plugin"
    return (
        f"it was written for contract {version!r} of plugins, and this metapipe has "
        f"{CONTRACT}: {advice}"
    )


def new_manager() -> pluggy.PluginManager:
    """One that knows the hooks of metapipe, and nobody yet."""
    manager = pluggy.PluginManager("metapipe")
    manager.add_hookspecs(hookspecs)
    return manager


def load(paths: tuple[Path, ...] = ()) -> Registry:
    """All plugins: those installed, then the files at `paths`. Loaded once, and again
    when a file has changed, as it does beside a notebook."""
    return _load(paths, tuple(map(stamp, paths)))


@lru_cache(maxsize=8)
def _load(paths: tuple[Path, ...], stamps: tuple[Stamp, ...]) -> Registry:
    registry = Registry()
    for entry_point in installed():
        _load_entry_point(registry, entry_point)
    # a file may be in the config file and on the command line
    for path in {path.resolve(): path for path in paths}.values():
        _load_file(registry, path)
    return registry


def installed() -> Sequence[EntryPoint]:
    """Entry points in a fixed order, ours first, each distribution's once."""
    found = {(distribution(e), e.name, e.value): e for e in entry_points(group=GROUP)}
    return [found[k] for k in sorted(found, key=lambda k: (k[0] != GROUP, k))]


def distribution(entry_point: EntryPoint) -> str:
    """The name of the distribution that an entry point is from."""
    return entry_point.dist.name if entry_point.dist else "unknown"


def _load_entry_point(registry: Registry, entry_point: EntryPoint) -> None:
    key = f"{distribution(entry_point)}:{entry_point.name}"
    try:
        plugin = entry_point.load()
    except (Exception, SystemExit) as error:  # anybody's code
        registry._fail(key, error)
        return
    version = entry_point.dist.version if entry_point.dist else ""
    origin = Origin(entry_point.value, distribution(entry_point), version)
    registry.add(plugin, origin, key)


def _load_file(registry: Registry, path: Path) -> None:
    key = str(path)
    try:
        module = module_of(path.resolve(), stamp(path))
    except (Exception, SystemExit) as error:  # anybody's code
        registry._fail(key, error)
        return
    registry.add(module, Origin(path.name, str(path), ""), key)
