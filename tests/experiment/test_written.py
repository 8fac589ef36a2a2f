"""What is written is read as its setting's type, and from where it stands."""

from datetime import date
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel

from metapipe.errors import SettingError
from metapipe.experiment.experiment import SECTIONS
from metapipe.experiment.project import find_project
from metapipe.experiment.registry import load
from metapipe.experiment.resolve import resolve
from metapipe.experiment.written import Written, parse_assignment, typed


class Table(BaseModel):
    text: str | None = None
    path: Path | None = None
    paths: tuple[Path, ...] = ()
    name_or_path: str | Path = ""
    count: int = 0
    share: float | None = None
    switch: bool = False
    numbers: tuple[int, ...] = ()
    words: tuple[str, ...] = ()
    choice: Literal["1", "a"] = "a"
    word_or_number: int | str = 0


def meant(name: str, text: str) -> object:
    return getattr(Table(**typed("t", {name: Written(text)}, Table)), name)


@pytest.mark.parametrize(
    "text",
    [
        *("2024", "1e5", "0x10", "1_000", "true", "nan", "inf", "-0", "2024-01-01"),
        *("[x]", "[1, 2]", "{a = 1}", "a=b", "5 # five", "'", '"', "1\nother = 2", "é"),
    ],
)
def test_a_setting_of_text_takes_any_text_as_it_is(text: str) -> None:
    assert meant("text", text) == text
    assert meant("path", text) == Path.cwd() / text


def test_what_is_quoted_is_what_is_in_the_quotes() -> None:
    assert meant("text", '"1e5"') == "1e5"
    assert meant("text", "'true'") == "true"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("count", "0x10", 16),
        ("count", "1_000", 1000),
        ("count", "007", 7),
        ("share", "1e-5", 1e-5),
        ("switch", "true", True),
        ("numbers", "[1, 2]", (1, 2)),
        ("words", '["1e5", "b"]', ("1e5", "b")),
        ("choice", "1", "1"),
        ("word_or_number", "5", 5),
        ("word_or_number", "1e5x", "1e5x"),
    ],
)
def test_others_are_read_as_toml(name: str, text: str, value: object) -> None:
    assert meant(name, text) == value


@pytest.mark.parametrize(("name", "text"), [("count", "true"), ("share", "false")])
def test_a_number_is_neither_true_nor_false(name: str, text: str) -> None:
    with pytest.raises(ValueError, match="should be a valid"):
        meant(name, text)
    with pytest.raises(ValueError, match="should be a valid"):
        Table(**typed("t", {name: text == "true"}, Table))


def test_paths_are_relative_to_where_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    values = {"path": "a/b", "paths": ["~/c", "/d", "e"], "name_or_path": "bert"}
    found = Table(**typed("t", values, Table, lambda _: tmp_path))
    assert found.path == tmp_path / "a" / "b"
    assert found.paths == (tmp_path / "home" / "c", Path("/d"), tmp_path / "e")
    assert found.name_or_path == "bert"


def test_a_config_file_is_what_its_paths_are_relative_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below, text = tmp_path / "below", '[run]\ndataset = "omniglot"\n'
    below.mkdir()
    (tmp_path / "metapipe.toml").write_text(
        f'{text}[dataset.omniglot]\nroot = "data"\nlists = "~/lists"\n'
    )
    monkeypatch.chdir(below)
    monkeypatch.setenv("HOME", str(tmp_path))
    project, registry = find_project(), load()

    def root(*pairs: tuple[str, object]) -> dict[str, object]:
        return resolve(project, registry, pairs).experiment.dataset.model_dump()

    assert root()["root"] == tmp_path / "data"
    assert root()["lists"] == tmp_path / "lists"
    assert root(parse_assignment("dataset.root=data"))["root"] == below / "data"
    assert root(("dataset.root", "2024"))["root"] == below / "2024"
    monkeypatch.setenv("METAPIPE_DATASET__ROOT", "1e5")
    assert root()["root"] == below / "1e5"


DEEP, LONG = "[" * 3000, "9" * 5000


@pytest.mark.parametrize(
    "value",
    [DEEP, LONG, DEEP + "]" * 3000, "{a=" * 2000],
    ids=["deep", "long", "deep and closed", "tables"],
)
@pytest.mark.parametrize("name", ["training.lr", "run.seed", "task.ways_to"])
def test_what_is_too_deep_or_too_long_is_a_wrong_value(
    tmp_path: Path, name: str, value: str
) -> None:
    project = find_project(start=tmp_path)
    with pytest.raises(
        SettingError, match=f"^{name} = .* \\(command line\\): "
    ) as raised:
        resolve(project, load(), [parse_assignment(f"{name}={value}")])
    assert len(str(raised.value)) < 300
    (tmp_path / "metapipe.toml").write_text(f"[training]\nlr = {value}\n")
    with pytest.raises(SettingError, match=r"metapipe\.toml"):
        resolve(find_project(start=tmp_path), load())


@pytest.mark.parametrize("huge", [2**31, 10**30, 10**6000], ids=["31", "30", "6000"])
def test_a_number_that_no_database_takes_is_refused(tmp_path: Path, huge: int) -> None:
    project = find_project(start=tmp_path)
    for name in ("run.seed", "training.iterations", "task.ways", "evaluation.shots"):
        with pytest.raises(SettingError, match=f"^{name} = "):
            resolve(project, load(), [(name, huge)])


@pytest.mark.parametrize(
    "name", ["n" * 201, "a\nb", "a\0b", "\x1b[31mred", "a\u202eb", "a\udcffb", "\u200b"]
)
def test_a_name_fits_every_database_and_terminal(name: str) -> None:
    with pytest.raises(ValueError, match="a name has"):
        SECTIONS["run"](name=name)


def test_a_name_is_kept_in_its_normal_form() -> None:
    assert SECTIONS["run"](name=" cafe\u0301 ").model_dump()["name"] == "caf\u00e9"
    assert SECTIONS["run"](name="\u06a9\u0645\u200c\u0686").model_dump()["name"]


def test_text_with_a_nul_is_refused(tmp_path: Path) -> None:
    (tmp_path / "metapipe.toml").write_text(
        '[run]\ndataset = "omniglot"\n[dataset.omniglot]\nroot = "a\\u0000b"\n'
    )
    with pytest.raises(SettingError, match="has a NUL"):
        resolve(find_project(start=tmp_path), load())


def test_a_date_in_the_file_is_no_text(tmp_path: Path) -> None:
    assert typed("t", {"text": date(2024, 1, 1)}, Table) == {"text": date(2024, 1, 1)}


@pytest.mark.parametrize(
    ("device", "near"),
    [
        ("gpu", "cuda"),
        ("cpu:1", "cpu"),
        ("CUDA", "cuda"),
        ("cudaa", "cuda"),
        ("mp", "mps"),
    ],
)
def test_a_device_that_is_none_has_a_nearest(device: str, near: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean '{near}'"):
        SECTIONS["run"](device=device)


@pytest.mark.parametrize("device", ["meta", "xpu", "cuda:-1", "", "cuda:1.5"])
def test_other_devices_are_refused(device: str) -> None:
    with pytest.raises(ValueError, match="no device that metapipe computes on"):
        SECTIONS["run"](device=device)


def test_a_variable_that_is_nearly_one_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("METAPIPE_TRAINING_LR", "0.5")
    monkeypatch.setenv("METAPIPE_RUN__NAME", "2024x")
    monkeypatch.setenv("METAPIPE_OF_SOMEBODY_ELSE_S", "1")
    found = resolve(find_project(start=tmp_path), load()).experiment
    assert found.run.name == "2024x"
    (told,) = caplog.messages
    assert "did you mean 'METAPIPE_TRAINING__LR'?" in told
