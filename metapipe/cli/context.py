"""What every command is handed: the project, its plugins and its store, opened late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ..experiment.catalogue import Catalogue
    from ..experiment.project import Project
    from ..experiment.registry import Failure, Registry
    from ..store import TaskStore


@dataclass
class App:
    """The global options, and what follows from them."""

    config: Path | None
    db: str | None
    plugin_paths: tuple[Path, ...]

    @cached_property
    def project(self) -> Project:
        """The project that the config file, or the working directory, makes."""
        from ..experiment.project import find_project

        return find_project(self.config)

    @cached_property
    def plugin_files(self) -> tuple[Path, ...]:
        """The plugin files that the config file and the command line ask for."""
        return (*self.project.plugin_paths, *self.plugin_paths)

    @cached_property
    def registry(self) -> Registry:
        """All plugins, imported: for a command that runs one."""
        from ..experiment.registry import load

        registry = load(self.plugin_files)
        self._tell(registry.failures)
        return registry

    @cached_property
    def catalogue(self) -> Catalogue:
        """All plugins, for a command that shows them: nothing is imported, if it has
        not changed."""
        from ..experiment.catalogue import open_catalogue

        catalogue = open_catalogue(self.plugin_files)
        self._tell(catalogue.failures)
        return catalogue

    def _tell(self, failures: Sequence[Failure]) -> None:
        """Tell on stderr of files that were asked for and cannot be used."""
        asked = {str(path) for path in self.plugin_files}
        for failure in failures:
            if failure.origin in asked:
                click.echo(f"not loaded: {failure.origin}: {failure.reason}", err=True)

    @property
    def url(self) -> str:
        """The store's URL: --db, METAPIPE_DB, metapipe.toml, or the default."""
        from ..store import default_url

        return self.db or self.project.store_url or default_url(self.project.directory)

    @property
    def store(self) -> TaskStore:
        """The task store, for a command that reads: one that was named by --db has to
        be there."""
        from ..store import require_file

        if self.db is not None:
            require_file(self.db)
        return self.new_store

    @cached_property
    def new_store(self) -> TaskStore:
        """The task store, made if it is not there; closed when the command ends."""
        from ..store import TaskStore

        store = TaskStore.open(self.url)
        click.get_current_context().find_root().call_on_close(store.close)
        return store


pass_app = click.make_pass_decorator(App)
