"""`metapipe export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import click

from .context import App, pass_app
from .options import json_option
from .output import echo, print_facts, print_json
from .predict import new_file


@click.command()
@click.argument("model")
@click.option("--onnx", type=new_file, help="Write an ONNX file.")
@click.option("--torch", "program", type=new_file, help="Write a torch.export file.")
@click.option(
    "--checkpoint",
    type=click.Choice(["best", "latest"]),
    help="Which checkpoint of a run.  [default: best]",
)
@json_option
@pass_app
def export(
    app: App,
    /,
    model: str,
    onnx: Path | None,
    program: Path | None,
    checkpoint: str | None,
    as_json: bool,
) -> None:
    """Write an adapted model for deployment, and check it against our own output.

    With a backbone of pictures the file has both, and takes pictures (n, 3, H, W) in
    [0, 1] of the backbone's size; with another one it takes the vectors. Without one it
    takes inputs as the data set has them: images already of their size. ONNX needs
    pip install 'metapipe[onnx]'.

    MODEL may also be a run that learned to act in worlds: what is written then is the
    policy that acts first in each, from observations to the parameters of actions; one
    that remembers takes its memory, which is 0 at first, and gives it back.
    """
    from ..adaptation.deployment import deploy

    if (onnx is None) == (program is None):
        raise click.UsageError("give either --onnx FILE or --torch FILE")
    file = cast(Path, onnx or program)
    facts = deploy(app, model, file, onnx=onnx is not None, checkpoint=checkpoint)
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _print(facts: Mapping[str, Any]) -> None:
    """Values that there are; and what is not in the file."""
    shown = {name: _text(value) for name, value in facts.items()}
    print_facts(
        (name, value) for name, value in shown.items() if value not in ("", None)
    )
    if lacks := facts.get("lacks"):
        echo(f"the head alone: it takes vectors of {lacks}, not in the file")


def _text(value: Any) -> Any:
    """Shapes by name in a line."""
    if not isinstance(value, Mapping):
        return value
    return ", ".join(f"{k} ({', '.join(map(str, v))})" for k, v in value.items())
