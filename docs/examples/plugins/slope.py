"""A world of gymnasium's kind: a slope on which it pays to go up, or down."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete


class Slope(gymnasium.Env[Any, Any]):
    """Go left, stay, or go right; height is paid, and not seen."""

    observation_space = Box(-np.inf, np.inf, (1,))
    action_space = Discrete(3)

    def __init__(self, tilt: float = 1.0) -> None:
        self.tilt = tilt

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        """All chance comes from the seed."""
        super().reset(seed=seed)
        self.place = self.np_random.normal(size=1).astype(np.float32)
        return self.place, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """`max_episode_steps` says when time is over."""
        self.place = self.place + np.float32(action - 1)
        return self.place, float(self.tilt * self.place[0]), False, False, {}


gymnasium.register("Slope-v0", lambda **of: Slope(**of), max_episode_steps=10)
