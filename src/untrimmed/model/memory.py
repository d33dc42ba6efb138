"""How much memory the network takes, estimated from above, and how many clips of a video it may be given at a time."""

from __future__ import annotations

from untrimmed.errors import ConfigError
from untrimmed.model.attention import BLOCK
from untrimmed.model.chunks import margin
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer

OWN = 2**25
"""Bytes that libraries take at any length, such as for one layer's weights in the layout that they multiply in."""

SPARE = 1.8
"""Memory for each byte in use: what was freed lies in pieces, and not all of them are used again."""


def clips_within(max_memory: int, model: ActionFormer, *, besides: int = 0) -> int:
    """How many clips a model may be given at a time, to take no more than `max_memory` bytes.

    Counted are `besides` bytes, the weights as they are (not packed: see `untrimmed.model.packed`), the features that
    it is given at a time, and all that it computes of them; not counted is what is predicted of the whole video.

    Returns:
        A multiple of the coarsest stride, and at least three margins: with fewer, every clip would be computed more
        than three times.

    Raises:
        ConfigError: if that would take more, or if the model needs to see a video as a whole.
    """
    config = model.config
    period = config.strides[-1]
    weights = OWN + sum(parameter.nbytes for parameter in model.parameters())
    each = bytes_per_clip(config)
    least = max(3 * margin(config), period)
    needed = besides + weights + least * each
    if max_memory < needed:
        held = f"{besides:,} for the program and the recording, " if besides else ""
        raise ConfigError(
            f"max_memory is {max_memory:,} bytes, but this model needs {needed:,}: {held}{weights:,} for its weights, "
            f"and {each:,} for each of at least {least:,} clips. Allow that much"
        )
    return (max_memory - besides - weights) // each // period * period


def bytes_per_clip(config: ModelConfig) -> int:
    """How much memory one clip takes, at the most, while the network looks at it in fp32; in bf16 it is less.

    What stands here is what is held at once where most is held: in the attention or the MLP of the first block, or in
    the heads. It was held against the memory that processes took, over the switches of the architecture.
    """
    width, heads = config.width, config.attention_heads
    moments = sum(1 / stride for stride in config.strides)
    neck_width = config.neck_width or width
    head_width = config.head_width or neck_width
    if config.encoder == "conv":
        block = width * 5.0
    else:
        keys = BLOCK + max((window or 0) for window in config.windows) - 1
        qkv = 6 if config.qkv_convolution else 4
        attention = width * (qkv + 2 + 2 * keys / BLOCK) + 3 * heads * keys
        block = max(attention, width * (2 + 2 * config.mlp_ratio))
    held = width * (2 if config.pyramid == "stem" else 1 + config.stem_blocks)
    pyramid = moments * (width + (2 if config.neck == "identity" else 4) * neck_width)
    answers = moments * max(3 * head_width, head_width + 3 * (config.num_classes or 0))
    return 4 * int(config.input_dim + SPARE * max(held + block, pyramid + answers))
