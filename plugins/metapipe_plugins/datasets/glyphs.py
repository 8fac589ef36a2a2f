"""Glyphs: the letters of the DejaVu fonts, real many-class input with no download.

One class is one letter, its drawers are the fonts, and a seeded affine jitter makes
more drawings of each. Training, validation and test are different *scripts*, so the
test is on writing never seen. matplotlib's wheel carries the fonts.

A letter is taken if Unicode does not decompose it, enough fonts have it, and it is more
than a dot. Of letters that look alike one is kept: the test letter before the
validation letter before the training letter (Cyrillic's A is Latin's), and within a
split the first. To compare two letters they are stretched to the same square, blurred,
and drawn over each other in an upright sans-serif, serif and monospaced font; the font
in which they differ least decides. Between splits they must differ in a third of their
ink: S and Տ, U and Ս are no longer in two of them. Within a split, where a likeness
only makes the task harder, 15 % will do.

That leaves 556 letters to train on (Canadian syllabics, Latin, Arabic, Greek, Lao and
Hebrew), 135 to validate on (Cyrillic) and 141 to test on (Armenian and Georgian).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont, features
from PIL import __version__ as pillow_version
from pydantic import Field

from metapipe import Dataset, Register, Split, hookimpl
from metapipe.data import (
    Bank,
    Bytes,
    ImageClass,
    ImageEncoder,
    ImageSource,
    open_bank,
    uniform,
    with_rotations,
)

SIZE = 28
SCRIPTS: dict[Split, dict[str, tuple[tuple[int, int], ...]]] = {
    "train": {
        "Latin": ((0x41, 0x24F), (0x250, 0x2AF), (0x1D00, 0x1D7F), (0x2C60, 0x2C7F)),
        "Greek": ((0x370, 0x3FF),),
        "Hebrew": ((0x5D0, 0x5EA),),
        "Arabic": ((0x620, 0x6D5),),
        "Lao": ((0xE81, 0xEAE),),
        "Canadian": ((0x1400, 0x167F),),
    },
    "val": {"Cyrillic": ((0x400, 0x52F),)},
    "test": {"Armenian": ((0x531, 0x587),), "Georgian": ((0x10A0, 0x10FA),)},
}
"""Unicode blocks of the scripts of each split."""

FONTS_WANTED = 4
"""A letter that fewer fonts have is left out."""

DOT = 0.25
"""A letter that is smaller than this part of the font's size is left out."""

ALIKE = 1 / 3
"""Letters of two splits are alike if they differ in less of the larger one's ink."""

TWINS = 0.15
"""The same within a split."""

COARSE = 14
"""Letters are compared as images of so many pixels a side."""

STROKE = 0.4
"""What is narrower or flatter than that is not stretched: l must not become a block."""

UPRIGHT = ("DejaVuSans.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf")
"""Fonts that letters are compared in."""

BOX = 20
"""A letter is scaled to fit a square of so many pixels before it is jittered."""

FINE = 4
"""Letters are drawn so many times finer than the image, then reduced."""

Grey = NDArray[np.float32]
Floats = NDArray[np.float64]


ENCODER = ImageEncoder(height=SIZE, width=SIZE, channels=1, fit="pad", invert=True)
"""What makes inputs of pictures of dark letters on white."""


class Glyphs(Dataset):
    """Letters of the DejaVu fonts: 556 to train on, 135 Cyrillic ones to validate, 141
    Armenian and Georgian ones to test."""

    paper: ClassVar[str] = "The DejaVu fonts, https://dejavu-fonts.github.io"
    recommended: ClassVar[dict[str, object]] = {
        "task.queries": 5,
        "training.tasks": 8,
        "training.iterations": 1400,
        "training.lr": 0.01,
        "training.schedule": "cosine",
        "training.validate_every": 350,
        "algorithm.test_steps": 3,
        "evaluation.queries": 15,
    }

    drawings: int = Field(default=20, ge=2, le=1000)
    """Drawings of each letter: fonts in turn, each with a jitter of its own."""

    jitter: float = Field(default=1.0, ge=0.0, le=2.0)
    """Strength of the jitter; at 1 up to 12 degrees, 15 % of size, and 2 pixels."""

    rotations: bool = False
    """Whether a training letter in its four orientations makes four classes. Turned,
    some look like letters of the other splits."""

    def open(self, split: Split) -> ImageSource:
        """The scripts of a split."""
        facts = {
            "fonts": [[path.name, path.stat().st_size] for path in _fonts()],
            "renderer": [pillow_version, features.version("freetype2")],
            "drawings": self.drawings,
            "jitter": self.jitter,
            "scripts": SCRIPTS,
            "rules": [
                FONTS_WANTED,
                DOT,
                ALIKE,
                TWINS,
                COARSE,
                UPRIGHT,
                BOX,
                FINE,
                SIZE,
            ],
        }
        bank = open_bank("glyphs", facts, self._build)
        members = _members(bank, split)
        if self.rotations and split == "train":
            members = with_rotations(members)
        return ImageSource(bank, tuple(members), encoder=ENCODER)

    def _build(self) -> Iterator[tuple[str, Bytes]]:
        for script, letter in distinct_letters():
            yield f"{script}/{letter}", self.draw(letter)

    def draw(self, letter: str) -> Bytes:
        """(drawings, SIZE, SIZE): one letter by every drawer in turn."""
        fonts = _fonts_with(letter)
        key = np.array([ord(letter)], np.uint64)
        numbers = 2 * uniform(key, "jitter", self.drawings, 6)[0] - 1
        maps = _affine(self.jitter * numbers)
        return np.stack(
            [_moved(fonts[n % len(fonts)], letter, a) for n, a in enumerate(maps)]
        )


def distinct_letters() -> list[tuple[str, str]]:
    """(script, letter) of all classes: no two alike, test letters taking precedence."""
    kept: list[tuple[str, str]] = []
    others = np.empty((0, len(UPRIGHT), COARSE**2), np.float32)
    for split in ("test", "val", "train"):
        own = others[:0]
        for script, blocks in SCRIPTS[split].items():
            for letter in _candidates(blocks):
                shape = _coarse(letter)
                if not (_alike(shape, others, ALIKE) or _alike(shape, own, TWINS)):
                    kept.append((script, letter))
                    own = np.concatenate([own, shape[None]])
        others = np.concatenate([others, own])
    return kept


def difference(shape: Grey, shapes: Grey) -> Grey:
    """(n,): in what part of their ink `shape` (fonts, d) and each of `shapes` differ.

    Of the fonts, that in which they differ least counts.
    """
    apart: Grey = np.abs(shapes - shape).sum(-1)
    ink: Grey = np.maximum(shapes.sum(-1), shape.sum(-1))
    least: Grey = (apart / ink).min(-1)
    return least


def _members(bank: Bank, split: Split) -> list[ImageClass]:
    scripts = set(SCRIPTS[split])
    return [
        ImageClass(index)
        for index, name in enumerate(bank.classes)
        if name.partition("/")[0] in scripts
    ]


def _candidates(blocks: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """The letters of some Unicode blocks that enough fonts have."""
    for first, last in blocks:
        for letter in map(chr, range(first, last + 1)):
            is_letter = unicodedata.category(letter) in ("Lu", "Ll", "Lo")
            is_base = is_letter and not unicodedata.decomposition(letter)
            fonts = _fonts_with(letter)
            if is_base and len(fonts) >= FONTS_WANTED and not _is_dot(fonts[0], letter):
                yield letter


def _is_dot(font: Path, letter: str) -> bool:
    """Whether so little is drawn that scaled to the box it would be a blot."""
    left, top, right, bottom = _face(font).getmask(letter).getbbox() or (0, 0, 0, 0)
    return max(right - left, bottom - top) < DOT * BOX * FINE


def _alike(shape: Grey, shapes: Grey, least: float) -> bool:
    """Whether one of `shapes` differs from `shape` by less than `least`."""
    return bool((difference(shape, shapes) < least).any())


def _coarse(letter: str) -> Grey:
    """(fonts, COARSE^2): the letter in each upright font, as it is compared.

    Where such a font lacks it, in the first that has it.
    """
    fonts = _fonts_with(letter)
    named = {font.name: font for font in fonts}
    return np.stack([_stretched(named.get(n, fonts[0]), letter) for n in UPRIGHT])


def _stretched(font: Path, letter: str) -> Grey:
    """(COARSE^2,): the letter stretched to its box, unless it is a mere stroke."""
    fine = _fine(font, letter)
    tight = fine.crop(fine.getbbox())
    if min(tight.size) > STROKE * max(tight.size):
        tight = tight.resize((BOX * FINE, BOX * FINE), Image.Resampling.BILINEAR)
    blurred = _centred(tight).filter(ImageFilter.GaussianBlur(FINE))
    small = blurred.resize((COARSE, COARSE), Image.Resampling.BOX)
    return np.asarray(small, np.float32).reshape(-1)


def _affine(numbers: Floats) -> Floats:
    """(n, 6) numbers in [-1, 1] -> (n, 6) affine maps from image to letter, as PIL has
    them; the numbers are turn, width, height, shear, and shift to the right and down.
    """
    turn, width, height, shear, right, down = numbers.T
    angle, zero = np.deg2rad(12 * turn), np.zeros_like(turn)
    rotation = _matrices(np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle))
    stretch = _matrices(1 + 0.15 * width, 0.15 * shear, zero, 1 + 0.15 * height)
    inverse = np.linalg.inv(rotation @ stretch)
    centre = SIZE * FINE / 2
    target = centre + 2 * FINE * np.stack([right, down], -1)[..., None]
    return np.concatenate([inverse, centre - inverse @ target], -1).reshape(-1, 6)


def _matrices(a: Floats, b: Floats, c: Floats, d: Floats) -> Floats:
    """(n,) each -> (n, 2, 2)."""
    return np.stack([a, b, c, d], -1).reshape(-1, 2, 2)


def _moved(font: Path, letter: str, affine: Floats) -> Bytes:
    """(SIZE, SIZE): the letter moved by an affine map."""
    fine = _fine(font, letter)
    moved = fine.transform(
        fine.size, Image.Transform.AFFINE, affine.tolist(), Image.Resampling.BILINEAR
    )
    return np.asarray(moved.resize((SIZE, SIZE), Image.Resampling.BOX))


@lru_cache(maxsize=64)
def _fine(font: Path, letter: str) -> Image.Image:
    """The letter scaled to its box and centred, FINE times finer than the image."""
    face = _face(font)
    left, top, right, bottom = face.getbbox(letter)
    raw = Image.new("L", (int(right - left) + 16, int(bottom - top) + 16))
    ImageDraw.Draw(raw).text((8 - left, 8 - top), letter, font=face, fill=255)
    raw = raw.crop(raw.getbbox())
    scale = BOX * FINE / max(raw.size)
    size = (max(1, round(raw.width * scale)), max(1, round(raw.height * scale)))
    return _centred(raw.resize(size, Image.Resampling.BILINEAR))


def _centred(image: Image.Image) -> Image.Image:
    """`image` in the middle of an empty one of SIZE * FINE a side."""
    side = SIZE * FINE
    canvas = Image.new("L", (side, side))
    canvas.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return canvas


@lru_cache(maxsize=16)
def _face(font: Path) -> ImageFont.FreeTypeFont:
    """The font, laid out without Raqm, which not every machine has."""
    basic = ImageFont.Layout.BASIC
    return ImageFont.truetype(str(font), BOX * FINE, layout_engine=basic)


@lru_cache(maxsize=1)
def _fonts() -> tuple[Path, ...]:
    """The twelve DejaVu text fonts, the plain sans-serif first."""
    from matplotlib import get_data_path  # slow, and nobody else needs it

    folder = Path(get_data_path()) / "fonts" / "ttf"
    paths = [p for p in folder.glob("DejaVu*.ttf") if "Display" not in p.name]
    plain = folder / "DejaVuSans.ttf"
    return (plain, *sorted(path for path in paths if path != plain))


def _fonts_with(letter: str) -> list[Path]:
    """The fonts that have it."""
    return [font for font in _fonts() if ord(letter) in _letters_of(font)]


@lru_cache(maxsize=16)
def _letters_of(font: Path) -> frozenset[int]:
    """Code points the font has."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(str(font)).get_charmap())


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer the glyphs."""
    register("glyphs", Glyphs)
