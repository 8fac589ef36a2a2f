"""One meta-iteration of second-order MAML with Adam, as the peers' own guides write it.

Each learner has the same parameters and the same tasks, and is made in a process of its
own: what one imports, patches or keeps disturbs no other. `step` is what is timed;
`gradients` are those of the first step, to see that all of them do the same work.
"""

from __future__ import annotations

import importlib.util
import sys
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metapipe import Episodes, Problem, Samples, Task
from metapipe.numerics import BatchNorm
from metapipe.numerics.tuning import candidates
from metapipe.training.learner import Learner, build_learner
from metapipe.training.loop import (
    choose_mapping,
    initial_state,
    iterations,
    meta_step,
)
from metapipe.training_settings import TrainingSettings
from metapipe_plugins.algorithms.maml import MAML
from metapipe_plugins.models.conv4 import Conv4

INNER_LR, OUTER_LR = 0.125, 0.001
"""The inner one is exact in float32, as which parallel-metalearn keeps it."""

CHUNK = 8


@dataclass(frozen=True)
class Work:
    """What is done in an iteration: 5-way 1-shot tasks of images of 1 x 28 x 28."""

    name: str
    pooled: bool
    queries: int
    steps: int
    tasks: int

    @property
    def model(self) -> Conv4:
        """MAML's own network for Omniglot, or the one with pooling that others use."""
        if self.pooled:
            return Conv4(pooling="max", features="flatten", scale=True)
        return Conv4(scale=True)

    def episodes(self, dtype: torch.dtype) -> Episodes:
        """Random images: the arithmetic does not depend on what they show."""
        generator = torch.Generator().manual_seed(0)

        def samples(each: int) -> Samples:
            shape = (self.tasks, 5 * each, 1, 28, 28)
            images = torch.rand(shape, generator=generator, dtype=torch.float64)
            labels = torch.arange(5).repeat_interleave(each).repeat(self.tasks, 1)
            return Samples(images.to(dtype), labels)

        tasks = (
            Task("none", "train", 0, i, 5, 1, self.queries) for i in range(self.tasks)
        )
        return Episodes(tuple(tasks), samples(1), samples(self.queries))


class Peer(ABC):
    """Does the work by one library."""

    module: ClassVar[str]
    """What has to be importable."""

    norm: Callable[[int], nn.Module] = staticmethod(
        partial(nn.BatchNorm2d, track_running_stats=False)
    )

    def __init__(self, work: Work, dtype: torch.dtype) -> None:
        self.work = work
        self.episodes = work.episodes(dtype)
        self.network = plain(work, dtype, self.norm)
        self.adam = torch.optim.Adam(self.network.parameters(), lr=OUTER_LR)

    @abstractmethod
    def step(self) -> None:
        """One meta-iteration."""

    def gradients(self) -> list[Tensor]:
        """Of the first step, in the order of the network's parameters."""
        self.step()
        return [p.grad.clone() for p in self.network.parameters() if p.grad is not None]

    def tasks(self) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Support images and labels, query images and labels, of each."""
        support, query = self.episodes.support, self.episodes.query
        return list(zip(*support, *query, strict=True))


class Ours(Peer):
    """Metapipe's own loop, with the task map that it chooses."""

    module = "metapipe"

    def __init__(self, work: Work, dtype: torch.dtype) -> None:
        self.work, self.episodes = work, work.episodes(dtype)
        learner = built(work, dtype)
        meta = learner.algorithm.init(learner.network)
        settings = TrainingSettings(iterations=10**6, lr=OUTER_LR)
        self.state = initial_state(meta, settings)

        def draw(_: int) -> list[Episodes]:
            return [self.episodes]

        maps = candidates("auto", CHUNK, work.tasks, "cpu")
        self.mapping = choose_mapping(learner, self.state, maps, draw)
        self.learner = replace(learner, mapping=self.mapping)
        self.loop = iterations(self.learner, self.state, settings, draw, seed=0)

    def step(self) -> None:
        with self.mapping.undisturbed():
            next(self.loop)

    def gradients(self) -> list[Tensor]:
        step = meta_step(self.learner, self.state.meta, self.episodes, self.mapping)
        return list(step.gradients.values())


class Higher(Peer):
    """A differentiable optimiser in a context, and a backward pass a task."""

    module = "higher"

    def step(self) -> None:
        import higher

        self.adam.zero_grad()
        inner = torch.optim.SGD(self.network.parameters(), lr=INNER_LR)
        for support, labels, query, targets in self.tasks():
            with higher.innerloop_ctx(
                self.network, inner, copy_initial_weights=False
            ) as (functional, optimiser):
                for _ in range(self.work.steps):
                    optimiser.step(F.cross_entropy(functional(support), labels))
                loss = F.cross_entropy(functional(query), targets)
                (loss / self.work.tasks).backward()
        self.adam.step()


class Learn2Learn(Peer):
    """A clone a task, adapted."""

    module = "learn2learn"

    def __init__(self, work: Work, dtype: torch.dtype) -> None:
        super().__init__(work, dtype)
        self.maml = _without_the_door("learn2learn").MAML(self.network, lr=INNER_LR)

    def step(self) -> None:
        self.adam.zero_grad()
        for support, labels, query, targets in self.tasks():
            learner = self.maml.clone()
            for _ in range(self.work.steps):
                learner.adapt(F.cross_entropy(learner(support), labels))
            loss = F.cross_entropy(learner(query), targets)
            (loss / self.work.tasks).backward()
        self.adam.step()


class TorchOpt(Peer):
    """MetaSGD, and the state put back after each task."""

    module = "torchopt"

    def step(self) -> None:
        import torchopt

        self.adam.zero_grad()
        inner = torchopt.MetaSGD(self.network, lr=INNER_LR)
        before = torchopt.extract_state_dict(self.network, by="reference")
        moments = torchopt.extract_state_dict(inner, by="reference")
        for support, labels, query, targets in self.tasks():
            for _ in range(self.work.steps):
                inner.step(F.cross_entropy(self.network(support), labels))
            loss = F.cross_entropy(self.network(query), targets)
            (loss / self.work.tasks).backward()
            torchopt.recover_state_dict(self.network, before)
            torchopt.recover_state_dict(inner, moments)
        self.adam.step()


class Iteryne(Peer):
    """A clone a task, by torch.func's functional calls."""

    module = "iteryne"

    def step(self) -> None:
        import iteryne

        self.adam.zero_grad()
        maml = iteryne.MAML(
            self.network, inner_lr=INNER_LR, inner_steps=self.work.steps
        )
        for support, labels, query, targets in self.tasks():
            learner = maml.clone()
            for _ in range(self.work.steps):
                learner.adapt(F.cross_entropy(learner(support), labels))
            loss = F.cross_entropy(learner(query), targets)
            (loss / self.work.tasks).backward()
        self.adam.step()


class ParallelMetaLearn(Peer):
    """`vmap` over chunks of tasks, of the size that its guide has. With our batch norm:
    through torch's own, its meta-gradient is off by a third, since torch's vmap loses
    second derivatives there."""

    module = "metalearn"
    norm = staticmethod(partial(BatchNorm, statistics="batch"))

    def __init__(self, work: Work, dtype: torch.dtype) -> None:
        super().__init__(work, dtype)
        from metalearn import algorithms
        from metalearn.inner_optimizers import InnerSGD
        from metalearn.loss import CategoricalAccuracy, CrossEntropy
        from metalearn.model_wrappers import MAML_Model

        *body, head = self.network
        model = MAML_Model(_Lenient(nn.Sequential(*body)), _Lenient(head))
        weights = model.get_fast_weights()
        self.maml = algorithms.MAML(
            model=model,
            optimizer=self.adam,
            inner_optimizer=InnerSGD(weights, inner_lr=INNER_LR, learn_lr=False),
            support_loss_fn=CrossEntropy(metric_fn=CategoricalAccuracy()),
            inner_steps=work.steps,
            chunk_size=CHUNK,
            device=torch.device("cpu"),
        )

    def step(self) -> None:
        (support, labels), (query, targets) = self.episodes.support, self.episodes.query
        batch = support, {"labels": labels}, query, {"labels": targets}
        self.maml.step(iter([batch]), training=True)


PEERS: dict[str, type[Peer]] = {
    "metapipe": Ours,
    "learn2learn": Learn2Learn,
    "higher": Higher,
    "TorchOpt": TorchOpt,
    "iteryne": Iteryne,
    "parallel-metalearn": ParallelMetaLearn,
}


class _Lenient(nn.Module):
    """Takes the words that parallel-metalearn hands to every network."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, inputs: Tensor, **_: Any) -> Tensor:
        return self.inner(inputs)


def built(work: Work, dtype: torch.dtype) -> Learner:
    """Our learner of the work, with its first parameters."""
    maml = MAML(
        inner_lr=INNER_LR,
        inner_steps=work.steps,
        inner_loss="mean",
        adapt_normalisation=True,
    )
    problem = Problem("classification", (1, 28, 28), 5)
    learner, _ = build_learner(maml, work.model, problem, "cpu", seed=0)
    learner.network.to(dtype)
    return learner


def plain(
    work: Work, dtype: torch.dtype, norm: Callable[[int], nn.Module]
) -> nn.Sequential:
    """The network as users of torch write it, with our first parameters."""
    ours = built(work, dtype).network
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for number, inside in enumerate((1, 64, 64, 64)):
        stride = 1 if work.pooled else 2
        conv = nn.Conv2d(inside, 64, 3, stride, padding=1, bias=False)
        block = [conv, norm(64), nn.ReLU()]
        layers[f"block{number}"] = nn.Sequential(
            *block, *([nn.MaxPool2d(2)] if work.pooled else [])
        )
    if not work.pooled:
        layers["mean"] = nn.AdaptiveAvgPool2d(1)
    layers["flat"] = nn.Flatten()
    layers["head"] = nn.Linear(64, 5)
    network = nn.Sequential(layers).to(dtype)
    with torch.no_grad():
        for mine, other in zip(network.parameters(), ours.parameters(), strict=True):
            mine.copy_(other)
    return network


def _without_the_door(name: str) -> Any:
    """The algorithms of learn2learn: its door imports gym and torchvision, and needs
    extensions that are built for old versions of Python."""
    if name not in sys.modules:
        found = importlib.util.find_spec(name)
        assert found is not None
        assert found.origin is not None
        folder = Path(found.origin).parent
        for part in ("", "algorithms"):
            module = ModuleType(".".join(filter(None, (name, part))))
            module.__path__ = [str(folder / part)]
            sys.modules[module.__name__] = module
    return importlib.import_module(f"{name}.algorithms.maml")
