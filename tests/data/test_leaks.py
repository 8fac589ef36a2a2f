"""What is in the classes to be tested on reaches nothing that is trained on: they are
changed on disk, and every bit of the training split stays."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from metapipe import Task
from metapipe.experiment.registry import load

REGISTRY = load()
CLASSES = {
    "train": ["ant", "bee", "cow", "dog"],
    "val": ["eel", "fox"],
    "test": ["gnu", "hen"],
}


def lists(folder: Path) -> Path:
    for split, names in CLASSES.items():
        (folder / f"{split}.txt").write_text("\n".join(names))
    return folder


def seeds(unseen: int) -> dict[str, int]:
    """A seed for the content of each class; `unseen` decides those not trained on."""
    trained = {name: number for number, name in enumerate(CLASSES["train"])}
    others = [*CLASSES["val"], *CLASSES["test"]]
    return trained | {name: unseen + n for n, name in enumerate(others)}


def pictures(root: Path, unseen: int) -> dict:
    for name, seed in seeds(unseen).items():
        rng = np.random.default_rng(seed)
        (root / name).mkdir(parents=True)
        for number in range(6):
            values = rng.integers(0, 256, (12, 12), dtype=np.uint8)
            Image.fromarray(values).save(root / name / f"{number}.png")
    return {"root": root, "lists": lists(root.parent)}


def rows(root: Path, unseen: int) -> dict:
    """Numbers with gaps and names: scales, means and categories are fitted."""
    root.mkdir()
    with (root / "table.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "colour", "label"])
        for name, seed in seeds(unseen).items():
            rng = np.random.default_rng(seed)
            for number in range(6):
                x = "" if number == 0 else 10 ** (seed % 7) * rng.normal()
                writer.writerow([x, f"c{rng.integers(3) + seed // 100}", name])
    return {
        "root": root / "table.csv",
        "lists": lists(root.parent),
    }


def texts(root: Path, unseen: int) -> dict:
    """Words have weights, and there is a vocabulary."""
    root.mkdir()
    with (root / "texts.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for name, seed in seeds(unseen).items():
            rng = np.random.default_rng(seed)
            for _ in range(6):
                words = [f"word{n + seed // 100}" for n in rng.integers(0, 9, 6)]
                writer.writerow([" ".join(words), name])
    return {
        "root": root / "texts.csv",
        "inputs": "tfidf",
        "lists": lists(root.parent),
    }


MAKE: dict[str, Callable[[Path, int], dict]] = {
    "image-folder": pictures,
    "table": rows,
    "text": texts,
}


@pytest.mark.parametrize("name", MAKE)
def test_classes_never_trained_on_do_not_reach_training(name: str, tmp_path) -> None:
    found = []
    for folder, unseen in (("one", 100), ("other", 500)):
        (tmp_path / folder).mkdir()
        settings = MAKE[name](tmp_path / folder / "data", unseen)
        dataset = REGISTRY.create("dataset", name, settings)
        train, test = (dataset.open(split) for split in ("train", "test"))
        tasks = [Task("x", "train", 0, n, 2, 2, 2) for n in range(6)]
        unseen_tasks = [Task("x", "test", 0, 0, 2, 2, 2)]
        found.append((train, train.draw(tasks), test.draw(unseen_tasks)))
    (first, ours, test), (second, theirs, other_test) = found
    assert first.facts.encoder == second.facts.encoder
    if name != "image-folder":  # whose bank has one fingerprint for all its classes
        assert first.facts.fingerprint == second.facts.fingerprint
    for mine, others in ((ours.support, theirs.support), (ours.query, theirs.query)):
        assert torch.equal(mine.inputs, others.inputs)
        assert torch.equal(mine.targets, others.targets)
    assert not torch.equal(test.support.inputs, other_test.support.inputs), "changed"
