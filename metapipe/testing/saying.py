"""What a failed comparison of tensors says before its own words."""

from __future__ import annotations

from collections.abc import Callable


def saying(what: str) -> Callable[[str], str]:
    """For the argument `msg` of torch.testing: what was expected, what to change."""
    return lambda text: f"{what}. {text}"
