"""The catalogue: what plugins say of themselves, from the cache and never stale."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from commands import FORKS

from metapipe.experiment.catalogue import open_catalogue
from metapipe.experiment.plugin_facts import facts
from metapipe.experiment.registry import load

PROGRAM = """
import json, sys
from dataclasses import asdict
from pathlib import Path
from metapipe.experiment.catalogue import open_catalogue

found = asdict(open_catalogue([Path(path) for path in sys.argv[1:]]))
roots = {name.split(".")[0] for name in sys.modules}
print(json.dumps({**found, "imported": sorted(roots)}))
"""
MINE = """
from helper import SUMMARY
from metapipe import hookimpl
from metapipe.testing import TinyModel

class Mine(TinyModel):
    __doc__ = SUMMARY
    depth: int = {depth}

@hookimpl
def register_models(register):
    register("mine", Mine)
"""


def told(cache: Path, *paths: Path) -> Any:
    """The catalogue in a process that has imported our own plugins already: it reads
    what is kept, and keeps nothing."""
    with FORKS.Pool(1) as pool:
        return pool.apply(_told, (cache, paths))


def _told(cache: Path, paths: tuple[Path, ...]) -> Any:
    os.environ["METAPIPE_CACHE"] = str(cache)
    sys.path[:0] = {str(path.parent) for path in paths}
    return json.loads(json.dumps(asdict(open_catalogue(paths))))


def ask(cache: Path, *paths: Path) -> Any:
    """The catalogue in a fresh process, and what that had to import."""
    environment = {**os.environ, "METAPIPE_CACHE": str(cache)}
    command = [sys.executable, "-c", PROGRAM, *map(str, paths)]
    done = subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


def was_quick(found: Any) -> bool:
    """Nothing was imported that takes long."""
    return not {"torch", "metapipe_plugins", "sklearn"} & set(found["imported"])


def test_it_is_kept_whole_and_made_anew_if_broken(tmp_path: Path) -> None:
    first = ask(tmp_path)
    assert not was_quick(first)
    (kept,) = (tmp_path / "catalogues").iterdir()
    second = ask(tmp_path)
    assert was_quick(second)
    assert first["plugins"] == second["plugins"]
    assert first["failures"] == second["failures"] == []
    assert {"maml", "conv4", "glyphs"} <= {p["name"] for p in second["plugins"]}

    whole = kept.read_bytes()
    for broken in (b"[]", whole[: len(whole) // 2]):
        kept.write_bytes(broken)
        assert told(tmp_path)["plugins"] == first["plugins"]
    ask(tmp_path)
    assert was_quick(ask(tmp_path)), "it was mended"
    assert [kept] == list((tmp_path / "catalogues").iterdir()), "nothing lies about"


def test_a_plugin_file_its_helper_and_its_faults_are_followed(tmp_path: Path) -> None:
    cache, mine, helper = (tmp_path / n for n in ("cache", "mine.py", "helper.py"))

    def model(ask: Callable[..., Any] = told) -> Any:
        found = ask(cache, mine)
        return next((p for p in found["plugins"] if p["name"] == "mine"), None)

    with pytest.MonkeyPatch.context() as patch:
        paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
        patch.setenv("PYTHONPATH", os.pathsep.join(paths))
        mine.write_text(MINE.format(depth=1))
        failed = told(cache, mine)
        assert "No module named 'helper'" in failed["failures"][0]["reason"]
        helper.write_text("SUMMARY = 'One.'")
        assert model(ask)["what"] == "One."
        assert was_quick(ask(cache, mine))
        helper.write_text("SUMMARY = 'Two.'")
        assert model()["what"] == "Two."
        mine.write_text(MINE.format(depth=2))
        depth = next(s for s in model()["settings"] if s["name"] == "depth")
        assert depth["default"] == 2


def test_without_a_cache_it_works(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where a folder should be")
    found = told(tmp_path / "cache")
    assert found["failures"] == []
    assert found["plugins"]


def test_it_says_what_the_plugins_say() -> None:
    plugins = open_catalogue().plugins
    expected = [json.loads(json.dumps(facts(entry))) for entry in load().entries()]
    assert plugins == expected


def test_a_plugin_that_cannot_be_shown_takes_no_other_down(tmp_path: Path) -> None:
    path = tmp_path / "odd.py"
    path.write_text(
        "from collections.abc import Callable\n"
        "from metapipe import hookimpl\n"
        "from metapipe.testing import TinyModel\n"
        "class Odd(TinyModel):\n    f: Callable[[int], int] = abs\n"
        "@hookimpl\n"
        "def register_models(register): register('odd', Odd)\n"
    )
    catalogue = open_catalogue((path,))
    (failure,) = catalogue.failures
    assert failure.origin == str(path)
    assert failure.reason.startswith("model 'odd' cannot be shown: Pydantic")
    assert "\n" not in failure.reason
    assert "conv4" in catalogue.names
    assert "odd" not in catalogue.names
