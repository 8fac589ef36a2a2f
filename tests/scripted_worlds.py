"""Worlds that do what a test says, as strict as gymnasium's vector environments."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from metapipe import Arena, SourceFacts, Task


@dataclass
class Scripted(Arena):
    """Copy c of task t is over after `lengths[t][c]` steps; each step pays 1."""

    horizon: int
    lengths: Sequence[Sequence[int]]
    episodes: int = 1
    fault: str = ""
    """What is wrong with step 3, such as nan in that of the last world."""

    seeds: list[int] = field(default_factory=list)

    @property
    def facts(self) -> SourceFacts:
        return SourceFacts("control", (2,), "s", outputs=3, actions="discrete")

    def worlds(self, tasks: Sequence[Task], copies: int) -> "Counters":
        return Counters(self, [n for task in self.lengths for n in task[:copies]])


class Counters:
    """They observe their number of steps, and the episode's."""

    def __init__(self, arena: Scripted, lengths: Sequence[int]) -> None:
        self.arena, self.lengths = arena, np.array(lengths)
        self.time = self.number = np.zeros(len(lengths), int)
        self.over = np.zeros(len(lengths), bool)

    def reset(self, *, seed=None, options=None):
        mask = np.ones(len(self.lengths), bool)
        if options is not None:
            mask = options["reset_mask"]
            assert isinstance(mask, np.ndarray)
            self.number = self.number + mask
        else:
            self.arena.seeds = seed
        self.time = np.where(mask, 0, self.time)
        self.over = self.over & ~mask
        return self.observed(), {}

    def step(self, actions):
        assert isinstance(actions, np.ndarray)
        assert not self.over.any(), "gymnasium: reset what is over before it steps"
        self.time = self.time + 1
        self.over = self.time >= self.lengths
        seen, rewards = self.observed(), np.ones(len(self.lengths))
        late = np.zeros_like(self.over)
        infos = {"success": self.over & (actions == 2)}
        told = seen, rewards, self.over, late, infos
        return told if self.time.max() != 3 else self.faulty(*told)

    def faulty(self, seen, rewards, over, late, infos):
        """What is said with the arena's fault, if it has one."""
        fault = self.arena.fault
        if fault == "raise":
            raise ZeroDivisionError("no ground")
        if fault == "exit":
            raise SystemExit(3)
        if fault == "nan":
            rewards[-1] = np.nan
        changed = {
            "later shape": (seen[:, :1], rewards, over, late, infos),
            "reward column": (seen, rewards[:, None], over, late, infos),
            "one reward": (seen, 1.0, over, late, infos),
            "one end": (seen, rewards, False, late, infos),
            "four": (seen, rewards, over, infos),
            "words": (seen, ["much"] * len(rewards), over, late, infos),
            "success": (seen, rewards, over, late, {"success": over[:, None]}),
            "no infos": (seen, rewards, over, late, None),
        }
        return changed.get(fault, (seen, rewards, over, late, infos))

    def observed(self):
        if self.arena.fault == "shape":
            return np.zeros((len(self.lengths), 5))
        return np.stack([self.time, self.number], -1).astype(float)
