"""The workspace: a project with its plugins and its task store, opened when needed.

Every command and every function of Python stands in one, and so they see the same.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Self

from ..errors import UsageError
from .run_files import runs_folder

if TYPE_CHECKING:
    from ..experiment.catalogue import Catalogue
    from ..experiment.project import Project
    from ..experiment.registry import Failure, Registry
    from ..store import TaskStore

AnyPath = str | PathLike[str]
logger = logging.getLogger("metapipe")


@dataclass
class Workspace:
    """A project, its plugins and its task store."""

    where: Path | None = None
    """A config file, or a folder from which it is looked for upwards; the working
    directory if not given."""

    db: str | None = None
    """The store's URL, before that of the environment and of the config file."""

    plugin_paths: tuple[Path, ...] = ()
    """Plugin files, beside those of the config file."""

    @classmethod
    def at(
        cls,
        project: AnyPath | None = None,
        db: str | None = None,
        plugin_paths: Iterable[AnyPath] | AnyPath = (),
    ) -> Self:
        """The workspace of what a user wrote; one plugin file is a list of one."""
        one = isinstance(plugin_paths, str | PathLike)
        files = [plugin_paths] if one else plugin_paths
        where = None if project is None else Path(project)
        return cls(where, db, tuple(map(Path, files)))  # type: ignore[arg-type]  # `one` tells

    @cached_property
    def project(self) -> Project:
        """The project that the config file, or the folder, makes."""
        from ..experiment.project import find_project

        if self.where is not None and self.where.is_dir():
            return find_project(start=self.where)
        return find_project(self.where)

    @property
    def plugin_files(self) -> tuple[Path, ...]:
        """Those of the config file, then those asked for."""
        for path in self.plugin_paths:
            if not path.is_file():
                raise UsageError(f"there is no plugin file {path}: check --plugin-path")
        files = (*self.project.plugin_paths, *self.plugin_paths)
        return tuple(path.absolute() for path in files)

    @cached_property
    def registry(self) -> Registry:
        """All plugins, imported: for what runs one."""
        from ..experiment.registry import load

        registry = load(self.plugin_files)
        self._tell(registry.failures)
        return registry

    @cached_property
    def catalogue(self) -> Catalogue:
        """All plugins, for what shows them: nothing is imported, if it has not
        changed."""
        from ..experiment.catalogue import open_catalogue

        catalogue = open_catalogue(self.plugin_files)
        self._tell(catalogue.failures)
        return catalogue

    def _tell(self, failures: Iterable[Failure]) -> None:
        """Tell of files that were asked for and cannot be used."""
        asked = {str(path) for path in self.plugin_files}
        for failure in failures:
            if failure.origin in asked:
                logger.warning("not loaded: %s: %s", failure.origin, failure.reason)

    @property
    def url(self) -> str:
        """The store's URL: that given, METAPIPE_DB, metapipe.toml, or the default."""
        from ..store import default_url, whole_url

        if given := self.db or os.environ.get("METAPIPE_DB"):
            return whole_url(given, Path.cwd())
        folder, in_file = self.project.directory, self.project.store_url
        return default_url(folder) if in_file is None else whole_url(in_file, folder)

    @property
    def store(self) -> TaskStore:
        """The task store, for what reads: it is not made, but empty where there is none
        yet. One that was named has to be there."""
        return self.__dict__.get("new_store") or self._found_store

    @cached_property
    def _found_store(self) -> TaskStore:
        return self.open_store()

    def open_store(self) -> TaskStore:
        """The task store, for what reads, opened anew: the caller's to close."""
        from ..store import TaskStore, require_file

        if self.db is not None:
            require_file(self.db)
        runs = runs_folder(self.project.directory)
        found = TaskStore.find(self.url, wait=self.project.store_wait, runs=runs)
        return found or TaskStore.empty()

    @property
    def existing_url(self) -> str:
        """The store's URL. Raises StoreError if its file is not there."""
        from ..store import require_file

        require_file(self.url)
        return self.url

    @property
    def existing_store(self) -> TaskStore:
        """The task store, for what makes none. Raises StoreError if it is not there."""
        from ..store import require_tables

        require_tables(self.existing_url)
        return self.new_store

    @staticmethod
    def without_downloads() -> AbstractContextManager[None]:
        """What data sets have not got is not fetched meanwhile, in this thread."""
        from ..data.download import nothing_fetched

        return nothing_fetched()

    @cached_property
    def new_store(self) -> TaskStore:
        """The task store, made if it is not there."""
        from ..store import TaskStore

        runs = runs_folder(self.project.directory)
        return TaskStore.open(self.url, wait=self.project.store_wait, runs=runs)

    def close(self) -> None:
        """Let go of the store, if it was opened."""
        for name in ("new_store", "_found_store"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_plugins(
    plugin_paths: Iterable[AnyPath] | AnyPath = (), *, project: AnyPath | None = None
) -> Registry:
    """All plugins as every command sees them: those installed, those of `[plugins]
    paths` in metapipe.toml, and the files at `plugin_paths`.

    What could not be loaded is among its `failures`.
    """
    return Workspace.at(project, None, plugin_paths).registry
