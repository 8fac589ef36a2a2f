"""An observer with a name and settings: a line for each run that ended."""

from pathlib import Path

from metapipe import Observer, Register, RunInfo, hookimpl


class Ends(Observer):
    """Writes down how each run ended that names it."""

    file: Path = Path("ends.txt")
    """Where to."""

    def listener(self) -> object:
        return Writer(self.file)


class Writer:
    def __init__(self, file: Path) -> None:
        self.file = file

    @hookimpl
    def run_finished(self, run: RunInfo, status: str) -> None:
        with self.file.open("a") as file:
            print(run.id, run.name, status, file=file)


@hookimpl
def register_observers(register: Register) -> None:
    register("ends", Ends)
