"""`training.recompute`: the same run, by a task map that can."""

import logging

import pytest
import torch

import metapipe
from metapipe.errors import SettingError
from metapipe.training.checkpoint import load

SETTINGS = {
    **{"model.layers": [6], "algorithm.inner_steps": 2, "evaluation.episodes": 2},
    **{"training.chunk": 2, "training.log_every": 1},
}


def trained(folder, recompute, **settings):
    return metapipe.train(
        **{"plugin": "maml", "model": "mlp", "dataset": "digits", "ways": 3},
        **{"queries": 1, "tasks": 3, "iterations": 2, "validate_every": 0},
        settings={**SETTINGS, "training.recompute": recompute, **settings},
        project=folder,
        progress=False,
    )


def parameters(outcome):
    (path,) = outcome.directory.glob("latest-*")
    return load(path).meta("cpu").params


def test_a_run_ends_with_the_same_bits(tmp_path, caplog):
    ends = [
        parameters(trained(tmp_path, recompute, **{"training.mapping": "loop"}))
        for recompute in (False, True)
    ]
    for name, value in ends[0].items():
        assert torch.equal(value, ends[1][name]), name
    assert "recompute" not in caplog.text


def test_auto_takes_a_map_that_can(tmp_path, monkeypatch):
    monkeypatch.setenv("METAPIPE_CACHE", str(tmp_path / "cache"))
    assert trained(tmp_path, True).mapping in ("loop", "threads:2")


@pytest.mark.parametrize("mapping", ["vmap", "chunks", "chunked-threads"])
def test_one_that_cannot_is_refused(tmp_path, mapping):
    said = f"recompute = true is not for mapping = {mapping}: use auto, loop or threads"
    with pytest.raises(SettingError, match=said):
        trained(tmp_path, True, **{"training.mapping": mapping})


def test_a_method_without_second_derivatives_is_told_of(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "metapipe"):
        trained(tmp_path, True, **{"algorithm.first_order": True})
    assert caplog.text.count("training.recompute = true has no effect: maml") == 1
