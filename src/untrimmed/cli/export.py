"""`untrimmed export`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from untrimmed.cli.console import show_json, show_table
from untrimmed.errors import ConfigError


def export(
    model: Path,
    /,
    *,
    out: Path,
    onnx: bool = False,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    json: bool = False,
) -> None:
    """Make a form of a model that runs without this package: a folder with `model.onnx` and `detect.py`.

    `python detect.py features.npy` needs onnxruntime and numpy, and prints what was found as CSV. `untrimmed detect`
    and `evaluate` take the folder as they take the model. Before anything is written, it is compared with the model at
    several lengths, and the largest differences are printed.

    Example: `untrimmed export runs/mine --onnx --out exported`

    Parameters
    ----------
    model
        The folder of a run, its `best` folder, or any other model folder.
    out
        The folder to write.
    onnx
        As ONNX, the one form that there is.
    precision
        fp16 stores the weights in 16 bits: a file half as large. int8 also computes in 8 bits; what that costs depends
        on the model, so evaluate it.
    json
        Print as JSON.
    """
    if not onnx:
        raise ConfigError("--onnx is missing: it says into what the model is made, and is the only form so far")
    # Imported here, since they bring in torch.
    from untrimmed.detection.localizer import Localizer  # noqa: PLC0415
    from untrimmed.export.folder import export_onnx  # noqa: PLC0415

    exported = export_onnx(Localizer.load(model, device="cpu"), out, precision=precision)
    if json:
        lengths = [{"length": d.length, "logits": d.logits, "offsets": d.offsets} for d in exported.differences]
        show_json({"folder": str(out), "bytes": exported.size, "precision": precision, "differences": lengths})
        return
    title = f"{out}: {exported.size / 1e6:.1f} MB, {precision}; largest differences from {model}"
    rows = [(d.length, f"{d.logits:.1e}", f"{d.offsets:.1e}") for d in exported.differences]
    show_table(title, ["clips", "logits", "offsets (strides)"], rows, texts=0)
