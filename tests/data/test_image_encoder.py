"""The transform of images, against Pillow by hand, and what it refuses."""

import io

import numpy as np
import pytest
import torch
from pictures import picture
from PIL import Image

from metapipe import DataError
from metapipe.data.encoders import encoder_from
from metapipe.data.image_encoder import ImageEncoder

COLOUR = ImageEncoder(height=8, width=8, channels=3, fit="crop")
GREY = ImageEncoder(height=8, width=8, channels=1, fit="stretch", invert=True)


def test_crop_takes_the_middle():
    image = picture(0, (20, 10))
    want = image.resize((8, 8), Image.Resampling.LANCZOS, box=(5, 0, 15, 10))
    found = COLOUR.encode([image])[0]
    assert found.shape == (3, 8, 8)
    want = torch.from_numpy(np.asarray(want).copy()).movedim(-1, 0) / 255
    assert (found - want).abs().max() <= 2 / 255


def test_stretch_and_invert():
    image = picture(1)
    want = image.convert("L").resize((8, 8), Image.Resampling.LANCZOS)
    assert np.array_equal(GREY.pixels(image), 255 - np.asarray(want))


def test_padding_is_white():
    encoder = ImageEncoder(height=8, width=8, channels=1, fit="pad")
    black = Image.new("L", (16, 4))
    found = encoder.encode([black])[0, 0]
    assert found[0].eq(1).all()
    assert found[4].eq(0).all()


def test_transparency_is_laid_on_white():
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert COLOUR.encode([clear]).eq(1).all()
    palette = Image.new("P", (8, 8))
    palette.info["transparency"] = 0
    assert COLOUR.encode([palette]).eq(1).all()


def test_sixteen_bits_are_not_cut_off():
    ramp = np.linspace(0, 65535, 64).reshape(8, 8).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    encoder = ImageEncoder(height=8, width=8, channels=1, fit="stretch")
    found = encoder.encode([buffer.getvalue()]).flatten()
    assert torch.allclose(found, torch.linspace(0, 1, 64), atol=1 / 255)


def test_cameras_that_lie_on_their_side_are_turned():
    image = picture(2, (8, 8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    found = COLOUR.encode([buffer.getvalue()])
    assert torch.equal(found, COLOUR.encode([image.rotate(180)]))


@pytest.mark.parametrize("form", ["path", "bytes", "image", "array", "floats"])
def test_all_forms_are_one_picture(form, tmp_path):
    image = picture(3)
    path = tmp_path / "x.png"
    image.save(path)
    pixels = np.asarray(image)
    items = {
        "path": str(path),
        "bytes": path.read_bytes(),
        "image": image,
        "array": pixels,
        "floats": pixels / 255,
    }
    assert torch.equal(COLOUR.encode([items[form]]), COLOUR.encode([image]))


@pytest.mark.parametrize("content", [b"", b"no picture", "cut"])
def test_what_is_broken_is_named(content, tmp_path):
    path = tmp_path / "x.png"
    if content == "cut":
        buffer = io.BytesIO()
        picture(4, (64, 64)).save(buffer, "PNG")
        content = buffer.getvalue()[:2000]
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.png"):
        COLOUR.encode([path])


def test_a_bomb_is_refused(monkeypatch):
    monkeypatch.setattr("metapipe.data.picture_files.MAX_PIXELS", 100)
    buffer = io.BytesIO()
    picture(5, (12, 12)).save(buffer, "PNG")
    with pytest.raises(DataError, match="bomb"):
        COLOUR.encode([buffer.getvalue()])


def test_floats_out_of_range_are_refused():
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        COLOUR.encode([np.full((8, 8), 255.0)])


def test_an_encoder_comes_back_from_json():
    assert encoder_from(GREY.model_dump(mode="json"), {"image": ImageEncoder}) == GREY


def test_an_unknown_encoder_says_what_to_do():
    with pytest.raises(DataError, match="'sound'"):
        encoder_from({"type": "sound"}, {"image": ImageEncoder})
