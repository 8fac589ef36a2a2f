"""`metapipe runs verify`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from .context import App, pass_app
from .options import json_option
from .output import echo, print_facts, print_json

if TYPE_CHECKING:
    from ..runs.verification import Verification


@click.command()
@click.argument("run")
@click.option(
    "--iterations",
    type=click.IntRange(1),
    help="Train only so many of its first iterations again.",
)
@click.option(
    "--evaluation", is_flag=True, help="Do only its tests again, nothing is trained."
)
@json_option
@click.pass_context
@pass_app
def verify(
    app: App,
    context: click.Context,
    run: str,
    iterations: int | None,
    evaluation: bool,
    as_json: bool,
) -> None:
    """Do a run again and see whether the same comes out, bit for bit.

    It is trained and evaluated anew, and figures, validations, checkpoints and tests
    are compared with those in the store, into which nothing is written. What they may
    depend on and is another now is told: versions, threads, processor, plugins, data.

    Ends with 0 if all is the same, and with 1 if not.
    """
    from ..runs import requests

    found = requests.verify(app, run, iterations, evaluation)
    if as_json:
        print_json({"matches": found.matches, **asdict(found)})
    else:
        _print(found)
    context.exit(0 if found.matches else 1)


def _print(found: Verification) -> None:
    echo(
        f"run {found.run_id}: "
        + ("the same, bit for bit" if found.matches else "not the same")
    )
    then_and_now = [
        (f"{name} then, now", f"{then}, {now}")
        for name, (then, now) in found.differences.items()
    ]
    other = found.first_difference
    print_facts(
        [
            ("iterations", found.iterations),
            ("compared", f"{len(found.compared)} figures and checkpoints"),
            ("first difference", None if other is None else str(other)),
            *then_and_now,
        ]
    )
