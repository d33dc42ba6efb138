"""From features to actions in seconds with an exported model, in onnxruntime and numpy alone.

This module is the program `detect.py` of every exported folder: `untrimmed.export.script` puts the modules that it
imports from this package in front of it, and nothing else of the package is needed. What it finds is what `Localizer`
finds with the same model.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from untrimmed.detection.suppression import Candidates, suppress
from untrimmed.detection.voting import vote
from untrimmed.errors import ConfigError, FeatureError, UntrimmedError
from untrimmed.export.settings import read_settings
from untrimmed.time_grid import TimeGrid

Floats = NDArray[np.float32]


class Action(NamedTuple):
    """An action of one class from `start` to `end`, in seconds, with a score in [0, 1]."""

    start: float
    end: float
    label: str
    score: float


class Detector:
    """An exported model, opened.

        >>> detector = Detector("exported")
        >>> detector.detect(np.load("holiday.npy"))

    Args:
        folder: with `model.onnx` and `config.json`.
        threads: that it computes with; 0 is as many as there are cores.

    Attributes:
        labels: the classes, in the order of their numbers.

    Raises:
        ConfigError: if onnxruntime is not installed, or the folder lacks a file or holds a damaged one.
    """

    def __init__(self, folder: str | Path, threads: int = 0) -> None:
        try:
            import onnxruntime  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(
                "detecting needs onnxruntime, which is not installed. Run: pip install onnxruntime"
            ) from error
        for name in ("config.json", "model.onnx"):
            if not (Path(folder) / name).is_file():
                raise ConfigError(f"{folder}: has no {name}; give the folder that `untrimmed export` wrote")
        self.labels, self._inputs, self._detection = read_settings(Path(folder) / "config.json")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        path = str(Path(folder) / "model.onnx")
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's own, which have no common base
            reason = str(error).partition("\n")[0]
            raise ConfigError(f"{path}: cannot be opened by onnxruntime ({reason})") from error
        classes = self._session.get_outputs()[0].shape[-1]
        if classes != len(self.labels):
            raise ConfigError(f"{folder}: config.json names {len(self.labels)} labels, but the model knows {classes}")
        self._padding: Mapping[str, int] | None = json.loads(
            self._session.get_modelmeta().custom_metadata_map.get("untrimmed.padding", "null")
        )

    def detect(
        self, array: NDArray[Any], duration: float | None = None, rate: float | None = None, name: str = "the array"
    ) -> list[Action]:
        """Detect actions in one recording, best first.

        Args:
            array: features `[T, D]` or, for a model of signals, `[samples, channels]`, sampled as in training.
            duration: in seconds; detections are clipped to it. Left out, it is the end of the last clip.
            rate: frames per second, for a model whose training videos had each their own.
            name: of the recording, for messages.

        Raises:
            FeatureError: if the array has another shape than the model takes, is empty, or is not finite, or its
                duration is none.
            ConfigError: if the model needs a rate and none is given.
        """
        if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
            raise FeatureError(f"{name}: is {list(array.shape)} of {array.dtype}, but [T, D] numbers are expected")
        if not np.isfinite(array).all():
            raise FeatureError(f"{name}: holds numbers that are not finite")
        if duration is not None and not 0 < duration < float("inf"):
            raise FeatureError(f"{name}: its duration is {duration}, but has to be a positive number")
        with np.errstate(over="ignore"):
            features = features_of(array, self._inputs, name)
        if not np.isfinite(features).all():
            raise FeatureError(f"{name}: holds numbers that are too large for float32")
        expected = self._session.get_inputs()[0].shape[2]
        if features.shape[1] != expected:
            raise FeatureError(f"{name}: has {features.shape[1]} dimensions, but the model takes {expected}")
        grid = time_grid_of(self._inputs, len(array), rate, name)
        logits, offsets, moments, valid = self._session.run(None, self._batch(features))
        candidates = decode(logits[0], offsets[0], moments, valid[0], self._detection)
        kept = suppress(candidates, self._detection)
        segments = kept.segments
        if self._detection.voting_tiou is not None and len(kept):
            segments = vote(segments, candidates, self._detection.voting_tiou)
        end = grid.end(len(features)) if duration is None else duration
        seconds = grid.to_seconds(segments.astype(np.float64)).clip(0, end)
        return [
            Action(float(start), float(end), self.labels[label], float(score))
            for (start, end), label, score in zip(seconds, kept.labels, kept.scores, strict=True)
        ]

    def _batch(self, features: Floats) -> dict[str, NDArray[Any]]:
        """Return the inputs of the graph, padded where the model counts on it."""
        clips = padded = len(features)
        if self._padding is not None:
            least, multiple = self._padding["least"], self._padding["multiple"]
            padded = least if clips <= least else -(-clips // multiple) * multiple
        return {
            "features": np.pad(features, ((0, padded - clips), (0, 0)))[None],
            "valid": (np.arange(padded) < clips)[None],
        }


def features_of(array: NDArray[Any], inputs: Mapping[str, Any], name: str) -> Floats:
    """Make features `[T, D]` of an array, as `InputConfig.features` does.

    Raises:
        FeatureError: if a signal is shorter than a window or lacks a channel.
    """
    if inputs["kind"] == "features":
        features: Floats = array[:: inputs["downsample"]].astype(np.float32)
        return features if inputs["resample"] is None else _resampled(features, inputs["resample"])
    stride, window = int(inputs["stride"]), int(inputs["window"])
    channels = inputs["channels"] or range(array.shape[1])
    numbered = [channel for channel in channels if isinstance(channel, int)]
    if len(array) < window or (numbered and max(numbered) >= array.shape[1]):
        raise FeatureError(
            f"{name}: is {list(array.shape)}, but [samples, channels] are expected, at least {window} samples, and the "
            f"channels {', '.join(map(str, channels))}"
        )
    signal = (array[:, numbered] if numbered else array).astype(np.float32)
    for key, operation in (("offset", np.subtract), ("scale", np.divide)):
        if inputs[key] is None:
            continue
        if len(inputs[key]) != signal.shape[1]:
            found, expected = signal.shape[1], len(inputs[key])
            raise FeatureError(f"{name}: has {found} channels, but the model takes {expected}")
        signal = operation(signal, np.array(inputs[key], dtype=np.float32))
    windows = np.lib.stride_tricks.sliding_window_view(signal, window, axis=0)[::stride]  # [T, channels, window]
    return np.ascontiguousarray(windows.reshape(len(windows), -1))


def _resampled(features: Floats, to: int) -> Floats:
    """Interpolate `[S, D]` linearly to `[to, D]`, whose rows cover the same time."""
    last = len(features) - 1
    position = ((np.arange(to) + 0.5) * len(features) / to - 0.5).clip(0, last)
    below = position.astype(np.int64)
    weight = (position - below).astype(np.float32)[:, None]
    resampled: Floats = features[below] * (1 - weight) + features[np.minimum(below + 1, last)] * weight
    return resampled


def time_grid_of(inputs: Mapping[str, Any], rows: int, rate: float | None, name: str) -> TimeGrid:
    """Return where the clips of an array with so many rows lie in time, as `InputConfig.grid` does.

    Raises:
        ConfigError: if the rate is known from nowhere.
    """
    rate = inputs["rate"] or rate
    if rate is None or inputs["stride"] is None or inputs["window"] is None:
        key = "rate" if inputs["stride"] and inputs["window"] else "stride and the window"
        raise ConfigError(f"{name}: the {key} of its frames is not known. Say it in config.json, or a rate by --rate")
    grid = TimeGrid(inputs["stride"], inputs["window"], rate).every(inputs["downsample"])
    if inputs["resample"] is None:
        return grid
    return grid.resampled(-(-rows // inputs["downsample"]), inputs["resample"])


def decode(logits: Floats, offsets: Floats, moments: Floats, valid: NDArray[np.bool_], config: Any) -> Candidates:
    """Make candidates of what the network says of one recording, as `untrimmed.detection.decode` does.

    Args:
        logits: `[N, C]`.
        offsets: `[N, 2]`.
        moments: `[N, 4]`; each level begins at time 0.
        valid: `[N]`.
        config: the thresholds.

    Returns:
        Best first within a level, finest level first.
    """
    with np.errstate(over="ignore"):
        scores = np.where(valid[:, None], 1 / (1 + np.exp(-logits)), 0).astype(np.float32)
    if config.candidates == "argmax":
        scores = scores * (scores == scores.max(axis=1, keepdims=True))
    times, distances = moments[:, 0], offsets * moments[:, 3:]
    segments = np.stack([times - distances[:, 0], times + distances[:, 1]], axis=1)
    classes = scores.shape[1]
    firsts = [*np.flatnonzero(times == 0), len(times)]
    chosen = []
    for first, last in pairwise(firsts):
        flat = scores[first:last].ravel()
        best = _best(flat, min(config.candidates_per_level, len(flat)))
        chosen.append(first * classes + best[flat[best] > config.score_threshold])
    places = np.concatenate(chosen)
    candidates = Candidates(segments[places // classes], scores.ravel()[places], places % classes)
    lengths = candidates.segments[:, 1] - candidates.segments[:, 0]
    return candidates.select(lengths > config.min_duration)


def _best(values: Floats, count: int) -> NDArray[np.int64]:
    """Return where the largest values are, largest first."""
    places = np.argpartition(-values, count - 1)[:count]
    order: NDArray[np.int64] = places[np.argsort(-values[places], kind="stable")]
    return order


def main(words: Sequence[str] | None = None) -> None:
    """Detect in .npy files and print what was found, in seconds, as CSV or JSON."""
    parser = argparse.ArgumentParser(description="Detect actions in .npy files of features; prints CSV.")
    parser.add_argument("files", nargs="+", type=Path, help="features [T, D], or samples of signals")
    parser.add_argument("--model", type=Path, default=Path(__file__).parent, help="the exported folder")
    parser.add_argument("--duration", type=float, help="seconds; detections are clipped to it")
    parser.add_argument("--rate", type=float, help="frames per second, where the model does not say")
    parser.add_argument("--min-score", type=float, default=0.0, help="lowest score that is printed")
    parser.add_argument("--threads", type=int, default=0, help="to compute with; 0 is all cores")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(words)
    try:
        _refuse_same_names(options.files)
        detector = Detector(options.model, options.threads)
        found = {
            file.stem: [
                action
                for action in detector.detect(_loaded(file), options.duration, options.rate, str(file))
                if action.score >= options.min_score
            ]
            for file in options.files
        }
    except UntrimmedError as error:
        sys.exit(f"detect.py: {error}")
    if options.json:
        actions = {name: [action._asdict() for action in each] for name, each in found.items()}
        print(json.dumps(actions, ensure_ascii=False))
        return
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["recording", *Action._fields])
    for name, each in found.items():
        table.writerows([name, f"{a.start:.3f}", f"{a.end:.3f}", a.label, f"{a.score:.5f}"] for a in each)


def _refuse_same_names(files: Sequence[Path]) -> None:
    """Refuse files that what is printed would not tell apart.

    Raises:
        ConfigError: if there are two.
    """
    seen: dict[str, Path] = {}
    for file in files:
        other = seen.setdefault(file.stem, file)
        if other is not file:
            raise ConfigError(f"{other} and {file} are both called {file.stem!r} here. Detect in one at a time")


def _loaded(file: Path) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FeatureError(f"{file}: cannot be read as .npy ({reason})") from error
    return array


if __name__ == "__main__":
    main()
