"""`metapipe completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    bash: add  eval "$(metapipe completion bash)"  to ~/.bashrc
    """
    from .main import cli

    cls = get_completion_class(shell)
    if cls is None:
        raise click.UsageError(f"click knows no completion for {shell}")
    click.echo(cls(cli, {}, "metapipe", "_METAPIPE_COMPLETE").source())
