"""Options that are lists."""

from pathlib import Path

from commands import TINY, error_line, metapipe_json


def test_factors_are_written_as_in_the_config_file(tmp_path: Path) -> None:
    steps = ("train", *TINY, "--schedule", "steps", "--factors")
    dry = metapipe_json(*steps, "[[2, 0.5], [3, 0.25]]", "--dry-run", cwd=tmp_path)
    assert dry["experiment"]["training"]["factors"] == [[2, 0.5], [3, 0.25]]
    line = error_line(*steps, "5", cwd=tmp_path, code=2)
    assert "training.factors = 5 (command line): should be a list" in line


def test_patience_without_a_validation_is_refused(tmp_path: Path) -> None:
    patient = ("--patience", "2", "--validate-every", "0")
    line = error_line("train", *TINY, *patient, cwd=tmp_path, code=2)
    assert "patience = 2 counts validations" in line
