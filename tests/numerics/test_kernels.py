"""Torch's switches for a GPU: definite inside, as before outside. No GPU is needed."""

import threading

import pytest
import torch
from torch import backends

from metapipe.numerics import computing_in, exactly
from metapipe.numerics.kernels import settled_kernels, switches

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
"""Torch's own, that its older names will go."""

DEFINITE = {
    "tf32_matmul": False,
    "tf32_cudnn": False,
    "cudnn_deterministic": True,
    "cudnn_benchmark": False,
    "deterministic_algorithms": True,
}
TF32 = DEFINITE | {"tf32_matmul": True, "tf32_cudnn": True}
FINER = hasattr(backends, "fp32_precision")


def matmul_by_its_old_name() -> None:
    backends.cuda.matmul.allow_tf32 = True


def medium() -> None:
    torch.set_float32_matmul_precision("medium")


def matmul_by_its_finer_name() -> None:
    backends.cuda.matmul.fp32_precision = "tf32"


def convolutions_by_their_finer_name() -> None:
    backends.cudnn.conv.fp32_precision = "ieee"


def everything() -> None:
    backends.fp32_precision = "tf32"


def reproducible() -> None:
    torch.use_deterministic_algorithms(True)
    backends.cudnn.benchmark = True


STATES = [lambda: None, matmul_by_its_old_name, medium, reproducible]
if FINER:
    STATES += [matmul_by_its_finer_name, convolutions_by_their_finer_name, everything]


def seen() -> list[object]:
    """All that can be asked of these switches; None where torch refuses to say."""

    def answer(ask):
        try:
            return ask()
        except RuntimeError:
            return None

    asks = [
        lambda: backends.cuda.matmul.allow_tf32,
        lambda: backends.cudnn.allow_tf32,
        torch.get_float32_matmul_precision,
        torch.get_deterministic_debug_mode,
        lambda: backends.cudnn.deterministic,
        lambda: backends.cudnn.benchmark,
        lambda: torch.utils.deterministic.fill_uninitialized_memory,
    ]
    if FINER:
        asks += [
            lambda: backends.cuda.matmul.fp32_precision,
            lambda: backends.cudnn.conv.fp32_precision,
            lambda: backends.cudnn.rnn.fp32_precision,
            lambda: backends.fp32_precision,
        ]
    return [answer(ask) for ask in asks]


@pytest.fixture(params=STATES, ids=lambda state: state.__name__)
def before(request) -> list[object]:
    """What a user may have set, and put back after the test."""
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = True
    fresh = seen()
    request.param()
    yield seen()
    torch.use_deterministic_algorithms(False)
    backends.cudnn.benchmark = False
    if FINER:
        backends.fp32_precision = "none"
        backends.cuda.matmul.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = True
    assert seen()[:7] == fresh[:7]


def test_they_are_definite_inside_and_as_before_outside(before) -> None:
    assert seen() == before
    with settled_kernels("cuda:0", tf32=False):
        assert switches() == DEFINITE
        assert seen()[:3] == [False, False, "highest"], "also by their old names"
        with settled_kernels("cuda", tf32=True):
            assert switches() == TF32
            assert seen()[:2] == [True, True]
        assert switches() == DEFINITE
    assert seen() == before
    with pytest.raises(ZeroDivisionError), settled_kernels("cuda", tf32=True):
        raise ZeroDivisionError
    assert seen() == before


def test_threads_that_overlap_leave_them_as_they_were() -> None:
    before, entered, leave = seen(), threading.Event(), threading.Event()

    def other() -> None:
        with settled_kernels("cuda", tf32=False):
            entered.set()
            leave.wait(60)

    thread = threading.Thread(target=other)
    with settled_kernels("cuda", tf32=False):
        thread.start()
        assert entered.wait(60)
    assert switches() == DEFINITE, "the other thread still computes"
    leave.set()
    thread.join()
    assert seen() == before


def test_other_devices_leave_them_alone() -> None:
    before = seen()
    with settled_kernels("cpu", tf32=True), settled_kernels("mps", tf32=True):
        assert seen() == before


def test_what_is_exact_is_so_in_tf32_too() -> None:
    before = seen()
    with computing_in("tf32"), settled_kernels("cuda", tf32=True):
        assert exactly(switches, "cuda") == DEFINITE
        assert switches() == TF32
    assert seen() == before
