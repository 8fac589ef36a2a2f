"""What the pages show, of stores that no training made."""

import csv
import io
import math
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from kept_runs import change, keep_two
from starlette.testclient import TestClient
from store_rows import EVALUATION, RUN, episodes

from metapipe.runs.workspace import Workspace
from metapipe.store import TaskStore
from metapipe.ui.application import application
from metapipe.ui.chart import Chart, Line, Spot
from metapipe.ui.site import Site

TASKS = "UPDATE runs SET config = json_set(config, '$.training.tasks', 4)"
SCRIPT = "<script>alert('run')</script>"
HOSTILE = '"><img src=x onerror=alert(1)>'
TURNED = "right\u202eleft"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """Two runs as others, and one whose every word is hostile."""
    folder = tmp_path_factory.mktemp("shown")
    url = f"sqlite:///{folder}/.metapipe/metapipe.db"
    keep_two(url, folder)
    change(url, TASKS)
    with TaskStore.open(url) as store:
        config = {"training": {"lr": HOSTILE, "tasks": 4}, "run": {"name": SCRIPT}}
        new = replace(
            RUN,
            name=SCRIPT,
            algorithm=HOSTILE,
            model=TURNED,
            config=config,
            origins={"training.lr": SCRIPT},
        )
        run_id = store.begin_run(new)
        store.record_metrics(run_id, 10, {HOSTILE: 1.0})
        test = replace(EVALUATION, dataset=SCRIPT, settings={HOSTILE: SCRIPT})
        store.record_evaluation(run_id, test, episodes(3))
        store.tag(run_id, [HOSTILE.replace(" ", "")])
        store.note(run_id, f"{SCRIPT}\nsecond line")
        error = f"Traceback\n  {SCRIPT}\nValueError: {HOSTILE}"
        store.finish_run(run_id, "failed", error=error)
    return folder


@pytest.fixture
def page(project: Path) -> Iterator[TestClient]:
    with Workspace.at(project) as workspace:
        yield TestClient(application(Site(workspace, ())), "http://127.0.0.1")


def words(html: str) -> str:
    """What a reader sees of a page."""
    return " ".join(unescape(re.sub("<[^>]*>", " ", html)).split())


def test_the_list_takes_what_runs_list_takes(page: TestClient) -> None:
    answer = page.get(
        "/runs", params={"where": "name=first", "columns": "id,training.lr"}
    )
    assert "1 run" in words(answer.text)
    assert "0.01" in answer.text
    assert "second" not in words(answer.text)
    ids = re.findall(r'href="/runs/(\d+)">\d', page.get("/runs?sort=id").text)
    assert ids == ["1", "2", "3"]
    ids = re.findall(r'href="/runs/(\d+)">\d', page.get("/runs").text)
    assert ids == ["3", "2", "1"]


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("where=acuracy>1", "filter 'acuracy>1': no field 'acuracy'; did you mean"),
        ("sort=nam", "sort 'nam': no field 'nam'; did you mean 'name'?"),
        ("columns=nam", "no column 'nam'; did you mean 'name'?"),
        ("group_by=tag", "a run has any number of tags: there is no group by them"),
        ("page=0", "page '0': a number from 1 on is wanted"),
        ("page=%C2%B2", "page '²': a number from 1 on is wanted"),
    ],
)
def test_what_cannot_be_asked_is_one_line_with_the_form(
    page: TestClient, query: str, line: str
) -> None:
    answer = page.get(f"/runs?{query}")
    assert 400 <= answer.status_code < 500
    told = re.findall(r'class="fault"[^>]*>(.*?)</p>', answer.text)
    assert len(told) == 1
    assert line in unescape(told[0])
    assert '<input name="where"' in answer.text


def test_seeds_fold_by_the_question_of_the_store(page: TestClient) -> None:
    answer = page.get("/runs?group_by=dataset,algorithm&where=name!=x")
    assert "Groups of runs" in words(answer.text)
    assert "glyphs maml 2 1 " in words(answer.text), "two runs of one seed"
    links = re.findall(r'href="(/runs\?where=[^"]*)">\d', answer.text)
    shown = [words(page.get(unescape(link)).text) for link in links]
    assert sorted("2 runs" in each for each in shown) == [False, True]
    assert sum(" 1 run " in each for each in shown) == 1, "whatever its algorithm is"


def test_a_list_goes_on(tmp_path: Path) -> None:
    with TaskStore.open(f"sqlite:///{tmp_path}/.metapipe/metapipe.db") as store:
        for number in range(60):
            store.begin_run(replace(RUN, name=f"run{number}"))
    with Workspace.at(tmp_path) as workspace:
        page = TestClient(application(Site(workspace, ())), "http://127.0.0.1")
        first = page.get("/runs").text
        assert "60 runs, 1 to 50" in words(first)
        following = unescape(re.search(r'rel="next" href="([^"]+)"', first)[1])
        assert "60 runs, 51 to 60" in words(page.get(following).text)
        assert "run9 " in words(page.get(following).text)
        assert 'data-live="2"' in first, "they run"


def test_a_run_shows_all_that_runs_show_shows(page: TestClient) -> None:
    answer = page.get("/runs/first")
    text = words(answer.text)
    for expected in (
        "Run 1: first completed, iteration 100 of 100",
        "accuracy 80.00 ± 2.00 %",
        "training.lr 0.01",
        "as in the paper;",
        "baseline, été",
        "best 50",
        "validation other/val 5-way 1-shot",
    ):
        assert expected in text
    assert re.findall(r'href="/episodes/(\d+)"', answer.text)[0] == "12", "the hardest"
    assert page.get("/runs/latest").status_code == 200
    assert page.get("/runs/1?x=hours").status_code == 400


def test_names_are_data(page: TestClient, project: Path) -> None:
    """Wherever they stand, no text of a store is markup or turns the page around."""
    for path in (
        *("/runs", "/runs?group_by=algorithm,model", "/runs/3", "/runs/3/episodes"),
        *("/compare?run=1&run=3", f"/runs?where={HOSTILE}", f"/runs?sort={SCRIPT}"),
        *(f"/runs/{HOSTILE}", f"/compare?where={HOSTILE}", f"/plugins/{SCRIPT}/x"),
        *(f"/compare?run={HOSTILE}", f"/datasets/{HOSTILE}", "/episodes/16"),
    ):
        text = page.get(path).text
        assert "<script>" not in text, path
        assert "<img src=x" not in text, path
        assert "\u202e" not in text, path
    shown = words(page.get("/runs/3").text)
    assert f"ValueError: {HOSTILE}" in shown
    assert f"training.lr {HOSTILE} {SCRIPT}" in shown, "with its origin"
    assert "right\\u202eleft" in shown


def test_a_comparison_is_copied_as_csv_and_latex(page: TestClient) -> None:
    shown = page.get("/compare?run=1&run=3")
    assert "training.lr" in words(shown.text)
    (header, *rows) = csv.reader(io.StringIO(page.get("/compare.csv?run=1,3").text))
    assert header == ["", "run 1", "run 3"]
    assert ["training.lr", "0.01", HOSTILE] in rows
    latex = page.get("/compare.tex?run=1&run=3").text
    assert latex.startswith(r"\begin{tabular}")
    groups = page.get("/compare.csv?where=id>0&group_by=dataset").text.splitlines()
    assert groups[0].startswith("dataset,runs,seeds,val_accuracy,val_accuracy_ci95")
    assert len(groups) == 2
    assert page.get("/compare?run=1&where=id>0").status_code == 400
    assert page.get("/compare?run=99").status_code == 404


def test_errors_have_the_right_status(page: TestClient) -> None:
    for path, status in (
        ("/runs/99", 404),
        ("/episodes/99", 404),
        ("/episodes/x", 404),
        ("/episodes/99999999999999999999999", 404),
        (f"/episodes/{'9' * 5000}", 404),
        ("/plugins/algorithm/mam", 404),
        ("/datasets/omniglott", 404),
        ("/runs/1/episodes?where=x", 400),
        ("/runs/1/episodes?after=x", 400),
        ("/runs/1/episodes?after=5&sort=loss", 400),
    ):
        answer = page.get(path)
        assert answer.status_code == status, path
        assert "Traceback" not in answer.text
        assert 'role="alert"' in answer.text
    assert page.get("/episodes/99/picture").status_code == 404


def test_an_error_of_our_own_is_a_page_too(
    page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"line one\nline two {SCRIPT}")

    monkeypatch.setattr(TaskStore, "runs", broken)
    answer = page.get("/runs")
    assert answer.status_code == 500
    assert "RuntimeError: line one line two" in words(answer.text)
    assert "<script>" not in answer.text
    assert answer.headers["x-frame-options"] == "DENY"


def test_plugins_and_data_sets_tell_what_the_commands_tell(page: TestClient) -> None:
    assert "maml" in words(page.get("/plugins").text)
    assert "inner_lr" in words(page.get("/plugins/algorithm/maml").text)
    text = words(page.get("/datasets/sinusoid").text)
    assert "train regression" in text
    assert "navigation2d" in words(page.get("/datasets").text)


def test_a_store_that_comes_goes_and_ages_is_told_of(tmp_path: Path) -> None:
    place = tmp_path / ".metapipe" / "metapipe.db"
    with Workspace.at(tmp_path) as workspace:
        page = TestClient(application(Site(workspace, ())), "http://127.0.0.1")
        assert "no runs yet" in words(page.get("/runs").text)
        assert not place.exists(), "looking makes no store"
        keep_two(f"sqlite:///{place}", tmp_path)
        assert "2 runs" in words(page.get("/runs").text)
        with sqlite3.connect(place) as connection:
            connection.execute("UPDATE metapipe_version SET version_num = '0003'")
        connection.close()
        answer = page.get("/runs")
        assert answer.status_code == 503
        assert "run 'metapipe db upgrade'" in words(answer.text)
        for file in place.parent.glob("metapipe.db*"):
            file.unlink()
        answer = page.get("/runs")
        assert answer.status_code == 503
        assert "is gone" in words(answer.text)
        assert not place.exists(), "looking makes no store"


def test_the_stores_password_is_nowhere(tmp_path: Path) -> None:
    url = "postgresql://me:s3cret@127.0.0.1:1/no?sslmode=disable"
    with Workspace.at(tmp_path) as workspace:
        site = Site(workspace, ())
        page = TestClient(application(site), "http://127.0.0.1")
        workspace.db = url
        answer = page.get("/runs")
        assert answer.status_code == 503
        assert "postgresql://me:***@127.0.0.1:1/no" in words(answer.text)
        assert "s3cret" not in answer.text


def test_many_readers_and_a_writer_do_not_wait_for_one_another(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/.metapipe/metapipe.db"
    keep_two(url, tmp_path)
    change(url, TASKS)
    found: list[int] = []
    with Workspace.at(tmp_path) as workspace, TaskStore.open(url) as store:
        page = TestClient(application(Site(workspace, ())), "http://127.0.0.1")
        run_id = store.begin_run(replace(RUN, name="writes"))

        def read() -> None:
            paths = ("/runs", f"/runs/{run_id}", "/compare?run=1&run=2")
            found.extend(page.get(path).status_code for path in paths)

        readers = [threading.Thread(target=read) for _ in range(8)]
        for reader in readers:
            reader.start()
        step = 0
        while any(reader.is_alive() for reader in readers):
            step += 1
            store.record_metrics(run_id, step, {"loss": 1.0})
            time.sleep(0.005)
        assert len(store.metrics(run_id)) == step
    assert found == [200] * 24


def test_a_chart_has_its_points_at_their_places() -> None:
    spots = tuple(Spot(x, y, y - 1, y + 1, f"{y}") for x, y in ((0, 1.0), (10, 3.0)))
    chart = Chart("loss", "iterations", (Line("one", spots),))
    left, top, right, bottom = chart.box
    assert (chart.x(0), chart.x(10)) == (left, right)
    assert (chart.y(4), chart.y(0)) == (top, bottom), "the intervals' ends"
    assert chart.y(2) == pytest.approx((top + bottom) / 2)
    assert (
        chart.path(chart.lines[0])
        == f"M{chart.x(0)},{chart.y(1)} {chart.x(10)},{chart.y(3)}"
    )
    assert [tick.text for tick in chart.yticks] == ["0", "1", "2", "3", "4"]
    assert [tick.text for tick in chart.xticks] == ["0", "2", "4", "6", "8", "10"]


def test_what_is_no_number_is_a_gap_and_one_value_is_drawn() -> None:
    values = (1.0, math.inf, 2.0, 3.0)
    spots = tuple(Spot(x, y, y, y, "") for x, y in enumerate(values))
    chart = Chart("loss", "iterations", (Line("one", spots),))
    assert chart.path(chart.lines[0]).count("M") == 2
    assert not chart.band(chart.lines[0])
    flat = Chart("lr", "iterations", (Line("lr", spots[:1]),))
    assert math.isfinite(flat.x(0))
    assert math.isfinite(flat.y(1.0))
    nothing = Chart("loss", "", (Line("one", (Spot(1, math.nan, 0, 0, ""),)),))
    assert nothing.is_empty


@pytest.mark.parametrize("ends", [(-1e308, 1e308), (0.0, 5e-324), (1e16, 1e16 + 2)])
def test_absurd_values_break_no_chart(ends: tuple[float, float]) -> None:
    spots = tuple(Spot(x, y, y, y, "") for x, y in enumerate((*ends, 1.0)))
    chart = Chart("loss", "iterations", (Line("one", spots),))
    assert 1 <= len(chart.yticks) <= 10
    assert all(math.isfinite(chart.y(s.y)) for s in spots if chart.is_drawn(s))
