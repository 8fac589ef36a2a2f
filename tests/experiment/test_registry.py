"""Plugins: found, shown, and never able to take the others down."""

import pickle
import re
from pathlib import Path
from types import ModuleType

import pytest

from metapipe import hookimpl
from metapipe.errors import SettingError, UnknownNameError
from metapipe.experiment.registry import Origin, Registry, load
from metapipe.experiment.shelf import Contents, Unopened
from metapipe.testing import TinyModel

GOOD = """
from metapipe import hookimpl
from metapipe.testing import TinyModel

class Mine(TinyModel):
    "A tiny model."

@hookimpl
def register_models(register):
    register("{name}", Mine)
"""


@pytest.fixture
def write(tmp_path: Path):
    def _write(name: str, text: str) -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return path

    return _write


def test_ours_are_found_like_anybodys() -> None:
    registry = load()
    assert registry.failures == []
    assert "maml" in registry.names("algorithm")
    assert {"conv4", "mlp"} <= set(registry.names("model"))
    assert {"glyphs", "omniglot", "digits", "sinusoid"} <= set(
        registry.names("dataset")
    )
    assert registry.entry("algorithm", "maml").origin.distribution == "metapipe"


def test_a_file_is_a_plugin(write) -> None:
    path = write("mine", GOOD.format(name="mine"))
    registry = load((path,))
    assert registry.entry("model", "mine").origin.distribution == str(path)
    assert registry.create("model", "mine", {"width": 3}).width == 3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_that_name", "ModuleNotFoundError: No module named"),
        ("1 +", "SyntaxError"),
        (
            "raise RuntimeError('line one\\nline two')",
            "RuntimeError: line one line two",
        ),
        (GOOD.format(name="conv4"), "conv4.* has that name already"),
        (
            "from metapipe import hookimpl\n@hookimpl\n"
            "def register_models(register): register('x', int)",
            "'x' is no metapipe.Model",
        ),
        (
            "from metapipe import hookimpl, Model\nclass M(Model): ...\n@hookimpl\n"
            "def register_models(register): register('x', M)",
            "'x' lacks build",
        ),
        (
            "from metapipe import hookimpl\n@hookimpl\ndef register_models(wrong): ...",
            "wrong",
        ),
        (
            "from metapipe import hookimpl\n@hookimpl\n"
            "def registr_models(register): ...",
            "registr_models",
        ),
        (
            "from metapipe import hookimpl\n@hookimpl\n"
            "def register_models(register): 1 / 0",
            "ZeroDivisionError",
        ),
        ("import sys\nsys.exit('usage: a script')", "SystemExit: usage: a script"),
        (GOOD.format(name="Not a table"), "'Not a table' is no name for a plugin"),
        (GOOD.replace('"{name}"', "3"), "3 is no name for a plugin"),
    ],
)
def test_a_broken_plugin_is_recorded_and_left_out(write, text, reason) -> None:
    broken, good = write("broken", text), write("good", GOOD.format(name="good"))
    registry = load((broken, good))
    (failure,) = registry.failures
    assert failure.origin == str(broken)
    assert "\n" not in failure.reason
    assert re.search(reason, failure.reason)
    assert {"conv4", "good"} <= set(registry.names("model"))


def test_a_file_named_twice_is_loaded_once(write) -> None:
    path = write("mine", GOOD.format(name="mine"))
    registry = load((path, path.parent / ".." / path.parent.name / path.name))
    assert registry.failures == []
    assert "mine" in registry.names("model")


def test_a_file_that_did_not_change_is_imported_once(write) -> None:
    """Beside others too: objects of its classes can be pickled as before."""
    one, two = (write(n, GOOD.format(name=n)) for n in ("one", "two"))
    before = load((one,)).entry("model", "one").cls
    assert load((two, one)).entry("model", "one").cls is before
    assert type(pickle.loads(pickle.dumps(before()))) is before
    write("one", GOOD.format(name="one") + "# changed")
    assert load((two, one)).entry("model", "one").cls is not before


def test_a_missing_file_is_a_failure_too(tmp_path: Path) -> None:
    registry = load((tmp_path / "none.py", tmp_path / "text.txt"))
    assert [f.origin for f in registry.failures] == [
        str(tmp_path / "none.py"),
        str(tmp_path / "text.txt"),
    ]


ENCODER = """
from typing import Literal
from metapipe import hookimpl
from metapipe.data import ImageEncoder

class Mine(ImageEncoder):
    type: Literal["{kept}"] = "{kept}"

@hookimpl
def register_encoders(register):
    register("{name}", Mine)
"""


def test_encoders_are_found_by_registration(write) -> None:
    first = write("first", ENCODER.format(name="mine", kept="mine"))
    second = write("second", ENCODER.format(name="mine", kept="mine"))
    third = write("third", ENCODER.format(name="other", kept="mine"))
    registry = load((first, second, third))
    assert {"image", "text", "tfidf", "table", "mine"} <= set(registry.encoders)
    assert "other" not in registry.encoders
    clash, unlike = registry.failures
    assert clash.origin == str(second)
    assert "encoder 'mine' of second.py is left out: first.py has" in clash.reason
    assert "no field type: Literal['other'] = 'other'" in unlike.reason
    assert registry.encoders["mine"].__module__.startswith("metapipe_file_first")
    assert "mine" not in {entry.name for entry in registry.entries()}


def test_backbones_are_plugins(write) -> None:
    registry = load()
    assert {"gradients", "sentence-transformers"} <= set(registry.names("backbone"))
    with pytest.raises(UnknownNameError, match="no backbone plugin 'gradient'; did"):
        registry.entry("backbone", "gradient")


def test_names_that_are_not_there_bring_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="no algorithm plugin 'mmal'; did you"):
        load().entry("algorithm", "mmal")
    with pytest.raises(UnknownNameError, match="there are none"):
        Registry().entry("model", "x")


def test_settings_are_checked_with_their_origin() -> None:
    registry = load()
    with pytest.raises(SettingError) as caught:
        registry.create(
            "algorithm", "maml", {"iner_lr": 1}, {"algorithm.iner_lr": "here"}
        )
    assert str(caught.value) == (
        "unknown setting 'algorithm.iner_lr' (here); did you mean 'inner_lr'?"
    )
    with pytest.raises(SettingError, match=r"^model\.width = -1: should be greater"):
        registry.create("model", "conv4", {"width": -1})
    with pytest.raises(SettingError, match=r"^model\.pooling = 'avg': should be 'str"):
        registry.create("model", "conv4", {"pooling": "avg"})


@pytest.mark.parametrize(
    ("version", "advice"), [("2", "upgrade metapipe"), ("0", "newer version")]
)
def test_a_plugin_for_another_contract_is_left_out(tmp_path, version, advice) -> None:
    path = tmp_path / "other.py"
    path.write_text(f"contract = {version}\nraise_ = 1\n")
    registry = load((path,))
    (failure,) = [f for f in registry.failures if f.origin == str(path)]
    assert failure.reason.startswith(f"it was written for contract {version}")
    assert advice in failure.reason


def _models(names):
    """A hook that registers models of these names."""

    def register_models(register) -> None:
        for _, name in names:
            register(name, TinyModel)

    return register_models


def test_what_is_on_the_shelf_is_loaded_when_it_is_asked_for() -> None:
    registry, loaded = Registry(), []

    def put(key: str, *names: tuple[str, str], watches: bool = False) -> None:
        module = ModuleType(key)
        if watches:
            module.run_started = hookimpl(lambda run: None)

        module.register_models = hookimpl(_models(names))

        def load_it() -> None:
            loaded.append(key)
            registry.add(module, Origin(key, "somebody", "1"), key)

        contents = Contents([*names], watches)
        registry.add_later(key, Unopened(key, contents, load_it))

    put("one", ("model", "first"), ("model", "second"))
    put("two", ("model", "third"), watches=True)
    put("three", ("model", "fourth"))
    assert registry.names("model") == ["first", "fourth", "second", "third"]
    assert loaded == []
    assert registry.entry("model", "second").origin.module == "one"
    assert registry.entry("model", "first").cls is not None
    assert loaded == ["one"]
    assert list(registry.listening()) == ["two"]
    assert loaded == ["one", "two"]
    clash = ModuleType("clash")
    clash.register_models = hookimpl(_models([("model", "fourth")]))
    registry.add(clash, Origin("clash", "a file", ""), "clash")
    (failure,) = registry.failures
    assert failure.reason.endswith("three has that name already")
    with pytest.raises(UnknownNameError, match="did you mean 'fourth'"):
        registry.entry("model", "forth")
    assert loaded == ["one", "two", "three"]
    assert [entry.name for entry in registry.entries()] == registry.names("model")
    assert len(registry.failures) == 1


def test_an_interrupted_import_is_done_when_it_is_asked_for_again() -> None:
    registry, module, tries = Registry(), ModuleType("slow"), []
    module.register_models = hookimpl(_models([("model", "slow")]))

    def load_it() -> None:
        tries.append(1)
        if len(tries) == 1:
            raise KeyboardInterrupt
        registry.add(module, Origin("slow", "somebody", "1"), "slow")

    contents = Contents([("model", "slow")])
    registry.add_later("slow", Unopened("slow", contents, load_it))
    with pytest.raises(KeyboardInterrupt):
        registry.entry("model", "slow")
    assert registry.names("model") == ["slow"]
    assert registry.entry("model", "slow").name == "slow"
