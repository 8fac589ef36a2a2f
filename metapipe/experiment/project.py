"""The project: the folder a command works in, and its `metapipe.toml`."""

from __future__ import annotations

import codecs
import os
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..errors import SettingError, did_you_mean
from ..printable import one_line
from ..project_settings import PluginSettings, ProcessSettings, StoreSettings
from ..section import Section
from .experiment import SECTIONS
from .registry import PLUGIN_TABLES
from .setting_errors import first_error
from .sweep_settings import SweepSettings
from .written import typed, whole_path

FILE = "metapipe.toml"


PROJECT: Mapping[str, type[Section]] = {
    "store": StoreSettings,
    "plugins": PluginSettings,
    "processes": ProcessSettings,
    "sweep": SweepSettings,
}
"""Tables that belong to the project and to no run."""


@dataclass(frozen=True)
class Project:
    """The folder a command works in, and what its config file says. All paths in the
    file are relative to it."""

    directory: Path
    tables: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    named: bool = False
    """Whether the user named the file, and it was not only found."""

    @property
    def plugin_paths(self) -> tuple[Path, ...]:
        """Plugin files of the config file.

        Raises SettingError for a file that was only found and that others could have
        written: what it names is run.
        """
        paths = self._table("plugins").paths
        if paths and self.file is not None and not self.named:
            _require_own(self.file)
        return tuple(Path(whole_path(path, self.directory)) for path in paths)

    @property
    def store_url(self) -> str | None:
        """The store's URL as the config file has it: a file is relative to it."""
        url: str | None = self._table("store").url
        return url

    @property
    def store_wait(self) -> float:
        """Seconds that a run waits for a store that cannot be reached."""
        return float(self._table("store").wait)

    @property
    def processes(self) -> ProcessSettings:
        """How many processes share a training, and how they wait for each other."""
        settings: ProcessSettings = self._table("processes")
        return settings

    @property
    def sweep(self) -> SweepSettings:
        """What a search over settings tries, as the config file has it."""
        settings: SweepSettings = self._table("sweep")
        return settings

    def typed(
        self,
        table: str,
        values: Mapping[str, Any],
        cls: type[BaseModel],
        origins: Mapping[str, str],
    ) -> dict[str, Any]:
        """A table's values as its fields mean them: paths in the config file are
        relative to it, all others to the working directory."""

        def folder(name: str) -> Path:
            in_file = origins.get(f"{table}.{name}") == str(self.file)
            return self.directory if in_file else Path.cwd()

        return typed(table, values, cls, folder)

    def _table(self, name: str) -> Any:
        try:
            return PROJECT[name].model_validate(self.tables.get(name, {}))
        except ValidationError as error:
            message = first_error(error, PROJECT[name], name, {})
            raise SettingError(f"{self.file}: {message}") from error


def find_project(file: Path | None = None, start: Path | None = None) -> Project:
    """The project of a config file, or of the first one upwards, or of the folder.

    Raises SettingError for a file that cannot be read or has tables of no meaning.
    """
    here, named = (start or Path.cwd()).resolve(), file is not None
    if file is None:
        found = [folder / FILE for folder in (here, *here.parents)]
        file = next((path for path in found if path.is_file()), None)
    if file is None:
        return Project(here)
    file = file.resolve()
    tables = _read(file)
    known = (*SECTIONS, *PLUGIN_TABLES, *PROJECT)
    for name, values in tables.items():
        if name not in known:
            hint = did_you_mean(name, known)
            raise SettingError(f"{file}: unknown table [{name}]; {hint}")
        if not isinstance(values, dict):
            raise SettingError(f"{file}: '{name}' is a table: write [{name}]")
    return Project(file.parent, tables, file, named)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingError(f"cannot read {file}: {error.strerror}") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise SettingError(f"{file} is UTF-16: save it as UTF-8")
    try:
        # Editors put a mark before the first byte, which is no part of the text.
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SettingError(
            f"{file} is not UTF-8 from byte {error.start + 1} on: save it as UTF-8"
        ) from error
    except RecursionError as error:
        raise SettingError(f"{file} is nested too deep") from error
    except ValueError as error:  # also numbers of too many digits
        text = one_line(str(error).split(";")[0])
        raise SettingError(f"{file} is not valid TOML: {text}") from error


def _require_own(file: Path) -> None:
    """Refuse a file that somebody else has written, or can."""
    state = file.stat()
    if not hasattr(os, "getuid"):
        return
    if state.st_uid not in (os.getuid(), 0):
        fault = "belongs to another user"
    elif state.st_mode & stat.S_IWOTH:
        fault = "can be written by anybody"
    else:
        return
    raise SettingError(
        f"{file} {fault}, and names plugins, whose code would be run: make it yours "
        f"(chown, chmod o-w), or say that you trust it: --config {file}"
    )
