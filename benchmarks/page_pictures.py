"""The pictures of the page in README and docs, from real runs.

    pip install -e '.[ui,test]'; apt install chromium
    metapipe train --plugin maml          # in a folder of its own
    python benchmarks/page_pictures.py --project FOLDER

Five signs are drawn with the mouse, twice each as a hand would, and given to the run;
then a third drawing of one of them is asked about. Writes docs/pictures/*.webp.
"""

from __future__ import annotations

import argparse
import io
import math
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

OUT = Path(__file__).parents[1] / "docs" / "pictures"
WIDTH, HEIGHT = 1120, 1000

DRAWN = """() => [...document.images]
    .filter((each) => each.getBoundingClientRect().top < innerHeight)
    .every((each) => each.complete && each.naturalWidth)"""
"""Whether all pictures in sight are there."""

Line = list[tuple[float, float]]

SIGNS: dict[str, list[Line]] = {
    "house": [
        [(0.2, 0.5), (0.5, 0.2), (0.8, 0.5)],
        [(0.3, 0.45), (0.3, 0.8), (0.7, 0.8), (0.7, 0.45)],
    ],
    "bolt": [[(0.6, 0.15), (0.35, 0.5), (0.65, 0.5), (0.4, 0.85)]],
    "snail": [
        [
            (0.5 + 0.05 * t * math.cos(t), 0.5 + 0.05 * t * math.sin(t))
            for t in np.linspace(0.5, 7, 30)
        ]
    ],
    "fish": [
        [
            (0.5 - 0.35 * math.cos(t), 0.5 + 0.2 * math.sin(2 * t))
            for t in np.linspace(0.9, 2 * math.pi - 0.9, 24)
        ]
    ],
    "tree": [
        [(0.5, 0.15), (0.5, 0.85)],
        [(0.25, 0.45), (0.5, 0.25), (0.75, 0.45)],
        [(0.2, 0.7), (0.5, 0.45), (0.8, 0.7)],
    ],
}
"""Lines (x, y) in parts of the sheet."""


def main() -> None:
    """All pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--run", default="1")
    given = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with serving(given.project) as address, sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        chromium = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox"]
        )
        page = chromium.new_page(
            base_url=address, viewport={"width": WIDTH, "height": HEIGHT}
        )
        try_it(page, given.run)
        page.goto(f"/runs/{given.run}#curves")
        keep(page, "run")
        page.goto(f"/runs/{given.run}/episodes?where=purpose%3Dtest")
        page.wait_for_function(DRAWN, timeout=200_000)
        keep(page, "episodes")
        chromium.close()


def try_it(page: Page, run: str) -> None:
    """A lesson of two drawings a sign, and a third one on the sheet."""
    rng = np.random.default_rng(1)
    page.goto(f"/try?run={run}")
    page.wait_for_selector("#shares > li")
    for number, name in enumerate(SIGNS):
        field = page.locator("#classes .name").nth(number)
        field.fill(name)
        field.press("Enter")
        page.get_by_role("button", name=f"It is {name}").wait_for()
        for count in (1, 2):
            draw(page, by_hand(SIGNS[name], rng))
            page.get_by_role("button", name=f"It is {name}").click()
            card = f"#classes > li:nth-child({number + 1})"
            page.wait_for_selector(f"{card} .examples li:nth-child({count})")
    draw(page, by_hand(SIGNS["fish"], rng))
    page.wait_for_selector("#answer:not([aria-busy]) figcaption")
    page.evaluate("scrollTo(0, 0)")
    keep(page, "try")


def by_hand(lines: list[Line], rng: np.random.Generator) -> list[Line]:
    """The same sign a little turned, stretched and shaken."""
    turn = rng.normal(0, 0.12)
    matrix = np.array(
        [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
    ) * rng.normal(1, 0.1, (1, 2))
    drawn = []
    for line in lines:
        points = (np.array(line) - 0.5) @ matrix + 0.5
        points += rng.normal(0, 0.012, points.shape)
        drawn.append([(float(x), float(y)) for x, y in points])
    return drawn


def draw(page: Page, lines: list[Line]) -> None:
    """With the mouse."""
    sheet = page.locator("#sheet")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    assert box is not None
    for line in lines:
        x, y = zip(*line, strict=True)
        across = [box["x"] + box["width"] * each for each in x]
        down = [box["y"] + box["height"] * each for each in y]
        page.mouse.move(across[0], down[0])
        page.mouse.down()
        for point in zip(across[1:], down[1:], strict=True):
            page.mouse.move(*point, steps=4)
        page.mouse.up()


def keep(page: Page, name: str) -> None:
    """What is seen, as WebP."""
    with Image.open(io.BytesIO(page.screenshot())) as image:
        image.convert("RGB").save(OUT / f"{name}.webp", quality=70, method=6)


@contextmanager
def serving(project: Path) -> Iterator[str]:
    """The address of `metapipe ui` in a project, which keeps nothing."""
    command = (sys.executable, "-m", "metapipe", "ui", "--port", "0", "--no-browser")
    with subprocess.Popen(
        [*command, "--allow", "adapt"], cwd=project, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().split()[3].rstrip("/")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
