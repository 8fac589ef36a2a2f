"""The `metapipe` command: global options, and errors as one line."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click

from ..errors import MetapipeError
from ..printable import one_line
from ..runs.workspace import Workspace
from ..version import __version__
from .meanings import command_hint, usage_hint
from .output import echo
from .streams import ReaderGoneError, leave_stdout, log_to_stderr, prepare

COMMANDS = {
    "train": ("train", "train"),
    "resume": ("train", "resume"),
    "evaluate": ("evaluate", "evaluate"),
    "adapt": ("adapt", "adapt"),
    "predict": ("predict", "predict"),
    "export": ("export", "export"),
    "show": ("show", "show"),
    "sweep": ("sweep", "sweep"),
    "runs": ("runs", "runs"),
    "episodes": ("episodes", "episodes"),
    "plugins": ("plugins", "plugins"),
    "datasets": ("datasets", "datasets"),
    "ui": ("ui", "ui"),
    "db": ("db", "db"),
    "completion": ("completion", "completion"),
}
"""Command -> (module, attribute): a module is imported when its command is needed."""

YOUNG = 20_000
"""Objects between two looks for garbage, instead of 700: what imports make is none, and
looking through torch's was a tenth of a command's start."""


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
            hint = command_hint(name, COMMANDS)
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

    0 is success, 1 a failure, 2 wrong usage, 130 an interruption. Who reads the output
    through a pipe may close it: then the rest is not written, and that is no failure.
    """
    gc.set_threshold(YOUNG)
    prepare()
    log_to_stderr()
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except ReaderGoneError:
        leave_stdout()
    except OSError as error:
        leave_stdout()
        code = code or _fail(f"cannot write the output: {error.strerror}")
    gc.freeze()  # garbage is looked for at the end: half a second, of all of torch
    sys.exit(code)


def _run(arguments: Sequence[str] | None) -> int:
    """The exit code of a command, whose error is told of."""
    try:
        code = cli.main(arguments, prog_name="metapipe", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        return _fail(_usage(error), error.exit_code)
    except click.exceptions.Abort:
        echo("Interrupted", err=True)
        return 130
    except ReaderGoneError:
        leave_stdout()
        return 0
    except MetapipeError as error:
        _reraise_for_debugging()
        notes = getattr(error, "__notes__", ())
        text = "; ".join([str(error), *notes])
        return error.exit_code if error.told else _fail(text, error.exit_code)
    except OSError as error:
        _reraise_for_debugging()
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}")
    except Exception as error:
        _reraise_for_debugging()
        text = one_line(error)
        return _fail(
            f"{type(error).__name__}: {text} (this should not happen; "
            "METAPIPE_DEBUG=1 shows where)"
        )


def _fail(message: str, code: int = 1) -> int:
    echo(f"Error: {message}", err=True)
    return code


def _usage(error: click.ClickException) -> str:
    """click's message, and where to read on."""
    if hint := usage_hint(error):
        return hint
    message = one_line(error.format_message())
    if any(word in message.lower() for word in ("did you mean", "--help", "; use '")):
        return message
    context = getattr(error, "ctx", None)
    path = "metapipe" if context is None else context.command_path
    return f"{message.rstrip('.')}; see '{path} --help'"


def _reraise_for_debugging() -> None:
    if os.environ.get("METAPIPE_DEBUG"):
        raise  # called from the except blocks above only
