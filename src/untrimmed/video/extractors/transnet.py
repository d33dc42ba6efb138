"""TransNetV2 on small pictures: what moves, and how; and where a shot is cut.

TransNet V2 (Soucek and Lokoc, 2020) was trained to find shot boundaries. Its cells convolve in space and then in time,
with four dilations, so each of its three stages sees what comes and goes over 16 frames to either side. Batch norms
are folded. Everything is `[T, C, H, W]` in channels-last memory: the frames of one video are the batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from untrimmed.video.extractors.folding import fold

HEIGHT, WIDTH = 27, 48
"""Of the pictures; pixels go in as `pixel / 255`."""
STAGE_REACH = 16
"""Frames to either side that a stage sees."""

_DILATIONS = (1, 2, 4, 8)
_CHANNELS_LAST = {"memory_format": torch.channels_last}
_REACH = _DILATIONS[-1]
"""Frames to either side that a cell sees."""
_NEIGHBOURS = 50
"""Frames to either side that a frame is compared with when cuts are looked for."""


class FirstCell(nn.Module):
    """The first cell: `[T, 3, H, W] -> [T - 16, 4 F, H, W]`, without the activation.

    Nothing stands between a branch's two convolutions, so they are one in space and time. With three colours it costs
    least to look at all frames that any branch needs at once, as colours of one picture.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, state: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        spatial, temporal, bias = _cell(state, name)
        self.shifts = sorted({_REACH + sign * d for d in _DILATIONS for sign in (-1, 0, 1)})
        width = temporal[0].shape[0]
        weight = torch.zeros(len(_DILATIONS), width, len(self.shifts), 3, 3, 3)
        for d, in_space, in_time, out in zip(_DILATIONS, spatial, temporal, weight, strict=True):
            for tap in range(3):
                shift = self.shifts.index(_REACH + (tap - 1) * d)
                out[:, shift] = torch.einsum("om,mchw->ochw", in_time[:, :, tap, 0], in_space)
        self.register_buffer("weight", weight.reshape(-1, 3 * len(self.shifts), 3, 3).contiguous(**_CHANNELS_LAST))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        length = len(x) - 2 * _REACH
        together = torch.cat([x[shift : shift + length] for shift in self.shifts], 1)
        return F.conv2d(together.contiguous(**_CHANNELS_LAST), self.weight, self.bias, padding=1)

    def still_weight(self) -> Tensor:
        """Return the kernel `[4 F, 3, 3, 3]` that gives the same of one frame as this cell of a frame that stays."""
        return self.weight.unflatten(1, (len(self.shifts), 3)).sum(1)


class Cell(nn.Module):
    """The other cells: `[T, C, H, W] -> [T - 16, 4 F, H, W]`, without the activation.

    Four branches of a 3 x 3 convolution in space and a dilated one of three taps in time.
    """

    bias: Tensor

    def __init__(self, state: Mapping[str, Tensor], name: str) -> None:
        super().__init__()
        spatial, temporal, bias = _cell(state, name)
        for i, (in_space, in_time) in enumerate(zip(spatial, temporal, strict=True)):
            self.register_buffer(f"spatial_{i}", in_space.contiguous(**_CHANNELS_LAST))
            self.register_buffer(f"temporal_{i}", in_time)
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        branches = zip(_DILATIONS, self.bias.chunk(len(_DILATIONS)), strict=True)
        return torch.cat([self._branch(x, i, d, bias) for i, (d, bias) in enumerate(branches)], 1)

    def _branch(self, x: Tensor, i: int, dilation: int, bias: Tensor) -> Tensor:
        seen = x[_REACH - dilation : len(x) - _REACH + dilation]
        y = F.conv2d(seen, self.get_buffer(f"spatial_{i}"), padding=1)
        # The same memory as one picture [1, C, T, H * W], whose rows are the frames.
        rows = y.permute(0, 2, 3, 1).reshape(1, len(y), -1, y.shape[1]).permute(0, 3, 1, 2)
        rows = F.conv2d(rows, self.get_buffer(f"temporal_{i}"), bias, dilation=(dilation, 1))
        return rows.permute(0, 2, 3, 1).reshape(-1, *x.shape[2:], rows.shape[1]).permute(0, 3, 1, 2)

    def still_weight(self) -> Tensor:
        """Return the kernel `[4 F, C, 3, 3]` that gives the same of one frame as this cell of a frame that stays."""
        branches = range(len(_DILATIONS))
        taps = [self.get_buffer(f"temporal_{i}").sum((2, 3)) for i in branches]
        return torch.cat([torch.einsum("om,mchw->ochw", taps[i], self.get_buffer(f"spatial_{i}")) for i in branches])


class Stage(nn.Module):
    """Two cells, a shortcut over the second one, and pooling: `[T, C, H, W] -> [T, 4 F, H // 2, W // 2]`.

    With `padded`, a frame's missing neighbours are black, as in training. Without it only frames all of whose
    neighbours are there come out, 32 less.
    """

    def __init__(self, state: Mapping[str, Tensor], number: int, *, padded: bool) -> None:
        """Take stage 0, 1 or 2 of the package's state dict."""
        super().__init__()
        name = f"SDDCNN.{number}.DDCNN"
        self.first = FirstCell(state, f"{name}.0") if number == 0 else Cell(state, f"{name}.0")
        self.second = Cell(state, f"{name}.1")
        self.padding = _REACH if padded else 0
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        first = F.relu_(self.first(self._pad(x)))
        second = F.relu_(self.second(self._pad(first)))
        missing = _REACH - self.padding
        return F.avg_pool2d(second.add_(first[missing : len(first) - missing]), 2)

    def _pad(self, x: Tensor) -> Tensor:
        if not self.padding:
            return x
        black = torch.zeros_like(x[:1]).expand(self.padding, -1, -1, -1)
        return torch.cat([black, x, black]).contiguous(**_CHANNELS_LAST)


class TransNetV2(nn.Module):
    """The whole network: pictures `[T, 27, 48, 3]`, uint8, to how likely a shot is cut at each, `[T]`, 0 to 1.

    Beside what the stages see, a frame is compared with those around it: by the stages' mean features, and by the
    histograms of colours.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights from the package's state dict."""
        super().__init__()
        self.stages = nn.ModuleList(Stage(state, number, padded=True) for number in range(3))
        self.projection = _linear(state, "frame_sim_layer.projection")
        self.feature_likeness = _linear(state, "frame_sim_layer.fc")
        self.colour_likeness = _linear(state, "color_hist_layer.fc")
        self.hidden = _linear(state, "fc1")
        self.cut = _linear(state, "cls_layer1")
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Apply it."""
        x = (pictures.permute(0, 3, 1, 2) / 255).to(self.cut.weight.dtype)
        means = []
        for stage in self.stages:
            x = stage(x)
            means.append(x.mean((2, 3)))
        features = F.normalize(self.projection(torch.cat(means, 1)), dim=1)
        colours = colour_histograms(pictures).to(x.dtype)
        seen = [
            F.relu(self.colour_likeness(_likeness(colours))),
            F.relu(self.feature_likeness(_likeness(features))),
            x.permute(0, 2, 3, 1).flatten(1),
        ]
        return torch.sigmoid(self.cut(F.relu(self.hidden(torch.cat(seen, 1)))).float()).squeeze(1)


def colour_histograms(pictures: Tensor) -> Tensor:
    """Count the pixels of each of 512 colours: `[T, H, W, 3]`, uint8, to `[T, 512]` of length 1."""
    red, green, blue = (pictures.flatten(1, 2) >> 5).long().unbind(2)
    bins = (red << 6) + (green << 3) + blue
    counts = torch.zeros(len(bins), 512, device=bins.device)
    return F.normalize(counts.scatter_add_(1, bins, torch.ones_like(bins, dtype=counts.dtype)), dim=1)


def _likeness(vectors: Tensor) -> Tensor:
    """Dot products of each vector with its neighbours, `[T, C] -> [T, 101]`; zero where there is none."""
    every = F.pad(vectors @ vectors.T, (_NEIGHBOURS, _NEIGHBOURS))
    return torch.stack([every[i, i : i + 2 * _NEIGHBOURS + 1] for i in range(len(vectors))])


def _linear(state: Mapping[str, Tensor], name: str) -> nn.Linear:
    weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
    linear = nn.Linear(weight.shape[1], weight.shape[0])
    linear.load_state_dict({"weight": weight, "bias": bias})
    return linear


def _cell(state: Mapping[str, Tensor], name: str) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """Return a cell's spatial weights `[2 F, C, 3, 3]`, its temporal ones `[F, 2 F, 3, 1]`, and the bias `[4 F]`."""
    spatial = [state[f"{name}.Conv3D_{d}.layers.0.weight"].squeeze(2) for d in _DILATIONS]
    temporal = [state[f"{name}.Conv3D_{d}.layers.1.weight"].squeeze(4) for d in _DILATIONS]
    folded, bias = fold(torch.cat(temporal), state, f"{name}.bn")
    return spatial, list(folded.chunk(len(_DILATIONS))), bias
