"""The page in a real Chromium, by mouse, finger and keyboard; and how it looks."""

import json
import re
from base64 import b64encode
from dataclasses import replace

import pytest
from pictures import write_classes
from served import SCREENSHOTS, browser, served
from shared import DATA, needs_data
from store_rows import RUN
from strokes import omniglot, strokes

import metapipe
from metapipe.store import TaskStore

PROJECT = """
[run]
algorithm = "protonet"
dataset = "digits"
[task]
ways = 3
queries = 4
[training]
iterations = 8
tasks = 2
log_every = 2
validate_every = 4
validation_episodes = 6
mapping = "loop"
[evaluation]
episodes = 10
[model.conv4]
width = 8
blocks = 2
"""

SIGNS = [
    f"images_background/{name}"
    for name in (
        *("Greek/character03", "Greek/character17", "Greek/character22"),
        *("Hebrew/character01", "Futurama/character05"),
    )
]
"""Five of Omniglot's characters; the run has seen none."""

PAGES = {
    "runs": "/runs",
    "run": "/runs/1",
    "compare": "/compare?run=1&run=2",
    "datasets": "/datasets",
    "dataset": "/datasets/digits",
    "plugins": "/plugins",
    "plugin": "/plugins/algorithm/protonet",
    "try": "/try",
    "lesson": "/try?run=1",
    "fault": "/nothing",
}

HEAVIEST = 1_500_000
"""Bytes of a page with all that it loads."""

FIRST_PAINT = 1000
"""Milliseconds; on one core, that other tests want too, it may take twice as long."""

SEEN = [name for name in PAGES if name not in ("datasets", "plugins")]
"""That axe looks at; the others are of the same parts, and longer."""

IN_DARK = ("runs", "compare", "lesson")
"""Where it looks at colours in dark too: every page has them from the same names."""

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a page over two small runs."""
    folder = tmp_path_factory.mktemp("seen")
    (folder / "metapipe.toml").write_text(PROJECT)
    metapipe.train(project=folder, progress=False, settings={"run.name": "first"})
    metapipe.train(
        project=folder,
        progress=False,
        lr=0.002,
        settings={"run.name": "second"},
    )
    with served(folder, ("adapt", "keep")) as address:
        yield address


@pytest.fixture(scope="module")
def chromium():
    with browser() as opened:
        yield opened


@pytest.fixture
def page(chromium, site):
    """A page of which no script fails."""
    context = chromium.new_context(base_url=site, reduced_motion="reduce")
    opened = context.new_page()
    opened.set_default_timeout(20_000)
    failed = []
    opened.on("pageerror", lambda error: failed.append(str(error)))
    opened.on("dialog", lambda dialog: failed.append(dialog.message))
    yield opened
    context.close()
    assert not failed


def photograph(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.evaluate(
        """() => Promise.all([...document.images].map(async (each) => {
            each.loading = "eager";
            await each.decode();
        }))"""
    )
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def opened(page, path):
    page.goto(path)
    if page.locator("#lesson").count():
        page.wait_for_selector("#lesson:not([hidden]) #shares > li")


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_light_and_fits_a_phone(name, page):
    opened(page, PAGES[name])
    photograph(page, f"{name}-light")
    told = page.evaluate(
        """async () => {
            const paint = performance.getEntriesByName("first-contentful-paint")[0];
            const loaded = [
              ...performance.getEntriesByType("resource"),
              ...performance.getEntriesByType("navigation"),
            ];
            const bytes = loaded.reduce((sum, each) => sum + each.transferSize, 0);
            return { paint: paint.startTime, bytes };
        }"""
    )
    assert 1000 < told["bytes"] < HEAVIEST
    assert told["paint"] < 2 * FIRST_PAINT
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 360, "height": 740})
    photograph(page, f"{name}-dark-phone")
    across = "document.scrollingElement.scrollWidth - innerWidth"
    assert page.evaluate(across) <= 0, "it is to be scrolled sideways"


def test_nothing_keeps_anybody_out(page):
    """By axe: everything in light, and what colours decide in dark too."""
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright",
        reason="axe is wanted: pip install axe-playwright-python",
    ).Axe()
    faults = []
    for name in SEEN:
        opened(page, PAGES[name])
        faults += [(name, *each) for each in serious(axe.run(page))]
        if name in IN_DARK:
            page.emulate_media(color_scheme="dark")
            found = axe.run(page, options={"runOnly": ["color-contrast"]})
            faults += [(name, "in dark", *each) for each in serious(found)]
            page.emulate_media(color_scheme="light")
    assert not faults, json.dumps(faults, indent=1)


def serious(found):
    """What axe says of so much weight: rules, and where they are broken."""
    return [
        (each["id"], [node["html"] for node in each["nodes"]])
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def test_from_the_list_to_the_hardest_episode(page):
    page.goto("/")
    table = page.get_by_role("table")
    assert table.locator("tbody tr").count() == 2
    page.get_by_label("Filter").fill("name=first")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("where=name"))
    assert table.locator("tbody tr").count() == 1
    page.get_by_role("link", name="first").click()
    page.wait_for_url(re.compile("/runs/1$"))
    assert page.locator("h1").inner_text() == "Run 1: first"
    hardest = page.get_by_role("table", name="The hardest first").locator("tbody tr")
    hardest.first.get_by_role("link").first.click()
    page.wait_for_url(re.compile(r"/episodes/\d+$"))
    shown = page.locator("main img").first
    shown.wait_for()
    assert shown.evaluate("async (i) => (await i.decode(), i.naturalWidth)") > 100
    photograph(page, "episode-light")


def test_what_runs_moves_by_itself(chromium, tmp_path):
    """Also while a link in it has the focus, which stays there."""
    with TaskStore.open(f"sqlite:///{tmp_path}/.metapipe/metapipe.db") as store:
        run_id = store.begin_run(replace(RUN, name="runs"))
        with served(tmp_path) as address:
            page = chromium.new_page(base_url=address)
            page.goto("/runs")
            page.get_by_role("link", name="runs", exact=True).focus()
            store.record_metrics(run_id, 37, {"loss": 1.0})
            row = page.get_by_role("row", name="Compare run 1")
            row.get_by_role("cell", name="37", exact=True).wait_for()
            assert page.evaluate("document.activeElement.textContent") == "runs"
            page.goto(f"/runs/{run_id}")
            store.record_metrics(run_id, 64, {"loss": 0.5})
            page.get_by_text("iteration 64 of 100").wait_for()
            page.close()


def test_two_runs_are_compared(page):
    page.goto("/runs")
    for number in (1, 2):
        page.get_by_label(f"Compare run {number}").check()
    page.get_by_role("button", name="Compare those that are ticked").click()
    page.wait_for_url(re.compile("/compare\\?run=2&run=1"))
    assert "training.lr" in page.locator("main").inner_text()


@needs_data
def test_five_signs_are_drawn_and_known_again(page):
    drawn = omniglot(DATA / "omniglot.zip", SIGNS, [0, 1])
    opened(page, "/try?backbone=gradients")
    for number, (by_one, _) in enumerate(drawn):
        draw(page, strokes(by_one))
        teach(page, "ABCDE"[number], number)
    for name, (_, by_another) in zip("ABCDE", drawn, strict=True):
        page.get_by_role("button", name="Clear").click()
        draw(page, strokes(by_another))
        assert likeliest(page) == name
    photograph(page, "signs-light")


def test_a_lesson_by_keyboard_alone(page):
    opened(page, "/try")
    press(page, "backbone gradients", "Enter")
    page.wait_for_selector("#lesson:not([hidden]) #shares > li")
    ways = {"A": "ArrowRight", "B": "ArrowDown"}
    for name in "CDE":
        press(page, f"Remove {name}", "Enter")
        page.get_by_role("button", name=f"Remove {name}").wait_for(state="detached")
    for number, (name, way) in enumerate(ways.items()):
        press(page, "Sheet to draw on", " ", *[way] * 9, " ")
        press(page, f"It is {name}", "Enter")
        page.wait_for_selector(f"#classes > li:nth-child({number + 1}) .example")
    press(page, "Sheet to draw on", "ArrowUp", " ", *["ArrowDown"] * 8, " ")
    assert likeliest(page) == "B"
    press(page, "Name of the class", "Backspace", *MARKUP, "Enter")
    teach_it = page.get_by_role("button", name=f"It is {MARKUP}", exact=True)
    teach_it.wait_for()
    press(page, "Keep it in the project as", *"by hand", "Enter")
    page.get_by_text("kept: metapipe predict 'by hand.metapipe' FILES").wait_for()
    page.goto("/try?model=by%20hand")
    page.wait_for_selector("#shares > li")
    assert page.locator("#classes .name").first.input_value() == MARKUP
    assert page.locator("#classes .example").count() == 2, "examples were kept"


def test_a_class_is_named_as_what_any_object_has(page):
    opened(page, "/try?backbone=gradients")
    page.locator("#classes .name").first.fill("constructor")
    page.locator("#classes .name").first.press("Enter")
    page.get_by_role("button", name="It is constructor").wait_for()
    page.wait_for_selector("#answer:not([aria-busy])")
    assert page.locator("#shares .percent").all_inner_texts() == [""] * 5


def test_pictures_are_chosen_and_dropped(page, tmp_path):
    shots = write_classes(tmp_path, {"cat": 3, "dog": 2})
    files = {each.name: sorted(each.iterdir()) for each in shots.iterdir()}
    opened(page, "/try?backbone=gradients")
    for name in "CDE":
        page.get_by_role("button", name=f"Remove {name}").click()
        page.get_by_role("button", name=f"Remove {name}").wait_for(state="detached")
    for name, several in zip("AB", files.values(), strict=True):
        page.get_by_label(f"Pictures of {name}").set_input_files(several)
        page.get_by_role("button", name=f"from {name}").nth(len(several) - 1).wait_for()
    for said, several in zip("AB", files.values(), strict=True):
        drop(page, "#sheet", several[0])
        page.wait_for_selector(f"#shares .likeliest[data-name={said}]")
    assert "from your own 5 examples" in page.locator("#expected").inner_text()
    page.get_by_label("Choose pictures").set_input_files([*files["cat"], *files["dog"]])
    page.locator("#answer figure").nth(4).wait_for()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"<svg>")
    page.get_by_label("Pictures of A").set_input_files(broken)
    page.get_by_text("broken.png: not an image of a known format").wait_for()


def drop(page, place, file):
    """A file, as from a folder's window."""
    content = b64encode(file.read_bytes()).decode()
    held = page.evaluate_handle(
        """async ([name, content]) => {
            const held = new DataTransfer();
            const bytes = Uint8Array.from(atob(content), (each) => each.charCodeAt(0));
            held.items.add(new File([bytes], name, { type: "image/png" }));
            return held;
        }""",
        [file.name, content],
    )
    page.dispatch_event(place, "drop", {"dataTransfer": held})


def test_a_finger_draws_without_scrolling(chromium, site):
    context = chromium.new_context(
        base_url=site, has_touch=True, viewport={"width": 360, "height": 500}
    )
    page = context.new_page()
    opened(page, "/try?backbone=gradients")
    sheet = page.locator("#sheet")
    sheet.scroll_into_view_if_needed()
    box, before = sheet.bounding_box(), page.evaluate("scrollY")
    touch = context.new_cdp_session(page)
    y = box["y"] + 0.8 * box["height"]

    def at(kind, *places):
        points = [{"x": box["x"] + 60, "y": place} for place in places]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    at("touchStart", y)
    for step in range(1, 9):
        at("touchMove", y - 20 * step)
    at("touchEnd")
    assert page.evaluate("scrollY") == before
    page.get_by_role("button", name="It is A").click()
    page.wait_for_selector(".example")
    context.close()


def draw(page, lines):
    """With the mouse."""
    sheet = page.locator("#sheet")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    for line in lines:
        points = [
            (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in line
        ]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point)
        page.mouse.up()


def teach(page, name, number):
    page.get_by_role("button", name=f"It is {name}").click()
    page.wait_for_selector(f"#classes > li:nth-child({number + 1}) .example")


def likeliest(page):
    """The class that the page tells, once the last stroke is answered."""
    page.wait_for_selector("#answer:not([aria-busy]) figcaption")
    return page.locator("#shares .likeliest").get_attribute("data-name")


def press(page, name, *keys):
    """Goes by the tabulator until what is called so has the focus, and presses keys."""
    told = """() => {
        const at = document.activeElement;
        const label = at.labels?.[0]?.textContent ?? at.textContent;
        return (at.getAttribute("aria-label") ?? label).trim();
    }"""
    for _ in range(80):
        if page.evaluate(told) == name:
            break
        page.keyboard.press("Tab")
    else:
        raise AssertionError(f"no tabulator leads to {name}")
    for key in keys:
        page.keyboard.press(key)
