"""An adapted model with examples added or taken away, from the vectors it keeps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..data.names import normal_name, readable_name
from ..data.passed_over import first_few
from ..episode import Samples
from ..errors import UsageError, did_you_mean
from ..runs.workspace import Workspace
from .adapt_run import Adaptation, Learned
from .adapted_file import load
from .adapted_model import AdaptedModel
from .backbone_run import name_of, reopened
from .examples import Examples, each_once
from .repeats import tell_repeats
from .task_files import Unreadable, read_examples, require_ways

SHORTEST = 8
"""Characters of a hash that name an example."""


@dataclass(frozen=True)
class Amendment:
    """What is changed in the file of an adapted model."""

    file: Path
    add: Path | None = None
    """Labelled files, of its classes or of new ones."""

    remove: tuple[str, ...] = ()
    """Names of classes, or of examples: CLASS/NAME, or how its hash begins. They go
    before others come, so that an example can change its class."""

    query: Path | None = None
    unreadable: Unreadable = "error"


def amend(
    workspace: Workspace, amendment: Amendment, out: Path | None = None
) -> Adaptation:
    """Learn the task again from the vectors that the file keeps and those of `add`,
    and write it to `out`, or in place of the file, whole or not at all.

    Raises CheckpointError for a file that is none, UsageError for one that keeps no
    vectors and for names that it does not have, and DataError for files that cannot be
    read.
    """
    begun = time.perf_counter()
    file = amendment.file
    if amendment.add is None and not amendment.remove:
        raise UsageError(f"{file}: give what to --add or to --remove")
    model = load(file, workspace.registry)
    adaptable = reopened(workspace.registry, model)
    encoder = adaptable.require_encoder()
    support = _without(_kept(model, file), amendment.remove, file)
    query = None
    if amendment.add is not None:
        new = read_examples(
            amendment.add, encoder, "classification", None, amendment.unreadable
        )
        support = each_once(_together(support, new))
    require_ways(support, file)
    if amendment.query is not None:
        query = read_examples(
            amendment.query,
            encoder,
            "classification",
            support.classes,
            amendment.unreadable,
        )
        tell_repeats(support, query)
    settings = {
        "support": readable_name(file.resolve()),
        "added": amendment.add and readable_name(amendment.add.resolve()),
        "removed": amendment.remove,
        "query": amendment.query and readable_name(amendment.query.resolve()),
        "classes": support.counts,
    }
    learned = Learned(
        adaptable,
        support,
        query,
        "alone",
        readable_name(file.stem),
        settings,
        model.carries_weights,
    )
    return learned.kept(workspace, out or file, begun)


def _kept(model: AdaptedModel, file: Path) -> Examples:
    """The examples that a file has. Raises UsageError if it has none."""
    labels = model.support.targets
    if not len(labels):
        by = model.origin.run
        if model.origin.backbone is not None:
            by = f"--backbone {name_of(model)}"
        raise UsageError(
            f"{file} keeps no vectors, as an older metapipe wrote it: adapt to all "
            f"examples again, with {by} --support DIR"
        )
    samples = Samples(model.support.inputs.cpu(), labels.cpu())
    names = tuple(item.name for item in model.items)
    return Examples(samples, model.classes, names, model.items)


def _without(examples: Examples, names: Sequence[str], file: Path) -> Examples:
    """Without classes and examples of these names."""
    labels = [examples.classes[n] for n in examples.samples.targets.tolist()]
    gone = {
        place
        for name in names
        for place in _places(examples, labels, normal_name(name), file)
    }
    return _of_classes(
        examples.only([n for n in range(len(labels)) if n not in gone]),
        sorted({label for n, label in enumerate(labels) if n not in gone}),
    )


def _places(
    examples: Examples, labels: Sequence[str], name: str, file: Path
) -> list[int]:
    """Which examples a name means. Raises UsageError unless it is one's, or a class."""
    if name in examples.classes:
        return [n for n, label in enumerate(labels) if label == name]
    found = [n for n, item in enumerate(examples.items) if item.name == name]
    if not found and len(name) >= SHORTEST:
        items = enumerate(examples.items)
        found = [n for n, item in items if item.sha256.startswith(name.lower())]
    if not found:
        known = (*examples.classes, *(item.name for item in examples.items))
        hint = did_you_mean(name, known)
        if hint.startswith("known:"):
            hint = f"its classes: {first_few(examples.classes)}"
        raise UsageError(f"{file} has no class or example '{name}'; {hint}")
    if len({examples.items[n].sha256 for n in found}) > 1:
        hashes = first_few([examples.items[n].sha256[:SHORTEST] for n in found])
        raise UsageError(
            f"{file} has {len(found)} examples called '{name}': name one by its hash, "
            f"{hashes}"
        )
    return found


def _together(first: Examples, second: Examples) -> Examples:
    """Both, in the order in which they would have been read at once."""
    classes = sorted({*first.classes, *second.classes})
    parts = [_of_classes(part, classes) for part in (first, second)]
    samples = Samples(
        *(torch.cat(pair) for pair in zip(*(p.samples for p in parts), strict=True))
    )
    items = (*first.items, *second.items)
    names = (*first.names, *second.names)
    labels = samples.targets.tolist()
    order = sorted(
        range(len(items)),
        key=lambda n: (labels[n], items[n].name.split("/")),
    )
    return Examples(samples, tuple(classes), names, items).only(order)


def _of_classes(examples: Examples, classes: Sequence[str]) -> Examples:
    """The same examples, with labels of these classes."""
    label = [
        classes.index(name) if name in classes else -1 for name in examples.classes
    ]
    targets = torch.tensor(label, dtype=torch.long)[examples.samples.targets]
    samples = Samples(examples.samples.inputs, targets)
    return replace(examples, samples=samples, classes=tuple(classes))
