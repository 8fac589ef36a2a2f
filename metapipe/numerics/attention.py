"""Attention that can be differentiated twice, and vectorised."""

from __future__ import annotations

import torch
from torch import nn


def plain_attention() -> None:
    """Let torch compute attention by its definition, in this process from now on.

    Its fused kernels have no second derivative, which a step of gradient descent that
    is learned through needs, and no rule for `vmap`. The switches are torch's own and
    the whole process's: setting them around a call would not do among threads. It is
    called for networks that have `nn.MultiheadAttention`; a model whose forward calls
    `scaled_dot_product_attention` itself calls it in its `build`.
    """
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)
    torch.backends.cuda.enable_cudnn_sdp(False)
    torch.backends.cuda.enable_math_sdp(True)
    torch.backends.mha.set_fastpath_enabled(False)


def has_attention(network: nn.Module) -> bool:
    """Whether torch's attention layer is in it, as in its Transformer layers."""
    return any(isinstance(m, nn.MultiheadAttention) for m in network.modules())
