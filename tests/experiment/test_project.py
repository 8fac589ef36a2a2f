"""The config file as editors and shells write it, and as others may."""

import os
import stat
from pathlib import Path

import pytest

from metapipe.errors import SettingError
from metapipe.experiment.project import find_project

TEXT = "[training]\nlr = 0.5\n"


def test_marks_and_line_ends_of_editors_are_no_part_of_it(tmp_path: Path) -> None:
    content = b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode()
    (tmp_path / "metapipe.toml").write_bytes(content)
    assert find_project(start=tmp_path).tables == {"training": {"lr": 0.5}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (TEXT.encode("utf-16"), "is UTF-16: save it as UTF-8"),
        (TEXT.encode("utf-16-be"), "is not valid TOML"),
        ("# café\n".encode("latin-1"), "is not UTF-8 from byte 6 on"),
        (b'[run]\nname = "a\0b"\n', r"not valid TOML: .*\(at line 2, column 10\)"),
        (b"[run]\nseed = 1\nseed = 2\n", r"not valid TOML: .*\(at line 3"),
        (b"[run]\nname = " + b"[" * 10**5, "nested too deep"),
        (b"[run]\nseed = " + b"9" * 5000, "not valid TOML: .* digits"),
        (b"[run\n", r"not valid TOML: .*\(at line 1"),
    ],
)
def test_what_cannot_be_read_is_said_in_a_line(
    tmp_path: Path, content: bytes, message: str
) -> None:
    (tmp_path / "metapipe.toml").write_bytes(content)
    with pytest.raises(SettingError, match=message) as raised:
        find_project(start=tmp_path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.fixture
def with_plugin(tmp_path: Path) -> Path:
    path = tmp_path / "metapipe.toml"
    path.write_text("[plugins]\npaths = ['a.py', '~/b.py', '/c.py']\n")
    return path


def test_plugin_files_are_relative_to_the_config_file(
    with_plugin: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    found = find_project(start=with_plugin.parent).plugin_paths
    assert found == (with_plugin.parent / "a.py", Path("/home/me/b.py"), Path("/c.py"))


def test_plugins_of_a_file_that_anybody_can_write_are_not_run(
    with_plugin: Path,
) -> None:
    with_plugin.chmod(with_plugin.stat().st_mode | stat.S_IWOTH)
    with pytest.raises(SettingError, match="written by anybody, and names plugins"):
        _ = find_project(start=with_plugin.parent).plugin_paths
    assert len(find_project(with_plugin).plugin_paths) == 3  # named, and so trusted


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_plugins_of_somebody_elses_file_are_not_run(with_plugin: Path) -> None:
    os.chown(with_plugin, 12345, 12345)
    with pytest.raises(SettingError, match="belongs to another user, and names"):
        _ = find_project(start=with_plugin.parent).plugin_paths
