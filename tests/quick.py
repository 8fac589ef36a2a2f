"""A project whose training takes a moment."""

from pathlib import Path

import metapipe

QUICK = """
[run]
algorithm = "{algorithm}"
dataset = "digits"
[task]
ways = {ways}
queries = 3
[training]
iterations = {iterations}
tasks = 2
validate_every = 0
mapping = "loop"
[evaluation]
episodes = 4
[model.conv4]
width = 8
blocks = 2
"""


def quick_config(algorithm: str, ways: int, iterations: int) -> str:
    """Its metapipe.toml."""
    return QUICK.format(algorithm=algorithm, ways=ways, iterations=iterations)


def quick_run(folder: Path, algorithm: str, ways: int, iterations: int) -> None:
    """Make one there, with a run that completed."""
    (folder / "metapipe.toml").write_text(quick_config(algorithm, ways, iterations))
    metapipe.train(project=folder, progress=False)
