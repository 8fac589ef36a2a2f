"""How soon all processes of a training end once one has to: an error in one, a signal
to one, a stop by an observer.

    pip install -e '.[test]' && python benchmarks/endings.py --rounds 5

Prints seconds of each round, and ends with 1 if they were more than five once, or if a
run did not end as it should.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from commands import TINY
from kills import await_workers, newest

from metapipe.store import TaskStore, default_url

FAILING = Path(__file__).parents[1] / "tests" / "files" / "failing.py"

LIMIT, PATIENCE = 5.0, 600.0

STOPPING = """
from pathlib import Path

from metapipe import Observer, hookimpl


class Enough:
    @hookimpl
    def stop_run(self, step):
        if step < 50:
            return None
        Path("stopped").touch()
        return "it was enough"


class Stopping(Observer):
    def listener(self):
        return Enough()


@hookimpl
def register_observers(register):
    register("stopping", Stopping)
"""

TRAINING = (
    *("train", *TINY, "--shards", "4", "--iterations", "100000"),
    *("--processes", "2", "--checkpoint-every", "10", "--validate-every", "50"),
)
ENDINGS = {
    "error in 1": ("failed", ("--plugin", "failing")),
    "SIGTERM to 0": ("interrupted", ()),
    "SIGTERM to 1": ("interrupted", ()),
    "stop by an observer": ("stopped", ("--observer", "stopping")),
}


def main() -> int:
    """A line an ending."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="endings whose name has this")
    asked = parser.parse_args()
    late = False
    for name, (status, options) in ENDINGS.items():
        if asked.only not in name:
            continue
        found = []
        for _ in range(asked.rounds):
            with tempfile.TemporaryDirectory() as folder:
                found.append(seconds(Path(folder), name, status, options))
        late |= max(found) > LIMIT
        each = " ".join(f"{one:.1f}" for one in sorted(found))
        print(f"{name}: {each} s, load {os.getloadavg()[0]:.1f}", flush=True)
    return 1 if late else 0


def seconds(folder: Path, name: str, status: str, options: tuple[str, ...]) -> float:
    """From the moment that one has to end until the command is over."""
    (folder / "stopping.py").write_text(STOPPING)
    plugins = (FAILING, folder / "stopping.py")
    paths = [word for path in plugins for word in ("--plugin-path", str(path))]
    command = [sys.executable, "-m", "metapipe", *paths, *TRAINING, *options]
    failing = {"FAILS_IN": "1", "FAILS_AT": "50"} | dict(os.environ)
    launcher = subprocess.Popen(
        command, cwd=folder, env=failing, stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    limit = time.monotonic() + PATIENCE
    begun = None
    if name.startswith("SIGTERM"):
        victim = await_workers(launcher, limit)[int(name[-1])]
        while newest(folder) < 20 and time.monotonic() < limit:
            time.sleep(0.01)
        begun = time.time()
        victim.send_signal(signal.SIGTERM)
    _, told = launcher.communicate(timeout=PATIENCE)
    over = time.time()
    assert launcher.returncode in (0, 1, 130), told.decode()
    with TaskStore.open(default_url(folder)) as store:
        row = store.run(1)
        assert row.status == status, (row.status, told.decode())
        assert store.checkpoints(1), "nothing to resume from"
    if begun is None:
        begun = (folder / status).stat().st_mtime
    return over - begun


if __name__ == "__main__":
    sys.exit(main())
