"""What processes are told that cannot come together: one line, and what to do."""

import socket
from datetime import UTC, datetime, timedelta

import pytest

from metapipe.errors import CrewError
from metapipe.runs.joining import Place, joined


def test_without_distributed_torch_one_process_is_advised(monkeypatch) -> None:
    monkeypatch.setattr("torch.distributed.is_available", lambda: False)
    with (
        pytest.raises(CrewError, match="no distributed support: use --processes 1"),
        joined(Place(size=2), wait=1),
    ):
        pass


def test_a_port_that_is_taken_is_told_at_once(monkeypatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", port)
        with (
            pytest.raises(CrewError, match=f"cannot meet at 127.0.0.1:{port}: .*free"),
            joined(Place(size=2), wait=2),
        ):
            pass


def test_the_place_is_what_the_launcher_says(monkeypatch) -> None:
    assert Place.here() == Place()
    monkeypatch.setenv("RANK", "3")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    assert Place.here() == Place(rank=3, size=4)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "night")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "2")
    assert Place.here() == Place(rank=3, size=4, job="night", restarts=2)
    monkeypatch.setenv("RANK", "first")
    with pytest.raises(CrewError, match="RANK = 'first' in the environment: a number"):
        Place.here()


def test_a_run_that_ended_long_before_was_not_ended_by_this_job() -> None:
    """It is resumed as was asked for, also by processes that had to be started again
    before they came to it."""
    now = datetime.now(UTC)
    assert Place().saw_end(now)
    assert Place().saw_end(None), "it has not ended at all"
    assert not Place().saw_end(now - timedelta(days=365))
