"""The kinds of models that are supported, and what is particular about each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor


def _mean_of_tokens(model: Any, x: Tensor) -> Tensor:
    """Average over all tokens, for models that were trained without one that stands for the whole."""
    return model(pixel_values=x).last_hidden_state.mean(dim=1)


def _first_token(model: Any, x: Tensor) -> Tensor:
    """The class token, which a classifier was trained on."""
    return model(pixel_values=x).last_hidden_state[:, 0]


def _pooler(model: Any, x: Tensor) -> Tensor:
    """The model's own pooled output, which was trained."""
    return model(pixel_values=x).pooler_output


def _encoder_of_vjepa2(model: Any, x: Tensor) -> Tensor:
    """Average over the tokens of the encoder; the predictor is not run."""
    return model(pixel_values_videos=x, skip_predictor=True).last_hidden_state.mean(dim=1)


def _video_of_xclip(model: Any, x: Tensor) -> Tensor:
    """What X-CLIP compares with a text: the frames after the transformer over them."""
    return model.get_video_features(pixel_values=x).pooler_output


@dataclass(frozen=True)
class Kind:
    """A kind of model.

    Attributes:
        model: its class in transformers.
        vectors: makes `[B, D]` of the model and clips `[B, T, 3, H, W]` or pictures `[B, 3, H, W]`.
        frames: key of its configuration that says how many frames a clip has; `None` for models of single pictures.
        part: key under which the configuration of the part that sees is, where the model has others.
        dimension: key of its configuration that says how many dimensions its vectors have.
        multiple: key that says of what the number of frames has to be a multiple, for models that take any; `None` for
            those that take one number only.
        any_size: whether it takes pictures of another size than it was trained on.
        attention: how transformers computes it: by torch's fused function, where the class knows it.
        options: of the model's class.
    """

    model: str
    vectors: Callable[[Any, Tensor], Tensor]
    frames: str | None = None
    part: str | None = None
    dimension: str = "hidden_size"
    multiple: str | None = None
    any_size: bool = False
    attention: str = "sdpa"
    options: dict[str, Any] = field(default_factory=dict)


KINDS = {
    "videomae": Kind("VideoMAEModel", _mean_of_tokens, frames="num_frames"),
    "vjepa2": Kind("VJEPA2Model", _encoder_of_vjepa2, frames="frames_per_clip", multiple="tubelet_size", any_size=True),
    "timesformer": Kind("TimesformerModel", _first_token, frames="num_frames", attention="eager"),
    # Its pooler is left out: the published models were trained without one.
    "vivit": Kind("VivitModel", _first_token, frames="num_frames", options={"add_pooling_layer": False}),
    "xclip": Kind("XCLIPModel", _video_of_xclip, frames="num_frames", part="vision_config", dimension="projection_dim"),
    "dinov2": Kind("Dinov2Model", _pooler, any_size=True),
    "dinov2_with_registers": Kind("Dinov2WithRegistersModel", _pooler, any_size=True),
    "dinov3_vit": Kind("DINOv3ViTModel", _pooler, any_size=True),
    "siglip": Kind("SiglipVisionModel", _pooler, part="vision_config"),
    "siglip_vision_model": Kind("SiglipVisionModel", _pooler),
    "clip": Kind("CLIPVisionModel", _pooler, part="vision_config"),
    "clip_vision_model": Kind("CLIPVisionModel", _pooler),
}
"""By the `model_type` of the model's configuration."""
