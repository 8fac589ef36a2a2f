"""Pictures that take a while to draw, and are kept."""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import wrap

from starlette.responses import Response

from .status import line_of, status_of

KEPT = 200
LINE = 72
"""Characters of a line of a message."""


class Pictures:
    """Those drawn last."""

    def __init__(self) -> None:
        self._kept: dict[Hashable, bytes] = {}

    def of(self, key: Hashable, draw: Callable[[Path], None]) -> bytes:
        """The picture of that key, as WebP, which `draw` writes as PNG if it is not
        kept."""
        if key not in self._kept:
            with TemporaryDirectory() as folder:
                path = Path(folder, "picture.png")
                draw(path)
                picture = _small(path)
            while len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = picture
        return self._kept[key]


def drawn(draw: Callable[[], bytes]) -> Response:
    """A picture; where there can be none, a picture of the line that says why, which a
    browser shows in its place."""
    try:
        return Response(draw(), media_type="image/webp")
    except Exception as error:  # of a plugin, too
        text = _written(line_of(error))
        return Response(text, status_of(error), media_type="image/svg+xml")


def _small(path: Path) -> bytes:
    """A fifth of the bytes of a PNG, for phones and for many on a page."""
    from PIL import Image

    made = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(made, "webp", quality=80)
    return made.getvalue()


def _written(line: str) -> str:
    lines = wrap(line, LINE)
    spans = "".join(f'<tspan x="8" dy="20">{escape(part)}</tspan>' for part in lines)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="560" '
        f'height="{20 * len(lines) + 16}"><text font-family="sans-serif" '
        f'font-size="14" fill="#b42318">{spans}</text></svg>'
    )
