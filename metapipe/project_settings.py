"""The settings of a project that belong to no run."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat

from .settings import Section


class StoreSettings(Section):
    """`[store]`: the task store of the project."""

    url: str | None = None
    """sqlite:///FILE or postgresql://USER@HOST/DATABASE; `.metapipe/metapipe.db` beside
    the config file if not given."""

    wait: NonNegativeFloat = Field(default=300.0, le=86400.0)
    """Seconds, up to a day, that a run waits for a store that cannot be reached, before
    it ends with a checkpoint to resume from."""


class PluginSettings(Section):
    """`[plugins]`: plugins that are not installed."""

    paths: tuple[str, ...] = ()
    """Plugin files, relative to the config file."""
