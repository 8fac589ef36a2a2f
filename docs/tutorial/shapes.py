"""Ten pictures of each of three shapes: three to learn from, seven to be judged by."""

from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

random = Random(0)
CORNERS = {"triangle": 3, "square": 4}

for name in ("circle", "triangle", "square"):
    for number in range(10):
        picture = Image.new("L", (64, 64), "white")
        draw = ImageDraw.Draw(picture)
        where = (random.uniform(28, 36), random.uniform(28, 36), random.uniform(14, 24))
        if name == "circle":
            x, y, r = where
            draw.ellipse((x - r, y - r, x + r, y + r), outline="black", width=5)
        else:
            turn = random.uniform(-20, 20)
            draw.regular_polygon(where, CORNERS[name], turn, outline="black", width=5)
        folder = Path("shots" if number < 3 else "more", name)
        folder.mkdir(parents=True, exist_ok=True)
        picture.save(folder / f"{number}.png")
