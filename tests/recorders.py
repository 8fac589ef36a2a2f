"""What stands in for a recording on a GPU: it computes at the same places each time."""

from metapipe import Step


class Played:
    """Plays by computing again, and puts the result where the first one lay."""

    def __init__(self) -> None:
        self.recordings = 0

    def __call__(self, work):
        self.recordings += 1
        for _ in range(2):
            work()
        kept = work()

        def play() -> Step:
            for places, values in zip(kept, work(), strict=True):
                for name, place in places.items():
                    place.copy_(values[name].clone())
            return kept

        return play


class Baked(Played):
    """Knows what it was recorded with, as numbers that Python had read would be."""

    def __call__(self, work):
        kept = work()
        return lambda: kept
