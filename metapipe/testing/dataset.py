"""What metapipe relies on in a data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor

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

    def test_items_kept_on_a_device_give_the_same_episodes(self) -> None:
        """To the bit; a source that cannot keep them there is the same itself."""
        source = self.dataset.open(self.splits[0])
        tasks = self._tasks(self.splits[0], range(3))
        own, kept = source.draw(tasks), source.on("cpu").draw(tasks)
        for mine, theirs in zip(own[1:3], kept[1:3], strict=True):
            assert all(map(torch.equal, mine, theirs)), (
                "on('cpu') draws other episodes than the source itself: let it draw "
                "the same, or return itself"
            )

    def test_episodes_have_the_shapes_they_promise(self) -> None:
        """Inputs, targets and their types, in every split."""
        for split in self.splits:
            source = self.dataset.open(split)
            tasks = self._tasks(split, range(4))
            source.check(tasks[0])
            episodes = source.draw(tasks)
            sets = ((episodes.support, self.shots), (episodes.query, self.queries))
            for samples, each in sets:
                inputs, targets = samples
                wanted = (4, self.ways * each, *source.facts.shape)
                assert inputs.shape == wanted, (
                    f"draw gives inputs of {tuple(inputs.shape)} for {split}: (tasks, "
                    f"ways * shots, *facts.shape) is {wanted}"
                )
                assert inputs.dtype in (torch.float32, torch.int64), (
                    f"draw gives inputs of {inputs.dtype}: float32 or int64 is wanted"
                )
                assert targets.shape[:2] == wanted[:2], (
                    f"draw gives targets of {tuple(targets.shape)} for {split}: they "
                    f"begin with {wanted[:2]}"
                )
                if source.facts.kind == "classification":
                    _require_labels(targets, self.ways)

    def test_an_episode_depends_on_its_task_only(self) -> None:
        """Not on the other tasks of the call, their order, or a second opening."""
        source = self.dataset.open("train")
        together = source.draw(self._tasks("train", [0, 1, 2, 3]))
        again = self.dataset.open("train").draw(self._tasks("train", [3, 1]))
        for mine, other in ((0, 3), (1, 1)):
            for samples, all_samples in zip(again[1:3], together[1:3], strict=True):
                for name in ("inputs", "targets"):
                    one, two = getattr(samples, name), getattr(all_samples, name)
                    assert torch.equal(one[mine], two[other]), (
                        f"draw gives task {other} other {name} in another call: all "
                        "that is random is to come from the task's own numbers "
                        "(metapipe.data.choose)"
                    )

    def test_other_numbers_give_other_episodes(self) -> None:
        """Another index, another seed."""
        source = self.dataset.open("train")
        first, second = source.draw(self._tasks("train", [0, 1])).support.inputs
        assert not torch.equal(first, second), (
            "draw gives tasks of index 0 and 1 the same inputs: choose by the task's "
            "index and seed"
        )

    def test_support_and_query_are_disjoint(self) -> None:
        """No item of a class is in both."""
        source = self.dataset.open("train")
        items = source.draw(self._tasks("train", range(8))).items
        if items is not None:
            for row in items.flatten(0, 1).tolist():
                assert len(set(row)) == len(row), (
                    f"draw takes an item of a class twice in one episode: {row}"
                )

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
        shape = tuple(drawn.support.targets.shape)
        assert shape == (8, total), (
            f"draw gives {shape} support targets for 8 tasks of support={total}"
        )
        assert torch.equal(drawn.query.inputs, whole.query.inputs), (
            "draw gives other queries where `support` is less: they are to be those of "
            "equal numbers"
        )
        for task in range(8):
            counts = torch.bincount(drawn.support.targets[task])
            assert 1 <= counts.min() <= counts.max() <= self.shots, (
                f"draw gives classes {counts.tolist()} examples: 1 to {self.shots} are "
                f"wanted, {total} in all"
            )
            inputs = drawn.support.inputs[task][:, None].flatten(2)
            known = whole.support.inputs[task][None].flatten(2)
            assert (inputs == known).all(-1).any(-1).all(), (
                "draw takes examples for `support` that are none of those that equal "
                "numbers give"
            )

    def test_the_fingerprint_is_stable(self) -> None:
        """Equal content, equal fingerprint; splits differ."""
        prints, again = (
            [self.dataset.open(split).facts.fingerprint for split in self.splits]
            for _ in range(2)
        )
        assert prints == again, (
            "facts.fingerprint is another after a second open: hash the content, and "
            "nothing of the time or the process"
        )
        assert len(set(prints)) == len(prints), (
            f"facts.fingerprint is the same for two of {', '.join(self.splits)}"
        )

    def test_splits_share_nothing(self) -> None:
        """No class, no group and no item is in two splits."""
        sources = {split: self.dataset.open(split) for split in self.splits}
        for (one, first), (other, second) in combinations(sources.items(), 2):
            for names in ("classes", "groups"):
                ours = set(getattr(first.facts, names))
                shared = ours & set(getattr(second.facts, names))
                assert not shared, (
                    f"open gives {sorted(shared)[:3]} to {one} and to {other}: a class "
                    "or group belongs to one split"
                )
            items = {key for key, _ in first.digests()}
            sizes = Counter(label for _, label in second.digests())
            known = Counter(label for key, label in second.digests() if key in items)
            for label, count in known.items():
                assert count <= self.twice * sizes[label], (
                    f"{count} items of {label}, in {other}, are in {one} too (by "
                    "digests): if the data were published so, say `twice`, and why"
                )

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
        raise AssertionError(
            "check accepts a million ways: raise UnsupportedError for episodes that "
            "cannot be drawn"
        )


def _require_labels(targets: Tensor, ways: int) -> None:
    """0 to ways - 1, each there, in every task."""
    assert targets.dtype == torch.int64, (
        f"draw gives targets of {targets.dtype}: labels are int64"
    )
    for labels in targets.tolist():
        assert set(labels) == set(range(ways)), (
            f"draw gives a task the labels {sorted(set(labels))}: {ways} ways have 0 "
            f"to {ways - 1}"
        )
