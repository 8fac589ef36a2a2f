"""What every command is handed: the workspace that the global options name."""

from __future__ import annotations

import click

from ..runs.workspace import Workspace

App = Workspace
"""What a command works in: the application's part of it that is no command."""

pass_app = click.make_pass_decorator(App)
