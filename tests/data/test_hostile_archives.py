"""Hostile and damaged archives: refused in little time and memory, or read in part."""

import os
import stat
import tarfile
import zipfile

import pytest
from hostile import lying_zip, member, negative, overlapping_zip, write_tar
from measured import peak_growth

from metapipe import DataError
from metapipe.data import labelled, walk

MIB = bytes(2**20)
GROWTH = 300
"""MiB that a reader may take beside what Python and torch do."""

SECONDS = 30
"""Of a busy machine; they are refused in one to three."""


def pax_header(root):
    """One header of 600 MB in a file of 3 MB."""
    size = 600 * 2**20
    header = member("p", size=size, type=b"x")
    return write_tar(root / "x.tar.gz", [header, *[MIB] * 600])


def many_members(root):
    names = (f"rose/{number}.png" for number in range(21_000))
    return write_tar(root / "x.tar.gz", map(member, names))


def unknown_members(root):
    size = 200 * 2**20
    members = []
    for number in range(3):
        members += [member(f"rose/{number}", size=size, type=b"Z"), *[MIB] * 200]
    return write_tar(root / "x.tar.gz", members)


def number_of_200_000_digits(root):
    return write_tar(root / "x.tar", [member("p", b"9" * 200_000, type=b"x")])


def many_long_headers(root):
    text = (b"9" * 63 + b"x") * 4000
    return write_tar(
        root / "x.tar.gz", [member("p", text, type=b"x"), member("a/1.png")] * 200
    )


def chain_of_headers(root):
    return write_tar(root / "x.tar", [member("p", b"12 a=bcdefg\n", type=b"x")] * 3000)


def negative_size(root):
    return write_tar(root / "x.tar", [member("rose/0.png"), negative("rose/1.png")])


def many_links_to_a_large_one(root):
    links = (member(f"b/{n}.png", type=b"1", linkname="a/0.png") for n in range(99))
    return write_tar(
        root / "x.tar.gz", [member("a/0.png", size=200 * 2**20), *[MIB] * 200, *links]
    )


def overlapping(root):
    return overlapping_zip(root / "x.zip", 60_000, 10 * 2**20)


def long_list_of_members(root):
    return overlapping_zip(root / "x.zip", 60_000, 1)


HOSTILE = {
    pax_header: "longer than is sane",
    many_members: "more than 20,000 members",
    unknown_members: "bomb",
    number_of_200_000_digits: "a number too long",
    many_long_headers: "longer than is sane",
    chain_of_headers: "longer than is sane",
    negative_size: "size at byte 512 is wrong",
    many_links_to_a_large_one: "bomb",
    overlapping: "bomb",
    long_list_of_members: "members",
}


def read(path):
    """The error that reading all of it ends with."""
    try:
        for _, _, file in labelled(path, [".png"]):
            file.read()
    except DataError as error:
        return str(error)
    return "read"


@pytest.mark.parametrize("build", HOSTILE, ids=lambda build: build.__name__)
def test_a_hostile_archive_is_refused_at_once(build, tmp_path):
    message, growth, seconds = peak_growth(read, build(tmp_path))
    assert HOSTILE[build] in message
    assert "\n" not in message
    assert growth < GROWTH
    assert seconds < SECONDS


@pytest.mark.parametrize(("method", "size"), [(8, 400), (14, 80)])
def test_no_more_is_unpacked_than_a_member_says(method, size, tmp_path):
    path = lying_zip(tmp_path / "x.zip", method, size * 2**20, 10)
    message, growth, seconds = peak_growth(read, path)
    assert "CRC" in message
    assert growth < size / 2
    assert seconds < SECONDS


@pytest.mark.parametrize("method", [0, 8, 12, 14])
def test_a_damaged_member_is_the_only_one_lost(method, tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        for number in range(3):
            archive.writestr(f"rose/{number}.png", os.urandom(3000))
        start = archive.infolist()[1].header_offset + 40
    content = bytearray(path.read_bytes())
    content[start : start + 500] = bytes(500)
    path.write_bytes(content)
    sound = 0
    for file in walk(path, [".png"]):
        if file.parts[-1] == "1.png":
            with pytest.raises(DataError, match=r"cannot read .*1\.png"):
                file.read()
        else:
            sound += len(file.read())
    assert sound == 6000


def test_a_zip_of_the_future_is_named(tmp_path):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rose/1.png", b"x")
    content = bytearray(path.read_bytes())
    at = content.rfind(b"PK\x01\x02") + 6
    content[at] = 127
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.zip: zip file version 12\.7"):
        list(walk(path, [".png"]))


def test_damage_within_a_tar_is_not_its_end(tmp_path):
    members = [member(f"rose/{n}.png", b"x") for n in range(3)]
    path = write_tar(tmp_path / "x.tar", [*members[:2], b"?" * 1024, members[2]])
    with pytest.raises(DataError, match="no member at byte 2048"):
        list(walk(path, [".png"]))


def test_a_tar_cut_between_members_is_told_of(tmp_path, caplog):
    path = write_tar(tmp_path / "x.tar", [member("rose/1.png", b"x")])
    path.write_bytes(path.read_bytes()[:1024])
    assert len(list(walk(path, [".png"]))) == 1
    assert "may be cut short" in caplog.text


def test_hard_links_in_a_tar_are_files(tmp_path):
    """Of a class that is all links, and of links to links."""
    members = [
        member("cat/1.png", b"one"),
        member("cat/2.png", b"two"),
        member("dog/1.png", type=b"1", linkname="./cat/2.png"),
        member("dog/2.png", type=b"1", linkname="dog/1.png"),
        member("cat/3.png", b"three"),
    ]
    for name in ("x.tar", "x.tar.gz"):
        found = labelled(write_tar(tmp_path / name, members), [".png"])
        content = {(label, name): file.read() for label, name, file in found}
        assert content == {
            ("cat", "1.png"): b"one",
            ("cat", "2.png"): b"two",
            ("cat", "3.png"): b"three",
            ("dog", "1.png"): b"two",
            ("dog", "2.png"): b"two",
        }
        assert found.count == 5


def test_what_is_no_file_in_a_tar_is_told_of(tmp_path, caplog):
    members = [
        member("rose/1.png", b"x"),
        member("rose/2.png", type=tarfile.SYMTYPE, linkname="1.png"),
        member("rose/3.png", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
        member("rose/4.png", type=tarfile.FIFOTYPE),
        member("tulip", type=tarfile.DIRTYPE),
    ]
    found = labelled(write_tar(tmp_path / "x.tar", members), [".png"])
    assert [name for _, name, _ in found] == ["1.png"]
    assert "links in an archive: 2 (rose/2.png, rose/3.png)" in caplog.text
    assert "members that are no files: 1 (rose/4.png)" in caplog.text
    assert found.without == ["tulip"]


def test_a_link_in_a_zip_is_told_of(tmp_path, caplog):
    path = tmp_path / "x.zip"
    info = zipfile.ZipInfo("rose/2.png")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rose/1.png", b"x")
        archive.writestr(info, "/etc/passwd")
    assert [file.parts[-1] for file in walk(path, [".png"])] == ["1.png"]
    assert "links in an archive: 1 (rose/2.png)" in caplog.text


@pytest.mark.parametrize(
    ("name", "encoding", "want"),
    [
        ("チューリップ", "cp932", "チューリップ"),
        ("郁金香", "gbk", "郁金香"),
        ("tulipán", "utf-8", "tulipán"),
        ("Köln", "cp437", "Köln"),
        ("châteaux", "cp437", "châteaux"),
    ],
)
def test_names_of_old_zips_are_read_and_told_of(name, encoding, want, tmp_path, caplog):
    raw = name.encode(encoding)
    path = tmp_path / "x.zip"
    stand_in = "x" * len(raw)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{stand_in}/1.png", b"x")
    path.write_bytes(path.read_bytes().replace(stand_in.encode(), raw))
    assert [label for label, _, _ in labelled(path, [".png"])] == [want]
    assert ("does not say" in caplog.text) == (encoding != "utf-8")
