"""What metapipe relies on in a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import nn

from ..backbone import Backbone
from ..encoder import Encoder
from ..errors import DataError
from ..plugin import Plugin
from .plugin import PluginContract


class BackboneContract(PluginContract):
    """What metapipe relies on in a backbone."""

    backbone: ClassVar[Backbone]
    other: ClassVar[Backbone]
    """The same with a setting changed that vectors depend on."""

    items: ClassVar[Sequence[Any]]
    """At least three different things that it takes."""

    @property
    def plugin(self) -> Plugin:
        """The backbone."""
        return self.backbone

    def test_it_says_whose_it_is(self) -> None:
        """Licence and source, and whether it takes files or rows."""
        assert self.backbone.licence
        assert self.backbone.source
        assert self.backbone.encoder().form == self.backbone.form

    def test_its_encoder_survives_a_json_round_trip(self) -> None:
        """The record in an adapted model makes the same vectors, bit for bit."""
        encoder = self.backbone.encoder()
        again = type(encoder).model_validate_json(encoder.model_dump_json())
        assert again == encoder
        assert torch.equal(again.encode(self.items), encoder.encode(self.items))

    def test_its_vectors_have_the_shape_they_promise(self) -> None:
        """(n, d), finite floats, also of no items, and of examples; none is like
        another."""
        encoder = self.backbone.encoder()
        (width,) = encoder.shape
        vectors = encoder.encode(self.items)
        assert vectors.dtype == torch.float32
        assert vectors.shape == (len(self.items), width)
        assert torch.isfinite(vectors).all()
        assert not vectors.requires_grad
        assert len({tuple(vector) for vector in vectors.tolist()}) >= 3
        assert encoder.encode([]).shape == (0, width)
        assert encoder.examples(5).shape == (5, width)
        assert encoder.examples(5).dtype == torch.float32

    def test_a_vector_does_not_depend_on_its_batch(self) -> None:
        """Alone, among others, and in another order."""
        encoder = self.backbone.encoder()
        together = encoder.encode(self.items)
        alone = torch.cat([encoder.encode([item]) for item in self.items])
        backwards = encoder.encode(list(self.items)[::-1]).flip(0)
        for vectors in (alone, backwards):
            torch.testing.assert_close(vectors, together, rtol=1e-4, atol=1e-5)

    def test_its_network_makes_the_vectors(self) -> None:
        """If it is a FeatureEncoder: of a picture alone, bit for bit what `encode` has
        made, now or before; and one of torch's takes several, as when exported."""
        encoder: Any = self.backbone.encoder()
        if not hasattr(encoder, "network"):
            return
        network, pictures = encoder.network(), encoder.image.encode(self.items)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # as `encode` does: bits depend on it
        with torch.inference_mode():
            alone = torch.cat([network(one) for one in torch.split(pictures, 1)])
        torch.set_num_threads(threads)
        for _ in range(2):  # made, and kept
            assert torch.equal(encoder.encode(self.items), alone)
        if isinstance(network, nn.Module):
            assert not network.training
            assert not any(p.requires_grad for p in network.parameters())
            together = network(pictures)
            torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-4)

    def test_weights_in_a_file_are_as_good_as_those_installed(self) -> None:
        """If a file can carry them: the record with the tensors makes the same vectors,
        and other tensors are refused."""
        encoder = self.backbone.encoder()
        weights = encoder.weights()
        if weights is None:
            return
        record = type(encoder).model_validate_json(encoder.model_dump_json())
        again = record.with_weights({k: t.clone() for k, t in weights.items()})
        again.check()
        assert again == encoder
        assert torch.equal(again.encode(self.items), encoder.encode(self.items))
        if weights:
            others = {name: torch.zeros_like(t) for name, t in weights.items()}
            try:
                record.with_weights(others)
            except DataError:
                return
            raise AssertionError("weights of another hash were accepted")

    def test_its_hash_is_stable_and_tells_settings_apart(self) -> None:
        """Equal settings, equal hash or record; other settings, another."""
        first, again = (self.backbone.encoder() for _ in range(2))
        assert _hash(first) == _hash(again)
        assert _hash(first) != _hash(self.other.encoder())

    def test_another_hash_is_refused(self) -> None:
        """By `check`, which passes otherwise."""
        encoder = self.backbone.encoder()
        encoder.check()
        try:
            encoder.model_copy(update={"sha256": "0" * 64}).check()
        except DataError:
            return
        raise AssertionError("vectors of another hash were accepted")


def _hash(encoder: Encoder) -> str:
    found = encoder.model_dump().get("sha256")
    assert isinstance(found, str), "the encoder's record has no sha256"
    assert len(found) == 64, "sha256 is no SHA-256 in hexadecimal"
    return found
