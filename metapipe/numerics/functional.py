"""The numerical core: pure functions over parameter dictionaries.

Nothing here changes a module, a tensor it was given, or a global. An algorithm calls
its network through `apply` only, takes gradients by `gradient` (which works alike in a
plain loop over tasks and under `vmap`), and moves parameters by `descend`.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from typing import Literal, cast
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..algorithm import Meta, Step
from ..episode import Episodes, Metrics, Params, Samples
from ..errors import UnsupportedError
from ..problem import Problem

Loss = Callable[[Params], tuple[Tensor, Metrics]]
"""A scalar loss of parameters, with the figures it reports."""

Head = Callable[[Params, Tensor, Tensor, Tensor], Tensor]
"""Logits (T, m, ways) from meta-parameters, features of T support sets (T, n, d), their
labels (T, n) and features of T query sets (T, m, d)."""

vectorised: ContextVar[bool] = ContextVar("vectorised", default=False)
"""True inside a `vmap` over tasks, where only `torch.func` can differentiate."""

_replicas = threading.local()


def meta_of(network: nn.Module) -> Meta:
    """The network's own parameters and buffers, detached, as meta-parameters and state.

    Parameters that do not require a gradient are constants of the network: see
    `constants_of`.
    """
    params = {k: p.detach() for k, p in network.named_parameters() if p.requires_grad}
    return Meta(params, {k: b.detach() for k, b in network.named_buffers()})


def constants_of(network: nn.Module, meta: Meta) -> Params:
    """What the network holds and `meta` does not, detached: frozen parameters, and
    buffers that the method leaves to it. A file that has the one needs the other."""
    held = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    known = {*meta.params, *meta.state}
    return {name: t.detach() for name, t in held.items() if name not in known}


def install(network: nn.Module, constants: Params) -> None:
    """Give a network that was just built the constants it had when it was kept."""
    held = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    with torch.no_grad():
        for name, value in constants.items():
            held[name].copy_(value)


def require_same_outputs(name: str, trained: Problem, asked: Problem) -> None:
    """Raise UnsupportedError if a learned head would need another size.

    What an algorithm called `name` says in `check` if its head cannot be changed.
    """
    if asked.outputs != trained.outputs:
        raise UnsupportedError(
            f"{name}'s head was trained for {trained.outputs} outputs and cannot give "
            f"{asked.outputs}: train a run with --ways {asked.outputs}, or with a "
            "method that takes any number of classes, for example --plugin protonet"
        )


def normalisation_names(network: nn.Module) -> frozenset[str]:
    """Names of the parameters that belong to normalisation layers."""
    kinds = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
    return frozenset(
        f"{prefix}.{name}" if prefix else name
        for prefix, module in network.named_modules()
        if isinstance(module, kinds)
        for name, _ in module.named_parameters(recurse=False)
    )


def apply(
    network: nn.Module,
    params: Params,
    *inputs: Tensor,
    state: Params | None = None,
    training: bool = False,
) -> Tensor:
    """The network's output for `inputs` (n, *shape), with `params` in place of its own.

    With running statistics, `state` holds them: read if not `training`; if `training`,
    batch statistics are used and `state` is updated in place, so hand in a copy.
    """
    network = _of_this_thread(network)
    # All of it: a part may have been built, or tried, in the other mode.
    if any(module.training != training for module in network.modules()):
        network.train(training)
    tensors = {**params, **state} if state else params
    return cast(Tensor, torch.func.functional_call(network, tensors, inputs))


def _of_this_thread(network: nn.Module) -> nn.Module:
    """The network, or this worker thread's copy: a functional call swaps attributes."""
    if threading.current_thread() is threading.main_thread():
        return network
    copies = _replicas.__dict__.setdefault("copies", WeakKeyDictionary())
    if network not in copies:
        copies[network] = copy.deepcopy(network)
    return cast(nn.Module, copies[network])


def gradient(
    loss: Loss, params: Params, *, second_order: bool = False
) -> tuple[Params, Metrics]:
    """Gradient of a scalar `loss`, keyed like `params`, and the metrics it reports.

    With `second_order` the gradient is itself differentiable, if somebody upstream
    wants that: evaluation, which hands in detached parameters, pays for no graph.
    """
    if vectorised.get():
        grads, metrics = torch.func.grad(loss, has_aux=True)(params)
        if not second_order:
            grads = {name: grad.detach() for name, grad in grads.items()}
        return grads, metrics
    with torch.enable_grad():
        keep = second_order and any(p.requires_grad for p in params.values())
        leaves = {
            k: p if keep and p.requires_grad else p.detach().requires_grad_()
            for k, p in params.items()
        }
        value, metrics = loss(leaves)
        grads = torch.autograd.grad(
            value, tuple(leaves.values()), create_graph=keep, materialize_grads=True
        )
    return dict(zip(leaves, grads, strict=True)), metrics


def inner_loop(
    loss: Loss,
    params: Params,
    *,
    lr: float | Params,
    steps: int,
    second_order: bool,
) -> Params:
    """`steps` of gradient descent on `loss`, from `params` on.

    The result is differentiable with respect to `params` and `lr`; fully so with
    `second_order`, otherwise with the gradients taken as constants.
    """
    for _ in range(steps):
        grads, _ = gradient(loss, params, second_order=second_order)
        params = descend(params, grads, lr)
    return params


def support_loss(
    network: nn.Module,
    support: Samples,
    fixed: Params | None = None,
    *,
    scale: Literal["reference", "mean"] = "mean",
) -> Loss:
    """The loss of a support set, of one task, as a function of the parameters.

    `fixed` are parameters that are not to be adapted. In classification, the reference
    code of MAML sums over the support set and divides by the shots: with `scale`
    "reference" the loss is `ways` times the mean.
    """

    def loss(params: Params) -> tuple[Tensor, Metrics]:
        outputs = apply(network, {**params, **(fixed or {})}, support.inputs)
        value, metrics = task_loss(outputs, support.targets)
        if scale == "reference" and not support.targets.is_floating_point():
            value = value * outputs.shape[-1]
        return value, metrics

    return loss


def descend(params: Params, grads: Params, lr: float | Tensor | Params) -> Params:
    """One step of gradient descent, out of place: p - lr * g for each p that has a g.

    `lr` is a number, or per name a tensor that broadcasts to the parameter's shape.
    """
    rates = lr if isinstance(lr, dict) else dict.fromkeys(grads, lr)
    return {
        name: p - rates[name] * grads[name] if name in grads else p
        for name, p in params.items()
    }


def partition(params: Params, names: Iterable[str]) -> tuple[Params, Params]:
    """`params` with a name in `names`, and the others."""
    chosen = frozenset(names)
    inside = {k: p for k, p in params.items() if k in chosen}
    return inside, {k: p for k, p in params.items() if k not in chosen}


def within(params: Params, module: str) -> Params:
    """The parameters of a submodule, by the names they have inside it."""
    prefix = f"{module}."
    return {
        name.removeprefix(prefix): p
        for name, p in params.items()
        if name.startswith(prefix)
    }


def own(network: nn.Module, params: Params) -> Params:
    """The parameters that the network has; the others are the method's."""
    names = {name for name, _ in network.named_parameters()}
    return {name: p for name, p in params.items() if name in names}


def task_loss(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Metrics]:
    """Mean loss of one task, and its metrics, detached.

    Integer targets (n,) are labels: cross-entropy of logits (n, ways), in nats, and the
    accuracy. Float targets (n, outputs) are regressed: mean squared error.
    """
    if targets.is_floating_point():
        loss = F.mse_loss(outputs, targets)
        return loss, {"loss": loss.detach()}
    loss = F.cross_entropy(outputs, targets)
    return loss, {"loss": loss.detach(), "accuracy": accuracy(outputs, targets)}


def batch_loss(
    outputs: Tensor, targets: Tensor, *, smoothing: float = 0.0
) -> tuple[Tensor, Metrics]:
    """Mean loss of T tasks whose outputs were computed in one call, and the metrics,
    (T,) each, detached: classification of logits (T, n, ways) by labels (T, n).

    With `smoothing` the other classes share that much of the label; the figures tell
    the plain loss.
    """
    logits = outputs.movedim(-1, 1)
    losses = F.cross_entropy(logits, targets, reduction="none").mean(-1)
    metrics = {"loss": losses.detach(), "accuracy": accuracy(outputs, targets)}
    if not smoothing:
        return losses.mean(), metrics
    ways = outputs.shape[-1]
    share = smoothing * ways / (ways - 1)  # torch's own label gets a part back
    return F.cross_entropy(logits, targets, label_smoothing=share), metrics


def embed(
    network: nn.Module,
    params: Params,
    *sets: Tensor,
    state: Params | None = None,
    training: bool = False,
) -> list[Tensor]:
    """Features of sets of inputs of T tasks, all in one call of the network.

    Each set is (T, n, *shape) and comes back as (T, n, d). For `state` and `training`
    see `apply`; batch statistics are those of all inputs together.
    """
    inputs = torch.cat([inputs.flatten(0, 1) for inputs in sets])
    features = apply(network, params, inputs, state=state, training=training)
    counts = [inputs.shape[0] * inputs.shape[1] for inputs in sets]
    parts = torch.split(features, counts)
    return [
        part.reshape(*inputs.shape[:2], -1)
        for part, inputs in zip(parts, sets, strict=True)
    ]


def head_step(
    network: nn.Module,
    meta: Meta,
    episodes: Episodes,
    head: Head,
    *,
    smoothing: float = 0.0,
) -> Step:
    """The meta-gradient of a method that learns features and fits a head on them.

    All images of the meta-batch are embedded in one call, with batch statistics; the
    loss is the cross-entropy of the queries' logits that `head` computes. With label
    `smoothing` the other classes share that much of the label.
    """
    state = {name: value.clone() for name, value in meta.state.items()}

    def loss(params: Params) -> tuple[Tensor, Metrics]:
        sets = (episodes.support.inputs, episodes.query.inputs)
        mine = own(network, params)
        support, query = embed(network, mine, *sets, state=state, training=True)
        logits = head(params, support, episodes.support.targets, query)
        return batch_loss(logits, episodes.query.targets, smoothing=smoothing)

    grads, metrics = gradient(loss, meta.params)
    return Step(grads, metrics, state)


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """Fraction of the rows of `logits` (n, ways) whose largest entry is the label's."""
    return (logits.detach().argmax(-1) == labels).to(logits.dtype).mean(-1)


def before_adaptation(metrics: Metrics) -> Metrics:
    """The same figures under the names they have before adaptation."""
    return {f"{name}_before": value for name, value in metrics.items()}
