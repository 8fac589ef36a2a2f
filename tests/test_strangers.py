"""A stranger's file can run no code, reach nothing outside its folder, write nothing to
a terminal, delete nothing, and take no more memory than SECURITY.md states.

A case makes one file; all are opened one after the other by a process whose largest
memory is measured. Other kinds of files have their cases here too: add a function to
`CASES`, and a way to open it to `OPEN`.
"""

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import metapipe
from metapipe import Problem
from metapipe.adaptation.adapted_file import LARGEST
from metapipe.experiment.registry import load
from metapipe.training.activations import LARGEST as LARGEST_ACTIVATION
from metapipe.training.learner import build_learner
from metapipe.training.tensor_file import (
    LARGEST_HEAD,
    MOST_TENSORS,
    read_tensors,
    write_tensors,
)

ROOT = Path(__file__).parents[1]
SECURITY = (ROOT / "SECURITY.md").read_text()
REGISTRY = load()
STATED = 512
"""MiB beside what the program itself takes; SECURITY.md has it."""

Forge = Callable[[dict, dict], tuple[dict, dict]]
CASES: dict[str, Forge] = {}
"""A sound file's header and tensors as a stranger's."""


def case(function: Forge) -> Forge:
    CASES[function.__name__] = function
    return function


def changed(place: str, value: object) -> Forge:
    def forge(header, tensors):
        *path, last = place.split(".")
        inner = header
        for name in path:
            inner = inner[name]
        inner[last] = value
        return header, tensors

    return forge


CASES |= {
    "wide network": changed("origin.settings.model.layers", [20_000, 20_000]),
    "network beyond numbers": changed("origin.settings.model.layers", [10**12]),
    "deep network": changed("origin.settings.model.layers", [1] * 100_000),
    "great input": changed("problem.shape", [1, 2**12, 2**12]),
    "input beyond numbers": changed("problem.shape", [10**30]),
    "endless outputs": changed("problem.outputs", 1e308),
    "other encoder": changed("encoder.size", [512, 512]),
    "code for an algorithm": changed("origin.algorithm", "__import__('os').abort"),
    "a path for a model": changed("origin.model", "../../model.py"),
    "a module for an encoder": changed("encoder.type", "os.system"),
    "escapes for a kind": changed("problem.kind", "\x1b]0;mine\x07"),
    "escapes for an algorithm": changed("origin.algorithm", "\x1b[31m\nred"),
    "escapes for an encoder": changed("encoder.type", "\x1b[31m\nred"),
    "long name": changed("origin.model", "x" * 10**6),
    "classes twice": changed("classes", ["a", "a", "b"]),
    "many classes": changed("classes", [str(n) for n in range(10**5)]),
    "one class too few": changed("classes", ["a", "b"]),
    "no tables": changed("origin.settings", [1]),
    "unknown setting": changed("origin.settings.model", {"command": "rm -r ~"}),
}


@case
def nothing_adapted(header, tensors):
    return header, {n: t for n, t in tensors.items() if not n.startswith("adapted/")}


@case
def adapted_to_other_shapes(header, tensors):
    odd = {n: torch.zeros(7, 7, 7) for n in tensors if n.startswith("adapted/")}
    return header, {**tensors, **odd}


@case
def too_many_tensors(header, tensors):
    more = {f"x/{n}": torch.zeros(0) for n in range(MOST_TENSORS + 1)}
    return header, {**tensors, **more}


@case
def wide_convolution(header, tensors):
    """Small on disk: what it makes of a large picture is not."""
    model = {"width": 1024, "blocks": 1}
    header["origin"]["algorithm"], header["origin"]["model"] = "protonet", "conv4"
    header["origin"]["settings"] = {"algorithm": {}, "model": model}
    header["problem"]["shape"] = [1, 1024, 1024]
    header["encoder"] = None
    plugins = (
        REGISTRY.create("algorithm", "protonet", {}),
        REGISTRY.create("model", "conv4", model),
    )
    problem = Problem("classification", (1, 64, 64), 3, 30)
    _, meta = build_learner(*plugins, problem, "cpu", 0)
    own = {f"params/{n}": t for n, t in meta.params.items()}
    state = {f"state/{n}": t for n, t in meta.state.items()}
    return header, {**own, **state, "adapted/prototypes": torch.zeros(3, 1024)}


class Payload:
    """Pickled, it writes a file when it is read."""

    def __reduce__(self):
        return (open, (str(Path.cwd() / "written"), "w"))


RAW: dict[str, Callable[[], bytes]] = {
    "a pickle": lambda: pickle.dumps(Payload()),
    "empty": lambda: b"",
    "a header of 1 TB": lambda: (2**40).to_bytes(8, "little") + b"{}",
    "a large header": lambda: (2**24 + 8).to_bytes(8, "little") + b" " * (2**24 + 8),
    "deep JSON": lambda: (10**6).to_bytes(8, "little") + b"[" * 10**6,
}
"""Files that are none of ours."""

OPEN = """
import json, resource, sys
import metapipe
from metapipe.errors import MetapipeError

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

sound, *paths = sys.argv[1:]
metapipe.load_adapted(sound)
begun = peak()
for path in paths:
    try:
        metapipe.load_adapted(path)
        told = None
    except MetapipeError as error:
        told = str(error)
    except BaseException as error:
        told = f"{type(error).__name__} is no error of ours: {error}"
    print(json.dumps([told, peak() - begun]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A project with one sound adapted model."""
    folder = tmp_path_factory.mktemp("strangers")
    (folder / "metapipe.toml").write_text("")
    from PIL import Image

    for name in "abc":
        (folder / "shots" / name).mkdir(parents=True)
        Image.new("L", (8, 8), 80 * "abc".index(name)).save(
            folder / "shots" / name / "1.png"
        )
    metapipe.train(
        plugin="protonet",
        model="mlp",
        dataset="digits",
        settings={"model.layers": [6], "evaluation.episodes": 2},
        ways=3,
        queries=1,
        tasks=2,
        iterations=1,
        validate_every=0,
        progress=False,
        project=folder,
    )
    metapipe.adapt(
        1, support=folder / "shots", out=folder / "sound.metapipe", project=folder
    )
    return folder


@pytest.fixture(scope="module")
def opened(folder: Path) -> dict[str, tuple[str | None, int]]:
    """What each stranger's file led to: the error, and MiB of memory."""
    sound = folder / "sound.metapipe"
    paths = []
    for number, forge in enumerate(CASES.values()):
        file = read_tensors(sound, "adapted")
        header = json.loads(json.dumps(dict(file.header)))
        header = {n: v for n, v in header.items() if n not in ("format", "which")}
        header, tensors = forge(header, dict(file.tensors))
        paths.append(folder / f"{number}.metapipe")
        write_tensors(paths[-1], "adapted", tensors, header)
    for number, make in enumerate(RAW.values()):
        paths.append(folder / f"raw{number}.metapipe")
        paths[-1].write_bytes(make())
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    done = subprocess.run(
        [sys.executable, "-c", OPEN, str(sound), *map(str, paths)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert {p: p.stat().st_mtime_ns for p in folder.rglob("*")} == before
    assert "\x1b" not in done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    return dict(zip([*CASES, *RAW], found, strict=True))


@pytest.mark.parametrize("name", [*CASES, *RAW])
def test_a_strangers_model_is_refused_in_a_line(opened, folder, name: str) -> None:
    told, mebibytes = opened[name]
    assert told is not None
    assert str(folder) in told
    assert told.isprintable()
    assert len(told) < 600
    assert "no error of ours" not in told
    assert mebibytes < STATED


SAFELY = 'torch.load(path, map_location="cpu", weights_only=True)'
"""Reads tensors and nothing that runs: weights that came with a distribution."""


def test_no_file_of_ours_is_read_by_pickle() -> None:
    """Nor is anything in it run."""
    for path in [*ROOT.glob("metapipe/**/*.py"), *ROOT.glob("plugins/**/*.py")]:
        text = path.read_text()
        text = text.replace(SAFELY, "")
        for call in ("torch.load(", "pickle.load", "eval(", "exec(", "os.system("):
            found = re.search(rf"(?<![\w.]){re.escape(call)}", text)
            assert found is None, f"{path}: {call}"


def test_the_stated_bounds_are_those_of_the_code() -> None:
    for number in (
        f"{STATED} MiB",
        f"{LARGEST_HEAD >> 20} MiB",
        f"{MOST_TENSORS} tensors",
        f"{LARGEST >> 20} million numbers",
        f"{LARGEST_ACTIVATION >> 30} GiB",
    ):
        assert number in SECURITY, number
