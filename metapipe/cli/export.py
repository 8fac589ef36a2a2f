"""`metapipe export`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from .context import App, pass_app
from .options import json_option
from .output import echo, print_facts, print_json
from .predict import file_type, new_file

if TYPE_CHECKING:
    from ..adaptation.adapted_model import AdaptedModel
    from ..adaptation.export import Exported


@click.command()
@click.argument("model", type=file_type)
@click.option("--onnx", type=new_file, help="Write an ONNX file.")
@click.option("--torch", "program", type=new_file, help="Write a torch.export file.")
@json_option
@pass_app
def export(
    app: App, /, model: Path, onnx: Path | None, program: Path | None, as_json: bool
) -> None:
    """Write an adapted model for deployment, and check it against our own output.

    With a backbone of pictures the file has both, and takes pictures (n, 3, H, W) in
    [0, 1] of the backbone's size; with another one it takes the vectors. Without one it
    takes inputs as the data set has them: images already of their size. ONNX needs
    pip install 'metapipe[onnx]'.
    """
    from ..adaptation.adapted_file import load
    from ..adaptation.export import export_onnx, export_program

    if (onnx is None) == (program is None):
        raise click.UsageError("give either --onnx FILE or --torch FILE")
    adapted = load(model, app.registry, "cpu")
    write, file = (export_onnx, onnx) if onnx else (export_program, program)
    exported = write(adapted, cast(Path, file))
    facts = {"file": str(onnx or program), **_facts(adapted, exported)}
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
