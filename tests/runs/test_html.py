"""Records show themselves in a notebook: the right values, escaped, with pictures."""

import base64
import io
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import metapipe
from metapipe import TaskStore, UsageError
from metapipe.store import default_url

NAME = "<script>alert('x')</script> & co"


class Page(HTMLParser):
    """The texts of the cells of each table, row by row, and the pictures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.pictures: list[np.ndarray] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.add(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "img":
            kind, _, data = dict(attrs)["src"].partition(",")
            assert kind == "data:image/png;base64"
            image = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
            self.pictures.append(np.array(image))

    def handle_data(self, data) -> None:
        if self.tables and self.tables[-1] and self.tables[-1][-1]:
            self.tables[-1][-1][-1] += data

    @property
    def facts(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.tables[0]}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("html")
    metapipe.train(
        **{"project": folder, "progress": False, "mapping": "loop", "name": NAME},
        **{"plugin": "protonet", "dataset": "digits", "iterations": 20, "tasks": 2},
        **{"queries": 2, "validate_every": 10, "validation_episodes": 4},
        settings={"run.model": "mlp", "model.layers": [8], "evaluation.episodes": 5},
    )
    return folder


@pytest.fixture
def store(project: Path):
    with TaskStore.open(default_url(project)) as found:
        yield found


def test_a_run_is_a_table_and_its_name_is_data(store) -> None:
    row = store.run(1)
    page = Page(row._repr_html_())
    assert page.tags == {"table", "tr", "th", "td"}
    assert page.facts["run"] == f"1 '{NAME}'"
    assert page.facts["status"] == "completed"
    text = f"{100 * row.accuracy:.2f} ± {100 * row.accuracy_ci95:.2f} %"
    assert page.facts["accuracy"] == text


def test_several_runs_are_one_table(store) -> None:
    (table,) = Page(metapipe.as_html(store.runs())).tables
    row = dict(zip(*table, strict=True))
    assert (row["id"], row["name"], row["algorithm"]) == ("1", NAME, "protonet")
    (table,) = Page(metapipe.as_html(store.evaluations(1))).tables
    assert [row[1] for row in table] == ["purpose", "validation", "validation", "test"]


def test_what_an_evaluation_found_is_there_with_its_interval(project, store) -> None:
    found = metapipe.evaluate(1, episodes=6, project=project, progress=False)
    facts = Page(found._repr_html_()).facts
    assert facts["loss"] == f"{found.loss:.4f} ± {found.loss_ci95:.4f}"
    assert facts["episodes"].startswith("6 of digits/test, 5-way 1-shot, 2 queries")


def test_a_comparison_has_its_curves(project) -> None:
    page = Page(metapipe.compare(1, project=project)._repr_html_())
    assert page.tables[0][0] == ["", "run 1"]
    (picture,) = page.pictures
    blue = np.abs(picture.astype(int) - (0x00, 0x72, 0xB2)).sum(2) < 30
    assert 100 < blue.sum() < 20000  # a line


def test_an_episode_is_drawn_as_it_was(project, store) -> None:
    (worst,) = store.episodes(1, where="purpose=test", hardest=1)
    again = metapipe.replay(worst.id, project=project)
    assert again.accuracy == pytest.approx(worst.accuracy)
    page = Page(again._repr_html_())
    assert page.facts["data"] == "digits/test"
    assert page.facts["accuracy"] == f"{100 * worst.accuracy:.2f} %"
    (picture,) = page.pictures
    assert picture.shape[0] > 200
    assert picture.std() > 20
    facts = Page(worst._repr_html_()).facts
    assert facts["index"] == str(worst.task.index)


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(UsageError, match="int has no form in HTML"):
        metapipe.as_html(3)
