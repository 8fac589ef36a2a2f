"""`metapipe episodes list | show`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .context import App, pass_app
from .options import json_option
from .output import echo, print_csv, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ..runs.replay import Replay
    from ..store.records import EpisodeRow, PruningRow

COLUMNS = (
    "id",
    "evaluation_id",
    "step",
    "split",
    "index",
    "ways",
    "shots",
    "queries",
    "loss",
    "accuracy_before",
    "accuracy",
)
OF_WORLDS = (
    *("id", "evaluation_id", "step", "split", "index", "shots", "queries"),
    *("return_before", "return", "accuracy"),
)


@click.group()
def episodes() -> None:
    """Look at single episodes."""


@episodes.command(name="list")
@click.argument("run")
@click.option("--hardest", type=click.IntRange(1), help="The N worst, worst first.")
@click.option(
    "--where", default="", help="For example 'purpose=test and accuracy<0.5'."
)
@click.option("--sort", default="id", show_default=True, help="Columns; - for falling.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True)
@click.option("--offset", type=click.IntRange(0), default=0, help="Rows to pass over.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@json_option
@pass_app
def list_(
    app: App,
    run: str,
    hardest: int | None,
    where: str,
    sort: str,
    limit: int,
    offset: int,
    as_csv: bool,
    as_json: bool,
) -> None:
    """List episodes of a run."""
    row = app.store.run(run)
    found = app.store.episodes(
        row.id, where=where, sort=sort, hardest=hardest, limit=limit, offset=offset
    )
    rows = [_flat(episode, acts=row.controls) for episode in found]
    columns = OF_WORLDS if row.controls else COLUMNS
    if as_json:
        print_json(rows)
    elif as_csv:
        print_csv(rows, columns)
    elif rows:
        print_table(rows, columns)
    else:
        prunings = app.store.prunings(row.id)
        echo(_none(row.id, prunings, narrowed=bool(where or offset)))


@episodes.command()
@click.argument("episode", type=int)
@click.option(
    "--png",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Draw support and query, with labels and predictions, into a file.",
)
@json_option
@pass_app
def show(app: App, episode: int, png: Path | None, as_json: bool) -> None:
    """Show an episode, drawn again from its integers, or played again.

    The predictions are those of the checkpoint that was judged, if it is still there,
    or of the run's best.
    """
    from ..runs.replay import replay

    row = app.store.episode(episode)
    again = replay(episode, app.registry, app.store)
    if png is not None:
        from ..runs.pictures import draw_episode

        draw_episode(again, png)
    acts = bool(again.returns)
    facts = {**_flat(row, acts=acts), **_again(again), "png": png}
    if as_json:
        print_json(facts)
    else:
        print_facts(facts.items())


def _again(again: Replay) -> dict[str, Any]:
    """What became of it now."""
    figures = {"accuracy_now": again.accuracy, "loss_now": again.loss}
    if again.returns:
        return {**figures, "return_by_step_now": list(again.returns)}
    return {
        "classes": list(again.classes),
        "labels": again.episodes.query.targets[0].tolist(),
        "predictions": again.predictions,
        **figures,
    }


def _flat(row: EpisodeRow, *, acts: bool) -> dict[str, Any]:
    """The recipe's numbers beside the others; where a policy `acts`, returns beside
    losses."""
    facts = asdict(row)
    task = facts.pop("task")
    if acts:
        before = row.loss_before
        facts["return_before"] = None if before is None else -before
        facts["return"] = -row.loss
    return {**facts, **task}


def _none(run_id: int, prunings: list[PruningRow], *, narrowed: bool) -> str:
    pruned = sum(each.count for each in prunings if each.what == "episodes")
    gone = f"; {pruned} were pruned" if pruned else ""
    return ("no episodes match" if narrowed else f"run {run_id} has no episodes") + gone
