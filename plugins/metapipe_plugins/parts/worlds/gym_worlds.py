"""Worlds of gymnasium as an arena; imported where gymnasium is installed."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Discrete, Space
from gymnasium.spaces.utils import is_space_dtype_shape_equiv
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import ClipAction, FlattenObservation, RescaleAction

from metapipe import Arena, DataError, SourceFacts, Task, UnsupportedError
from metapipe.data import one_line, random_returns

Env = gymnasium.Env[Any, Any]
Aim = Mapping[str, float]
"""What a task is, by name."""

logger = logging.getLogger("metapipe")


@dataclass
class GymArena(Arena):
    """Worlds that gymnasium makes, stepped one after the other.

    Actions of numbers are clipped to [-1, 1], and that is what a world's own bounds
    are; observations that are no array of numbers are flattened.
    """

    name: str
    horizon: int
    fingerprint: str
    aims: Callable[[Sequence[Task]], list[Aim]]
    """What each task is."""

    make: Callable[[Aim], Env]
    """The world of one."""

    extremes: Sequence[Aim] = ()
    """Tasks that may be seen otherwise than the first, if any are: those at the ends of
    what differs."""

    movable: bool = False
    """Whether a world takes another aim as its attribute `aim`."""

    made: dict[int, tuple[list[Aim], SyncVectorEnv]] = field(default_factory=dict)
    """Worlds by their number, with their aims: making them takes longer than a
    trajectory."""

    known: dict[tuple[Task, ...], list[float]] = field(default_factory=dict)
    """What acting at random brought."""

    def __post_init__(self) -> None:
        """Raises UnsupportedError for spaces that no policy here fits, or that are
        others at the ends."""
        (self.first,) = self.aims([Task(self.name, "train", 0, 0, 1, 1, 1)])
        probe = self._opened(self.first)
        self.spaces = _spaces(probe)
        probe.close()
        for aim in self.extremes:
            probe = self._opened(aim)
            difference = self._difference(aim, probe)
            probe.close()
            if difference:
                raise UnsupportedError(f"{self.name}: {difference}")

    @property
    def facts(self) -> SourceFacts:
        """As the spaces say."""
        seen, chosen = self.spaces
        shape = tuple(seen.shape or ())
        if isinstance(chosen, Discrete):
            return SourceFacts(
                "control",
                shape,
                self.fingerprint,
                outputs=int(chosen.n),
                actions="discrete",
            )
        return SourceFacts(
            "control",
            shape,
            self.fingerprint,
            outputs=(chosen.shape or (0,))[0],
            actions="continuous",
        )

    def worlds(self, tasks: Sequence[Task], copies: int) -> SyncVectorEnv:
        """Those of before, with other aims, where they can be had."""
        aims = [aim for aim in self.aims(tasks) for _ in range(copies)]
        before, vector = self.made.get(len(aims), ([], None))
        if vector is None or (before != aims and not self.movable):
            vector = self._made(aims)
        elif before != aims:
            vector.set_attr("aim", aims)
        self.made[len(aims)] = aims, vector
        return vector

    def references(self, tasks: Sequence[Task]) -> dict[str, Sequence[float]]:
        """Of acting at random, once for the same tasks."""
        key = tuple(tasks)
        if key not in self.known:
            self.known[key] = random_returns(self, tasks, tasks[0].queries)
        return {"random": self.known[key]}

    def _made(self, aims: Sequence[Aim]) -> SyncVectorEnv:
        """New worlds. Raises ValueError where they are not seen alike."""
        envs = [self._opened(aim) for aim in aims]
        for aim, env in zip(aims, envs, strict=True):
            if difference := self._difference(aim, env):
                raise ValueError(difference)
        makers = [lambda env=env: env for env in envs]
        mode = AutoresetMode.DISABLED
        return SyncVectorEnv(makers, autoreset_mode=mode, observation_mode="different")

    def _difference(self, aim: Aim, env: Env) -> str:
        """How a world is seen otherwise than the first; empty if it is not."""
        for wanted, space in zip(self.spaces, _spaces(env), strict=True):
            if not is_space_dtype_shape_equiv(space, wanted):
                return (
                    f"tasks differ in their spaces: {wanted} and {space} with "
                    f"{dict(self.first)} and {dict(aim)}: vary something else"
                )
        return ""

    def _opened(self, aim: Aim) -> Env:
        """One world, as policies take it."""
        return scaled(self.name, flat(self.name, self.make(aim)))


def _spaces(env: Env) -> tuple[Space[Any], Space[Any]]:
    return env.observation_space, env.action_space


def flat(name: str, env: Env) -> Env:
    """A world whose observations are an array of numbers. Raises UnsupportedError."""
    space = env.observation_space
    if not isinstance(space, Space) or not space.is_np_flattenable:
        raise UnsupportedError(
            f"{name}: observations {space} have no fixed number of numbers: wrap the "
            "world so that they have"
        )
    if not isinstance(space, Box) or not space.shape:
        env = FlattenObservation(env)
    if not np.prod(env.observation_space.shape or (0,)):
        raise UnsupportedError(
            f"{name}: observations {space} have no numbers at all: wrap the world by "
            "one that shows a 0 where there is nothing to see"
        )
    return env


def scaled(name: str, env: Env) -> Env:
    """A world whose actions are one of so many, or numbers that are clipped to [-1, 1].
    Raises UnsupportedError."""
    space = env.action_space
    if isinstance(space, Discrete) and space.start == 0:
        return env
    if (
        not isinstance(space, Box)
        or len(space.shape) != 1
        or not np.issubdtype(space.dtype, np.floating)
    ):
        raise UnsupportedError(
            f"{name}: actions {space} are neither one of so many, from 0 on, nor a "
            "vector of real numbers: wrap the world so that they are"
        )
    if not (np.isfinite(space.low).all() and np.isfinite(space.high).all()):
        raise UnsupportedError(
            f"{name}: actions {space} have no bounds: wrap the world by "
            "gymnasium.wrappers.RescaleAction or one of your own that has"
        )
    if not (space.shape[0] and (space.low < space.high).all()):
        raise UnsupportedError(
            f"{name}: actions {space} leave nothing to choose: wrap the world so that "
            "each number has a least and a greatest value"
        )
    one = space.dtype.type(1)
    return ClipAction(RescaleAction(env, -one, one))


def made(id: str, steps: int | None, settings: Mapping[str, Any]) -> Env:
    """The world of that id. Raises UnsupportedError for an unknown id, with the
    nearest, for settings it does not take, and for packages it needs; DataError for
    one that fails to be made."""
    # gymnasium's own checker warns, in colours, of what is refused here in a line
    given = {"disable_env_checker": True, **settings}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of older versions
            return gymnasium.make(id, max_episode_steps=steps, **given)
    except (gymnasium.error.Error, ImportError) as error:
        raise UnsupportedError(f"dataset.id = '{id}': {_missing(id, error)}") from error
    except Exception as error:  # anybody's code
        text = one_line(error)
        if isinstance(error, TypeError) and " argument" in text:
            raise UnsupportedError(
                f"dataset.id = '{id}': it does not take these settings: {text}"
            ) from error
        raise DataError(
            f"dataset.id = '{id}': it cannot be made: {type(error).__name__}: {text}"
        ) from error


def _missing(id: str, error: Exception) -> str:
    """What is not there: the module that registers a world, the world, or a package."""
    text = one_line(error)
    module, _, name = id.rpartition(":")
    if module and find_spec(module.split(".")[0]) is None:
        return (
            f"there is no module {module}: give the file that registers the world, by "
            f"--plugin-path {module}.py, or put its folder on PYTHONPATH"
        )
    if isinstance(error, gymnasium.error.UnregisteredEnv):
        if near := get_close_matches(name, list(gymnasium.registry), n=1):
            return f"gymnasium has no such world; did you mean '{near[0]}'?"
        return f"{text} A world of yours: --plugin-path FILE, which registers it"
    if "mujoco" in text and find_spec("mujoco") is None:
        return f"{text}; pip install 'metapipe[mujoco]'"
    return text


def quiet_physics() -> None:
    """Let MuJoCo's C code say what it has to say to the log: it writes on the terminal
    and into a file else."""
    try:
        import mujoco
    except ImportError:
        return
    mujoco.set_mju_user_warning(lambda text: logger.debug("mujoco: %s", text))


class Forwards(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A walker that is paid for a direction, or for a velocity: `aim` says which."""

    def __init__(self, env: Env, aim: Aim) -> None:
        super().__init__(env)
        self.aim = aim

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """What the world pays, but for what it pays for going forwards."""
        seen, reward, ended, late, infos = self.env.step(action)
        speed = float(infos["x_velocity"])
        if "direction" in self.aim:
            paid = self.aim["direction"] * speed
        else:
            paid = -abs(speed - self.aim["velocity"])
        reward = float(reward) - float(infos["reward_forward"]) + paid
        return seen, reward, ended, late, infos
