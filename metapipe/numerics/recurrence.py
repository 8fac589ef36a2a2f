"""Recurrent layers that can be differentiated twice on a GPU."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_lock = threading.Lock()


@contextmanager
def plain_recurrence(network: nn.Module, inputs: Tensor) -> Iterator[None]:
    """Let torch compute recurrent layers of the network by its own kernels inside.

    cuDNN's have no second derivative, and want their weights in one piece, which those
    that a functional call hands in are not. The switch is the whole process's; it is
    put back, and nothing is done where nothing has to be.
    """
    cudnn = torch.backends.cudnn
    if not (inputs.is_cuda and has_recurrence(network) and cudnn.enabled):
        yield
        return
    with _lock:
        cudnn.enabled = False
        try:
            yield
        finally:
            cudnn.enabled = True


def has_recurrence(network: nn.Module) -> bool:
    """Whether one of torch's recurrent layers is in it."""
    return any(isinstance(module, nn.RNNBase) for module in network.modules())
