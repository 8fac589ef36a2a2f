"""What other systems and programs leave beside a user's files."""

import re
from fnmatch import translate

LEFTOVERS = (
    ".*",  # hidden: .DS_Store, ._1.jpg, .git, .ipynb_checkpoints, .stversions, .part
    "__macosx",
    *("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "recycler"),
    "system volume information",
    *("@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot"),
    *("lost+found", "aquota.user", "aquota.group"),
    *("__pycache__", "*~", "~$*", "~*.tmp", "*.crdownload"),
    "~syncthing~*",
    "icon\r",  # of a folder, on a Mac
)
"""Names in lower case, as patterns: macOS, Windows, Synology, QNAP, file systems,
editors, Python, browsers, Syncthing. Dropbox and notebooks hide theirs."""

_LEFTOVER = re.compile("|".join(map(translate, LEFTOVERS)))


def is_leftover(name: str) -> bool:
    """Whether nobody put a file or folder of that name there on purpose."""
    return _LEFTOVER.match(name.lower()) is not None
