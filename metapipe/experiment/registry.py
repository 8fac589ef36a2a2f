"""What plugins there are: found by entry points and files, by kind and name.

The core knows no plugin by name. Ours come in by the same entry-point group `metapipe`
as anybody's. A plugin that fails to load or clashes in name is recorded and left out;
it never takes the others down.

What entry points register is kept from one process to the next: then a plugin is
imported when it is asked for, and all of them only for what looks at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, cast, get_args

import pluggy
from pydantic import ValidationError

from .. import hookspecs
from ..algorithm import Algorithm
from ..encoder import Encoder
from ..errors import PluginError, SettingError, UnknownNameError, did_you_mean
from ..plugin import CONTRACT, Plugin, table_of
from ..printable import one_line
from ..problem import Kind
from .encoders import Encoders
from .installed import distribution, version
from .kept import Kept
from .plugin_files import Stamp, module_of, stamp
from .registration import BASES, fault, other_contract
from .setting_errors import first_error
from .shelf import Contents, Index, Named, Shelf, Unopened, index_of
from .written import typed

PluginType = Literal["algorithm", "model", "dataset", "backbone", "observer"]
PLUGIN_TYPES: tuple[PluginType, ...] = get_args(PluginType)
RUN_TYPES: tuple[PluginType, ...] = ("algorithm", "model", "dataset")
"""Of which a training run has one each, with a table of its settings."""

PLUGIN_TABLES: tuple[PluginType, ...] = (*RUN_TYPES, "observer")
"""Types whose settings people give: `[observer.tensorboard]`."""


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
        self.encoders: Mapping[str, type[Encoder]] = Encoders(
            self._encoder, partial(self.names, "encoder")
        )
        self.index: Index = {}
        """Of what is loaded."""

        self._shelf = Shelf()
        self._entries: dict[tuple[PluginType, str], Entry] = {}
        self._encoders: dict[str, type[Encoder]] = {}
        self._taken: dict[Named, Origin] = {}

    def add(self, plugin: ModuleType, origin: Origin, key: str) -> None:
        """Register a module that has hook implementations; faults are recorded."""
        written_for = getattr(plugin, "contract", CONTRACT)
        if written_for != CONTRACT:
            self._fail(key, PluginError(other_contract(written_for)))
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
        hooks = [c.name for c in self.manager.get_hookcallers(plugin) or ()]
        watches = not all(name.startswith("register_") for name in hooks)
        self.index[key] = Contents(watches=watches)
        for kind in BASES:
            hook = f"register_{kind}s"
            if hook in hooks:
                try:
                    getattr(plugin, hook)(partial(self._register, kind, origin, key))
                except (Exception, SystemExit) as error:  # anybody's code
                    self._fail(key, error)

    def add_later(self, key: str, unopened: Unopened) -> None:
        """Add a module when one of its plugins is asked for, or all."""
        self._shelf.put(key, unopened)

    def entries(self, kind: PluginType | None = None) -> list[Entry]:
        """What is registered, by kind and name."""
        self._shelf.open()
        rows = [e for e in self._entries.values() if kind in (None, e.plugin_type)]
        return sorted(rows, key=lambda e: (PLUGIN_TYPES.index(e.plugin_type), e.name))

    def names(self, kind: str) -> list[str]:
        """The names of a kind; nothing is imported for them."""
        promised = (named for named, _ in self._shelf.named())
        return sorted({name for k, name in (*self._taken, *promised) if k == kind})

    def has(self, kind: str, name: str) -> bool:
        """Whether there is such a plugin; it is loaded then, and if nobody is known to
        have it, all are."""
        named = (kind, name)
        if named not in self._taken:
            self._shelf.open(lambda unopened: named in unopened.contents.names)
        if named not in self._taken:
            self._shelf.open()
        return named in self._taken

    def defined_for(self, kind: Kind) -> list[str]:
        """The names of the algorithms that can be trained for such problems."""
        rows = self.entries("algorithm")
        found = [(e.name, cast(type[Algorithm], e.cls)) for e in rows]
        return [n for n, cls in found if kind in cls.kinds and cls.needs_training]

    def entry(self, kind: PluginType, name: str) -> Entry:
        """One plugin. Raises UnknownNameError, with the nearest name."""
        if self.has(kind, name):
            return self._entries[kind, name]
        hint = did_you_mean(name, self.names(kind))
        message = f"no {kind} plugin '{name}'; {hint}"
        if self.failures:
            message += " ('metapipe plugins list' shows plugins that failed to load)"
        raise UnknownNameError(message)

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

    def listening(self) -> dict[str, object]:
        """The modules that listen to every run, by name."""
        self._shelf.open(lambda unopened: unopened.contents.watches)
        found = {self.manager.get_name(p) or "": p for p in self.manager.get_plugins()}
        watching = {key for key, contents in self.index.items() if contents.watches}
        return {name: found[name] for name in sorted(watching & found.keys())}

    def _register(
        self, kind: str, origin: Origin, key: str, name: str, cls: type[Any]
    ) -> None:
        if reason := fault(kind, name, cls) or self._clash(kind, origin, name):
            self._fail(key, PluginError(reason))
            return
        self.index[key].names.append((kind, name))
        if kind == "encoder":
            self._encoders[name] = cls
        else:
            plugin_type = cast(PluginType, kind)
            self._entries[plugin_type, name] = Entry(plugin_type, name, cls, origin)
        self._taken[kind, name] = origin  # last: other threads look for it here

    def _clash(self, kind: str, origin: Origin, name: str) -> str | None:
        """Who has that name already, if anybody."""
        taken = self._taken.get((kind, name))
        promised = {named: each.module for named, each in self._shelf.named()}
        module = taken.module if taken else promised.get((kind, name))
        if module is None:
            return None
        return (
            f"{kind} '{name}' of {origin.module} is left out: {module} has that name "
            "already"
        )

    def _encoder(self, name: str) -> type[Encoder] | None:
        return self._encoders[name] if self.has("encoder", name) else None

    def _fail(self, key: str, error: BaseException) -> None:
        text = one_line(error) or "no reason given"
        kind = "" if isinstance(error, PluginError) else f"{type(error).__name__}: "
        self.failures.append(Failure(key, f"{kind}{text}"))


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
    kept = Kept("plugins")
    index = index_of(kept.read())
    for entry_point in kept.entry_points:
        key = f"{distribution(entry_point)}:{entry_point.name}"
        load_it = partial(_load_entry_point, registry, entry_point, key)
        if key in index:
            registry.add_later(key, Unopened(entry_point.value, index[key], load_it))
        else:
            load_it()
    # A failure's cause may lie anywhere, and so may its cure.
    if not index and not registry.failures:
        kept.write({key: asdict(contents) for key, contents in registry.index.items()})
    # a file may be in the config file and on the command line
    for path in {path.resolve(): path for path in paths}.values():
        _load_file(registry, path)
    return registry


def _load_entry_point(registry: Registry, entry_point: EntryPoint, key: str) -> None:
    try:
        plugin = entry_point.load()
    except (Exception, SystemExit) as error:  # anybody's code
        registry._fail(key, error)
        return
    origin = Origin(entry_point.value, distribution(entry_point), version(entry_point))
    registry.add(plugin, origin, key)


def _load_file(registry: Registry, path: Path) -> None:
    key = str(path)
    try:
        module = module_of(path.resolve(), stamp(path))
    except (Exception, SystemExit) as error:  # anybody's code
        registry._fail(key, error)
        return
    registry.add(module, Origin(path.name, str(path), ""), key)
