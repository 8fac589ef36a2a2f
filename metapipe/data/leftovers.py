"""What other systems and programs leave beside a user's files."""

from fnmatch import fnmatchcase

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


def is_leftover(name: str) -> bool:
    """Whether nobody put a file or folder of that name there on purpose."""
    lower = name.lower()
    return any(fnmatchcase(lower, pattern) for pattern in LEFTOVERS)
