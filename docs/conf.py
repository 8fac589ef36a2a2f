"""The site: `sphinx-build --fail-on-warning docs build/site`. Needs no network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import episode  # noqa: E402
import generate  # noqa: E402

import metapipe  # noqa: E402

generate.write(HERE / "reference")
episode.draw(HERE / "reference" / "episode.svg")

project = "metapipe"
author = "metapipe contributors"
copyright = author  # Sphinx's own name
release = metapipe.__version__
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
root_doc = "index"
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # docstrings begin where they like
add_module_names = False
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 88
highlight_language = "none"
smartquotes = False  # `--set` in a help text is an option
html_theme = "furo"
html_title = f"metapipe {release}"
html_show_sphinx = False
html_copy_source = False
