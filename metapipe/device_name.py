"""How a device may be asked for."""

from __future__ import annotations

import re
from difflib import get_close_matches

DEVICE = re.compile("auto|cpu|cuda(:[0-9]{1,3})?|mps")
"""What may be asked for; whether there is such a one is seen when it is needed."""


def no_device(name: str) -> str:
    """What to say of a device that is none: the nearest that may be asked for."""
    family = name.lower().partition(":")[0]
    known = ["auto", "cpu", "cuda", "mps"]
    if family in ("gpu", "nvidia"):
        family = "cuda"
    near = get_close_matches(family, known, n=1)
    hint = (
        f"did you mean '{near[0]}'?" if near else "use auto, cpu, cuda, cuda:N or mps"
    )
    return f"no device that metapipe computes on; {hint}"
