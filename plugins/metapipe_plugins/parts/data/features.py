"""Pictures as inputs: themselves, or vectors that a frozen network makes of them."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, PrivateAttr, ValidationInfo, model_validator

from metapipe import Backbone, Dataset, Encoder, SettingError


class PictureInputs(Dataset):
    """What data sets of pictures share: what their inputs are."""

    of_pixels: ClassVar[tuple[str, ...]] = ("augment",)
    """Settings that do nothing to vectors."""

    inputs: Literal["pixels", "features"] = "pixels"
    """The pictures themselves; or the vectors that a frozen network makes of them, each
    computed once: for the model residual-mlp."""

    backbone: str | None = None
    """Name of the frozen network, for features."""

    backbone_settings: dict[str, Any] = Field(default_factory=dict)
    """Its settings, such as {size = 128}."""

    _backbone: Backbone | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _fit(self, info: ValidationInfo) -> Self:
        if self.inputs == "pixels":
            if self.backbone or self.backbone_settings:
                raise ValueError(
                    "a backbone makes features: give -s dataset.inputs=features too"
                )
            return self
        if self.backbone is None:
            raise ValueError(
                "features are made by a backbone: give -s dataset.backbone=NAME"
            )
        for name in self.of_pixels:
            field = type(self).model_fields[name]
            if getattr(self, name) != field.default:
                raise ValueError(
                    f"dataset.{name} does nothing to features: leave it out"
                )
        opened = (info.context or {}).get("backbone")
        if opened is not None:
            self._backbone = opened(self.backbone, self.backbone_settings)
        return self

    def features(self) -> Encoder | None:
        """What makes the vectors; None if the inputs are the pictures. Raises DataError
        if the backbone lacks something."""
        if self.inputs == "pixels":
            return None
        chosen = f"'{self.backbone}' {self.backbone_settings or ''}".strip()
        if self._backbone is None:  # as registries make it of both
            raise SettingError(
                f"dataset.backbone = {chosen} is known to a registry alone: create the "
                "data set by one"
            )
        return self._backbone.encoder()
