"""`metapipe datasets show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import DataError
from .context import App, pass_app
from .options import by_table, json_option, set_option
from .output import print_facts, print_json, print_table

if TYPE_CHECKING:
    from ..dataset import Source
    from ..problem import Split

SHOWN = 5
"""Items in two splits that are named."""

EPISODES = 3
"""Sample episodes in a picture."""


@click.group()
def datasets() -> None:
    """See what data there are."""


@datasets.command()
@click.argument("name")
@set_option
@click.option(
    "--png",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw sample episodes of the training split into a file.",
)
@click.option("--ways", type=click.IntRange(1), default=5, help="Of a sample episode.")
@click.option("--shots", type=click.IntRange(1), default=1, help="Of a sample episode.")
@click.option("--queries", type=click.IntRange(1), default=5, help="Likewise.")
@click.option("--seed", type=click.IntRange(0), default=0, help="Of the episodes.")
@click.option("--classes", "list_classes", is_flag=True, help="List every class.")
@json_option
@pass_app
def show(
    app: App,
    /,
    name: str,
    assignments: tuple[str, ...],
    png: Path | None,
    ways: int,
    shots: int,
    queries: int,
    seed: int,
    list_classes: bool,
    as_json: bool,
) -> None:
    """Show a data set: splits, classes, items, shapes, sizes, and items in two splits.

    Its settings are given as -s dataset.root=PATH and so on.
    """
    from ..data.inspection import items_in_two_splits

    settings = by_table(assignments, ("dataset",), "this command")["dataset"]
    dataset = app.registry.create("dataset", name, settings)
    splits: tuple[Split, ...] = ("train", "val", "test")
    sources: dict[Split, Source] = {}
    for split in splits:
        try:
            sources[split] = dataset.open(split)
        except DataError as error:
            if split == "train":
                raise
            click.echo(f"{split}: {error}", err=True)
    if png is not None:
        from ..data.sampling import tasks
        from ..runs.pictures import draw_samples

        source = sources["train"]
        recipes = tasks(name, "train", seed, 0, EPISODES, ways, shots, queries)
        source.check(recipes[0])
        draw_samples(source, source.draw(recipes), png)
    shared = items_in_two_splits(sources)
    rows = [_facts(split, source) for split, source in sources.items()]
    facts: dict[str, Any] = {
        "dataset": name,
        "splits": rows,
        "shared": shared,
        "settings": dataset.model_dump(mode="json"),
        "png": png,
    }
    if as_json:
        names = {split: list(source.facts.classes) for split, source in sources.items()}
        print_json({**facts, "classes": names})
        return
    print_table(rows, ("split", "problem", "classes", "items", "each", "shape", "MiB"))
    if shared:
        click.echo(f"\n{len(shared)} items are in more than one split")
        for members in shared[:SHOWN]:
            click.echo("  " + " = ".join(members))
    elif any(source.facts.sizes for source in sources.values()):
        click.echo("\nno item is in two splits")
    if list_classes:
        for split, source in sources.items():
            sizes: list[Any] = list(source.facts.sizes) or [""] * len(
                source.facts.classes
            )
            click.echo(f"\n{split}")
            print_facts(zip(source.facts.classes, sizes, strict=True))
    if png is not None:
        click.echo(f"drawn to {png}")


def _facts(split: str, source: Source) -> dict[str, Any]:
    sizes = list(source.facts.sizes)
    least, most = (min(sizes), max(sizes)) if sizes else (0, 0)
    return {
        "split": split,
        "problem": source.facts.kind,
        "classes": len(source.facts.classes) or None,
        "items": sum(sizes) or None,
        "each": f"{least}" if least == most else f"{least} to {most}",
        "shape": "x".join(map(str, source.facts.shape)),
        "MiB": round(source.facts.nbytes / 2**20, 1),
        "fingerprint": source.facts.fingerprint,
    }
