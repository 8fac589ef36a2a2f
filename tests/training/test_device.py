"""What a device can do, and what is told where it cannot. No GPU is needed."""

import logging

import pytest
import torch
from gpus import Training

from metapipe import UsageError
from metapipe.errors import OutOfMemoryError
from metapipe.runs.provenance import environment
from metapipe.training.device import (
    choose_device,
    device_at_hand,
    memory_told,
    precision_at_hand,
    require_precision,
)


@pytest.fixture
def _no_gpu(monkeypatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def _hopper(monkeypatch) -> None:
    """As if there were one."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # to be as before afterwards
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**9, 80 * 10**9))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 79 * 10**9)
    monkeypatch.setattr(torch.version, "cuda", "13.0")


@pytest.mark.usefixtures("_no_gpu")
def test_tf32_is_refused_where_nothing_has_it() -> None:
    said = r"run.precision = 'tf32': only NVIDIA's .* computes on cpu; use float32"
    with pytest.raises(UsageError, match=said):
        Training("protonet", "cpu", more={"run": {"precision": "tf32"}})
    require_precision("bfloat16", "cpu")
    assert precision_at_hand("tf32", "cpu") == "float32"
    assert precision_at_hand("bfloat16", "cpu") == "bfloat16"


@pytest.mark.usefixtures("_no_gpu")
def test_what_was_trained_elsewhere_takes_what_is_here(caplog) -> None:
    with caplog.at_level(logging.WARNING):
        assert device_at_hand("cuda") == choose_device("auto")
    assert caplog.messages == [
        "run.device = 'cuda': this machine has no CUDA: cpu takes its place"
    ]
    with pytest.raises(UsageError, match="this machine has no CUDA; use 'auto'"):
        choose_device("cuda")


@pytest.mark.usefixtures("_hopper")
def test_a_gpu_is_told_to_give_the_same_bits(monkeypatch) -> None:
    assert choose_device("auto") == "cuda"
    require_precision("tf32", "cuda")
    told = environment("cuda", "tf32")
    wanted = {
        "gpu": "H",
        "cublas_workspace": ":4096:8",
        "tf32_matmul": True,
        "tf32_cudnn": True,
        "cudnn_deterministic": True,
        "cudnn_benchmark": False,
        "deterministic_algorithms": True,
    }
    assert {name: told[name] for name in wanted} == wanted
    assert {"driver", "cudnn"} < told.keys()
    assert not environment("cuda")["tf32_matmul"]
    assert "gpu" not in environment("cpu")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 0))
    with pytest.raises(UsageError, match="from Ampere on, and this computes on cuda"):
        require_precision("tf32", "cuda")


@pytest.mark.usefixtures("_hopper")
def test_too_little_memory_is_told_with_what_to_do() -> None:
    with pytest.raises(OutOfMemoryError) as told, memory_told("cuda"):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory.\nTried to ...")
    assert str(told.value) == (
        "cuda has too little memory: of 80.0 GB this process wanted more than 79.0, "
        "and 1.0 are free; let less be computed at a time by --shards, --mapping loop, "
        "or --mapping chunks with a smaller --chunk"
    )
