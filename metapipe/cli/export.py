"""`metapipe export`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from ..errors import NotFoundError
from .context import App, pass_app
from .options import json_option
from .output import echo, print_facts, print_json
from .predict import new_file

if TYPE_CHECKING:
    from ..adaptation.adapted_model import AdaptedModel
    from ..adaptation.export import Exported


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
    if (onnx is None) == (program is None):
        raise click.UsageError("give either --onnx FILE or --torch FILE")
    file = cast(Path, onnx or program)
    if Path(model).exists() or not _is_run(app, model):
        if checkpoint is not None:
            raise click.UsageError("--checkpoint is of a run, and this is a file")
        _adapted(app, Path(model), file, as_json, onnx=onnx is not None)
    else:
        which = checkpoint or "best"
        _policy(app, model, file, which, as_json, onnx=onnx is not None)


def _is_run(app: App, name: str) -> bool:
    try:
        app.store.run(name)
    except NotFoundError:
        return False
    return True


def _policy(
    app: App, run: str, file: Path, which: str, as_json: bool, *, onnx: bool
) -> None:
    from ..adaptation.policy_export import export_policy

    found = export_policy(app.store, app.registry, run, file, onnx=onnx, which=which)
    facts = {"file": str(file), **asdict(found)}
    if as_json:
        print_json(facts)
        return
    for name in ("takes", "gives"):
        facts[name] = ", ".join(
            f"{each} ({', '.join(map(str, shape))})"
            for each, shape in facts[name].items()
        )
    print_facts(facts.items())


def _adapted(app: App, model: Path, file: Path, as_json: bool, *, onnx: bool) -> None:
    from ..adaptation.adapted_file import load
    from ..adaptation.export import export_onnx, export_program

    adapted = load(model, app.registry, "cpu")
    exported = (export_onnx if onnx else export_program)(adapted, file)
    facts = {"file": str(file), **_facts(adapted, exported)}
    if as_json:
        print_json(facts)
    else:
        _print(facts)


def _print(facts: Mapping[str, Any]) -> None:
    """Values that there are; and what is not in the file."""
    print_facts((name, v) for name, v in facts.items() if v not in ("", None))
    if facts["lacks"]:
        echo(f"the head alone: it takes vectors of {facts['lacks']}, not in the file")


def _facts(adapted: AdaptedModel, exported: Exported) -> dict[str, Any]:
    return {
        "input": ["n", *exported.takes],
        "output": ["n", len(adapted.classes) or adapted.learner.problem.outputs],
        "vectors": exported.width and ["n", exported.width],
        "classes": list(adapted.classes),
        "largest_difference": exported.difference,
        "lacks": exported.lacks,
    }
