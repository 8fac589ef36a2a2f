"""Logits become confidences: divided by one temperature, fitted to held-out answers.

Guo, Pleiss, Sun & Weinberger, "On Calibration of Modern Neural Networks", ICML 2017.
Where all of n answers are right the likeliest temperature is nought, and every answer
would be certain: so a tenth of an answer is taken to be wrong in all. (Platt's rule for
two classes, a whole one, makes 25 answers too modest by five to eight points.)
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

SHARPEST, FLATTEST = 1e-4, 100.0
"""Temperatures, for logits of which the root mean square within a row is 1."""

HALVINGS = 100

DOUBT = 0.1
"""Of all labels taken together, how many are taken to be wrong."""


def temperature(logits: Tensor, labels: Tensor) -> float:
    """What to divide logits (n, ways) by, so that their softmax is the likeliest for
    labels (n,).

    The likelihood is concave in the inverse temperature: its slope's root is bisected.
    """
    logits = logits.double()
    logits = logits - logits.mean(-1, keepdim=True)
    spread = float(logits.square().mean().sqrt())
    if not spread:  # every class is as likely as another, whatever the temperature
        return 1.0
    logits = logits / spread
    wanted = (_targets(labels, logits.shape[1]) * logits).sum()

    def too_sharp(inverse: float) -> bool:
        expected = ((logits * inverse).softmax(-1) * logits).sum()
        return bool(expected > wanted)

    low, high = math.log(1 / FLATTEST), math.log(1 / SHARPEST)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if too_sharp(math.exp(middle)) else (middle, high)
    return spread / math.exp(low)


def _targets(labels: Tensor, ways: int) -> Tensor:
    """(n, ways): how likely each class is taken to be."""
    doubt = DOUBT / len(labels)
    targets = torch.full((len(labels), ways), doubt / (ways - 1), dtype=torch.double)
    return targets.scatter(1, labels[:, None], 1 - doubt)
