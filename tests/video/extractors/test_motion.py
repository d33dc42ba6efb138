from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from untrimmed.video.extractors.motion import DIMENSION, REACH, Motion
from untrimmed.video.extractors.packaged import transnet_weights
from untrimmed.video.extractors.transnet import HEIGHT, WIDTH


@pytest.fixture(scope="module")
def motion() -> Motion:
    return Motion(transnet_weights())


def noise(frames: int, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    coarse = torch.rand(frames, 3, 9, 16)
    return torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear")


def moving_square(frames: int, step: int) -> Tensor:
    """A bright square before a textured wall; it moves `step` pixels a frame, to the right if positive."""
    pictures = noise(1).repeat(frames, 1, 1, 1) * 0.5
    for number, picture in enumerate(pictures):
        left = (number * step) % (WIDTH - 8)
        picture[:, 10:16, left : left + 6] = 1.0
    return pictures


@torch.inference_mode()
def test_what_stands_still_does_not_move(motion: Motion) -> None:
    features = motion(noise(1).expand(2 * REACH + 5, -1, -1, -1))
    assert features.shape == (5, DIMENSION)
    assert features.abs().max() < 1e-5
    assert motion.stage(noise(2 * REACH + 1)).abs().max() > 1  # the stage alone answers to anything


@torch.inference_mode()
def test_definition(motion: Motion) -> None:
    """Beside the answer to each frame as if it stood still."""
    frames = noise(2 * REACH + 3)
    still = [motion.stage(frame.expand(2 * REACH + 1, -1, -1, -1)) for frame in frames[REACH:-REACH]]
    difference = motion.stage(frames) - torch.cat(still)
    plane = difference.flatten(2)
    expected = [plane.mean(2), plane.std(2), plane.max(2).values, -plane.min(2).values]
    torch.testing.assert_close(motion(frames), torch.cat(expected, 1), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_direction_is_seen(motion: Motion) -> None:
    """A film and the same film backwards hold the same pictures; their features lie as far apart as two films'."""
    forwards = moving_square(2 * REACH + 20, 1)
    features = motion(forwards).numpy()
    backwards = motion(forwards.flip(0)).numpy()[::-1]
    distance = np.abs(features - backwards).mean()
    assert distance > 0.2 * np.abs(features).mean()
