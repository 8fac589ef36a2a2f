"""Files whose folder is their class."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .file import File, NoFile, Parts
from .files import entries, is_of
from .names import nearly_one, normal_name, readable_name
from .passed_over import OTHER, SHOWN, STRAY, PassedOver, first_few

logger = logging.getLogger("metapipe")


@dataclass(frozen=True)
class Labelled:
    """The files of a root in a folder a class; read each time it is gone through."""

    root: Path
    suffixes: tuple[str, ...]
    above: int
    """Folders at the top that all files share, and are no classes."""

    depth: int
    """Folders that name a class: 2 below those of splits."""

    count: int
    """How many files there are."""

    without: Sequence[str]
    """Folders beside those of the classes that have no such file, each with what it
    has instead."""

    beside: Sequence[str]
    """Folders beside those called like splits: then neither are taken for splits."""

    unclear: str
    """Why what looks like a folder of classes was taken for a class, if it was."""

    def __iter__(self) -> Iterator[tuple[str, str, File]]:
        """(class, name in the class, file) of each file, as `walk` has them."""
        for entry in entries(self.root):
            if isinstance(entry, File) and is_of(entry, self.suffixes):
                parts = entry.parts[self.above :]
                if len(parts) > self.depth:
                    name = readable_name("/".join(parts[self.depth :]))
                    yield class_of(parts[: self.depth]), name, entry


def labelled(
    root: Path, suffixes: Iterable[str], splits: Iterable[str] = ()
) -> Labelled:
    """All files in folders under a root that end in one of `suffixes`.

    A class is the folder at the top, below whatever folders all files share; or, if the
    folders at the top are all called like `splits`, that and the one below it. Folders
    whose names are one name (`normal_name`) are one class. Tells of this, and of what
    is passed over. Raises as `walk` does.
    """
    known, splits = tuple(suffixes), set(splits)
    files: list[Parts] = []
    others: list[tuple[Parts, str]] = []
    for entry in entries(root):
        if isinstance(entry, NoFile):
            others.append((entry.parts, entry.kind))
        elif is_of(entry, known):
            files.append(entry.parts)
        else:
            others.append((entry.parts, OTHER))
    above = folders_above(files)
    # A folder that is called `train` is a split only if another one is there too.
    tops = sorted({normal_name(p[above]) for p in files if len(p) > above + 2})
    named = [top for top in tops if top.lower() in splits]
    shallow = {normal_name(p[above]) for p in files if len(p) == above + 2}
    beside = sorted({*tops, *shallow} - {*named}) if len(named) > 1 else []
    depth = 2 if len(named) > 1 and not beside else 1
    counted = [path for path in files if len(path) > above + depth]
    folders = {path[: above + depth] for path in counted}
    _tell_passed(root, files, others, above + depth)
    _tell_names(root, {path[above:] for path in folders})
    return Labelled(
        root,
        known,
        above,
        depth,
        count=len(counted),
        without=_without(others, folders, above, above + depth),
        beside=beside,
        unclear=_unclear(files, above),
    )


def class_of(folders: Parts) -> str:
    """The class that is named by folders."""
    return "/".join(normal_name(readable_name(name)) or name for name in folders)


def folders_above(paths: Iterable[Parts]) -> int:
    """How many folders at the top all files share without being their class: a zip of
    `flowers/rose/1.jpg` has one. Files beside the folder at the top do not count."""
    inside = [path for path in paths if len(path) > 1]
    count = 0
    while (
        inside
        and all(len(path) > count + 2 for path in inside)
        and len({path[count] for path in inside}) == 1
    ):
        count += 1
    return count


def _unclear(files: Sequence[Parts], above: int) -> str:
    """A class that is alone, and has both files and folders of files."""
    tops = {path[above] for path in files if len(path) > above + 1}
    deep = sorted({path[above + 1] for path in files if len(path) > above + 2})
    own = [path[-1] for path in files if len(path) == above + 2]
    if len(tops) != 1 or not own or len(deep) < 2:
        return ""
    return readable_name(
        f"'{tops.pop()}' has files ({first_few(own, ', ')}) beside the folders "
        f"{first_few(deep, ', ')}: move the files away if those are the classes"
    )


def _without(
    others: Sequence[tuple[Parts, str]], folders: set[Parts], above: int, depth: int
) -> list[str]:
    found: dict[Parts, str] = {}
    for parts, _ in others:
        folder = parts[:depth]
        if len(parts) > depth and folder not in folders:
            found.setdefault(folder, parts[-1])
    return [
        readable_name("/".join(folder[above:]) + (f" ({name})" if name else ""))
        for folder, name in found.items()
    ]


def _tell_passed(
    root: Path,
    files: Sequence[Parts],
    others: Sequence[tuple[Parts, str]],
    depth: int,
) -> None:
    passed = PassedOver()
    for path in files:
        if len(path) <= depth:
            passed.add(STRAY, path)
    for parts, kind in others:
        passed.add(kind, parts)
    passed.tell(root)


def _tell_names(root: Path, folders: set[Parts]) -> None:
    """Folders that are one class by name, and classes that nearly are."""
    same: dict[str, list[str]] = defaultdict(list)
    for folder in sorted(folders):
        name = class_of(folder)
        same[name].append(ascii("/".join(folder)))
    for found in [names for names in same.values() if len(names) > 1][:SHOWN]:
        logger.warning("%s: %s are one class by name", root, " and ".join(found))
    for found in nearly_one(same)[:SHOWN]:
        text = "%s: classes that may be one, written in two ways: %s"
        logger.warning(text, root, " and ".join(map(ascii, found)))
