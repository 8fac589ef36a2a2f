"""The numerical core: pure functions over parameter dictionaries.

Nothing here changes a module, a tensor it was given, or a global. An algorithm calls
its network through `apply` only, takes gradients by `gradient` (which works alike in a
plain loop over tasks and under `vmap`), and moves parameters by `descend`.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..episode import Drawn, Metrics, Params, Trajectories
from ..errors import PluginError, UnsupportedError
from .precision import call
from .recomputation import recomputed, recomputes, repeats
from .recurrence import plain_recurrence
from .remembered import once

Loss = Callable[[Params], tuple[Tensor, Metrics]]
"""A scalar loss of parameters, with the figures it reports."""

vectorised: ContextVar[bool] = ContextVar("vectorised", default=False)
"""True inside a `vmap` over tasks, where only `torch.func` can differentiate."""

_replicas = threading.local()
_ties: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


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
    batch statistics are used and `state` is updated in place, so hand in a copy. Or it
    holds `support_statistics`, which are used in place of the batch's.
    Raises PluginError for a network that does not return one tensor.
    """
    network = of_this_thread(network)
    # All of it: a part may have been built, or tried, in the other mode.
    if any(module.training != training for module in network.modules()):
        network.train(training)
    if state and training and repeats():  # it moved when this was computed first
        state = {name: value.clone() for name, value in state.items()}
    tensors = {**params, **state} if state else params

    def called() -> Tensor:
        ties = _has_ties(network)
        found = torch.func.functional_call(network, tensors, inputs, tie_weights=ties)
        return _one(found)

    def computed() -> Tensor:
        with plain_recurrence(network, inputs[0]):
            return call(called, inputs[0].device.type)

    if training or vectorised.get():
        return computed()
    return once(computed, network, tensors, inputs)


def _has_ties(network: nn.Module) -> bool:
    """Whether a tensor of it goes by several names, which a call has to look for. That
    takes as long as a small network, so it is asked once."""
    if network not in _ties:
        _ties[network] = any(
            len([*named()]) < len([*named(remove_duplicate=False)])
            for named in (network.named_parameters, network.named_buffers)
        )
    return _ties[network]


def _one(outputs: object) -> Tensor:
    if isinstance(outputs, Tensor):
        return outputs
    raise PluginError(
        f"its forward returns a {type(outputs).__name__}: return one tensor"
    )


def of_this_thread(network: nn.Module) -> nn.Module:
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
        # By a name of its own: one parameter may have been made from another, and what
        # is wanted is the partial derivative.
        leaves = {
            k: p.view_as(p) if keep and p.requires_grad else p.detach().requires_grad_()
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
    With `training.recompute` each step's graph is computed again when it is wanted, so
    `loss` has to be a function of its argument, of what it encloses, and of torch's
    generator. Raises UnsupportedError for that under `vmap`.
    """

    def step(params: Params) -> Params:
        grads, _ = gradient(loss, params, second_order=second_order)
        return descend(params, grads, lr)

    again = second_order and recomputes() and _keeps_a_graph(params)
    for _ in range(steps):
        params = recomputed(step, params) if again else step(params)
    return params


def _keeps_a_graph(params: Params) -> bool:
    if vectorised.get():
        raise UnsupportedError(
            "inner steps are not computed again under vmap: map tasks by loop or "
            "threads, or leave training.recompute off"
        )
    return torch.is_grad_enabled() and any(p.requires_grad for p in params.values())


def by_step(support: Drawn, steps: int) -> Sequence[Drawn]:
    """What each of some steps learns from: the samples, `steps` times; of trajectories
    (k, n, H, ...) each of the k rounds, whatever `steps` says."""
    if isinstance(support, Trajectories):
        return [Trajectories(*parts) for parts in zip(*support, strict=True)]
    return [support] * steps


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
