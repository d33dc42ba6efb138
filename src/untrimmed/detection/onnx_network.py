"""An exported model on disk, `model.onnx` and `config.json`, and the network that onnxruntime makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from untrimmed.detection.model_folder import LocalizerConfig
from untrimmed.errors import ConfigError, MissingExtraError, ModelError
from untrimmed.model.config import ModelConfig
from untrimmed.model.devices import Precision
from untrimmed.model.network import ActionFormer, Predictions
from untrimmed.settings import parse

ONNX, SETTINGS = "model.onnx", "config.json"
OUTPUTS = ["logits", "offsets", "moments", "valid_moments"]


class OnnxNetwork(ActionFormer):
    """An `ActionFormer` that onnxruntime computes, on the CPU: called as any, but without parts or weights of its own.

    Args:
        config: of the model that was exported.
        source: the ONNX file, or what is in it.
        threads: that it computes with; by default as many as torch has.

    Raises:
        MissingExtraError: if onnxruntime is not installed.
        ModelError: if the file is no ONNX, or not of such a model.
    """

    def __init__(self, config: ModelConfig, source: Path | bytes, threads: int | None = None) -> None:
        nn.Module.__init__(self)
        self.config = config
        self.place = nn.Parameter(
            torch.empty(0), requires_grad=False
        )  # who asks where the model is, looks at its first
        self._source = source
        self._session = _session(source, torch.get_num_threads() if threads is None else threads)
        found = [each.shape[-1] for each in (*self._session.get_inputs()[:1], *self._session.get_outputs()[:1])]
        if found != [config.input_dim, config.num_classes]:
            place = source if isinstance(source, Path) else ONNX
            raise ModelError(
                f"{place}: takes {found[0]} dimensions and knows {found[-1]} classes, but {SETTINGS} beside it says "
                f"{config.input_dim} and {config.num_classes}. Export the model again"
            )

    @property
    def weights(self) -> dict[str, Tensor]:
        """What takes the place of weights where models are told apart: the bytes of the file."""
        content = self._source if isinstance(self._source, bytes) else self._source.read_bytes()
        return {ONNX: torch.frombuffer(bytearray(content), dtype=torch.uint8)}

    def forward(self, features: Tensor, valid: Tensor | None = None) -> Predictions:
        """Classify every moment and regress its boundaries; see `ActionFormer`."""
        whole = torch.ones(features.shape[:2], dtype=torch.bool) if valid is None else valid
        inputs = {"features": features.float().contiguous().numpy(), "valid": whole.contiguous().numpy()}
        logits, offsets, moments, there = map(torch.from_numpy, self._session.run(OUTPUTS, inputs))
        return Predictions(logits, offsets, valid=there, moments=moments)


def _session(source: Path | bytes, threads: int) -> Any:
    try:
        import onnxruntime  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "onnx", "an exported model") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.enable_mem_pattern = False  # which keeps a plan of the memory for every length that it meets
    place = source if isinstance(source, Path) else ONNX
    try:
        session = onnxruntime.InferenceSession(
            source if isinstance(source, bytes) else str(source), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # onnxruntime's own, which have no common base
        reason = str(error).partition("\n")[0]
        raise ModelError(f"{place}: cannot be opened by onnxruntime ({reason}). Export the model again") from error
    if not set(OUTPUTS) <= {each.name for each in session.get_outputs()}:
        raise ModelError(f"{place}: is not of a model that `untrimmed export` wrote: it has no outputs {OUTPUTS}")
    return session


def read_onnx_folder(folder: Path) -> tuple[LocalizerConfig, OnnxNetwork]:
    """Read what `untrimmed export` wrote.

    Raises:
        ModelError: if its files are missing, damaged or do not fit each other.
        MissingExtraError: if onnxruntime is not installed.
    """
    path = folder / SETTINGS
    try:
        config = parse(LocalizerConfig, json.loads(path.read_text(encoding="utf-8")), str(path))
    except FileNotFoundError as error:
        raise ModelError(f"{folder}: has no {SETTINGS} beside {ONNX}. Export the model again") from error
    except ConfigError as error:
        raise ModelError(str(error)) from error
    except ValueError as error:  # no UTF-8, or no JSON
        raise ModelError(f"{path}: is not JSON ({error}). Export the model again") from error
    return config, OnnxNetwork(config.model, folder / ONNX)


def refuse_for_exported(folder: Path, device: str, precision: Precision, *, confident: bool) -> None:
    """Refuse what only a model folder can do.

    Raises:
        ConfigError: if an exported model is to run on another device or in another precision.
        ModelError: if it is to be confident: what is learnt by calibration belongs to the weights of a model folder.
    """
    if device not in ("auto", "cpu"):
        raise ConfigError(f"{folder}: is an exported model, which runs on the CPU here, not on {device!r}; use auto")
    if precision == "bf16":
        raise ConfigError(f"{folder}: is an exported model, whose precision is that of the export; leave bf16 out")
    if confident:
        raise ModelError(f"{folder}: is an exported model, which is not calibrated; use the folder that it was made of")
