from collections.abc import Mapping

import metapipe
from metapipe import RunInfo, hookimpl


class Enough:
    """Stops a run that has got below a loss."""

    @hookimpl
    def stop_run(self, run: RunInfo, metrics: Mapping[str, float]) -> str | None:
        return "that will do" if metrics.get("loss", 9.0) < 0.9 else None


metapipe.train(plugin="protonet", dataset="digits", observers=[Enough()])
