"""What people type who come from elsewhere, and what it is called here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

import click

COMMANDS: Mapping[str, str] = {
    "list": "metapipe runs list",
    "ls": "metapipe runs list",
    "compare": "metapipe runs compare RUN RUN",
    "delete": "metapipe runs delete RUN",
    "run": "metapipe runs list, or metapipe train",
    "test": "metapipe evaluate RUN",
    "eval": "metapipe evaluate RUN",
    "fit": "metapipe train",
    "finetune": "metapipe adapt RUN --support FOLDER",
    "fine-tune": "metapipe adapt RUN --support FOLDER",
    "plugin": "metapipe plugins list",
    "models": "metapipe plugins list",
    "algorithms": "metapipe plugins list",
    "dataset": "metapipe datasets list",
    "help": "metapipe --help",
    "version": "metapipe --version",
}
"""Commands that are not there, and the command that is meant."""

OPTIONS: Mapping[str, str] = {
    "--gpu": "--device cuda",
    "--cuda": "--device cuda",
    "--cpu": "--device cpu",
    "--epochs": "--iterations N, or --minutes N",
    "--steps": "--iterations N",
    "--batch-size": "--tasks N, the episodes of a meta-batch",
    "--meta-batch-size": "--tasks N",
    "--workers": "--mapping threads, or nothing: metapipe tries what is fastest",
    "--num-workers": "--mapping threads, or nothing: metapipe tries what is fastest",
    "--data": "--dataset image-folder -s dataset.root=FOLDER",
    "--data-dir": "--dataset image-folder -s dataset.root=FOLDER",
    "--root": "-s dataset.root=FOLDER",
    "--algo": "--algorithm NAME, or --plugin NAME",
    "--method": "--plugin NAME",
    "--learning-rate": "--lr X",
    "--meta-lr": "--lr X",
    "--outer-lr": "--lr X",
    "--inner-lr": "-s algorithm.inner_lr=X",
    "--inner-steps": "-s algorithm.inner_steps=N",
    "--test-steps": "-s algorithm.test_steps=N",
    "--n-way": "--ways N",
    "--way": "--ways N",
    "--k-shot": "--shots N",
    "--shot": "--shots N",
    "--query": "--queries N",
    "--output": "--out FILE, where there is one; runs are in the store",
}
"""Options that are not there, and what is."""

NEAR = 0.75
"""How alike two names are at least, if one is offered for the other."""

EXTRA = re.compile(r"unexpected extra arguments? \(([^\s)]+)")


def usage_hint(error: click.ClickException) -> str | None:
    """What to type instead, for the likeliest mistakes; None for others."""
    context = getattr(error, "ctx", None)
    command = "" if context is None else context.command_path.partition(" ")[2]
    if isinstance(error, click.NoSuchOption):
        return _option(error, command)
    message = error.format_message()
    if "Missing argument 'RUN'" in message:
        return (
            f"{command} needs a run, a number, a name, or 'latest': metapipe {command} "
            "RUN"
        )
    if command == "train" and (extra := EXTRA.search(message)):
        return f"train takes no argument '{extra[1]}': use --plugin {extra[1]}"
    if command == "adapt" and "--support" in message:
        return (
            "adapt needs the examples, a folder a class: metapipe adapt RUN --support "
            "FOLDER --out FILE"
        )
    if command == "adapt" and (extra := EXTRA.search(message)):
        return f"'{extra[1]}' wants --support before it: adapt RUN --support FOLDER"
    if command == "predict" and "PATHS" in message:
        return (
            "predict needs the adapted model first, then files: metapipe predict "
            "MODEL FILES; metapipe adapt --out makes one"
        )
    return None


def command_hint(name: str, known: Iterable[str]) -> str:
    """What to type instead of a command that is not there."""
    if meant := COMMANDS.get(name.lower()):
        return f"use '{meant}'"
    return nearest(name, known, "metapipe")


def nearest(name: str, known: Iterable[str], command: str) -> str:
    """The one that is hardly misspelt, or where to look: no far-fetched guess."""
    near = get_close_matches(name, list(known), n=1, cutoff=NEAR)
    return f"did you mean '{near[0]}'?" if near else f"see '{command} --help'"


def _option(error: click.NoSuchOption, command: str) -> str:
    name = error.option_name
    if name == "--query" and command == "adapt":  # it has one of that name
        return error.format_message()
    if name in OPTIONS:
        return f"no option '{name}': use {OPTIONS[name]}"
    hint = nearest(name, error.possibilities or (), f"metapipe {command}")
    return f"no option '{name}'; {hint}"
