"""`metapipe episodes list | show`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .context import App, pass_app
from .options import json_option
from .output import echo, print_csv, print_facts, print_json, print_table

if TYPE_CHECKING:
    from ..runs.replay import Replay


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
    from ..facts.episodes import episode_table, no_episodes

    row = app.store.run(run)
    found = app.store.episodes(
        row.id, where=where, sort=sort, hardest=hardest, limit=limit, offset=offset
    )
    table = episode_table(found, acts=row.controls)
    if as_json:
        print_json(table.rows)
    elif as_csv:
        print_csv(table.rows, table.columns)
    elif table.rows:
        print_table(table.rows, table.columns)
    else:
        prunings = app.store.prunings(row.id)
        echo(no_episodes(row.id, prunings, narrowed=bool(where or offset)))


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
    from ..facts.episodes import episode_facts
    from ..runs.replay import replay

    row = app.store.episode(episode)
    again = replay(episode, app.registry, app.store)
    if png is not None:
        from ..runs.pictures import draw_episode

        draw_episode(again, png)
    acts = bool(again.returns)
    facts = {**episode_facts(row, acts=acts), **_again(again), "png": png}
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
