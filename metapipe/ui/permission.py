"""What the page may do beside showing, if the user who starts it says so."""

from __future__ import annotations

from typing import Literal

from ..errors import MetapipeError

Permission = Literal["adapt", "keep", "delete"]
"""Adapt a model to examples, keep what was adapted as a file of the project, delete
runs."""


class ForbiddenError(MetapipeError):
    """The user who started the page did not allow that."""
