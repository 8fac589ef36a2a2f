"""A lesson: examples of classes given one at a time, and what was learned from them.

As a page gives them, or a game: each is encoded once, and what was learned is learned
anew only when it is asked for after something was changed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..data.class_episodes import digest
from ..data.names import normal_name
from ..episode import Samples
from ..errors import NotFoundError, UnsupportedError, UsageError
from ..runs.workspace import Workspace
from .adapt_run import Adaptation, Learned
from .adaptable import Adaptable
from .adapted_model import AdaptedModel
from .class_names import first_names, free_name, shown_name
from .examples import Examples, Item
from .lesson_example import Example, unnamed
from .predictions import classified
from .seen_picture import picture_encoder, seen_picture

MOST_CLASSES = 50
MOST_EXAMPLES = 500
MOST_BYTES = 64 * 2**20
"""Of classes, examples and inputs in one lesson."""

BEGUN = 5
"""Classes that a lesson begins with, where any number will do."""


class Lesson:
    """Classes and their examples, each with a number of its own, which stays.

    For one thread at a time.
    """

    def __init__(self, teacher: Adaptable | AdaptedModel) -> None:
        """teacher: what learns; or a model that has learned already, which can be
        asked, and taught nothing.

        Raises UnsupportedError for one that takes no pictures, or knows no classes, and
        DataError if something is not here that its encoder needs.
        """
        self._adaptable: Adaptable | None = None
        self._model: AdaptedModel | None = None
        if isinstance(teacher, AdaptedModel):
            self._model = teacher
            self._encoder = picture_encoder(teacher.learner.problem, teacher.encoder)
        else:
            self._adaptable = teacher
            encoder = teacher.require_encoder()
            self._encoder = picture_encoder(teacher.problem, encoder)
        self._given = 0
        self.classes: dict[int, str] = {}
        self.examples: dict[int, Example] = {}
        if self._model is not None:  # whose names are as they are
            self._know(self._model.classes)
            return
        for name in first_names(self.ways or BEGUN):
            self.add_class(name)

    @classmethod
    def going_on(cls, teacher: Adaptable, known: AdaptedModel) -> Lesson:
        """A lesson that begins with the examples that a model keeps."""
        lesson = cls(teacher)
        lesson._know(known.classes)
        inputs = known.support.inputs.cpu()
        labels = known.support.targets.tolist()
        items = known.items or map(unnamed, inputs)  # a program may give vectors alone
        for made, label, item in zip(inputs, labels, items, strict=True):
            lesson.examples[lesson._next()] = Example(label + 1, item, made, None)
        return lesson

    @property
    def learns(self) -> bool:
        """Whether it can be given examples."""
        return self._adaptable is not None

    @property
    def ways(self) -> int | None:
        """How many classes it has to have; None if any number will do."""
        if self._adaptable is None:
            return len(self.classes)
        return self._adaptable.ways

    @property
    def lacks(self) -> str | None:
        """What it needs before it can be asked; None if nothing."""
        if self._model is not None:
            return None
        if len(self.classes) < 2:
            return "two classes are the least"
        counts = self.counts
        empty = [name for n, name in self.classes.items() if not counts[n]]
        if not empty:
            return None
        others = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
        return f"an example of {empty[0]}{others} is wanted"

    @property
    def counts(self) -> dict[int, int]:
        """Examples of each class, by its number."""
        labels = [example.label for example in self.examples.values()]
        return {number: labels.count(number) for number in self.classes}

    def add_class(self, name: str) -> int:
        """A new class; returns its number."""
        if self._adaptable is not None and len(self.classes) == self.ways:
            raise UnsupportedError(
                f"it was trained for {self.ways} classes and learns no others: take a "
                "method for which 'metapipe plugins show' says any number of classes"
            )
        if len(self.classes) >= MOST_CLASSES and self.learns:
            raise UsageError(f"{MOST_CLASSES} classes are the most")
        name = free_name(name, self.classes.values())
        self._changed()
        number = self._next()
        self.classes[number] = name
        return number

    def rename(self, number: int, name: str) -> None:
        """Give a class another name; what was learned stays."""
        self._require_learning()
        self._require_class(number)
        if self.classes[number] == normal_name(name):
            return
        name = free_name(name, self.classes.values())
        if self._model is not None:
            known = tuple(
                name if each == self.classes[number] else each
                for each in self._model.classes
            )
            counts = dict(zip(known, self._model.counts.values(), strict=True))
            self._model = replace(self._model, classes=known, counts=counts)
        self.classes[number] = name

    def drop_class(self, number: int) -> None:
        """Take a class away, with its examples."""
        self._require_learning()
        self._require_class(number)
        if self.ways is not None:
            raise UnsupportedError(
                f"it was trained for {self.ways} classes, and learns no fewer"
            )
        self._changed()
        del self.classes[number]
        kept = self.examples.items()
        self.examples = {n: example for n, example in kept if example.label != number}

    def give(self, label: int, content: bytes, name: str = "picture") -> int:
        """An example of a class, of what is in a file; returns its number. One that is
        there already counts once.

        Raises DataError for content that cannot be read, and UsageError for one that is
        an example of another class.
        """
        self._require_learning()
        self._require_class(label)
        made = self._encoder.encode([content])[0]
        most = min(MOST_EXAMPLES, MOST_BYTES // made.nbytes)
        if len(self.examples) >= most:
            raise UsageError(f"{most} examples are the most: take some away")
        if (known := self._known(content, made)) is not None:
            other = self.examples[known].label
            if other != label:
                raise UsageError(
                    f"it is an example of {self.classes[other]} already: which is it?"
                )
            return known
        item = Item(shown_name(name), sha256(content).hexdigest())
        seen = self.seen(content)
        self._changed()
        number = self._next()
        self.examples[number] = Example(label, item, made, seen)
        return number

    def take_back(self, number: int) -> None:
        """Remove an example."""
        self._require_learning()
        if number not in self.examples:
            raise NotFoundError(f"there is no example {number}")
        self._changed()
        del self.examples[number]

    @property
    def model(self) -> AdaptedModel:
        """What was learned. Raises UsageError if something is lacking."""
        if self._model is None:
            if (lacks := self.lacks) is not None:
                raise UsageError(lacks)
            assert self._adaptable is not None
            examples = self._examples()
            self._model = self._adaptable.adapt(
                examples.samples, examples.classes, examples.items
            )
        return self._model

    def prepare(self) -> None:
        """Learn now what the next answer would take: the task, and how far to trust
        that. Nothing is done if something is lacking."""
        if self.lacks is None:
            _ = self.model.trust

    def say(self, contents: Sequence[bytes]) -> list[dict[str, Any]]:
        """Of each content of a file a row as `predictions` gives it: label,
        probability, whether that is calibrated, set, typicality, all probabilities."""
        model = self.model
        inputs = self._encoder.encode(contents)
        return classified(model, inputs)

    def seen(self, content: bytes) -> bytes | None:
        """How the picture in a file reaches the network, as a PNG; None where that is
        not known."""
        return seen_picture(self._encoder, content)

    def kept(self, workspace: Workspace, path: Path) -> Adaptation:
        """Write what was learned to a file, and keep it in the store, as `metapipe
        adapt --out` does."""
        begun = time.perf_counter()
        self._require_learning()
        if (lacks := self.lacks) is not None:
            raise UsageError(lacks)
        assert self._adaptable is not None
        examples = self._examples()
        settings = {"support": "metapipe ui", "query": None, "classes": examples.counts}
        learned = Learned(self._adaptable, examples, None, "alone", path.stem, settings)
        return learned.kept(workspace, path, begun)

    def _examples(self) -> Examples:
        """Class by class, in their order."""
        place = {number: label for label, number in enumerate(self.classes)}
        several = sorted(self.examples.values(), key=lambda each: place[each.label])
        targets = torch.tensor([place[each.label] for each in several])
        items = tuple(
            each.item._replace(name=f"{self.classes[each.label]}/{each.item.name}")
            for each in several
        )
        inputs = torch.stack([each.made for each in several])
        names = tuple(item.name for item in items)
        return Examples(
            Samples(inputs, targets), tuple(self.classes.values()), names, items
        )

    def _known(self, content: bytes, made: Tensor) -> int | None:
        """The example that has this content, or of which the same input was made."""
        text, key = sha256(content).hexdigest(), digest(made.numpy())
        for number, each in self.examples.items():
            if each.item.sha256 == text or digest(each.made.numpy()) == key:
                return number
        return None

    def _know(self, names: Sequence[str]) -> None:
        """Have these classes, numbered from 1."""
        self.classes = dict(enumerate(names, start=1))
        self._given = len(names)

    def _next(self) -> int:
        self._given += 1
        return self._given

    def _changed(self) -> None:
        """What was learned before is no more what would be."""
        if self.learns:
            self._model = None

    def _require_class(self, number: int) -> None:
        if number not in self.classes:
            raise NotFoundError(f"there is no class {number}")

    def _require_learning(self) -> None:
        if self._adaptable is None:
            raise UnsupportedError(
                "this model was adapted from a run and keeps no examples: it can be "
                "asked, and learns nothing more. Adapt the run anew"
            )
