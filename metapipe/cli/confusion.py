"""`metapipe runs confusion`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .context import App, pass_app
from .forms import Form, form_options, print_rows
from .output import echo, print_json

if TYPE_CHECKING:
    from ..runs.confusion import Confusion


@click.command()
@click.argument("run")
@click.option("--evaluation", type=int, help="Its number; not given, the newest test.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
@form_options
@pass_app
def confusion(
    app: App, run: str, evaluation: int | None, limit: int, form: Form | None
) -> None:
    """Show which classes a run takes for which others, the worst pairs first.

    The episodes of an evaluation are drawn again and predicted by the checkpoint that
    was judged. --limit is of the pairs shown; --json has all, and the classes.
    """
    from ..runs.confusion import confusion as confused

    found = confused(app.store, app.registry, run, evaluation)
    if form == "json":
        print_json(found)
        return
    if form is None:
        _print_about(found)
    pairs = [asdict(pair) for pair in found.pairs[:limit]]
    columns = ("true", "predicted", "wrong", "of", "share")
    print_rows(pairs, columns, form, "nothing was confused")


def _print_about(found: Confusion) -> None:
    judged = found.evaluation
    echo(
        f"run {found.run_id}, evaluation {judged.id}: {found.episodes} episodes of "
        f"{judged.dataset}/{judged.split} drawn again, predicted by the "
        f"{found.checkpoint} checkpoint (step {judged.step})"
    )
    then = judged.accuracy or 0.0
    echo(f"accuracy {100 * found.accuracy:.2f} %, recorded {100 * then:.2f} %")
    echo()
