"""The `metapipe` command: global options, and errors as one line."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from ..errors import MetapipeError
from ..runs.workspace import Workspace
from ..version import __version__

COMMANDS = {
    "train": ("train", "train"),
    "resume": ("train", "resume"),
    "evaluate": ("evaluate", "evaluate"),
    "adapt": ("adapt", "adapt"),
    "predict": ("predict", "predict"),
    "export": ("export", "export"),
    "runs": ("runs", "runs"),
    "episodes": ("episodes", "episodes"),
    "plugins": ("plugins", "plugins"),
    "datasets": ("datasets", "datasets"),
    "db": ("db", "db"),
    "completion": ("completion", "completion"),
}
"""Command -> (module, attribute): a module is imported when its command is needed."""


class LazyGroup(click.Group):
    """A group that imports a command when it is called or described."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command, from its module."""
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name]
        command: click.Command = getattr(
            import_module(f".{module}", __package__), attribute
        )
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command, or a usage error with the nearest one."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            near = get_close_matches(name, COMMANDS, n=1)
            hint = f"did you mean '{near[0]}'?" if near else "see 'metapipe --help'"
            raise click.UsageError(f"no command '{name}'; {hint}", ctx)
        return super().resolve_command(ctx, args)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Config file; metapipe.toml here or in a folder above, if not given.",
)
@click.option("--db", help="Task store: sqlite:///FILE or postgresql://USER@HOST/DB.")
@click.option(
    "--plugin-path",
    "plugin_paths",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Load a plugin from a file; may be given more than once.",
)
@click.version_option(__version__, prog_name="metapipe")
@click.pass_context
def cli(
    context: click.Context,
    config: Path | None,
    db: str | None,
    plugin_paths: tuple[Path, ...],
) -> None:
    """Meta-learning: train on many small tasks, then learn a new one from few examples.

    Start with: metapipe train --plugin maml
    """
    context.obj = context.with_resource(Workspace(config, db, plugin_paths))


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command; errors are one line on stderr, and an exit code.

    0 is success, 1 a failure, 2 wrong usage, 130 an interruption.
    """
    _log_to_stderr()
    try:
        code = cli.main(arguments, prog_name="metapipe", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("Interrupted", err=True)
        code = 130
    except click.ClickException as error:
        _show_usage_error(error)
        code = error.exit_code
    except MetapipeError as error:
        _reraise_for_debugging()
        click.echo(f"Error: {error}", err=True)
        code = error.exit_code
    except OSError as error:
        _reraise_for_debugging()
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"Error: {where}{error.strerror or error}", err=True)
        code = 1
    except Exception as error:
        _reraise_for_debugging()
        text = " ".join(str(error).split())
        click.echo(
            f"Error: {type(error).__name__}: {text} (this should not happen; "
            "METAPIPE_DEBUG=1 shows where)",
            err=True,
        )
        code = 1
    sys.exit(code if isinstance(code, int) else 0)


def _show_usage_error(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message())
        return
    click.echo(f"Error: {error.format_message()}", err=True)
    context = getattr(error, "ctx", None)
    if context is not None:
        click.echo(f"Try '{context.command_path} --help'.", err=True)


def _reraise_for_debugging() -> None:
    if os.environ.get("METAPIPE_DEBUG"):
        raise  # called from the except blocks above only


def _log_to_stderr() -> None:
    logger = logging.getLogger("metapipe")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
