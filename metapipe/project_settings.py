"""The settings of a project that belong to no run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat

from .section import NonNegativeInt, PositiveInt, Section


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


class ProcessSettings(Section):
    """`[processes]`: one training by several processes."""

    count: PositiveInt | Literal["auto"] = 1
    """Processes on this machine that share each meta-batch, a shard or more each; auto
    takes one a GPU, or one a core where there is none."""

    wait: PositiveFloat = Field(default=600.0, le=86400.0)
    """Seconds, up to a day, that they wait for one of them before they end, with
    checkpoints to resume from."""

    restarts: NonNegativeInt = 3
    """How often they are started again after one was killed; training goes on from the
    latest checkpoint."""
