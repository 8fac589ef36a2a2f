"""A run whose plugin is not here says where it came from, and what to do."""

from pathlib import Path

import pytest
from commands import TINY, error_line, metapipe

from metapipe.errors import UnknownNameError
from metapipe.experiment.missing import require_plugins
from metapipe.experiment.registry import load

SOURCE = '''
from metapipe import hookimpl
from metapipe_plugins.models.mlp import MLP

contract = 1


class Mine(MLP):
    """A perceptron."""


@hookimpl
def register_models(register):
    """Offer it."""
    register("mine", Mine)
'''


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A project whose run 1 has a model of a file, and that file."""
    folder = tmp_path_factory.mktemp("project")
    file = tmp_path_factory.mktemp("my plugins") / "mine.py"
    file.write_text(SOURCE)
    loading = ("--plugin-path", str(file))
    metapipe(*loading, "train", *TINY, "--model", "mine", cwd=folder)
    return folder, file


@pytest.mark.parametrize(
    "command",
    [("resume", "1", "--iterations", "9"), ("evaluate", "1"), ("runs", "verify", "1")],
    ids=lambda words: words[0],
)
def test_the_file_is_named_with_the_option(
    trained: tuple[Path, Path], command: tuple[str, ...]
) -> None:
    folder, file = trained
    said = error_line(*command, cwd=folder, code=2)
    assert f"model 'mine' is of {file}, which nobody loads" in said
    assert f"metapipe --plugin-path '{file}' ..." in said


def test_a_file_that_is_gone_is_told(trained: tuple[Path, Path]) -> None:
    _, file = trained
    gone = {"model mine": str(file.with_name("gone.py"))}
    with pytest.raises(
        UnknownNameError, match=r"gone\.py, which is not there any more"
    ):
        require_plugins(gone, load())


def test_a_distribution_is_told() -> None:
    with pytest.raises(UnknownNameError, match=r"of metapipe-his 0\.2, which is not i"):
        require_plugins({"algorithm his": "metapipe-his 0.2"}, load())
    require_plugins({"algorithm maml": "metapipe 0.0.1"}, load())
