"""Writing an exported folder: `model.onnx`, `config.json` and `detect.py`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

import untrimmed
from untrimmed.data.files import write_atomically
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.model_folder import CONFIG, WEIGHTS
from untrimmed.detection.onnx_network import ONNX, SETTINGS, OnnxNetwork
from untrimmed.errors import ConfigError, ModelError
from untrimmed.export.checking import LENGTHS, TOLERANCE, Difference, differences
from untrimmed.export.network import to_onnx
from untrimmed.export.precision import Precision, in_fp16, in_int8
from untrimmed.export.script import detect_script
from untrimmed.model.config import ModelConfig
from untrimmed.model.network import ActionFormer
from untrimmed.settings import dump

SCRIPT = "detect.py"


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        size: of the ONNX file, in bytes.
        differences: from the model, at several lengths.
    """

    size: int
    differences: list[Difference]


def export_onnx(
    localizer: Localizer, out: Path, *, precision: Precision = "fp32", lengths: Sequence[int] = LENGTHS
) -> Exported:
    """Write an exported folder, after comparing the exported form with the model.

    Args:
        localizer: what is exported; on the CPU.
        out: the folder to write.
        precision: see `untrimmed.export.precision`.
        lengths: at which it is compared, in clips.

    Raises:
        ConfigError: if there is a model in the folder already, or the precision cannot hold a weight.
        ModelError: if it is exported already, or the form in fp32 differs by more than `TOLERANCE`.
        MissingExtraError: if onnx or onnxruntime is not installed.
    """
    holds = [name for name in (CONFIG, WEIGHTS, ONNX, SETTINGS) if (out / name).exists()]
    if holds:
        raise ConfigError(f"{out}: holds a model already ({holds[0]}); choose another --out")
    model = localizer.model
    if isinstance(model, OnnxNetwork):
        raise ModelError("the model is an exported one; export the model folder that it was made of")
    content = onnx_file(model, precision)
    network = OnnxNetwork(model.config, content)
    found = differences(network, model, lengths)
    worst = max(found, key=lambda each: each.relative)
    if precision == "fp32" and worst.relative > TOLERANCE:
        raise ModelError(
            f"the exported form differs from the model by {worst.relative:.1e} at a length of {worst.length}, but no "
            f"more than {TOLERANCE:g} is accepted; nothing was written. Are the model's weights finite?"
        )
    write_atomically(out / SETTINGS, json.dumps(dump(localizer.config), ensure_ascii=False, indent=2) + "\n")
    write_atomically(out / SCRIPT, detect_script())
    write_atomically(out / ONNX, content)  # last: it is what an exported folder is known by
    return Exported(len(content), found)


def onnx_file(model: ActionFormer, precision: Precision = "fp32") -> bytes:
    """Return what stands in the ONNX file of a model."""
    with torch.no_grad():
        exported = to_onnx(model, _metadata(model.config), products=precision == "int8")
    if precision == "fp16":
        exported = in_fp16(exported)
    elif precision == "int8":
        exported = in_int8(exported)
    return exported.SerializeToString()


def _metadata(config: ModelConfig) -> dict[str, str]:
    """What is told in the file: who wrote it and, of a model that counts on padding, how far a video is padded."""
    told = {"untrimmed": untrimmed.__version__}
    if config.padding == "official":
        longer = config.padded_length(config.base_length + 1)
        multiple = config.padded_length(longer + 1) - longer
        told["untrimmed.padding"] = json.dumps({"least": config.base_length, "multiple": multiple})
    return told
