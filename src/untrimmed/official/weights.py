"""Official checkpoints and the names of their tensors, made into ours."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from untrimmed.errors import ModelError
from untrimmed.model.checkpoint import load_checkpoint
from untrimmed.model.network import ActionFormer
from untrimmed.official.configuration import model_config

# Official names of tensors, as patterns, and ours; each is applied in turn to what the ones before have left.
_RENAMED = [
    (r"^module\.", ""),
    (r"^backbone\.proj\.(\d+)\.conv", r"encoder.projection.streams.\1"),
    (r"^backbone\.embd\.(\d+)\.conv", r"encoder.projection.stack.convolutions.\1"),
    (r"^backbone\.embd_norm", "encoder.projection.stack.norms"),
    (r"^backbone", "encoder"),
    (r"\.ln1\.", ".attention_norm."),
    (r"\.ln2\.", ".mlp_norm."),
    (r"\.drop_path_attn\.", ".attention_branch."),
    (r"\.drop_path_mlp\.", ".mlp_branch."),
    (r"\.attn\.(query|key|value)_conv\.conv", r".attention.convolutions.\1"),
    (r"\.attn\.(query|key|value)_norm", r".attention.norms.\1"),
    (r"\.attn\.(query|key|value)\.", r".attention.projections.\1."),
    (r"\.attn\.proj", ".attention.output"),
    (r"\.attn\.rel_pe", ".attention.bias"),
    (r"\.query\b", ".0"),
    (r"\.key\b", ".1"),
    (r"\.value\b", ".2"),
    (r"\.conv1\.conv", ".first"),
    (r"\.conv2\.conv", ".second"),
    (r"\.downsample\.conv", ".skip"),
    (r"^neck\.lateral_convs\.(\d+)\.conv", r"neck.laterals.\1"),
    (r"^neck\.fpn_convs\.(\d+)\.conv", r"neck.convolutions.\1"),
    (r"^neck\.fpn_norms", "neck.norms"),
    (r"^(cls|reg)_head\.head\.(\d+)\.conv", r"\1_head.tower.convolutions.\2"),
    (r"^(cls|reg)_head\.norm", r"\1_head.tower.norms"),
    (r"^cls_head\.cls_head\.conv", "classification.output"),
    (r"^reg_head\.offset_head\.conv", "regression.output"),
    (r"^reg_head\.scale", "regression.scales"),
    (r"^cls_head", "classification"),
    (r"^reg_head", "regression"),
]


def build(config: Mapping[str, Any], state: Mapping[str, Tensor]) -> ActionFormer:
    """Build our model from an official configuration and `state_dict`: in eval mode, numerically the same.

    Raises:
        ConfigError: if the configuration cannot be used.
        ModelError: if tensors are missing, left over, or of another shape than the configuration says.
    """
    model = ActionFormer(model_config(config))
    ours = model.state_dict()
    renamed = {_rename(name): (name, tensor) for name, tensor in state.items()}
    missing, extra = sorted(ours.keys() - renamed.keys()), sorted(renamed.keys() - ours.keys())
    if missing or extra:
        parts = [f"lacks {_some(missing)}"] if missing else []
        parts += [f"has {_some([renamed[name][0] for name in extra])} too many"] if extra else []
        raise ModelError(
            f"official checkpoint: it {' and '.join(parts)}; is the configuration the one it was trained with?"
        )
    for name, parameter in ours.items():
        original, tensor = renamed[name]
        if [n for n in tensor.shape if n != 1] != [n for n in parameter.shape if n != 1]:
            raise ModelError(
                f"official checkpoint: {original} has shape {list(tensor.shape)}, but the configuration makes it "
                f"{list(parameter.shape)}; is it the one it was trained with?"
            )
        parameter.copy_(tensor.reshape(parameter.shape))
    return model.eval()


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Read the weights of a `.pth.tar` file as the official trainer writes it: the averaged ones if it has them.

    A file that holds nothing but a state dict is read too. Nothing is unpickled.

    Raises:
        ModelError: if the file is missing, damaged, holds objects other than tensors and plain values, or no weights.
    """
    content = load_checkpoint(path)
    state = content.get("state_dict_ema", content.get("state_dict", content))
    if not isinstance(state, dict) or not state or not all(_is_named_tensor(*item) for item in state.items()):
        found = _some(sorted(map(str, content))) or "nothing"
        raise ModelError(f"{path}: expected 'state_dict_ema' or 'state_dict', or tensors by name, but found {found}")
    return state


def _is_named_tensor(name: object, value: object) -> bool:
    return isinstance(name, str) and isinstance(value, Tensor)


def _rename(name: str) -> str:
    for pattern, ours in _RENAMED:
        name = re.sub(pattern, ours, name)
    return name


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
