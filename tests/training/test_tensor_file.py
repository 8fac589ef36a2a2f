"""The file format: whatever is wrong with a file is noticed, told in a line, and costs
no memory."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from metapipe.errors import CheckpointError, WriteError
from metapipe.training.tensor_file import read_tensors, write_tensors
from metapipe.whole_file import sha256_of

TENSORS = {
    "params/w": torch.arange(3.0),
    "state/n": torch.tensor(7),
    "constants/b": torch.tensor([1, 2, 3], dtype=torch.bfloat16),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_tensors(tmp_path / "file", "checkpoint", TENSORS, {"step": 1, "who": 'a"é'})
    return tmp_path / "file"


def refusal(path: Path, which="checkpoint") -> str:
    """The line with which a file is refused."""
    with pytest.raises(CheckpointError) as caught:
        read_tensors(path, which)
    line = str(caught.value)
    assert str(path) in line
    assert "\n" not in line
    return line


def forged(path: Path, metadata: dict[str, str]) -> Path:
    save_file({"params/w": torch.zeros(2)}, path, metadata)
    return path


def test_a_file_comes_back(path: Path) -> None:
    file = read_tensors(path, "checkpoint")
    assert file.header == {
        "format": 2,
        "which": "checkpoint",
        "step": 1,
        "who": 'a"é',
    }
    assert set(file.tensors) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert torch.equal(file.tensors[name], tensor)
        assert file.tensors[name].dtype == tensor.dtype
    (value,) = file.group("params", "cpu").values()
    assert value.data_ptr() % 64 == 0


def test_others_can_read_and_check_it(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
    assert json.loads(metadata["metapipe"])["which"] == "checkpoint"
    content = path.read_bytes()
    blank = content.replace(metadata["sha256"].encode(), b"0" * 64)
    (path.parent / "blank").write_bytes(blank)
    assert sha256_of(path.parent / "blank") == metadata["sha256"]


def test_the_hash_of_the_whole_file_is_returned(path: Path) -> None:
    again = path.with_name("again")
    found = write_tensors(again, "checkpoint", TENSORS, {"step": 1, "who": 'a"é'})
    assert found == sha256_of(again) == sha256_of(path)


def test_every_flipped_byte_is_noticed(path: Path) -> None:
    content = path.read_bytes()
    assert len(content) < 1000
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        refusal(path)


def test_every_cut_is_noticed_and_whatever_is_appended(path: Path) -> None:
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refusal(path)
    path.write_bytes(content + b"\0")
    refusal(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "none")
    assert "Is a directory" in refusal(tmp_path)
    assert "no adapted model at" in refusal(tmp_path / "none", "adapted")


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("")
    with pytest.raises(WriteError, match=r"cannot write .*text/file: "):
        write_tensors(tmp_path / "text" / "file", "checkpoint", TENSORS, {})


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch) -> None:
    def full(number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(WriteError, match="No space left"):
        write_tensors(tmp_path / "file", "checkpoint", TENSORS, {})
    assert not list(tmp_path.iterdir())


def test_the_wrong_sort_is_refused_by_name(path: Path) -> None:
    line = refusal(path, "adapted")
    assert "is a checkpoint of a run, not an adapted model: make one with" in line
    write_tensors(path, "adapted", TENSORS, {})
    assert "is an adapted model, not a checkpoint of a run" in refusal(path)


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ('{"format": 3, "which": "checkpoint"}', "has format 3, which a newer"),
        ('{"format": 2, "which": "checkpoint"}', "has lost its checksum"),
        ('{"format": 0}', "has format 0: this one reads 1 and 2"),
        ('{"format": true}', "tells no format"),
        ('{"format": NaN}', "tells no format"),
        ("null", "tells no format"),
        ("[1]", "tells no format"),
        ("{", "is no sound JSON"),
        ("[" * 100_000, "is no sound JSON"),
    ],
)
def test_headers_that_mean_nothing_are_refused(tmp_path: Path, header, reason) -> None:
    assert reason in refusal(forged(tmp_path / "file", {"metapipe": header}))


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    assert "is a foreign file" in refusal(forged(tmp_path / "file", {"a": "b"}))


LIES = {
    "a long header": (2**40).to_bytes(8, "little") + b"{}",
    "a header of everything": b"\xff" * 8 + b"{}",
    "data that are not there": b'{"x":{"dtype":"F32","shape":[4],'
    b'"data_offsets":[0,16]}}',
    "a great shape": b'{"x":{"dtype":"F32","shape":[1099511627776],'
    b'"data_offsets":[0,4398046511104]}}',
    "a shape beyond numbers": b'{"x":{"dtype":"F32","shape":[4294967296,4294967296],'
    b'"data_offsets":[0,0]}}',
    "a shape that is not its size": b'{"x":{"dtype":"F32","shape":[1000000000],'
    b'"data_offsets":[0,0]}}',
}


def test_headers_that_lie_about_sizes_cost_no_memory(tmp_path: Path) -> None:
    paths = []
    for number, content in enumerate(LIES.values()):
        if content.startswith(b"{"):
            content = len(content).to_bytes(8, "little") + content
        paths.append(tmp_path / f"lie{number}")
        paths[-1].write_bytes(content)
    for path in paths:
        refusal(path)
    program = (
        "import resource, sys\n"
        "from metapipe.errors import CheckpointError\n"
        "from metapipe.training.tensor_file import read_tensors\n"
        "from pathlib import Path\n"
        "pages = int(open('/proc/self/statm').read().split()[0])\n"
        "limit = pages * resource.getpagesize() + 2**26\n"
        "resource.setrlimit(resource.RLIMIT_AS, (limit, limit))\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        read_tensors(Path(path), 'checkpoint')\n"
        "    except CheckpointError:\n"
        "        continue\n"
        "    raise SystemExit(path)\n"
    )
    if not Path("/proc/self/statm").exists() or not hasattr(resource, "RLIMIT_AS"):
        return
    subprocess.run([sys.executable, "-c", program, *map(str, paths)], check=True)
