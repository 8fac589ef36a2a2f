"""Drawings as strokes that would draw them: thinned to lines, which are followed."""

import io
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Stroke = list[tuple[float, float]]
"""Points (x, y), in parts of the sheet's sides."""

Bits = NDArray[np.bool_]
AROUND = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
"""Neighbours of a pixel, clockwise from the one above."""

SHORT = 4
"""Pixels of a line that is no stroke, but a rough edge."""

EVERY = 6
"""Pixels between points of a stroke."""


def omniglot(
    archive: Path, characters: list[str], drawers: list[int]
) -> list[list[Bits]]:
    """Of each character (`images_background/Greek/character01`) the drawings (105, 105)
    by these of its twenty people."""
    with zipfile.ZipFile(archive) as opened:
        names = opened.namelist()
        return [
            [
                _ink(opened.read(sorted(n for n in names if n.startswith(c + "/"))[d]))
                for d in drawers
            ]
            for c in characters
        ]


def _ink(content: bytes) -> Bits:
    return ~np.asarray(Image.open(io.BytesIO(content)).convert("1"))


def strokes(ink: Bits) -> list[Stroke]:
    """What draws the lines of a picture (h, w): each pixel of its skeleton once."""
    left = {tuple(map(int, p)) for p in np.argwhere(skeleton(ink))}
    height, width = ink.shape
    found = []
    while left:
        line = _line(left)
        if len(line) >= SHORT or not found:
            kept = [*line[:-1:EVERY], line[-1]]
            found.append([((x + 0.5) / width, (y + 0.5) / height) for y, x in kept])
    return found


def _line(left: set[tuple[int, int]]) -> list[tuple[int, int]]:
    """Taken out of `left`: from an end, if there is one, as far as it leads."""
    ends = [p for p in left if len(_beside(p, left)) == 1]
    at = min(ends or left)
    line = [at]
    left.remove(at)
    while near := _beside(at, left):
        before = line[-5] if len(line) > 4 else line[0]
        at = max(near, key=lambda p: _ahead(before, at, p))
        left.remove(at)
        line.append(at)
    return line


def _beside(at: tuple[int, int], others: set[tuple[int, int]]) -> list[tuple[int, int]]:
    near = ((at[0] + dy, at[1] + dx) for dy, dx in AROUND)
    return [p for p in near if p in others]


def _ahead(before: tuple[int, int], at: tuple[int, int], to: tuple[int, int]) -> float:
    """How straight on it is: a cosine."""
    one, two = (np.subtract(b, a) for a, b in ((before, at), (at, to)))
    return float(one @ two / (np.linalg.norm(one) * np.linalg.norm(two) + 1e-9))


def skeleton(ink: Bits) -> Bits:
    """Lines one pixel wide (Zhang & Suen, Communications of the ACM 27, 1984)."""
    thin = np.pad(ink, 1)
    while True:
        before = thin.sum()
        for first in (True, False):
            n = [np.roll(thin, (-dy, -dx), (0, 1)) for dy, dx in AROUND]
            count = np.sum(n, 0)
            turns = np.sum([~a & b for a, b in zip(n, [*n[1:], n[0]], strict=True)], 0)
            above, right, below, left = n[0], n[2], n[4], n[6]
            if first:
                edge = ~(above & right & below) & ~(right & below & left)
            else:
                edge = ~(above & right & left) & ~(above & below & left)
            thin = thin & ~(edge & (count >= 2) & (count <= 6) & (turns == 1))
        if thin.sum() == before:
            return thin[1:-1, 1:-1]
