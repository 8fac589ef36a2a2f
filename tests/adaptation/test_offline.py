"""Learning and predicting by a backbone with no network, and without its weights."""

import ctypes
import socket
from importlib.util import find_spec

import pytest
from commands import run_metapipe
from pictures import write_classes

import metapipe
from metapipe.adaptation.card import read_card
from metapipe_plugins.backbones import efficientnet_lite

if find_spec(efficientnet_lite.PACKAGE) is None:
    pytest.skip(efficientnet_lite.INSTALL, allow_module_level=True)

CLONE_NEWNET = 0x40000000
"""A network of one's own, without any interface: see unshare(2)."""


def without_network() -> None:
    """In a process that is about to run a command: no interfaces, where it may do away
    with them, and in any case no connections."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("there is a network")

    ctypes.CDLL(None).unshare(CLONE_NEWNET)
    socket.getaddrinfo = socket.create_connection = refuse
    socket.socket.connect = refuse


def without_weights() -> None:
    """The same, where the weights are not installed."""
    without_network()
    efficientnet_lite.PACKAGE = "nobody_has_this"


def offline(*arguments, cwd, first=without_network, code=0):
    """What a command prints on stdout and stderr."""
    found, out, err = run_metapipe(*arguments, cwd=cwd, first=first)
    assert found == code, err
    return out, err


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("offline")
    write_classes(folder / "shots", {"a": 3, "b": 2})
    return folder


def adapt(folder, out, **more):
    return metapipe.adapt(
        backbone="efficientnet-lite0",
        support=folder / "shots",
        out=folder / out,
        settings={"backbone.size": 32},
        project=folder,
        **more,
    )


def test_a_file_that_carries_its_weights_needs_none(folder):
    """Nor a network; the same predictions, bit for bit, and more can be learned."""
    command = ("adapt", "--backbone", "efficientnet-lite0", "-s", "backbone.size=32")
    shots = ("--support", "shots", "--out", "whole", "--self-contained")
    offline(*command, *shots, cwd=folder)
    assert (folder / "whole").stat().st_size > 10_000_000
    out, _ = offline(
        "predict", "whole", "shots", "--csv", cwd=folder, first=without_weights
    )
    adapt(folder, "small")
    assert (folder / "small").stat().st_size < 200_000
    rows = metapipe.predict(folder / "small", folder / "shots", project=folder)
    lines = [line.split(",") for line in out.splitlines()[1:]]
    assert [line[1] for line in lines] == [row["label"] for row in rows]
    for line, row in zip(lines, rows, strict=True):
        assert float(line[2]) == pytest.approx(row["probability"], abs=1e-5)
    card = read_card(folder / "whole")
    assert card.backbone.carried
    assert card.backbone.licence == "Apache-2.0"


def test_a_file_without_weights_says_what_to_install(folder):
    adapt(folder, "bare")
    _, err = offline(
        "adapt", "bare", "--add", "shots", cwd=folder, first=without_weights, code=1
    )
    assert err.count("\n") == 1
    assert "pip install 'metapipe[pictures]'" in err
    offline("adapt", "bare", "--remove", "a/0.png", cwd=folder, first=without_weights)
