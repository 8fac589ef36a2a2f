"""Whether a change of the code leaves results alone, to the bit.

    python benchmarks/same_bits.py record before.json      # on the commit before
    python benchmarks/same_bits.py record after.json       # on the one after
    python benchmarks/same_bits.py compare before.json after.json

The first 200 iterations of each recipe, with a named mapping and one thread: parameters
and state of the checkpoint, the recorded losses, and every recorded episode. Runs are
read from their files and not through metapipe, so that the script outlives its moves.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from safetensors import safe_open

RECIPES = {
    "maml": "--plugin maml --dataset digits",
    "reptile": "--plugin reptile --dataset digits",
    "protonet": "--plugin protonet --dataset digits",
    "metaoptnet": "--plugin metaoptnet --dataset digits",
    "snail": "--plugin snail --dataset digits --tasks 4 --queries 5",
    "metanet": "--plugin metanet --dataset digits --tasks 1 --queries 5",
    "sinusoid": "--plugin maml --dataset sinusoid",
}
COMMON = (
    "--seed 0 --device cpu --mapping loop --iterations 200 --validate-every 100 "
    "--validation-episodes 20 -s evaluation.episodes=40 --checkpoint-every 200"
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def record(path: Path) -> None:
    """Run all recipes, two at a time, and write what came of them."""
    with ThreadPoolExecutor(2) as pool:
        results = dict(zip(RECIPES, pool.map(run, RECIPES.values()), strict=True))
    path.write_text(json.dumps(results, indent=1))


def run(recipe: str) -> dict[str, Any]:
    """One recipe: digests of tensors, losses by step, and episodes."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "metapipe", "train"]
        subprocess.run(
            [*command, *recipe.split(), *COMMON.split()],
            cwd=folder,
            env={**os.environ, **ONE_THREAD},
            check=True,
            capture_output=True,
        )
        (checkpoint,) = Path(folder).glob(".metapipe/runs/*/latest-*.safetensors")
        database = sqlite3.connect(Path(folder) / ".metapipe" / "metapipe.db")
        losses = database.execute(
            "SELECT step, name, value FROM metrics WHERE name IN "
            "('loss', 'accuracy', 'grad_norm', 'val_loss') ORDER BY name, step"
        ).fetchall()
        episodes = database.execute(
            'SELECT step, "index", loss, loss_before, accuracy, accuracy_before '
            "FROM episodes ORDER BY id"
        ).fetchall()
        return {"tensors": tensors(checkpoint), "losses": losses, "episodes": episodes}


def tensors(path: Path) -> dict[str, str]:
    """A digest of each tensor of a checkpoint."""
    with safe_open(path, framework="numpy") as file:
        return {
            name: hashlib.sha256(file.get_tensor(name).tobytes()).hexdigest()
            for name in sorted(file.keys())
        }


def compare(before: Path, after: Path) -> int:
    """Print what differs; 0 if nothing does."""
    old, new = (json.loads(path.read_text()) for path in (before, after))
    differ = 0
    for recipe in RECIPES:
        for what, value in old[recipe].items():
            same = value == new[recipe][what]
            differ += not same
            print(f"{recipe:12} {what:10} {'same bits' if same else 'DIFFERENT'}")
            if not same and what == "tensors":
                found = new[recipe][what]
                names = [n for n in {*value, *found} if value.get(n) != found.get(n)]
                print(f"    {', '.join(sorted(names)[:6])} ({len(names)})")
    return min(differ, 1)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["record", path]:
            record(Path(path))
        case ["compare", before, after]:
            sys.exit(compare(Path(before), Path(after)))
        case _:
            sys.exit(__doc__)
