"""The likeliest mistakes of a first hour lead on: the line names the right command."""

from pathlib import Path

import pytest
from commands import error_line, metapipe

MISTAKES = {
    "train maml": "train takes no argument 'maml': use --plugin maml",
    "list": "use 'metapipe runs list'",
    "show latest": "'metapipe runs show latest'",
    "test latest": "use 'metapipe evaluate RUN'",
    "help": "use 'metapipe --help'",
    "version": "use 'metapipe --version'",
    "plugin list": "use 'metapipe plugins list'",
    "run show": "use 'metapipe runs list, or metapipe train'",
    "predict photo.jpg": "metapipe predict MODEL FILES",
    "adapt shots/": "--support FOLDER",
    "adapt latest shots/": "--support FOLDER",
    "evaluate": "needs a run, a number, a name, or 'latest': metapipe evaluate RUN",
    "resume": "metapipe resume RUN",
    "runs tag": "metapipe runs tag RUN",
    "train --gpu": "use --device cuda",
    "train --epochs 10": "use --iterations N",
    "train --batch-size 4": "use --tasks N",
    "train --workers 4": "use --mapping threads, or nothing",
    "train --data pictures": "use --dataset image-folder -s dataset.root=FOLDER",
    "train --inner-lr 0.1": "use -s algorithm.inner_lr=X",
    "train --algo maml": "use --algorithm NAME",
    "train --learning-rate 0.1": "use --lr X",
    "train --itterations 5": "did you mean '--iterations'?",
    "train --zebra": "see 'metapipe train --help'",
    "train --device gpu": "did you mean 'cuda'?",
    "train --set lr=0.01": "write training.lr=0.01",
    "train --set inner_lr=0.1": "for example algorithm.inner_lr=0.1",
    "runs list --sort acc": "did you mean 'accuracy'?",
    "runs list --where acc>0.5": "did you mean 'accuracy'?",
    "runs --gpu": "use --device cuda",
}


@pytest.mark.parametrize("typed", MISTAKES)
def test_the_line_names_what_to_type(typed: str, tmp_path: Path) -> None:
    line = error_line(*typed.split(), cwd=tmp_path, code=2)
    assert MISTAKES[typed] in line
    assert line.count("see '") <= ("--zebra" in typed), "it is told what to type"
    for far in ("'--plugin'", "'--final-lr'", "'--help'?"):
        assert far not in line


def test_a_model_that_is_none_says_how_to_make_one(tmp_path: Path) -> None:
    line = error_line("predict", "latest", "photo.jpg", cwd=tmp_path, code=1)
    assert "metapipe adapt RUN --support DIR --out FILE" in line


def test_data_sets_are_listed(tmp_path: Path) -> None:
    out, _ = metapipe("datasets", "list", cwd=tmp_path)
    assert "omniglot" in out
    assert "image-folder" in out
    assert "maml" not in out.split()


def test_a_split_that_is_too_small_is_named(tmp_path: Path) -> None:
    small = ("--dataset", "digits", "--ways", "300")
    line = error_line("train", *small, cwd=tmp_path, code=2)
    assert "the train split has" in line
    assert "then adapt to yours" in line
