"""The card of a file: an adapted model, one of an older metapipe, a checkpoint."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from commands import TINY, error_line, metapipe, metapipe_json
from pictures import write_classes

from metapipe.training.tensor_file import read_tensors, write_tensors

FILES = Path(__file__).parents[1] / "files"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("show")
    write_classes(folder / "shots", {"rust": 3, "spot": 2})
    write_classes(folder / "more", {"rust": 2, "spot": 2})
    metapipe(
        *("adapt", "--backbone", "gradients", "-s", "backbone.size=32"),
        *("--support", "shots", "--query", "more", "--out", "leaves"),
        cwd=folder,
    )
    return folder / "leaves"


def test_a_card_tells_classes_origin_licence_and_figures(model):
    card = metapipe_json("show", str(model), cwd=model.parent)
    assert card["classes"] == {"rust": 3, "spot": 2}
    age = datetime.now(UTC) - datetime.fromisoformat(card["created"])
    assert timedelta(0) <= age < timedelta(hours=1)
    header = read_tensors(model, "adapted").header
    assert card["backbone"] == {
        "name": "gradients",
        "sha256": header["encoder"]["sha256"],
        "licence": "MIT, as metapipe: there are no weights",
        "source": "computed here",
        "carried": False,
    }
    judged = card["judged"]
    assert (judged["by"], judged["count"]) == ("query", 4)
    assert judged["low"] <= judged["accuracy"] <= judged["high"]
    assert card["settings"]["backbone"]["size"] == 32
    assert any("decisions about people" in text for text in card["not_for"])
    out, _ = metapipe("show", "leaves", cwd=model.parent)
    for text in ("rust 3, spot 2", "licence: MIT", "by queries", "not for", "size=32"):
        assert text in out


def test_an_older_file_tells_what_it_knows(tmp_path):
    card = metapipe_json("show", str(FILES / "format-1.metapipe"), cwd=tmp_path)
    assert card["created"] is None
    assert card["classes"]
    out, _ = metapipe("show", str(FILES / "format-1.metapipe"), cwd=tmp_path)
    assert "created" not in out


def test_a_checkpoint_tells_its_step(tmp_path):
    metapipe("train", "--plugin", "protonet", *TINY, "--iterations", "2", cwd=tmp_path)
    (run,) = json.loads(metapipe("runs", "list", "--json", cwd=tmp_path)[0])
    (path,) = Path(run["directory"]).glob("latest*")
    card = metapipe_json("show", str(path), cwd=tmp_path)
    assert card["what"] == "a checkpoint of a run"
    assert card["step"] == 2
    assert card["parameters"] == 64 * 16 + 16


def test_what_has_no_card_is_one_line(model, tmp_path):
    line = error_line("show", "latest", cwd=tmp_path, code=2)
    assert "'metapipe runs show latest'" in line
    assert "no file of metapipe at no.metapipe" in error_line(
        "show", "no.metapipe", cwd=tmp_path, code=1
    )
    (tmp_path / "text").write_text("nothing")
    assert "damaged" in error_line("show", "text", cwd=tmp_path, code=1)
    file = read_tensors(model, "adapted")
    for name, value in (("judged", 3), ("counts", [1]), ("origin", {"run": "x"})):
        header = {**file.header, name: value}
        write_tensors(tmp_path / "x", "adapted", file.tensors, header)
        line = error_line("show", "x", cwd=tmp_path, code=1)
        assert "x has a damaged header" in line
