"""The project: the folder a command works in, and its `metapipe.toml`."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..errors import SettingError, did_you_mean
from ..settings import PluginSettings, Section, StoreSettings
from .experiment import SECTIONS
from .registry import RUN_TYPES
from .setting_errors import first_error

FILE = "metapipe.toml"


PROJECT: Mapping[str, type[Section]] = {
    "store": StoreSettings,
    "plugins": PluginSettings,
}
"""Tables that belong to the project and to no run."""


@dataclass(frozen=True)
class Project:
    """The folder a command works in, and what its config file says."""

    directory: Path
    tables: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None

    @property
    def plugin_paths(self) -> tuple[Path, ...]:
        """Plugin files, relative to the config file."""
        settings = self._table("plugins")
        return tuple(self.directory / path for path in settings.paths)

    @property
    def store_url(self) -> str | None:
        """The store's URL, from the environment or the config file."""
        url: str | None = os.environ.get("METAPIPE_DB") or self._table("store").url
        return url

    @property
    def store_wait(self) -> float:
        """Seconds that a run waits for a store that cannot be reached."""
        return float(self._table("store").wait)

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
    here = (start or Path.cwd()).resolve()
    if file is None:
        found = [folder / FILE for folder in (here, *here.parents)]
        file = next((path for path in found if path.is_file()), None)
    if file is None:
        return Project(here)
    file = file.resolve()
    tables = _read(file)
    known = (*SECTIONS, *RUN_TYPES, *PROJECT)
    for name, values in tables.items():
        if name not in known:
            hint = did_you_mean(name, known)
            raise SettingError(f"{file}: unknown table [{name}]; {hint}")
        if not isinstance(values, dict):
            raise SettingError(f"{file}: '{name}' is a table: write [{name}]")
    return Project(file.parent, tables, file)


def _read(file: Path) -> dict[str, Any]:
    try:
        with file.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise SettingError(f"cannot read {file}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingError(f"{file} is not valid TOML: {error}") from error
