"""What metapipe relies on in a backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..backbone import Backbone
from ..encoder import Encoder
from ..errors import DataError
from ..numerics.threads import computing_with
from ..plugin import Plugin
from .plugin import PluginContract
from .saying import saying


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
        assert self.backbone.licence, "licence is empty: say under which the network is"
        assert self.backbone.source, "source is empty: say where the network comes from"
        form = self.backbone.encoder().form
        assert form == self.backbone.form, (
            f"form = {self.backbone.form!r}, and encoder() makes one of {form!r}"
        )

    def test_its_encoder_survives_a_json_round_trip(self) -> None:
        """The record in an adapted model makes the same vectors, bit for bit."""
        encoder = self.backbone.encoder()
        again = type(encoder).model_validate_json(encoder.model_dump_json())
        _require_same(again, encoder, self.items, "its own JSON")

    def test_its_vectors_have_the_shape_they_promise(self) -> None:
        """(n, d), finite floats, also of no items, and of examples; none is like
        another."""
        encoder = self.backbone.encoder()
        (width,) = encoder.shape
        vectors = encoder.encode(self.items)
        _require_vectors(vectors, len(self.items), width, "encode")
        assert torch.isfinite(vectors).all(), "encode makes numbers that are not finite"
        assert not vectors.requires_grad, "encode keeps a graph: use torch.no_grad()"
        different = len({tuple(vector) for vector in vectors.tolist()})
        assert different >= 3, (
            f"encode makes {different} different vectors of {len(self.items)} items: "
            "give three different `items`, or see what it reads of them"
        )
        _require_vectors(encoder.encode([]), 0, width, "encode, of no items,")
        _require_vectors(encoder.examples(5), 5, width, "examples")

    def test_a_vector_does_not_depend_on_its_batch(self) -> None:
        """Alone, among others, and in another order."""
        encoder = self.backbone.encoder()
        together = encoder.encode(self.items)
        alone = torch.cat([encoder.encode([item]) for item in self.items])
        backwards = encoder.encode(list(self.items)[::-1]).flip(0)
        for vectors in (alone, backwards):
            torch.testing.assert_close(
                vectors,
                together,
                rtol=1e-4,
                atol=1e-5,
                msg=saying(
                    "encode makes another vector of an item when others are beside it: "
                    "put the network into evaluation mode"
                ),
            )

    def test_its_network_makes_the_vectors(self) -> None:
        """If it is a FeatureEncoder: of a picture alone, bit for bit what `encode` has
        made, now or before; and one of torch's takes several, as when exported."""
        encoder: Any = self.backbone.encoder()
        if not hasattr(encoder, "network"):
            return
        network, pictures = encoder.network(), encoder.image.encode(self.items)
        # One thread, as `encode` does: bits depend on it.
        with torch.inference_mode(), computing_with(1):
            alone = torch.cat([network(one) for one in torch.split(pictures, 1)])
        for _ in range(2):  # made, and kept
            assert torch.equal(encoder.encode(self.items), alone), (
                "encode makes another vector than network() of the picture alone"
            )
        if isinstance(network, nn.Module):
            assert not network.training, "network() is in training mode"
            frozen = not any(p.requires_grad for p in network.parameters())
            assert frozen, "network() has parameters that require a gradient: freeze it"
            torch.testing.assert_close(
                network(pictures),
                alone,
                rtol=1e-4,
                atol=1e-4,
                msg=saying("network() makes others of several pictures than of each"),
            )

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
        _require_same(again, encoder, self.items, "a file with its weights")
        if weights:
            others = {name: torch.zeros_like(t) for name, t in weights.items()}
            try:
                record.with_weights(others)
            except DataError:
                return
            raise AssertionError(
                "with_weights accepts tensors of another hash: raise DataError"
            )

    def test_its_hash_is_stable_and_tells_settings_apart(self) -> None:
        """Equal settings, equal hash or record; other settings, another."""
        first, again = (self.backbone.encoder() for _ in range(2))
        assert _hash(first) == _hash(again), (
            "encoder() has another sha256 the second time: hash the weights, their "
            "transform and the version, and nothing else"
        )
        assert _hash(first) != _hash(self.other.encoder()), (
            "encoder() has the same sha256 for `backbone` and `other`: hash the "
            "settings that vectors depend on, too"
        )

    def test_another_hash_is_refused(self) -> None:
        """By `check`, which passes otherwise."""
        encoder = self.backbone.encoder()
        encoder.check()
        try:
            encoder.model_copy(update={"sha256": "0" * 64}).check()
        except DataError:
            return
        raise AssertionError(
            "check accepts a record with another sha256: raise DataError"
        )


def _require_vectors(vectors: Tensor, count: int, width: int, method: str) -> None:
    """(count, width), float32."""
    shape = tuple(vectors.shape)
    assert shape == (count, width), (
        f"{method} makes vectors of {shape}: the encoder's shape promises "
        f"{(count, width)}"
    )
    assert vectors.dtype == torch.float32, (
        f"{method} makes vectors of {vectors.dtype}: float32 is wanted"
    )


def _require_same(
    again: Encoder, encoder: Encoder, items: Sequence[Any], source: str
) -> None:
    """The record and its vectors, to the bit."""
    assert again == encoder, (
        f"an encoder from {source} is {again!r}, and was {encoder!r}: all that vectors "
        "depend on is a field, of a type that JSON has"
    )
    assert torch.equal(again.encode(items), encoder.encode(items)), (
        f"an encoder from {source} makes other vectors: encode depends on something "
        "that is no field"
    )


def _hash(encoder: Encoder) -> str:
    found = encoder.model_dump().get("sha256")
    assert isinstance(found, str), "the encoder's record has no field sha256"
    assert len(found) == 64, f"sha256 = '{found}' is no SHA-256 in hexadecimal"
    return found
