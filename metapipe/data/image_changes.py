"""What can be done to images: mirrored, moved, coloured otherwise, turned a little."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .sampling import Integers

Floats = NDArray[np.float32]
Numbers = NDArray[np.float64]

GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue (ITU-R 601-2), as Pillow has them."""

TURN, SCALE, SHIFT = 10.0, 0.1, 0.07
"""The most that a drawing is turned, in degrees, and scaled and shifted, as shares of
its side: two pixels of 28."""


def moved(
    images: Floats, flips: Integers, rows: Integers, columns: Integers, pad: int
) -> Floats:
    """(n, C, H, W): each cut out of itself padded, from its row and column on, and
    mirrored if `flips` is not 0.

    One after the other through one padded image, which stays in the processor's cache:
    three times as fast as indexing all of them at once.
    """
    channels, height, width = images.shape[1:]
    padded = np.zeros((channels, height + 2 * pad, width + 2 * pad), images.dtype)
    middle = padded[:, pad : pad + height, pad : pad + width]
    changed = np.empty_like(images)
    moves = zip(flips.tolist(), rows.tolist(), columns.tolist(), strict=True)
    for image, out, (flip, row, column) in zip(images, changed, moves, strict=True):
        middle[...] = image
        found = padded[:, row : row + height, column : column + width]
        out[...] = found[..., ::-1] if flip else found
    return changed


def jittered(images: Floats, numbers: Numbers, strength: float) -> Floats:
    """(n, C, H, W) in [0, 1]: brightness, contrast and, of three channels, saturation,
    each times a factor from 1 - strength to 1 + strength, in this order.

    `numbers` (n, 3) in [0, 1) say which factors. References take the three in random
    order.
    """
    factors = 1 + strength * (2 * numbers.astype(np.float32) - 1)
    brightness, contrast, saturation = factors.T[..., None, None, None]
    images = (images * brightness).clip(0, 1)
    means = _grey(images).mean((-2, -1), keepdims=True)
    images = (means + (images - means) * contrast).clip(0, 1)
    if images.shape[1] == len(GREY):
        grey = _grey(images)
        images = (grey + (images - grey) * saturation).clip(0, 1)
    return images


def turned(images: Floats, numbers: Numbers) -> Floats:
    """(n, C, H, W): each turned, scaled and shifted a little, with what is at its edge
    coming in; `numbers` (n, 4) in [0, 1) say by how much."""
    angle, scale, *shift = (2 * numbers - 1).T
    angle, scale = np.deg2rad(TURN) * angle, 1 + SCALE * scale
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    # In torch's coordinates a side goes from -1 to 1.
    across, down = (2 * SHIFT * each for each in shift)
    maps = np.stack([cosine, -sine, across, sine, cosine, down], -1).reshape(-1, 2, 3)
    theta = torch.from_numpy(maps.astype(np.float32))
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    found: Tensor = F.grid_sample(
        torch.from_numpy(images), grid, padding_mode="border", align_corners=False
    )
    changed: Floats = found.numpy()
    return changed


def _grey(images: Floats) -> Floats:
    """(n, 1, H, W)."""
    if images.shape[1] != len(GREY):
        mean: Floats = images.mean(1, keepdims=True)
        return mean
    weights = np.array(GREY, np.float32)[:, None, None]
    grey: Floats = (images * weights).sum(1, keepdims=True)
    return grey
