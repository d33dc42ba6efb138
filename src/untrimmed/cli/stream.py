"""`untrimmed stream`."""

from __future__ import annotations

import json as json_format
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import FrameType, TracebackType
from typing import Annotated, Any, Literal, Self, TextIO

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from untrimmed.cli.detect_features import are_features
from untrimmed.data.detections import Detection
from untrimmed.detection.backbone import open_users_choice
from untrimmed.detection.localizer import Localizer
from untrimmed.detection.streaming.frames import FrameFeatures
from untrimmed.detection.streaming.once import Once
from untrimmed.errors import ConfigError, FeatureError, UntrimmedError

STANDARD_INPUT = "-"


def stream(
    model: Path,
    source: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    latency: float = 5.0,
    hop: float | None = None,
    min_score: float | None = None,
    confident: bool = False,
    once: bool = False,
    rate: float | None = None,
    extractor: str | None = None,
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "fp32",
    json: bool = False,
) -> None:
    """Detect actions in what is still being recorded: a camera, an address, a pipe, or rows of numbers.

    Prints a line for each detection when it leaves, `--latency` seconds after its end at the latest, and never takes
    one back. Ctrl-C ends the recording, and prints what is left.

    Examples: `untrimmed stream runs/mine /dev/video0`, `untrimmed stream runs/mine rtsp://camera.local/stream --json`,
    `sensor | untrimmed stream runs/mine - --latency 10`

    Parameters
    ----------
    model
        The folder of a run, its `best` folder, or any other model folder.
    source
        A camera (/dev/video0), an address (rtsp://, http://, ...), a named pipe, or a video file; or - for rows of
        features, or samples of a model of signals, on standard input: a line for each, of numbers between commas, or
        of a JSON array.
    latency
        Seconds after its end at which a detection has left. Longer ones find more.
    hop
        Seconds from one look of the model to the next: a quarter of the latency where nothing is said.
    min_score
        Lowest score that is printed: 0.2 where nothing is said, 0 with `--confident`.
    confident
        Only what counts, as `untrimmed calibrate` has learnt it; scores are probabilities to be right.
    once
        Print an action once, though better detections of it may follow: leave out what overlaps with an earlier one of
        its class.
    rate
        Frames or samples per second of the rows on standard input, where the model does not know it.
    extractor
        What makes features of pictures, where the model does not say it or the weights have moved; also your own, as
        python:MODULE:ATTRIBUTE. It has to be the one that the model was trained on.
    device
        Where the model runs: auto, cpu, cuda or mps.
    precision
        Precision that the model computes in. The extractor's is bf16 where the processor computes in it.
    json
        Print JSON, an object on each line; `at` is how many seconds had arrived when it left.
    """
    if source.startswith("-") and source != STANDARD_INPUT:
        raise ConfigError(f"Unknown option: {source}. Run `untrimmed stream --help`")
    least = (0.0 if confident else 0.2) if min_score is None else min_score
    localizer = Localizer.load(model, device=device, precision=precision, confident=confident)
    pieces: Iterable[NDArray[Any]]
    if source == STANDARD_INPUT:
        if extractor is not None:
            raise ConfigError("--extractor has an effect on pictures only, but standard input has rows: leave it out")
        known = localizer.inputs.rate
        if rate is not None and known is not None and rate != known:
            raise ConfigError(f"--rate is {rate:g}, but the model was trained on {known:g} a second: leave it out")
        pieces = rows_of(sys.stdin)
    else:
        if rate is not None:
            raise ConfigError("--rate has an effect on rows on standard input only: leave it out")
        if Path(source).is_file() and are_features(Path(source)):
            raise ConfigError(f"{source}: holds features or samples, which are not live; use `untrimmed detect`")
        if extractor is not None:
            place = str(next(localizer.model.parameters()).device)
            localizer = localizer.with_extractor(open_users_choice(extractor, localizer.inputs, place))
        pieces = FrameFeatures(source, localizer.video_extractor)
        rate = localizer.video_extractor.grid.rate
    with localizer.stream(latency=latency, rate=rate, hop=hop) as detecting:
        first = Once()

        def show(left: list[Detection]) -> None:
            strong = [detection for detection in left if detection.score >= least]
            for detection in first.of(strong) if once else strong:
                print(_line(detection, detecting.time) if json else detection, flush=True)

        failure: UntrimmedError | None = None
        with _UntilInterrupted(pieces) as arriving:
            try:
                for piece in arriving:
                    show(detecting.add(piece))
            except UntrimmedError as error:  # what has arrived before counts all the same
                failure = error
            show(detecting.finish())
        if failure is not None:
            raise failure


def _line(detection: Detection, time: float) -> str:
    return json_format.dumps(asdict(detection) | {"at": round(time, 3)}, ensure_ascii=False)


def rows_of(lines: TextIO | None) -> Iterator[NDArray[np.float64]]:
    """Yield the rows `[1, D]` of lines of numbers as they come; a first line without numbers is a heading.

    Raises:
        FeatureError: if a line is none, or has not as many numbers as the first; or there is no standard input.
    """
    if lines is None:
        raise FeatureError("standard input is closed: give it rows, or name a camera, an address or a file")
    columns: int | None = None
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        values: Any = None
        try:
            values = json_format.loads(text) if text.startswith("[") else text.replace(";", ",").split(",")
            row = np.array([values], dtype=np.float64)
            if row.ndim != 2:
                raise ValueError
        except (ValueError, TypeError, OverflowError, RecursionError):
            if number == 1 and isinstance(values, list) and not any(map(_is_number, values)):
                continue
            shown = text if len(text) <= 40 else f"{text[:40]}..."
            raise FeatureError(
                f"standard input: line {number} is {shown!r}, expected are numbers between commas, or a JSON array"
            ) from None
        if columns is not None and row.shape[1] != columns:
            raise FeatureError(f"standard input: line {number} has {row.shape[1]} numbers, the first has {columns}")
        columns = row.shape[1]
        yield row


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


class _UntilInterrupted:
    """An iteration that Ctrl-C or SIGTERM ends, but never in the middle of what is done with an item; the second does.

    So that nothing is lost, the signal is waited for where the next item is.
    """

    def __init__(self, items: Iterable[NDArray[Any]]) -> None:
        self._items = iter(items)
        self._asked = self._waits = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if hasattr(self._items, "close"):
            self._items.close()

    def __iter__(self) -> Iterator[NDArray[Any]]:
        while not self._asked:
            try:
                self._waits = True
                item = next(self._items)
            except (StopIteration, KeyboardInterrupt):
                return
            finally:
                self._waits = False
            yield item

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked or self._waits:
            self._asked = True
            raise KeyboardInterrupt
        self._asked = True
