"""`metapipe export`."""

from __future__ import annotations

from pathlib import Path

import click

from .context import App, pass_app
from .options import json_option
from .output import print_facts, print_json
from .predict import file_type, new_file


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

    It takes inputs as the data set has them: images (n, C, H, W) in [0, 1], already of
    their size. ONNX needs pip install 'metapipe[onnx]'.
    """
    from ..adaptation.adapted_model import load
    from ..adaptation.export import export_onnx, export_program

    if (onnx is None) == (program is None):
        raise click.UsageError("give either --onnx FILE or --torch FILE")
    adapted = load(model, app.registry, "cpu")
    if onnx is not None:
        difference, written = export_onnx(adapted, onnx), onnx
    else:
        assert program is not None
        difference, written = export_program(adapted, program), program
    facts = {
        "file": str(written),
        "input": ["n", *adapted.learner.problem.shape],
        "output": ["n", len(adapted.classes) or adapted.learner.problem.outputs],
        "classes": list(adapted.classes),
        "largest_difference": difference,
    }
    if as_json:
        print_json(facts)
    else:
        print_facts(facts.items())
