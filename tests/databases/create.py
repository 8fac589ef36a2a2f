"""Make the database of the current revision, to be kept for ever.

    python tests/databases/create.py

Run it once for each new migration, before the next one, and commit the file.
"""

import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from store_rows import EVALUATION, RUN, episodes

from metapipe import CheckpointInfo
from metapipe.store import TaskStore, schema


def main() -> None:
    """Write `<revision>.db` beside this file, unless it is there."""
    path = Path(__file__).parent / f"{schema.REVISION}.db"
    if path.exists():
        sys.exit(f"{path} is there already: a kept database is never made again")
    with TaskStore.open(f"sqlite:///{path}") as store:
        facts = {"fingerprint": "f" * 64, "problem": {"kind": "classification"}}
        facts["origins"] = {"training.lr": "command line"}
        run_id = store.begin_run(
            replace(RUN, name="kept", pid=1, host="nowhere", **facts)
        )
        store.record_metrics(run_id, 10, {"loss": 1.5})
        store.record_metrics(run_id, 20, {"loss": 0.75})
        further = {
            "figures": {"residual": (0.5, 0.1)},
            "curves": {"loss": [(2.0, 0.1)]},
        }
        new = replace(EVALUATION, accuracy=0.875, **further)
        met = [replace(record, figures={"residual": 0.5}) for record in episodes(3)]
        store.record_evaluation(run_id, new, met)
        store.tag(run_id, ["baseline"])
        store.note(run_id, "to be kept")
        checkpoint = CheckpointInfo(Path("gone.safetensors"), "0" * 64, 1, 20, "latest")
        store.save_checkpoint(run_id, checkpoint)
        store.finish_run(run_id, "completed", metrics={"test_accuracy": 0.875})
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("VACUUM")


if __name__ == "__main__":
    main()
