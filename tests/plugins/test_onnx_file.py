"""Networks in ONNX files: the published contract, and files that are none."""

import numpy as np
import pytest
import torch
from pictures import picture

from metapipe import DataError, FewShotClassifier
from metapipe.adaptation.export import export_onnx
from metapipe.testing import BackboneContract
from metapipe_plugins.backbones.onnx_file import INSTALL, OnnxFile

onnx = pytest.importorskip("onnx", reason=INSTALL)
pytest.importorskip("onnxruntime", reason=INSTALL)

PICTURES = [picture(seed, (20, 14)) for seed in range(4)]


def write(path, shape=("n", 3, "h", "w"), kind="FLOAT", outputs=1, pools=True):
    """A file that takes the mean of each channel, and mixes them into five numbers."""
    helper, numbers = onnx.helper, onnx.TensorProto
    channels = shape[1]
    mix = np.arange(channels * 5, dtype=np.float32).reshape(channels, 5) / 10
    nodes = [
        helper.make_node("Cast", ["pictures"], ["floats"], to=numbers.FLOAT),
        helper.make_node("GlobalAveragePool", ["floats"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["means"]),
        helper.make_node("MatMul", ["means", "mix"], ["vectors"]),
    ]
    names = ["vectors" if pools else "pooled", "means"][:outputs]
    graph = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("pictures", getattr(numbers, kind), shape)],
        [helper.make_tensor_value_info(name, numbers.FLOAT, None) for name in names],
        [onnx.numpy_helper.from_array(mix, "mix")],
    )
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return write(tmp_path_factory.mktemp("onnx") / "means.onnx")


class TestOnnxFile(BackboneContract):
    items = PICTURES

    @pytest.fixture(autouse=True)
    def _files(self, file):
        self.backbone = OnnxFile(file=file, size=8)
        self.other = OnnxFile(file=file, size=8, mean=(0.5, 0.5, 0.5))


def test_vectors_are_what_the_file_computes(file):
    encoder = OnnxFile(
        file=file, size=16, mean=(0.1, 0.2, 0.3), std=(0.5, 1, 2)
    ).encoder()
    pixels = encoder.image.encode(PICTURES)
    means = pixels.mean((2, 3)) - torch.tensor([0.1, 0.2, 0.3])
    mix = torch.arange(15.0).reshape(3, 5) / 10
    expected = means / torch.tensor([0.5, 1, 2]) @ mix
    torch.testing.assert_close(encoder.encode(PICTURES), expected)


def test_a_file_may_say_its_size_and_have_several_outputs(tmp_path):
    path = write(tmp_path / "a.onnx", shape=(1, 3, 12, 10), outputs=2)
    encoder = OnnxFile(file=path, output="means").encoder()
    assert (encoder.image.height, encoder.image.width, encoder.width) == (12, 10, 3)
    assert OnnxFile(file=write(tmp_path / "b.onnx")).encoder().image.height == 224
    with pytest.raises(DataError, match=r"-s backbone.output=NAME, of vectors, means"):
        OnnxFile(file=path).encoder()
    with pytest.raises(DataError, match="no output 'mean', but vectors, means"):
        OnnxFile(file=path, output="mean").encoder()
    with pytest.raises(DataError, match=r"12 x 10: leave backbone.size out"):
        OnnxFile(file=path, output="means", size=12).encoder()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"shape": ("n", 1, "h", "w")}, r"takes \(n, 1, h, w\)"),
        ({"shape": (4, 3, 8, 8)}, r"takes \(4, 3, 8, 8\)"),
        ({"shape": ("n", 3)}, r"takes \(n, 3\)"),
        ({"kind": "UINT8"}, r"of tensor\(uint8\): one input"),
        ({"pools": False}, r"gives \(1, 3, 1, 1\) of a picture where \(1, d\)"),
    ],
)
def test_another_network_is_one_line(changed, words, tmp_path):
    path = write(tmp_path / "a.onnx", **changed)
    with pytest.raises(DataError, match=words):
        OnnxFile(file=path).encoder()


def test_what_is_no_file_is_one_line(file, tmp_path):
    (tmp_path / "a.onnx").write_text("nothing")
    for settings, words in (
        ({"file": tmp_path / "a.onnx"}, "is no ONNX file that runs"),
        ({"file": tmp_path / "b.onnx"}, "No such file"),
        ({}, "-s backbone.file=PATH"),
        ({"file": file, "std": (1, 0, 1)}, "cannot be divided"),
    ):
        with pytest.raises(DataError) as caught:
            OnnxFile(**settings).encoder()
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


def test_the_head_alone_is_exported(file, tmp_path):
    pytest.importorskip("onnxscript", reason=INSTALL)
    classifier = FewShotClassifier(
        backbone="onnx",
        backbone_settings={"file": str(file), "size": 8},
        head="nearest",
    ).fit(PICTURES, ["a", "b", "a", "b"])
    exported = export_onnx(classifier.adapted_, tmp_path / "x.onnx")
    assert exported.takes == (5,)
    assert exported.lacks == classifier.adapted_.origin.backbone
    assert exported.lacks.startswith("onnx@")
