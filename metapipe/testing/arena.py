"""What metapipe relies on in a data set of worlds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar

import torch
from torch import Tensor

from ..algorithm import Seen
from ..data.acting import action_noise, play, random_actions
from ..dataset import Arena, Dataset
from ..episode import Task, Trajectories
from ..errors import UnsupportedError
from ..plugin import Plugin
from ..problem import Split
from .plugin import PluginContract

SPLITS: Sequence[Split] = ("train", "val", "test")


class ArenaContract(PluginContract):
    """What metapipe relies on in a data set of worlds."""

    dataset: ClassVar[Dataset]
    copies: ClassVar[int] = 2
    """Copies of each task's world."""

    few_tasks: ClassVar[bool] = False
    """Whether there are so few tasks that splits share them: say why there."""

    @property
    def plugin(self) -> Plugin:
        """The data set."""
        return self.dataset

    def test_worlds_are_what_they_say(self) -> None:
        """Observations and actions as in the facts, in every split; a random policy
        meets no number that is not finite."""
        for split in SPLITS:
            arena, tasks = self.arena(split), self.tasks(split, range(3))
            facts = arena.facts
            assert facts.kind == "control", facts.kind
            assert facts.actions in ("discrete", "continuous"), facts.actions
            assert facts.outputs, "facts.outputs: actions, or the numbers of one"
            arena.check(tasks[0])
            drawn = self.played(arena, tasks)
            shape = (3, self.copies, arena.horizon)
            assert drawn.inputs.shape == (*shape, *facts.shape), (
                f"observations {tuple(drawn.inputs.shape)} are not of facts.shape "
                f"{facts.shape}: change reset and step of the worlds, or facts"
            )
            assert drawn.rewards.shape == shape, (
                f"step gives rewards {tuple(drawn.rewards.shape)}: one for each world"
            )

    def test_equal_integers_and_actions_give_equal_bits(self) -> None:
        """In worlds that are new or were used, alone or among others."""
        arena, tasks = self.arena("train"), self.tasks("train", range(4))
        first = self.played(arena, tasks)
        self.played(arena, self.tasks("train", range(7, 11)))
        _require_equal(first, self.played(arena, tasks), "when its worlds are reused")
        fresh = self.played(self.arena("train"), tasks[3:])
        alone = Trajectories(*(tensor[3:] for tensor in first))
        _require_equal(alone, fresh, "when it is alone, in new worlds")

    def test_copies_differ_by_chance_alone(self) -> None:
        """Copy c of a world is the same among any number of copies."""
        arena, tasks = self.arena("train"), self.tasks("train", [0])
        few, many = (self.played(arena, tasks, copies) for copies in (1, 3))
        first = Trajectories(*(tensor[:, :1] for tensor in many))
        _require_equal(few, first, "among more copies")

    def test_splits_share_no_task(self) -> None:
        """What equal seeds and actions lead to differs from task to task, and between
        the splits."""
        if self.few_tasks:
            return
        seen = {split: self.outcomes(split) for split in SPLITS}
        for tensor in seen.values():
            same = [torch.equal(a, b) for a, b in combinations(tensor, 2)]
            assert not any(same), "another index gives the same task"
        for one, other in combinations(SPLITS, 2):
            for mine in seen[one]:
                shared = any(torch.equal(mine, theirs) for theirs in seen[other])
                assert not shared, f"{one} and {other} share a task"

    def test_the_fingerprint_is_stable(self) -> None:
        """Equal worlds, equal fingerprint; splits differ."""
        prints = [self.arena(split).facts.fingerprint for split in SPLITS]
        again = [self.arena(split).facts.fingerprint for split in SPLITS]
        assert prints == again, "facts.fingerprint is another when opened again"
        assert len(set(prints)) == len(prints), "two splits have one facts.fingerprint"

    def test_references_are_of_each_task(self) -> None:
        """A number a task for each name, the same for the same tasks."""
        arena, tasks = self.arena("test"), self.tasks("test", range(3))
        found = arena.references(tasks)
        for name, values in found.items():
            assert len(values) == len(tasks), name
            assert torch.isfinite(torch.tensor(values)).all(), name
        assert found == self.arena("test").references(tasks), (
            "references of the same tasks are others when opened again: let them "
            "follow from the tasks' integers"
        )

    def test_classes_are_refused(self) -> None:
        """A world has one way."""
        try:
            self.arena("train").check(Task("contract", "train", 1, 0, 2, 1, 1))
        except UnsupportedError:
            return
        raise AssertionError("two ways were accepted")

    def arena(self, split: Split) -> Arena:
        """A split, opened."""
        source = self.dataset.open(split)
        assert isinstance(source, Arena), "open returns no metapipe.Arena"
        return source

    def tasks(self, split: Split, indices: Sequence[int]) -> list[Task]:
        """Recipes of tasks of a split."""
        return [Task("contract", split, 1, i, 1, self.copies, 2) for i in indices]

    def played(
        self, arena: Arena, tasks: Sequence[Task], copies: int | None = None
    ) -> Trajectories:
        """What random actions, a function of the tasks' integers, come to."""
        count = copies or self.copies
        noise = action_noise(arena, tasks, count, "contract")

        def act(seen: Seen, step: int) -> tuple[Tensor, Tensor]:
            actions = random_actions(arena, noise[step])
            return actions, torch.zeros(len(actions), 1)

        return play(arena, tasks, count, "contract", act)

    def outcomes(self, split: Split, count: int = 6) -> Tensor:
        """What equal seeds and equal actions lead to in so many tasks: observations and
        rewards, (count, numbers)."""
        arena, tasks = self.arena(split), self.tasks(split, range(count))
        noise = action_noise(arena, tasks[:1], 1, "outcomes")
        worlds = arena.worlds(tasks, 1)
        seen = [worlds.reset(seed=[7] * count)[0]]
        theirs = isinstance(seen[0], Tensor)
        for step in range(arena.horizon):
            alike = noise[step].expand(count, *noise.shape[2:])
            actions = random_actions(arena, alike)
            told = worlds.step(actions if theirs else actions.numpy())
            seen += [told[0], told[1]]
            if (torch.as_tensor(told[2]) + torch.as_tensor(told[3])).any():
                break
        return torch.cat([torch.as_tensor(s).reshape(count, -1) for s in seen], 1)


def _require_equal(one: Trajectories, other: Trajectories, when: str) -> None:
    for name, mine, theirs in zip(one._fields, one, other, strict=True):
        same = torch.equal(mine.nan_to_num(), theirs.nan_to_num())
        assert same, (
            f"{name} of the same task differ {when}: let all chance of a world follow "
            "from the seed that reset is given"
        )
