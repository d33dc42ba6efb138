"""ActionFormer (Zhang, Wu, Li, ECCV 2022): every moment of a temporal pyramid is classified and sees its boundaries.

Where the paper and the official code differ, the defaults are the code's, since the published numbers come from it:

- query, key and value each have a depthwise convolution and LayerNorm in front; these are strided where a block
  downsamples, and the skip connection is max-pooled;
- both blocks at full resolution form the one finest level, so there are 6 levels and not 7;
- both heads have LayerNorm, and both outputs of the regression head one learned scale a level.

One thing differs from both on purpose: padding never reaches a valid moment (see `layers`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from untrimmed.model.config import ModelConfig
from untrimmed.model.encoder import build_encoder
from untrimmed.model.heads import build_heads, join
from untrimmed.model.layers import mask
from untrimmed.model.moments import level_lengths, pyramid_moments
from untrimmed.model.neck import build_neck


@dataclass(frozen=True)
class Predictions:
    """What the network says, levels concatenated, finest first; N is the sum of their lengths.

    Attributes:
        logits: `[B, N, classes]`.
        offsets: `[B, N, 2]`, distances to onset and offset in strides of the moment's level, never negative.
        valid: `[B, N]`, whether the moment is one of the video's, and not padding.
        moments: `[N, 4]`, time, range from, range to (all on the feature grid), and stride.
    """

    logits: Tensor
    offsets: Tensor
    valid: Tensor
    moments: Tensor


class ActionFormer(nn.Module):
    """The whole network: features of a batch of videos to `Predictions`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.input_dims is None or config.num_classes is None:
            raise ValueError("a model needs input_dims and num_classes; ModelConfig.for_data fills them in")
        self.config = config
        self.encoder = build_encoder(config)
        self.neck = build_neck(config)
        self.classification, self.regression = build_heads(config)

    def forward(self, features: Tensor, valid: Tensor | None = None) -> Predictions:
        """Classify every moment and regress its boundaries.

        Args:
            features: `[B, T, D]`, any T from 1 up.
            valid: `[B, T]`, true at the clips of the video, which come before the padding; `None` if there is none.

        Returns:
            The predictions; at padded moments they are arbitrary.
        """
        batch, length, dim = features.shape
        if dim != self.config.input_dim:
            raise ValueError(f"the features have {dim} dimensions, but the model takes {self.config.input_dim}")
        # Where nothing is padded, nothing has to be masked. A GPU would have to wait for the answer, a compiler too.
        inner, hidden = valid, False
        if valid is not None and valid.device.type == "cpu" and not torch.compiler.is_compiling():
            whole = int(valid.all(0).long().cumprod(0).sum())  # clips before any padding
            inner = None if whole == length else valid
            hidden = not features[:, whole:][~valid[:, whole:]].any()
        levels = self.neck(self.encoder(features if hidden else mask(features, inner), inner))
        joined = join(levels, self.config.head_kernel // 2, self.config.padding)
        strides, ranges = self.config.strides, self.config.ranges
        if valid is None:
            total = sum(level_lengths(length, strides))
            all_valid = torch.ones(batch, total, dtype=torch.bool, device=features.device)
        else:
            all_valid = torch.cat([valid[:, ::stride] for stride in strides], dim=1)
        return Predictions(
            logits=self.classification(joined).float(),
            offsets=self.regression(joined).float(),
            valid=all_valid,
            moments=pyramid_moments(length, strides, ranges, features.device),
        )
