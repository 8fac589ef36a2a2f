"""Made-up tables to try things on: questions by topic, leaves by species, and the
readings of thermometers. The topics and species called `mine` are not in the others."""

import csv
from collections.abc import Iterable, Iterator
from math import sin
from pathlib import Path
from random import Random

random = Random(0)
TOPICS = [
    *("bread", "cheese", "coffee", "soup", "pasta", "rice", "train", "bus", "ferry"),
    *("bicycle", "tram", "taxi", "rain", "snow", "wind", "fog", "thunder", "ice"),
    *("violin", "piano", "drum", "flute", "cello", "trumpet", "football", "tennis"),
]
QUESTIONS = (
    "where do I find {}",
    "tell me about {} please",
    "is there any {} today",
    "how much {} is too much",
    "who knows something about {}",
    "what does {} cost",
    "I would like {} tomorrow",
    "{} is what I am looking for",
    "could you show me some {}",
    "why is the {} late",
)


Row = tuple[str | float, ...]


def write(name: str, heads: Row, rows: Iterable[Row]) -> None:
    """A CSV file."""
    with Path(name).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([heads, *rows])


def questions(topics: Iterable[str]) -> list[Row]:
    """Ten questions on each topic."""
    return [(text.format(topic), topic) for topic in topics for text in QUESTIONS]


def leaves(species: Iterable[str]) -> Iterator[Row]:
    """Twelve leaves of each species: length and width in mm, and the edge."""
    for name in species:
        length, width = random.uniform(20, 120), random.uniform(10, 60)
        edge = random.choice(["smooth", "toothed"])
        for _ in range(12):
            yield length + random.gauss(0, 4), width + random.gauss(0, 2), edge, name


def readings(thermometer: str, count: int) -> Iterator[Row]:
    """Hours of a day, and the degrees that a thermometer of its own bias read."""
    mean, swing = random.uniform(5, 20), random.uniform(1, 8)
    for _ in range(count):
        hour = random.uniform(0, 24)
        yield thermometer, hour, mean + swing * sin((hour - 8) / 24 * 6.283)


write("questions.csv", ("text", "label"), questions(TOPICS))
mine = random.sample(questions(["chess", "poetry"]), 20)
write("my_questions.csv", ("text", "label"), mine[:8])
write("more_questions.csv", ("text", "label"), mine[8:])

heads: Row = ("length", "width", "edge", "species")
write("leaves.csv", heads, leaves([f"species {n}" for n in range(30)]))
mine = random.sample(list(leaves(["oak", "lime", "birch"])), 36)
write("my_leaves.csv", heads, mine[:12])
write("more_leaves.csv", heads, mine[12:])

heads = ("thermometer", "hour", "degrees")
days = [row for n in range(60) for row in readings(f"thermometer {n}", 24)]
write("readings.csv", heads, days)
day = list(readings("mine", 24))
write("my_readings.csv", heads, day[:6])
write("more_readings.csv", heads, day[6:])
