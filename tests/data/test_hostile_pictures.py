"""Pictures that are large, odd or hostile: read within a bound, or refused by name."""

import io
import math
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from measured import peak_growth
from PIL import Image, PngImagePlugin

from metapipe import DataError
from metapipe.data import ImageEncoder
from metapipe.data.picture_files import LARGE, MAX_MEMORY, MAX_PIXELS

ENCODER = ImageEncoder(height=8, width=8, channels=3, fit="crop")
SECONDS = 30
"""Of a busy machine; it takes one or two."""

GREY = ImageEncoder(height=8, width=8, channels=1, fit="stretch")


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def read(content):
    """In a fresh process: what is said, MiB taken, and seconds."""
    return peak_growth(_read, content)


def _read(content):
    try:
        ENCODER.pixels(content)
    except DataError as error:
        return str(error)
    return "read"


@pytest.mark.parametrize(("colours", "bits"), [(6, 8), (0, 16)], ids=["RGBA", "grey"])
def test_a_large_picture_is_read_within_its_share_of_the_bound(colours, bits):
    """A third of 90 million pixels, in a third of the memory."""
    side = math.isqrt(30_000_000)
    assert side**2 > LARGE
    rows = side * (1 + side * (4 if colours == 6 else 2))
    content = png(side, side, bits, colours, rows)
    said, growth, seconds = read(content)
    assert said == "read"
    assert growth < (MAX_MEMORY >> 20) / 3
    assert seconds < SECONDS


def png(width, height, bits, colours, size):
    """A PNG whose header says so, with `size` zeros in it."""
    pack = zlib.compressobj(1)
    pieces = [pack.compress(bytes(2**20)) for _ in range(size >> 20)]
    body = b"".join([*pieces, pack.compress(bytes(size % 2**20)), pack.flush()])
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", body), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + kind
        + data
        + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


@pytest.mark.parametrize("size", [(11600, 11600), (40_000, 40_000), (2**27 + 1, 1)])
def test_more_pixels_are_refused_before_they_are_decoded(size):
    said, growth, _ = read(png(*size, 8, 0, 100))
    assert "bomb" in said
    assert growth < 50


def test_the_docs_say_what_the_bounds_are():
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text()
    assert f"{MAX_PIXELS // 10**6} million pixels" in " ".join(text.split())
    assert f"{MAX_MEMORY >> 20} MiB" in text


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("WEBP", "RGB", {}),
        ("JPEG", "CMYK", {"progressive": True, "subsampling": 0}),
    ],
)
def test_what_takes_more_to_decode_may_have_fewer_pixels(
    kind, mode, options, monkeypatch
):
    image = Image.new(mode, (64, 64))
    content = saved(image, kind, **options)
    ENCODER.pixels(content)
    monkeypatch.setattr("metapipe.data.picture_files.MAX_MEMORY", 64 * 64 * 8 + 9999)
    ENCODER.pixels(saved(image.convert("RGB"), "PNG"))
    with pytest.raises(DataError, match="save it as PNG"):
        ENCODER.pixels(content)


def test_what_pillow_reads_in_python_is_bounded():
    plain = b"P3 9000 9000 255\n" + b"0 " * 300
    with pytest.raises(DataError, match="PPM of this kind is read very slowly"):
        ENCODER.pixels(plain)


def test_a_picture_that_is_a_program_is_not_run():
    """Pillow hands EPS to Ghostscript, whatever the file is called."""
    with pytest.raises(DataError, match="not an image of a known format"):
        ENCODER.pixels(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EOF\n")


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16"])
def test_a_large_picture_is_what_it_would_be_as_a_small_one(mode, monkeypatch):
    """In bands and made smaller on the way, against at once."""
    small = np.random.default_rng(0).integers(0, 256, (9, 11, 4), np.uint8)
    image = Image.fromarray(small).resize((440, 360), Image.Resampling.BICUBIC)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    want = ENCODER.pixels(image).astype(int)
    monkeypatch.setattr("metapipe.data.picture_files.BAND", 440 * 50)
    assert np.array_equal(ENCODER.pixels(image), want)
    monkeypatch.setattr("metapipe.data.picture_files.LARGE", 1000)
    assert np.abs(ENCODER.pixels(image) - want).max() <= 5


def test_only_large_pictures_are_made_smaller_on_the_way():
    assert LARGE == 2**24


def test_of_exif_the_orientation_alone_is_read():
    """Also beside a maker that Pillow cannot write again, and in all eight ways."""
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    )
    turned = {
        1: image,
        2: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: image.rotate(180),
        4: image.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        6: image.rotate(-90),
        8: image.rotate(90),
    }
    for orientation, want in turned.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        exif[0x010F] = "a maker"
        content = saved(image, "PNG", exif=exif)
        assert np.array_equal(ENCODER.pixels(content), ENCODER.pixels(want))


@pytest.mark.parametrize("noise", range(20))
def test_a_damaged_exif_does_not_matter(noise):
    image = Image.new("RGB", (8, 8), "red")
    want = ENCODER.pixels(saved(image, "JPEG"))
    exif = Image.Exif()
    exif[0x010F], exif[0x011A] = "maker", 72.5
    block = bytearray(exif.tobytes())
    rng = np.random.default_rng(noise)
    for at in rng.integers(14, len(block), 6):
        block[at] = rng.integers(0, 256)
    if b"\x12\x01" in block:
        pytest.skip("by chance it says where the top is")
    found = ENCODER.pixels(saved(image, "JPEG", exif=bytes(block)))
    assert np.array_equal(found, want)


def test_a_long_text_in_a_png_does_not_matter():
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "x" * (2 * 2**20), zip=True)
    image = Image.new("RGB", (8, 8), "red")
    content = saved(image, "PNG", pnginfo=info)
    assert np.array_equal(ENCODER.pixels(content), ENCODER.pixels(image))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0, np.nan], "from nan to nan"),
        ([0, np.inf], "from 0 to inf"),
        ([-9999, -9999], "from -9999 to -9999"),
        ([-9999, 0.5], "from -9999 to 0.5"),
        ([0, 1.02], "from 0 to 1.02"),
        ([0, 1e6], "from 0 to 1e"),
    ],
)
def test_values_that_are_no_brightness_are_refused(values, said, tmp_path):
    path = tmp_path / "x.tif"
    Image.fromarray(np.array([values] * 2, np.float32)).save(path)
    with pytest.raises(DataError, match=re.escape(said)):
        GREY.pixels(path)


def test_integers_of_32_bits_are_not_clipped(tmp_path):
    path = tmp_path / "x.tif"
    for values in ([-1, 3], [0, 70_000]):
        Image.fromarray(np.array([values] * 2, np.int32)).save(path)
        with pytest.raises(DataError, match="scale them"):
            GREY.pixels(path)


def test_of_many_pictures_in_a_file_the_first_is_read():
    frames = [Image.new("L", (8, 8), shade) for shade in range(0, 250)]
    content = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert not GREY.pixels(content).any()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(DataError, match="a pipe"):
        GREY.pixels(tmp_path / "x.png")
    with pytest.raises(DataError, match="a device"):
        GREY.pixels("/dev/zero")
