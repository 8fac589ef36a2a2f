"""Omniglot: 1,623 handwritten characters of 50 alphabets, 20 drawings of each.

Lake, Salakhutdinov & Tenenbaum, Science 350, 2015. Three protocols are in use and their
figures are not comparable: a random split of the characters (MAML and most others), the
split files of Vinyals et al. (ProtoNet), and the official background and evaluation
alphabets (harder).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, groupby
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeInt

from metapipe import (
    DataError,
    Encoder,
    PathError,
    Register,
    Source,
    Split,
    hookimpl,
)
from metapipe.data import (
    Bank,
    Bytes,
    FeatureSource,
    File,
    ImageClass,
    ImageEncoder,
    ImageSource,
    choose,
    download_all,
    feature_item,
    identity,
    open_bank,
    walk,
    with_rotations,
)
from metapipe_plugins.parts.data.augmented import AugmentDrawing, augmented
from metapipe_plugins.parts.data.class_splits import read_list
from metapipe_plugins.parts.data.features import PictureInputs

OFFICIAL = "https://github.com/brendenlake/omniglot/raw/master/python"
ARCHIVES = {
    f"{OFFICIAL}/images_background.zip": "md5:68d2efa1b9178cc56df9314c21c6e718",
    f"{OFFICIAL}/images_evaluation.zip": "md5:6b91aef0f799c5bb55b94e3f2daec811",
}
PARTS = ("images_background", "images_evaluation")
INSTEAD = "Point -s dataset.root=PATH at a folder or zip that has Omniglot"
OFFICIAL_VALIDATION = 5
"""Background alphabets that the official split validates on: the last, by name."""

ORIGINAL = ImageEncoder(height=105, width=105, channels=1, fit="stretch")
TURNS = (0, 1, 2, 3)

Rotations = Literal["none", "classes", "random"]


class Omniglot(PictureInputs):
    """Handwritten characters; MAML's split and rotations unless told otherwise."""

    paper: ClassVar[str] = (
        "Lake, Salakhutdinov & Tenenbaum, Science 2015, "
        "https://doi.org/10.1126/science.aab3050"
    )
    departures: ClassVar[str] = (
        "by default a training character is turned by chance in each episode, where "
        "MAML, ProtoNet and SNAIL take its four orientations for four classes "
        "(rotations=classes); no augmentation unless augment is given"
    )

    of_pixels: ClassVar[tuple[str, ...]] = ("size", "invert", "augment")

    root: Path | None = None
    """Folder or zip that has `images_background` and `images_evaluation`, or folder
    with the two official zips; downloaded if not given."""

    split: Literal["maml", "official", "lists"] = "maml"
    """maml: 1,100 / 100 / 423 random characters; official: background alphabets (the
    last five validate) and evaluation; lists: the files in `lists`."""

    split_seed: NonNegativeInt = 1
    """Seed of the maml split."""

    lists: Path | None = None
    """Folder with train.txt, val.txt and test.txt: a line `Alphabet/characterNN` each,
    with `/rot090` for a turned character, as the Vinyals split."""

    rotations: Rotations = "random"
    """Training characters: as drawn; each turned by a random quarter in each episode
    (MAML); or four orientations as four classes (ProtoNet). Lists say it themselves."""

    test_rotations: Rotations = "random"
    """The same for validation and test; MAML and ProtoNet turn there too, Reptile and
    MetaNet do not."""

    size: int = Field(default=28, ge=4, le=105)
    """Height and width, resized from 105 with anti-aliasing (Lanczos, on grey)."""

    invert: bool = True
    """Make ink 1 and paper 0 (all but Reptile do)."""

    augment: AugmentDrawing = "none"

    def open(self, split: Split) -> Source:
        """The characters of a split."""
        encoder = self.features()
        bank = self._bank(encoder)
        members = self._members(bank, split)
        rotations = self.rotations if split == "train" else self.test_rotations
        if self.split == "lists":
            rotations = "none"
        if not members:
            raise DataError(
                f"the {self.split} split leaves none of the {len(bank.classes)} "
                f"characters found for {split}. {INSTEAD}"
            )
        if rotations == "classes":
            members = with_rotations(members)
        chosen, randomly = tuple(members), rotations == "random"
        if encoder is not None:
            turns = TURNS if randomly else {member.turns for member in members}
            turned = {turn: self._bank(encoder, turn) for turn in turns if turn}
            return FeatureSource(bank, chosen, randomly, encoder=encoder, turned=turned)
        source = ImageSource(bank, chosen, randomly, encoder=self._encoder())
        return augmented(source, self.augment, split)

    def _encoder(self) -> ImageEncoder:
        return ImageEncoder(
            height=self.size,
            width=self.size,
            channels=1,
            fit="stretch",
            invert=self.invert,
        )

    def _bank(self, features: Encoder | None, turns: int = 0) -> Bank:
        """All drawings, or their vectors, turned by so many quarters."""
        if self.root is None:
            archives = download_all(ARCHIVES, "omniglot", INSTEAD)
        else:
            archives = _find(self.root.expanduser())
        files = [identity(path) for path in archives]
        if features is None:
            made_from = {"files": files, "size": self.size, "invert": self.invert}
        else:
            features.check()
            encoder = features.model_dump(mode="json")
            made_from = {"files": files, "encoder": encoder, "turns": turns}
        return open_bank(
            "omniglot", made_from, lambda: self._build(archives, features, turns)
        )

    def _build(
        self, archives: list[Path], features: Encoder | None, turns: int
    ) -> Iterator[tuple[str, Bytes]]:
        """Characters as `part/Alphabet/characterNN`, in order of their names."""
        found = chain.from_iterable(map(_drawings, archives))
        images = ((name, self._image(file, features, turns)) for name, file in found)
        drawings = sorted(images, key=lambda drawing: drawing[0])
        for character, group in groupby(
            drawings, key=lambda drawing: drawing[0].rpartition("/")[0]
        ):
            yield character, np.stack([image for _, image in group])

    def _image(self, file: File, features: Encoder | None, turns: int) -> Bytes:
        """A drawing, or the vector of its turned original."""
        try:
            if features is None:
                return self._encoder().pixels(file.read(), file.origin)
            original = ORIGINAL.pixels(file.read(), file.origin)
            return feature_item(features, np.rot90(original, turns))
        except DataError as error:
            raise DataError(f"{error}. {INSTEAD}") from error

    def _members(self, bank: Bank, split: Split) -> list[ImageClass]:
        if self.split == "lists":
            return self._listed(bank, split)
        names = bank.classes
        if self.split == "maml":
            return [ImageClass(i) for i in self._shuffled(len(names), split)]
        part = PARTS[split == "test"]
        alphabets = sorted({n.split("/")[1] for n in names if n.startswith(part)})
        if split == "train":
            alphabets = alphabets[:-OFFICIAL_VALIDATION]
        elif split == "val":
            alphabets = alphabets[-OFFICIAL_VALIDATION:]
        chosen = {f"{part}/{alphabet}" for alphabet in alphabets}
        return [
            ImageClass(i)
            for i, name in enumerate(names)
            if name.rpartition("/")[0] in chosen
        ]

    def _shuffled(self, count: int, split: Split) -> list[int]:
        """1,100 / 100 / the rest (423), as in the MAML code, by our own shuffle."""
        key = np.array([self.split_seed], np.uint64)
        order: list[int] = choose(key, "maml split", count, count)[0].tolist()
        parts = {"train": order[:1100], "val": order[1100:1200], "test": order[1200:]}
        return parts[split]

    def _listed(self, bank: Bank, split: Split) -> list[ImageClass]:
        if self.lists is None:
            raise PathError(
                "dataset.split = 'lists' needs the folder of the lists: give it with "
                "-s dataset.lists=PATH"
            )
        known = {name.partition("/")[2]: i for i, name in enumerate(bank.classes)}
        path = self.lists.expanduser() / f"{split}.txt"
        return [_line(line, known, path) for line in read_list(path)]


def _line(line: str, known: dict[str, int], path: Path) -> ImageClass:
    """`Alphabet/characterNN[/rotDDD]` as a class."""
    character, _, turn = line.partition("/rot")
    degrees = turn or "000"
    if character not in known or degrees not in ("000", "090", "180", "270"):
        raise DataError(f"{path} names '{line}', which Omniglot does not have")
    return ImageClass(known[character], int(degrees) // 90)


def _find(root: Path) -> list[Path]:
    """The archives or folders under `root`."""
    if not root.exists():
        raise PathError(f"dataset.root = '{root}' does not exist. {INSTEAD}")
    if root.is_file():
        return [root]
    zips = [root / f"{part}.zip" for part in PARTS]
    if all(path.is_file() for path in zips):
        return zips
    if all((root / part).is_dir() for part in PARTS):
        return [root / part for part in PARTS]
    raise DataError(
        f"dataset.root = '{root}' has neither {PARTS[0]} and {PARTS[1]} nor their "
        f"zips. {INSTEAD}"
    )


def _drawings(path: Path) -> Iterator[tuple[str, File]]:
    """Names from the part on, and the files."""
    found = False
    try:
        for file in walk(path, (".png",)):
            pieces = (path.name, *file.parts)[-4:]
            if len(pieces) == 4 and pieces[0] in PARTS:
                found = True
                yield "/".join(pieces), file
    except DataError as error:
        raise DataError(f"{error}. {INSTEAD}") from error
    if not found:
        raise DataError(f"{path} has no Omniglot images. {INSTEAD}")


@hookimpl
def register_datasets(register: Register) -> None:
    """Offer Omniglot."""
    register("omniglot", Omniglot)
