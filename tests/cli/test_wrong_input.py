"""What users hand in by mistake: said in a line, never taken for something else."""

import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from metapipe import DataError
from metapipe.adaptation.task_files import each_file, read_examples
from metapipe.data.files import walk
from metapipe.data.image_encoder import ImageEncoder
from metapipe.data.labelled import labelled
from metapipe.data.picture_files import picture_suffixes
from metapipe.data.table_files import read_rows
from metapipe.errors import StoreError
from metapipe.store import require_file

ENCODER = ImageEncoder(height=8, width=8, channels=1, fit="stretch")


@pytest.fixture
def pictures(tmp_path):
    """Two classes of two pictures."""
    root = tmp_path / "pictures"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(2):
            Image.new("L", (9, 9), 40 * number).save(root / name / f"{number}.png")
    return root


def classes(root):
    return {label for label, _, _ in labelled(root, picture_suffixes())}


def test_folders_without_a_known_picture_are_told_of(pictures):
    (pictures / "emu").mkdir()
    (pictures / "emu" / "1.heic").write_bytes(b"?")
    (pictures / "fox").mkdir()
    assert set(labelled(pictures, picture_suffixes()).without) == {
        "emu (1.heic)",
        "fox",
    }
    with pytest.raises(DataError, match=r"emu \(1.heic\)"):
        read_examples(pictures, ENCODER, "classification")


def test_a_document_among_the_pictures_is_passed_over(pictures):
    (pictures / "cat" / "notes.pdf").write_bytes(b"%PDF")
    (pictures / "README.txt").write_text("hello")
    found = read_examples(pictures, ENCODER, "classification")
    assert found.counts == {"cat": 2, "dog": 2}


def test_links_are_followed_but_not_in_circles(pictures, tmp_path):
    subset = tmp_path / "subset"
    subset.mkdir()
    (subset / "cat").symlink_to(pictures / "cat")
    (subset / "dog").symlink_to(pictures / "dog")
    (pictures / "dog" / "up").symlink_to(pictures)
    assert classes(subset) == {"cat", "dog"}
    assert len(list(walk(subset, (".png",)))) < 10


def test_what_has_no_pictures_is_told_of_with_the_others(pictures, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 cut short")
    paths = [tmp_path / "empty", tmp_path / "broken.zip", pictures]
    files = list(each_file(paths))
    assert len(files) == 6
    for file, message in zip(files, ("no picture", "cut short"), strict=False):
        with pytest.raises(DataError, match=message) as raised:
            file.read()
        assert "\n" not in str(raised.value)
    assert all(file.read() for file in files[2:])


def test_a_member_without_a_name_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "dot.zip", "w") as archive:
        archive.writestr(".", b"x")
    with pytest.raises(DataError, match="without a name"):
        list(walk(tmp_path / "dot.zip", (".png",)))


@pytest.mark.parametrize(
    ("values", "mode", "white"),
    [
        (np.float32([[0, 0.5], [1, 1]]), "F", 255),
        (np.float32([[0, 50], [100, 100]]), "F", 100),
        (np.uint16([[0, 100], [200, 200]]), "I;16", 0),
        (np.uint16([[0, 100], [65535, 65535]]), "I;16", 255),
    ],
)
def test_deep_pictures_keep_their_scale(tmp_path, values, mode, white):
    """16 bits are 16 bits, whatever a picture uses of them; floats up to 1 are."""
    path = tmp_path / "deep.tif"
    Image.fromarray(values).save(path)
    with Image.open(path) as opened:
        assert opened.mode == mode
    pixels = ImageEncoder(height=2, width=2, channels=1, fit="stretch").pixels(path)
    assert pixels[1, 1] == white


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((8, 8), 1000), r"integers have to be in \[0, 255\]"),
        (np.full((8, 8), -1), r"integers have to be in \[0, 255\]"),
        (np.full((8, 8), 1.5), r"floats have to be in \[0, 1\]"),
        (np.zeros((8, 8, 7)), r"shape \(8, 8, 7\) is no picture"),
        (np.zeros(8), r"shape \(8,\) is no picture"),
        (np.full((8, 8), "x"), "is no picture"),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array, message):
    with pytest.raises(DataError, match=message):
        ENCODER.pixels(array)


def test_arrays_of_all_layouts_are_taken():
    grey = np.arange(64).reshape(8, 8)
    want = ENCODER.pixels(grey.astype(np.uint8))
    for array in (grey, grey[..., None], grey[None], grey / 255):
        assert np.array_equal(ENCODER.pixels(array), want)
    assert ENCODER.pixels(np.ones((8, 8), bool)).min() == 255
    colour = ImageEncoder(height=8, width=8, channels=3, fit="stretch")
    stack = np.random.default_rng(0).integers(0, 256, (8, 8, 3))
    first = colour.pixels(stack)
    assert np.array_equal(first, colour.pixels(np.moveaxis(stack, -1, 0)))


def test_a_damaged_exif_is_a_sound_picture(pictures, monkeypatch):
    """Pillow raises struct.error there, and what else its readers think of."""
    want = ENCODER.pixels(pictures / "cat" / "1.png")

    def broken(image):
        raise struct.error("required argument is not an integer")

    monkeypatch.setattr(Image.Image, "getexif", broken)
    assert np.array_equal(ENCODER.pixels(pictures / "cat" / "1.png"), want)


def test_whatever_pillow_raises_is_a_damaged_picture(pictures, monkeypatch):
    def broken(image):
        raise struct.error("required argument is not an integer")

    monkeypatch.setattr("PIL.PngImagePlugin.PngImageFile.load", broken)
    with pytest.raises(DataError, match=r"cannot read .*0.png: required argument"):
        ENCODER.pixels(pictures / "cat" / "0.png")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x,x,label\n1,2,a\n", "has a column 'x' twice"),
        ("x,label\n1,a\n2,\n", "row 2 says nothing in 'label'"),
        ("x,label\n1,a\n2,b,c\n", "line 3 has 3 values, and the header 2"),
        ("x,label\n1\n", "line 2 has 1 value, and the header 2"),
    ],
)
def test_tables_say_where_they_are_wrong(tmp_path, text, message):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_rows(path, ("label",), ("label",))


def test_another_encoding_is_named(tmp_path):
    path = tmp_path / "latin.csv"
    path.write_bytes("x,label\n1,Zürich\n".encode("latin-1"))
    with pytest.raises(DataError, match="save it as UTF-8"):
        read_rows(path, ("label",))


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    path = tmp_path / "folder" / "store.db"
    with pytest.raises(StoreError, match="no task store at"):
        require_file(f"sqlite:///{path}")
    assert not path.parent.exists()
