"""The class lists of published splits that come with the plugins; and what a data set
needs is asked for before anything is decoded."""

from itertools import chain
from pathlib import Path

import pytest
from commands import error_line
from pictures import write_classes
from shared import DATA, needs_data

import metapipe_plugins
from metapipe import DataError, PathError
from metapipe.experiment.registry import load

REGISTRY = load()
SPLITS = ("train", "val", "test")
FOLDER = Path(next(iter(metapipe_plugins.__path__))) / "splits"
SIZES = {
    "cifar_fs": (64, 16, 20),
    "fc100": (60, 20, 20),
    "mini_imagenet": (64, 16, 20),
    "omniglot_vinyals": (1028, 172, 423),
}


def lists(name: str, folder: Path = FOLDER) -> list[list[str]]:
    return [(folder / name / f"{split}.txt").read_text().split() for split in SPLITS]


@pytest.mark.parametrize("name", SIZES)
def test_a_list_has_the_papers_size_and_its_licence_beside_it(name: str) -> None:
    found = lists(name)
    assert tuple(map(len, found)) == SIZES[name]
    assert len({*chain.from_iterable(found)}) == sum(SIZES[name]), "no class twice"
    text = (FOLDER / name / "LICENSE.txt").read_text()
    assert text.startswith("MIT License\n\nCopyright (c) ")


@needs_data
@pytest.mark.parametrize("name", SIZES)
def test_a_list_is_that_of_its_origin(name: str) -> None:
    """Characters of Omniglot are listed in four orientations there."""
    origin = lists(name, DATA / "splits")
    if name == "omniglot_vinyals":
        turns = ("rot000", "rot090", "rot180", "rot270")
        ours = [[f"{c}/{turn}" for c in part for turn in turns] for part in lists(name)]
        assert ours == origin
    else:
        assert lists(name) == origin


@pytest.mark.parametrize(
    ("dataset", "name"), [("cifar-fs", "cifar_fs"), ("mini-imagenet", "mini_imagenet")]
)
def test_pictures_alone_are_enough(dataset: str, name: str, tmp_path: Path) -> None:
    classes = list(chain.from_iterable(lists(name)))
    root = write_classes(tmp_path, dict.fromkeys(classes, 1))
    for split, names in zip(SPLITS, lists(name), strict=True):
        source = REGISTRY.create("dataset", dataset, {"root": root}).open(split)
        assert list(source.facts.classes) == names


@pytest.fixture
def undecodable(tmp_path: Path) -> Path:
    root = tmp_path / "pictures"
    for name in ("a", "b", "c"):
        (root / name).mkdir(parents=True)
        (root / name / "1.png").write_bytes(b"no picture")
    (root / "1.csv").write_text("label,text\nx,y\n")
    return root


@pytest.mark.parametrize(
    ("dataset", "settings"),
    [
        ("image-folder", {}),
        ("image-folder", {"split": "lists"}),
        ("cifar-fs", {}),
        ("fc100", {}),
        ("mini-imagenet", {}),
        ("omniglot", {"split": "lists"}),
        ("table", {}),
        ("text", {}),
    ],
)
def test_lists_that_are_not_there_are_named_before_a_file_is_read(
    dataset: str, settings: dict[str, str], undecodable: Path, tmp_path: Path
) -> None:
    """By `check`, which decodes nothing, and by `open`."""
    for part in ("images_background", "images_evaluation"):
        (undecodable / part).mkdir()
    given = {"root": undecodable, "lists": tmp_path / "none", **settings}
    chosen = REGISTRY.create("dataset", dataset, given)
    for ask in (chosen.check, lambda: chosen.open("train")):
        with pytest.raises(PathError, match=r"dataset\.lists = .*none") as caught:
            ask()
        assert "unreadable" not in str(caught.value)
        assert caught.value.exit_code == 2


def test_classes_that_are_not_there_are_named_before_a_picture_is_decoded(
    undecodable: Path,
) -> None:
    chosen = REGISTRY.create("dataset", "cifar-fs", {"root": undecodable})
    with pytest.raises(DataError, match=r"lists 'apple' for train, .* 3 classes"):
        chosen.open("train")


@pytest.mark.parametrize(
    "command",
    [
        ("train", "--dry-run", "--dataset", "cifar-fs"),
        ("train", "--dataset", "cifar-fs"),
        ("datasets", "show", "cifar-fs"),
    ],
    ids=" ".join,
)
def test_commands_say_so_first(command: tuple[str, ...], undecodable: Path) -> None:
    root = ("-s", f"dataset.root={undecodable}")
    line = error_line(*command, cwd=undecodable.parent, code=2)
    assert "-s dataset.root=PATH" in line
    given = (*command, *root, "-s", "dataset.lists=none")
    line = error_line(*given, cwd=undecodable.parent, code=2)
    assert "dataset.lists = " in line
