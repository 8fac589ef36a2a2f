"""`training.execution`: what is refused, what is taken, and that it is taken again."""

import copy
import os
from pathlib import Path

import pytest
import torch
from commands import error_line, metapipe
from compiler import needs_compiler
from crews import together

import metapipe as mp
from metapipe.errors import SettingError, UnsupportedError
from metapipe.runs import execution as choosing
from metapipe.store import TaskStore, default_url
from metapipe.training import execution
from metapipe.training.checkpoint import load

SMALL = (
    *("train", "--plugin", "protonet", "--dataset", "digits", "--ways", "3"),
    *("--queries", "2", "--tasks", "4", "--validate-every", "0", "--mapping", "loop"),
    *("-s", "model.width=4", "-s", "model.blocks=2", "-s", "evaluation.episodes=4"),
    *("-s", "training.log_every=1", "--iterations", "4"),
)
"""A training of a second."""

CONV = {"model.width": 4, "model.blocks": 2}


def train(folder, **options):
    more = options.pop("settings", {})
    options = {"model": "mlp", "iterations": 2} | options
    return mp.train(
        **{"plugin": "protonet", "dataset": "digits", "ways": 3, "queries": 1},
        **{"tasks": 3, "validate_every": 0} | options,
        settings={"evaluation.episodes": 2} | (more or {"model.layers": [6]}),
        project=folder,
        progress=False,
    )


def recorded(folder, run=1):
    with TaskStore.open(default_url(folder)) as store:
        return store.run(run).environment.get("execution")


def parameters(folder: Path, run=1):
    with TaskStore.open(default_url(folder)) as store:
        directory = Path(store.run(run).directory)
    (path,) = directory.glob("latest-*")
    return load(path).meta("cpu").params


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--execution", "graph"), "CUDA graphs want an NVIDIA GPU, and this"),
        (
            ("--execution", "graph", "--recompute"),
            "execution = graph is not for recompute = true: use eager",
        ),
        (
            ("--execution", "graph", "--mapping", "threads"),
            "execution = graph is not for mapping = threads: use auto, loop, vmap",
        ),
        (
            ("--execution", "compile", "--plugin", "maml"),
            "execution = 'compile': maml maps a function over tasks, and torch",
        ),
        (
            ("--execution", "compile", "--precision", "bfloat16"),
            "execution = 'compile': it computes in float32, and run.precision = 'bf",
        ),
    ],
)
def test_what_cannot_be_is_refused_before_the_run_is_entered(
    tmp_path, options, said
) -> None:
    assert said in error_line(*SMALL, "--device", "cpu", *options, cwd=tmp_path, code=2)
    with TaskStore.open(default_url(tmp_path)) as store:
        assert not store.runs()


@pytest.fixture
def uncompiled(monkeypatch, tmp_path):
    """A network stands for its compiled copy; how often one was asked for."""
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path / "cache"))
    asked = []

    def compiled(network):
        asked.append(network)
        return network

    monkeypatch.setattr(execution, "compiled", compiled)
    return asked


def test_what_auto_takes_is_remembered_recorded_and_taken_again(
    uncompiled, monkeypatch, tmp_path
) -> None:
    timed = []

    def fastest(learner, state, draw, executions):
        timed.append(executions)
        return "compile"

    monkeypatch.setattr(choosing, "fastest_execution", fastest)
    for _ in range(2):
        train(tmp_path, execution="auto")
    assert timed == [["eager", "compile"]], "the same work is not timed again"
    assert recorded(tmp_path, 1) == recorded(tmp_path, 2) == "compile"
    monkeypatch.setattr(choosing, "remembered", None)  # nobody asks any more
    for again in (
        lambda: mp.resume(1, iterations=3, project=tmp_path),
        lambda: mp.verify(2, project=tmp_path),
        lambda: mp.train(from_run=2, project=tmp_path, progress=False),
    ):
        uncompiled.clear()
        again()
        assert uncompiled
    assert recorded(tmp_path, 3) == "compile"


def test_nothing_is_recorded_or_timed_where_nothing_was_asked(
    uncompiled, tmp_path
) -> None:
    train(tmp_path)
    assert recorded(tmp_path) is None
    mp.resume(1, iterations=3, project=tmp_path)
    assert not uncompiled


def test_a_gradient_that_is_off_is_refused(uncompiled, monkeypatch, tmp_path) -> None:
    def compiled(network):
        made, kind = copy.deepcopy(network), type(network)
        off = {"forward": lambda self, inputs: kind.forward(self, inputs).cos()}
        made.__class__ = type("Off", (kind,), off)
        return made

    monkeypatch.setattr(execution, "compiled", compiled)
    said = "ProtoNet cannot be executed so: the meta-gradient is off .cosine 0.*use eag"
    with pytest.raises(UnsupportedError, match=said):
        train(tmp_path, execution="compile")


def test_an_unknown_one_is_told(tmp_path) -> None:
    with pytest.raises(SettingError, match="eager"):
        train(tmp_path, execution="quickly")


@needs_compiler
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
def test_a_compiled_training_goes_on_and_is_done_again_to_the_bit(
    tmp_path, monkeypatch
) -> None:
    """In two stretches, and then in one; close to an eager one."""
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "1")
    settings = CONV | {"model.blocks": 1}
    options = {"model": "conv4", "settings": settings, "mapping": "loop"}
    train(tmp_path, execution="compile", **options)
    mp.resume(1, iterations=4, project=tmp_path)
    assert recorded(tmp_path) == "compile"
    assert mp.verify(1, project=tmp_path).matches
    train(tmp_path, **options | {"iterations": 4})
    compiled, eager = parameters(tmp_path, 1), parameters(tmp_path, 2)
    for name, value in eager.items():
        torch.testing.assert_close(compiled[name], value, rtol=1e-2, atol=1e-3)


@needs_compiler
@pytest.mark.skipif(
    "METAPIPE_LONG_TESTS" not in os.environ,
    reason="takes a minute, to compile in each process: set METAPIPE_LONG_TESTS=1",
)
def test_processes_that_compile_agree(tmp_path) -> None:
    alone, crew = tmp_path / "alone", tmp_path / "crew"
    compiled = (*SMALL, "--shards", "2", "--execution", "compile")
    for folder in (alone, crew):
        folder.mkdir()
    metapipe(*compiled, cwd=alone)
    together(2, *compiled, cwd=crew)
    assert recorded(crew) == "compile"
    one, other = parameters(alone), parameters(crew)
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def test_a_compiler_that_is_not_there_is_told_in_a_line(tmp_path, monkeypatch) -> None:
    name = str(tmp_path / "no-compiler")
    monkeypatch.setenv("CXX", name)
    options = ("--execution", "compile", "--device", "cpu")
    said = error_line(*SMALL, *options, cwd=tmp_path, code=2)
    assert f"no C++ compiler {name} (install" in said
    assert said.endswith("or set CXX); use eager")
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path / "cache"))
    train(tmp_path, execution="auto", device="cpu")
    assert recorded(tmp_path) == "eager"
