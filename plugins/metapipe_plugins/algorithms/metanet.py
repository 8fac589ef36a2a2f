"""Meta Networks: fast weights made from gradients, read from a memory by attention.

Munkhdalai & Yu, "Meta Networks", ICML 2017; algorithm 1, with the details of the
authors' code. Support gradients are constants: there is no second derivative.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from metapipe import (
    Algorithm,
    Episodes,
    Meta,
    Model,
    Params,
    Problem,
    Register,
    Samples,
    Step,
    TaskMap,
    UnsupportedError,
    hookimpl,
)
from metapipe.data import fixed_order
from metapipe.numerics import (
    apply,
    normalisation_names,
    query_step,
    within,
)
from metapipe_plugins.parts.networks.augmented import Augmented, Fast, one_set
from metapipe_plugins.parts.networks.generators import ExampleGenerator, TaskGenerator

CONVOLUTION = 4
"""Dimensions of a convolution's weights."""

READ = 16
"""Inputs predicted at a time: each has weights of its own, and so takes memory."""


class MetaNet(Algorithm):
    """Slow weights for all tasks, fast ones generated from the support's gradients."""

    paper: ClassVar[str] = (
        "Munkhdalai & Yu, ICML 2017, https://arxiv.org/abs/1703.00837"
    )
    equations: ClassVar[str] = (
        "algorithm 1: task-level (eq. 1-2) and example-level fast weights (eq. 3-4), "
        "memory read by attention (eq. 6-8), layer augmentation (figure 2)"
    )
    departures: ClassVar[str] = (
        "the mean loss of several tasks is descended and its gradient clipped to 1, "
        "where the authors' code takes a task at a time and clips the sum to 10; the "
        "last layer has a bias; convolutions begin by Xavier unless model.initial is "
        "given (Chainer's: lecun), dense layers and the LSTM as torch's do, and not by "
        "LeCun with a forget bias of 1; generators end in N(0, 0.01)"
    )
    recommended: ClassVar[dict[str, object]] = {
        "model.blocks": 5,
        "model.pooling": "max",
        "model.ceil": True,
        "model.features": "flatten",
        "model.normalise": False,
        "model.dense": [64],
        "training.clip": 1.0,
    }

    task_level: bool = True
    """Task-level fast weights of the representation learner; without them it is the
    paper's MetaNet-."""

    chunks: PositiveInt = 5
    """Parts of the support set whose gradients, one after the other, make the
    task-level fast weights."""

    statistics: Literal["batch"] = "batch"
    """Without meaning: the network has no normalisation layers, as the paper's for
    Omniglot has none."""

    def build(self, model: Model, problem: Problem) -> nn.Module:
        """Two copies of the model with its head, and the generators."""
        parts = {
            name: model.build(problem.shape, problem.outputs, self.statistics)
            for name in ("base", "representation")
        }
        Augmented(parts["base"])  # refuses what is no sequence of layers
        if normalisation_names(parts["base"]):
            raise UnsupportedError(
                "metanet takes gradients of single examples, which have no statistics "
                "to normalise by: use -s model.normalise=false"
            )
        for kind in ("convolution", "dense"):
            parts[f"example_{kind}"] = ExampleGenerator()
            if self.task_level:
                parts[f"task_{kind}"] = TaskGenerator()
        return nn.ModuleDict(parts)

    def adapt(
        self, network: nn.Module, meta: Meta, support: Samples, ways: int
    ) -> Params:
        """Task-level fast weights (`task.*`), the memory of example-level ones
        (`memory.*`, n of each) and its keys (n, d)."""
        return self._adapt(modules_of(network), meta.params, support)

    def predict(
        self, network: nn.Module, meta: Meta, adapted: Params, inputs: Tensor
    ) -> Tensor:
        """Logits of the base learner with the fast weights read for each input."""
        modules = modules_of(network)
        return torch.cat(
            [
                self._predict(modules, meta.params, adapted, some)
                for some in torch.split(inputs, READ)
            ]
        )

    def meta_gradient(
        self, network: nn.Module, meta: Meta, episodes: Episodes, over: TaskMap
    ) -> Step:
        """Of the queries' mean cross-entropy, for slow weights and generators."""
        return query_step(self, network, meta, episodes, over)

    def _adapt(
        self, modules: dict[str, nn.Module], params: Params, support: Samples
    ) -> Params:
        order = torch.from_numpy(fixed_order(len(support.targets)))
        order = order.to(support.inputs.device)
        support = Samples(*(tensor[order] for tensor in support))
        task: Params = {}
        if self.task_level:
            grads = self.task_gradients(modules, params, support)
            task = generate(modules, params, "task", grads)
        memory = generate(
            modules, params, "example", example_gradients(modules, params, support)
        )
        return {
            "keys": _represent(modules, params, task, support.inputs),
            **{f"task.{name}": value for name, value in task.items()},
            **{f"memory.{name}": value for name, value in memory.items()},
        }

    def _predict(
        self,
        modules: dict[str, nn.Module],
        params: Params,
        adapted: Params,
        inputs: Tensor,
    ) -> Tensor:
        represented = _represent(modules, params, within(adapted, "task"), inputs)
        similarity = F.normalize(represented, dim=-1) @ (
            F.normalize(adapted["keys"], dim=-1).mT
        )
        read = read_memory(within(adapted, "memory"), similarity.softmax(-1))
        base = Augmented(modules["base"])
        return base.run(within(params, "base"), inputs, read)[0]

    def task_gradients(
        self, modules: dict[str, nn.Module], params: Params, support: Samples
    ) -> Params:
        """(chunks, *shape) each: of the representation learner's own loss."""
        learner = Augmented(modules["representation"])
        slow = _constants(params, "representation")
        count = len(support.targets)
        parts = [
            _gradients(learner, slow, *chunk)
            for chunk in zip(
                *(t.tensor_split(min(self.chunks, count)) for t in support),
                strict=True,
            )
        ]
        return {name: torch.stack([p[name] for p in parts]) for name in parts[0]}


def read_memory(memory: Params, attention: Tensor) -> Fast:
    """Fast weights read for each input: the sum over memories (n, *shape) weighted by
    `attention` (m, n), as eq. 8 has it.

    A layer is linear in its weights, so that the outputs of the n memories could be
    summed as well; that is n times the work.
    """

    def fast(name: str, module: nn.Module, hidden: Tensor) -> Tensor:
        read = {
            key: torch.einsum("mn,n...->m...", attention, weights)
            for key, weights in within(memory, name).items()
        }

        def one(weights: Params, single: Tensor) -> Tensor:
            return apply(module, weights, single[None])[0]

        outputs: Tensor = torch.func.vmap(one)(read, hidden)
        return outputs

    return fast


def _represent(
    modules: dict[str, nn.Module], params: Params, task: Params, inputs: Tensor
) -> Tensor:
    """(n, d): by slow and, if there are any, task-level fast weights."""
    learner = Augmented(modules["representation"])
    fast = one_set(task) if task else None
    return learner.run(within(params, "representation"), inputs, fast)[1]


def example_gradients(
    modules: dict[str, nn.Module], params: Params, support: Samples
) -> Params:
    """(n, *shape) each: of the base learner's loss on each example."""
    learner, slow = Augmented(modules["base"]), _constants(params, "base")

    def gradients(example: Tensor, label: Tensor) -> Params:
        return _gradients(learner, slow, example[None], label[None])

    return torch.func.vmap(gradients)(*support)


def _gradients(
    learner: Augmented, slow: Params, inputs: Tensor, labels: Tensor
) -> Params:
    """Of the slow network's mean loss, for the weights that have a fast counterpart."""

    def loss(weights: Params) -> Tensor:
        return F.cross_entropy(learner.run({**slow, **weights}, inputs)[0], labels)

    weights = {name: slow[name] for name in learner.weights}
    found: Params = torch.func.grad(loss)(weights)
    return {name: grad.detach() for name, grad in found.items()}


def _constants(params: Params, module: str) -> Params:
    """Detached: nothing is differentiated through support gradients."""
    return {name: p.detach() for name, p in within(params, module).items()}


def generate(
    modules: dict[str, nn.Module], params: Params, level: str, grads: Params
) -> Params:
    """Fast weights from gradients (k, *shape): k of each for "example", one for "task";
    coordinates of convolutions and of dense layers each by their own generator."""
    found: Params = {}
    for kind in ("convolution", "dense"):
        names = [
            name
            for name, grad in grads.items()
            if (grad.ndim == CONVOLUTION + 1) == (kind == "convolution")
        ]
        if not names:
            continue
        flat = torch.cat([grads[name].flatten(1) for name in names], -1)
        generator = f"{level}_{kind}"
        made = apply(modules[generator], within(params, generator), flat)
        sizes = [grads[name][0].numel() for name in names]
        for name, part in zip(names, torch.split(made, sizes, -1), strict=True):
            shape = grads[name].shape if level == "example" else grads[name].shape[1:]
            found[name] = part.reshape(shape)
    return found


def modules_of(network: nn.Module) -> dict[str, nn.Module]:
    return dict(network.named_children())


@hookimpl
def register_algorithms(register: Register) -> None:
    """Offer Meta Networks."""
    register("metanet", MetaNet)
