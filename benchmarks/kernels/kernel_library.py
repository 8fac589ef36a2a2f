"""The kernels as a shared library, built by this machine's compiler at first use.

There is one for each number of channels. It is kept in metapipe's cache under a name
that tells sources, flags, the compiler and what `-march=native` means here apart:
machines that share a cache do not share it. Of processes that build at once each writes
a file of its own, and the last one's stays.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from metapipe import UnsupportedError
from metapipe.data import cache_dir

INSTEAD = "--model conv4 -s model.pooling=max"
"""The same network without the kernels."""

FOLDER = Path(__file__).parent

FLAGS = (
    *("-std=c++17", "-O3", "-march=native", "-shared", "-fPIC", "-Wno-psabi"),
    # Of the library for another number of channels nothing is taken for one's own.
    "-fvisibility=hidden",
    # Products are added in one rounding; nobody reads errno or floating-point traps.
    *("-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"),
)

ALIGNMENT = 64
"""Bytes: of what kernels read and write by whole vectors. Torch's own memory is so."""

KERNELS = {
    "convolve": (3, 3),
    "convolve_turned": (3, 3),
    "convolve_two": (5, 3),
    "weigh": (3, 3),
    "normalise": (6, 4),
    "normalise_back": (7, 4),
    "normalise_twice": (12, 4),
    "begin": (5, 4),
    "begin_at": (5, 4),
    "begin_back": (5, 4),
    "patch_moments": (3, 4),
}
"""How many tensors each takes, and how many sizes."""

TYPES = {torch.float32: "float32", torch.float64: "float64"}


def call(name: str, width: int, tensors: tuple[Tensor, ...], *numbers: float) -> None:
    """Call a kernel for maps of so many channels and the first tensor's type, on
    tensors that lie as it wants them (`lying`)."""
    kernel = _kernel(name, width, tensors[0].dtype)
    kernel(*[tensor.data_ptr() for tensor in tensors], *numbers)


def lying(tensor: Tensor) -> Tensor:
    """The same values in one piece, at an address where a vector may begin."""
    tensor = tensor.contiguous()
    return tensor if tensor.data_ptr() % ALIGNMENT == 0 else tensor.clone()


@cache
def library(width: int) -> ctypes.CDLL:
    """The library for maps of so many channels.

    Raises UnsupportedError, in a line with what to do, where it cannot be built.
    """
    compiler = _compiler()
    path = cache_dir() / "kernels" / f"conv4-{width}-{_digest(compiler)}.so"
    try:
        with suppress(OSError):  # it is not there, or was damaged
            return ctypes.CDLL(str(path))
        _build(compiler, width, path)
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise UnsupportedError(
            f"conv4-fused cannot be kept and loaded in {path.parent} ({error}): let "
            f"METAPIPE_CACHE be a folder where programs may be, or use {INSTEAD}"
        ) from error


@cache
def _kernel(name: str, width: int, dtype: torch.dtype) -> Callable[..., None]:
    function = getattr(library(width), f"{name}_{TYPES[dtype]}")
    tensors, sizes = KERNELS[name]
    epsilon = [ctypes.c_double] if name == "normalise" else []
    function.restype = None
    function.argtypes = [
        *([ctypes.c_void_p] * tensors + [ctypes.c_int] * sizes),
        *epsilon,
    ]
    found: Callable[..., None] = function
    return found


def _compiler() -> list[str]:
    """The command: $CXX, which may have arguments, or the first that is here."""
    given = os.environ.get("CXX")
    names = [given] if given else ["g++", "clang++"]
    for name in names:
        with suppress(ValueError):  # a quotation without an end
            words = shlex.split(name)
            if words and shutil.which(words[0]):
                return words
    raise UnsupportedError(
        f"conv4-fused is compiled here, and there is no C++ compiler {names[0]} "
        f"(install g++ or clang++, or set CXX): use {INSTEAD}"
    )


def _digest(compiler: list[str]) -> str:
    """Of all that decides what the library is: sources, flags, and what the compiler
    defines, its own version and the machine's instructions among it."""
    digest = hashlib.sha256(" ".join((*compiler, *FLAGS)).encode())
    for path in sorted([*FOLDER.glob("*.h"), *FOLDER.glob("*.cpp")]):
        digest.update(path.name.encode() + path.read_bytes())
    asked = ("-march=native", "-dM", "-E", "-x", "c++", os.devnull)
    digest.update(_output([*compiler, *asked]).encode())
    return digest.hexdigest()[:16]


def _build(compiler: list[str], width: int, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        source = str(FOLDER / "kernels.cpp")
        _output([*compiler, *FLAGS, f"-DWIDTH={width}", source, "-o", str(made)])
        if not made.exists():
            raise _cannot_compile(compiler, "it wrote nothing")
        made.replace(path)


def _output(command: list[str]) -> str:
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    if found.returncode:
        said = next((s for s in found.stderr.splitlines() if "error" in s), "no reason")
        raise _cannot_compile(command, said[:200])
    return found.stdout


def _cannot_compile(command: list[str], why: str) -> UnsupportedError:
    return UnsupportedError(
        f"{command[0]} cannot compile conv4-fused ({why}): set CXX to a g++ or clang++ "
        f"for C++17, or use {INSTEAD}"
    )
