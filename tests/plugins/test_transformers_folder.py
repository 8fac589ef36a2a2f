"""Networks in folders of transformers: beside the library's own processor and model."""

import json
import shutil

import numpy as np
import pytest
import torch
from pictures import picture

from metapipe import DataError
from metapipe.testing import BackboneContract
from metapipe_plugins.backbones.transformers_folder import INSTALL, TransformersFolder

transformers = pytest.importorskip("transformers", reason=INSTALL)

PICTURES = [picture(n, size) for n, size in enumerate([(60, 40), (33, 70), (50, 50)])]
SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
VISION = {**SMALL, "image_size": 32, "patch_size": 8}
STAGES = {"depths": [1, 1, 1, 1], "hidden_sizes": [4, 4, 4, 12]}


def dinov2():
    processor = transformers.BitImageProcessorPil(
        size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}
    )
    model = transformers.Dinov2Model(transformers.Dinov2Config(**VISION))
    return model, processor, lambda x: model(x).pooler_output


def dinov3():
    processor = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})
    model = transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**VISION))
    return model, processor, lambda x: model(x).pooler_output


def clip():
    config = transformers.CLIPConfig(
        text_config={**SMALL, "vocab_size": 20},
        vision_config=VISION,
        projection_dim=10,
    )
    processor = transformers.CLIPImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}
    )
    model = transformers.CLIPModel(config)
    return model, processor, lambda x: model.get_image_features(x).pooler_output


def siglip():
    config = transformers.SiglipConfig(
        text_config={**SMALL, "vocab_size": 20}, vision_config=VISION
    )
    processor = transformers.SiglipImageProcessorPil(size={"height": 32, "width": 32})
    model = transformers.SiglipModel(config)
    return model, processor, lambda x: model.get_image_features(x).pooler_output


def vit():
    processor = transformers.ViTImageProcessorPil(size={"height": 32, "width": 32})
    model = transformers.ViTForImageClassification(transformers.ViTConfig(**VISION))
    return model, processor, lambda x: model.vit(x).last_hidden_state[:, 0]


def convnext():
    processor = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 32})
    model = transformers.ConvNextV2Model(transformers.ConvNextV2Config(**STAGES))
    return model, processor, lambda x: model(x).pooler_output


def resnet():
    processor = transformers.ConvNextImageProcessorPil(size={"shortest_edge": 384})
    config = transformers.ResNetConfig(**STAGES, embedding_size=4, layer_type="basic")
    model = transformers.ResNetModel(config)
    return model, processor, lambda x: model(x).pooler_output.flatten(1)


def write(folder, make, seed=0):
    """A random network in a folder; and what the library makes of pictures."""
    torch.manual_seed(seed)
    model, processor, vectors = make()
    model.eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    pixels = processor(PICTURES, return_tensors="pt").pixel_values
    with torch.no_grad():
        return vectors(pixels)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    both = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
    for seed, folder in enumerate(both):
        write(folder, dinov2, seed)
    return both


class TestTransformersFolder(BackboneContract):
    items = PICTURES

    @pytest.fixture(autouse=True)
    def _models(self, folders):
        self.backbone, self.other = (TransformersFolder(folder=f) for f in folders)


@pytest.mark.parametrize(
    "make",
    [dinov2, dinov3, clip, siglip, vit, convnext, resnet],
    ids=lambda f: f.__name__,
)
def test_vectors_are_those_of_the_library(make, tmp_path):
    expected = write(tmp_path, make)
    encoder = TransformersFolder(folder=tmp_path).encoder()
    assert encoder.width == expected.shape[1]
    found = encoder.encode(PICTURES)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)
    assert np.ptp(found.numpy(), axis=0).max() > 1e-3, "they have to differ"


def test_what_is_in_the_folder_is_told(folders, tmp_path):
    def refused(change, words, **files):
        folder = shutil.copytree(folders[0], tmp_path / change)
        for name, content in files.items():
            path = folder / name.replace("__", ".")
            if isinstance(content, dict):
                new = {**json.loads(path.read_text()), **content}
                content = json.dumps({k: v for k, v in new.items() if v != "none"})
            path.write_text(content)
        with pytest.raises(DataError) as caught:
            TransformersFolder(folder=folder).encoder().encode(PICTURES)
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)

    refused("pickled", "bin is pickled, which is not read", pytorch_model__bin="x")
    refused("naflex", "NaFlex", config__json={"model_type": "siglip2"})
    refused("text", "a model of type 'bert', not", config__json={"model_type": "bert"})
    refused("torn", "cannot be read", model__safetensors="x")
    refused("code", "cannot read", config__json="{")
    transform = "preprocessor_config__json"
    refused("any", "of no one size", **{transform: {"do_center_crop": False}})
    refused("no size", "it has no 'size'", **{transform: {"size": "none"}})
    refused("scale", "not 1/255", **{transform: {"rescale_factor": 1.0}})
    refused("deeper", "lack", config__json={"num_hidden_layers": 2})
    with pytest.raises(DataError, match=r"-s backbone.folder=PATH"):
        TransformersFolder().encoder()
    with pytest.raises(DataError, match=r"it has no config.json"):
        TransformersFolder(folder=tmp_path / "nowhere").encoder()
