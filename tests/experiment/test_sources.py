"""What plugins are made of: every change of it is seen, and nothing is imported."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from metapipe.experiment.sources import imported, sources

METADATA = "Metadata-Version: 2.1\nName: faraway\nVersion: {version}\n"


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where the distribution `faraway` 1.0 with one plugin is installed."""
    folder = tmp_path / "site"
    (folder / "faraway" / "deep").mkdir(parents=True)
    (folder / "faraway" / "__init__.py").write_text("raise RuntimeError('imported')")
    (folder / "faraway" / "deep" / "plugin.py").write_text("x = 1")
    install(folder, "1.0")
    monkeypatch.syspath_prepend(folder)
    return folder


def install(site: Path, version: str) -> None:
    info = site / f"faraway-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA.format(version=version))
    points = "[metapipe]\nfar = faraway.deep.plugin\n"
    (info / "entry_points.txt").write_text(points)


def upgrade(site: Path) -> None:
    (site / "faraway-1.0.dist-info" / "METADATA").unlink()
    (site / "faraway-1.0.dist-info" / "entry_points.txt").unlink()
    (site / "faraway-1.0.dist-info").rmdir()
    install(site, "1.1")


def touch(site: Path) -> None:
    """Other content of the same length."""
    (site / "faraway" / "deep" / "plugin.py").write_text("x = 2")


def add_module(site: Path) -> None:
    (site / "faraway" / "more.py").write_text("")


def rename_plugin(site: Path) -> None:
    points = site / "faraway-1.0.dist-info" / "entry_points.txt"
    points.write_text("[metapipe]\nfarther = faraway.deep.plugin\n")


def install_a_library(site: Path) -> None:
    (site / "library-2.0.dist-info").mkdir()


def look_elsewhere(site: Path) -> None:
    sys.path.append(str(site / "elsewhere"))


@pytest.mark.parametrize(
    "change",
    [upgrade, touch, add_module, rename_plugin, install_a_library, look_elsewhere],
)
def test_a_change_of_what_is_installed_is_seen(
    site: Path, change: Callable[[Path], None]
) -> None:
    before = sources(())
    assert before == sources(()) == json.loads(json.dumps(before))
    change(site)
    assert before != sources(())
    assert "faraway" not in sys.modules


def test_a_plugin_files_content_counts(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    missing = sources((path,))
    path.write_text("x = 1")
    moment = path.stat().st_mtime_ns
    before = sources((path,))
    path.write_text("x = 2")
    os.utime(path, ns=(moment, moment))
    assert missing != before != sources((path,))


def test_a_package_that_is_not_there_is_passed_over(site: Path) -> None:
    points = site / "faraway-1.0.dist-info" / "entry_points.txt"
    points.write_text("[metapipe]\na = nowhere.plugin\nb = !\nc = .x\n")
    assert ["faraway", "1.0", "b", "!"] in sources(())["entry points"]


def test_what_no_version_tells_of_is_watched_once_imported() -> None:
    found = imported()
    assert str(Path(__file__)) in found
    assert not any("site-packages" in file for file in found)
