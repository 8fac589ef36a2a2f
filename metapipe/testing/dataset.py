"""What metapipe relies on in a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import ClassVar

import torch

from ..dataset import Dataset
from ..episode import Task
from ..errors import UnsupportedError
from ..plugin import Plugin
from ..problem import Split
from .plugin import PluginContract


class DatasetContract(PluginContract):
    """What metapipe relies on in a data set."""

    dataset: ClassVar[Dataset]
    ways: ClassVar[int] = 3
    shots: ClassVar[int] = 2
    queries: ClassVar[int] = 3
    splits: ClassVar[Sequence[Split]] = ("train", "val", "test")

    twice: ClassVar[float] = 0.0
    """Share of a class's items that are in another split too, where the data as they
    were published have some: say so there."""

    @property
    def plugin(self) -> Plugin:
        """The data set."""
        return self.dataset

    def _tasks(self, split: Split, indices: Sequence[int]) -> list[Task]:
        shape = (self.ways, self.shots, self.queries)
        return [Task("contract", split, 1, index, *shape) for index in indices]

    def test_episodes_have_the_shapes_they_promise(self) -> None:
        """Inputs, targets and their types, in every split."""
        for split in self.splits:
            source = self.dataset.open(split)
            tasks = self._tasks(split, range(4))
            source.check(tasks[0])
            episodes = source.draw(tasks)
            sets = ((episodes.support, self.shots), (episodes.query, self.queries))
            for samples, each in sets:
                assert samples.inputs.shape == (
                    4,
                    self.ways * each,
                    *source.facts.shape,
                )
                assert samples.inputs.dtype in (torch.float32, torch.int64)
                assert samples.targets.shape[:2] == (4, self.ways * each)
                if source.facts.kind == "classification":
                    assert samples.targets.dtype == torch.int64
                    assert set(samples.targets[0].tolist()) == set(range(self.ways))

    def test_an_episode_depends_on_its_task_only(self) -> None:
        """Not on the other tasks of the call, their order, or a second opening."""
        source = self.dataset.open("train")
        together = source.draw(self._tasks("train", [0, 1, 2, 3]))
        again = self.dataset.open("train").draw(self._tasks("train", [3, 1]))
        for mine, other in ((0, 3), (1, 1)):
            for samples, all_samples in zip(again[1:3], together[1:3], strict=True):
                assert torch.equal(samples.inputs[mine], all_samples.inputs[other])
                assert torch.equal(samples.targets[mine], all_samples.targets[other])

    def test_other_numbers_give_other_episodes(self) -> None:
        """Another index, another seed."""
        source = self.dataset.open("train")
        first, second = source.draw(self._tasks("train", [0, 1])).support.inputs
        assert not torch.equal(first, second)

    def test_support_and_query_are_disjoint(self) -> None:
        """No item of a class is in both."""
        source = self.dataset.open("train")
        items = source.draw(self._tasks("train", range(8))).items
        if items is not None:
            for row in items.flatten(0, 1).tolist():
                assert len(set(row)) == len(row)

    def test_classes_may_have_unequal_numbers(self) -> None:
        """With `support`, so many examples in all, at least one of each class and at
        most `shots`; they are among those that equal numbers would give."""
        source = self.dataset.open("train")
        if source.facts.kind != "classification" or self.shots < 2:
            return
        total = self.ways * self.shots - 1
        equal = self._tasks("train", range(8))
        recipes = [replace(task, support=total) for task in equal]
        source.check(recipes[0])
        drawn, whole = source.draw(recipes), source.draw(equal)
        assert drawn.support.targets.shape == (8, total)
        assert torch.equal(drawn.query.inputs, whole.query.inputs)
        for task in range(8):
            counts = torch.bincount(drawn.support.targets[task])
            assert counts.min() >= 1
            assert counts.max() <= self.shots
            inputs = drawn.support.inputs[task][:, None].flatten(2)
            known = whole.support.inputs[task][None].flatten(2)
            assert (inputs == known).all(-1).any(-1).all()

    def test_the_fingerprint_is_stable(self) -> None:
        """Equal content, equal fingerprint; splits differ."""
        prints = [self.dataset.open(split).facts.fingerprint for split in self.splits]
        assert prints == [
            self.dataset.open(split).facts.fingerprint for split in self.splits
        ]
        assert len(set(prints)) == len(prints)

    def test_splits_share_nothing(self) -> None:
        """No class, no group and no item is in two splits."""
        sources = {split: self.dataset.open(split) for split in self.splits}
        for (one, first), (other, second) in combinations(sources.items(), 2):
            for names in ("classes", "groups"):
                ours = set(getattr(first.facts, names))
                shared = ours & set(getattr(second.facts, names))
                assert not shared, f"{sorted(shared)[:3]} are in {one} and {other}"
            items = {key for key, _ in first.digests()}
            sizes = Counter(label for _, label in second.digests())
            known = Counter(label for key, label in second.digests() if key in items)
            for label, count in known.items():
                told = f"{count} items of {label}, in {other}, are in {one} too"
                assert count <= self.twice * sizes[label], told

    def test_what_it_needs_is_there(self) -> None:
        """`check` says nothing where `open` finds all."""
        self.dataset.check()

    def test_too_much_is_refused(self) -> None:
        """More classes than there are is an error before anything is drawn."""
        source = self.dataset.open("train")
        try:
            source.check(Task("contract", "train", 1, 0, 10**6, 1, 1))
        except UnsupportedError:
            return
        raise AssertionError("a million ways were accepted")
