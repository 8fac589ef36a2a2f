"""A run whose plugin is not here says where it came from, and what to do."""

from pathlib import Path

import pytest
from commands import TINY, error_line, metapipe
from PIL import Image

from metapipe.errors import UnknownNameError
from metapipe.experiment.missing import telling_origins
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


def look(recorded: dict[str, str], *files: Path) -> None:
    """For the one plugin that a record names."""
    registry = load(files)
    (named,) = recorded
    kind, name = named.split()
    with telling_origins(recorded, registry):
        registry.entry(kind, name)


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
        look(gone)


def test_a_distribution_is_told() -> None:
    with pytest.raises(UnknownNameError, match=r"of metapipe-his 0\.2, which is not i"):
        look({"algorithm his": "metapipe-his 0.2"})
    with telling_origins({"algorithm maml": "metapipe 0.0.1"}, load()):
        load().entry("algorithm", "maml")


def test_a_distribution_that_is_here_and_has_it_no_more_has_near_names() -> None:
    with pytest.raises(UnknownNameError, match="no algorithm plugin 'mam'; did you m"):
        look({"algorithm mam": "metapipe 0.0.1"})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            SOURCE.replace('"mine"', '"mine2"'),
            "no model plugin 'mine'; did you mean",
        ),
        ("def", "no model plugin 'mine'; .* shows plugins that failed to load"),
    ],
)
def test_a_file_that_is_loaded_or_fails_to_be_is_not_advised_again(
    tmp_path: Path, source: str, said: str
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(source)
    with pytest.raises(UnknownNameError, match=said):
        look({"model mine": str(file)}, file)


def test_an_adapted_model_tells_it_too(trained: tuple[Path, Path]) -> None:
    folder, file = trained
    adapted = ("adapt", "1", "--support", "examples", "--out", "mine.metapipe")
    for number, name in enumerate(("one", "two", "three")):
        (folder / "examples" / name).mkdir(parents=True)
        picture = Image.new("L", (8, 8), 60 * number)
        picture.save(folder / "examples" / name / "1.png")
    metapipe("--plugin-path", str(file), *adapted, cwd=folder)
    said = error_line("predict", "mine.metapipe", "examples", cwd=folder, code=2)
    assert f"model 'mine' is of {file}, which nobody loads" in said
