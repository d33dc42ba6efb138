"""A trained model with everything that is needed to go from features to actions in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from untrimmed import segments as geometry
from untrimmed.data.detections import Detection, Detections
from untrimmed.data.features import view_feature_file
from untrimmed.data.features.formats import FORMATS
from untrimmed.data.inputs import InputConfig
from untrimmed.data.signals.opening import open_recording
from untrimmed.data.signals.table import TABLES
from untrimmed.detection.backbone import inputs_of, open_backbone
from untrimmed.detection.confidence import Confidence
from untrimmed.detection.config import DetectionConfig
from untrimmed.detection.decode import decode
from untrimmed.detection.level_scores import LevelScores, level_scores
from untrimmed.detection.model_folder import (
    ExtractorReference,
    LocalizerConfig,
    read_model_folder,
    write_model_folder,
)
from untrimmed.detection.onnx_network import ONNX, OnnxNetwork, read_onnx_folder, refuse_for_exported
from untrimmed.detection.recording import PROGRAM, Prepared, Recording, prepare
from untrimmed.detection.running import Runner
from untrimmed.detection.streaming.frames import FrameFeatures
from untrimmed.detection.streaming.stream import Stream, StreamSettings
from untrimmed.detection.suppression import Candidates, suppress
from untrimmed.detection.voting import vote
from untrimmed.errors import ConfigError, ModelError
from untrimmed.model.devices import Precision, pick_device
from untrimmed.model.memory import clips_within
from untrimmed.model.network import ActionFormer
from untrimmed.settings import parse
from untrimmed.video.extractors.extractor import fingerprint_of

if TYPE_CHECKING:
    from untrimmed.video.extractors.extractor import Extractor

LOOK_AHEAD = 8
"""Batches that `detect_many` reads ahead, to put recordings of similar length together."""


@dataclass(frozen=True, eq=False)
class Localizer:
    """What a user loads: weights, classes, time grid and detection settings.

    On a CPU, its process keeps the memory that a detection frees for the next one, unless `max_memory` is set.

        >>> localizer = Localizer.load("runs/my_model")
        >>> for detection in localizer.detect("holiday.mp4"):
        ...     print(detection)

    Attributes:
        model: in eval mode, on the device that it runs on; or an exported one, which onnxruntime computes.
        labels: the classes, in the order of their numbers.
        inputs: how an array becomes features on a time grid.
        detection: decoding and suppression.
        extractor: name and fingerprint of what made the features, where known.
        precision: `bf16` computes in it; `auto` does where the processor does so natively.
        own_extractor: makes features of videos, instead of the one that `extractor` names (see `with_extractor`).
        confidence: where set, only detections that count are found, with their probability to be right as score.
        max_memory: bytes that the model may take: its weights, the features that it is given at a time, and what it
            computes of them. Longer recordings are given to it in overlapping parts, which takes more time and finds
            the same. Not counted are features that the caller holds, and what is predicted of a recording. Left out,
            it is not limited, but a model that can look at recordings in parts does so with those of hours.

    Raises:
        ConfigError: if the model needs more than `max_memory`, or needs to see a recording as a whole.
    """

    model: ActionFormer
    labels: tuple[str, ...]
    inputs: InputConfig
    detection: DetectionConfig = field(default_factory=DetectionConfig)
    extractor: ExtractorReference | None = None
    precision: Precision = "fp32"
    own_extractor: Extractor | None = None
    max_memory: int | None = None
    confidence: Confidence | None = None

    def __post_init__(self) -> None:
        if self.max_memory is not None:
            if isinstance(self.model, OnnxNetwork):
                raise ConfigError("max_memory is for model folders; an exported model takes what onnxruntime takes")
            clips_within(self.max_memory, self.model, besides=PROGRAM)  # before an hour of work, not after it

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str = "auto",
        precision: Precision = "fp32",
        max_memory: int | None = None,
        confident: bool = False,
    ) -> Localizer:
        """Load a model folder, `config.yaml` and `model.safetensors`, or what `untrimmed export` made of one.

        Args:
            folder: of a finished or running training, or what `save` or `untrimmed export` wrote.
            device: `auto` is the first of cuda, mps and cpu that is there.
            precision: see the class.
            max_memory: see the class.
            confident: find only detections that count, as `untrimmed calibrate` has learnt which these are.

        Raises:
            ConfigError: if there is no such device here, or the model cannot do with so little memory; or if an
                exported model is to run otherwise than on the CPU in its own precision.
            ModelError: if the folder is not a model folder, its files are damaged or do not fit each other, or it has
                not been calibrated and has to be confident.
            MissingExtraError: if it was exported, and onnxruntime is not installed.
        """
        place = pick_device(device)
        config: LocalizerConfig
        model: ActionFormer
        if (Path(folder) / ONNX).is_file():
            refuse_for_exported(Path(folder), device, precision, confident=confident)
            config, model = read_onnx_folder(Path(folder))
            precision = "fp32"  # of what it is given
        else:
            config, model = read_model_folder(Path(folder))
            model.to(place)
        return cls(
            model,
            config.labels,
            config.inputs,
            config.detection,
            config.extractor,
            precision,
            max_memory=max_memory,
            confidence=Confidence.load(Path(folder)) if confident else None,
        )

    @property
    def config(self) -> LocalizerConfig:
        """Everything about it but the weights."""
        return LocalizerConfig(
            labels=self.labels,
            model=self.model.config,
            inputs=self.inputs,
            detection=self.detection,
            extractor=self.extractor,
        )

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that tell models apart: of the weights, or the exported model, and of `config`."""
        weights = self.model.weights if isinstance(self.model, OnnxNetwork) else self.model.state_dict()
        return fingerprint_of(weights, self.config)

    def save(self, folder: str | Path) -> None:
        """Write a model folder, each file beside its place and then renamed.

        Raises:
            ModelError: if the model is an exported one.
        """
        if isinstance(self.model, OnnxNetwork):
            raise ModelError("an exported model has no weights to save; copy its folder, or save the model it is of")
        write_model_folder(Path(folder), self.config, self.model.state_dict())

    def with_settings(self, **settings: Any) -> Localizer:
        """Return the same localizer with other detection settings, such as `max_detections=20`.

        Raises:
            ConfigError: if there is no such setting, or it has no such value or contradicts another one.
        """
        return replace(self, detection=parse(DetectionConfig, asdict(self.detection) | settings, "detection settings"))

    def with_extractor(self, extractor: Extractor) -> Localizer:
        """Return the same localizer, which makes features of videos by this extractor.

        For a model that does not say which extractor it was trained on, or was trained on a program of the user's own.

        Raises:
            ModelError: if the model was trained on features of another extractor, or of another dimension.
            ConfigError: if the model was trained with another sampling.
        """
        inputs = inputs_of(extractor, self.extractor, self.inputs, self.model.config.input_dim)
        return replace(self, inputs=inputs, own_extractor=extractor)

    @cached_property
    def video_extractor(self) -> Extractor:
        """What makes features of videos; made when it is first asked for, and kept.

        It computes as `untrimmed extract` does where nothing is said: in bf16 where the processor does so natively.

        Raises:
            ModelError: if the model does not say which extractor it was trained on, or that is another one here.
            ConfigError: if there is no such extractor.
            MissingExtraError: if it needs a package that is not installed.
        """
        if self.own_extractor is not None:
            return self.own_extractor
        dimension = self.model.config.input_dim
        return open_backbone(self.extractor, self.inputs, dimension, str(self._runner.device))

    def detect(
        self,
        recording: Recording | NDArray[Any] | str | Path,
        *,
        duration: float | None = None,
        rate: float | None = None,
    ) -> Detections:
        """Detect actions in one recording.

        Args:
            recording: a video's path, the path of a feature file, an array `[T, D]`, or an array with its facts as a
                `Recording`. A path is of a video unless its suffix is one of a feature file.
            duration: in seconds; detections are clipped to it. Of a video it is known.
            rate: frames per second, for a model whose training videos had each their own.

        Raises:
            FeatureError: if the features have another dimension than the model takes, are empty or not finite, or the
                file cannot be read.
            VideoError: if the video cannot be decoded, or ends early.
            ModelError: if it is a video, but the extractor that the model was trained on is not known or not here.
            ConfigError: if the model needs a rate and none is given.
        """
        known = self._as_recording(recording)
        known = replace(
            known,
            duration=known.duration if duration is None else duration,
            rate=known.rate if rate is None else rate,
        )
        return next(self.detect_many([known]))

    def detect_many(
        self, recordings: Iterable[Recording | NDArray[Any] | str | Path], *, batch_size: int = 8
    ) -> Iterator[Detections]:
        """Detect actions in many recordings, in their order; reads only a few batches ahead, videos one by one.

        Recordings of nearly the same length share a batch, and what is found does not depend on that. Arrays are not
        copied: leave them as they are until the detections in them are out.

        Raises:
            UntrimmedError: as `detect`, when its turn has come.
        """
        for videos, group in groupby(recordings, key=_is_video):
            prepared = (self._prepare(self._as_recording(recording)) for recording in group)
            alone = videos or self.max_memory is not None
            while ahead := list(islice(prepared, 1 if alone else batch_size * LOOK_AHEAD)):
                found: dict[int, Detections] = {}
                for batch in self._runner.batches(ahead, batch_size):
                    found.update(zip(batch, self._detect_batch([ahead[i] for i in batch]), strict=True))
                yield from (found[i] for i in range(len(ahead)))

    def stream(self, *, latency: float | None = 5.0, rate: float | None = None, hop: float | None = None) -> Stream:
        """Begin to detect in a recording that is still being made.

            >>> with localizer.stream(latency=5.0) as stream:
            ...     for rows in sensor:
            ...         for detection in stream.add(rows):
            ...             print(detection)
            ...     print(*stream.finish())

        Args:
            latency: seconds after its end at which a detection has left, at the latest. Longer ones find more: see
                `Stream.contexts`. `None` is no limit: what leaves is then what `detect` finds.
            rate: frames per second, for a model whose training videos had each their own.
            hop: seconds from one run of the model to the next; by default a quarter of the latency, and at least a
                clip. Shorter ones take more time, and give each moment a little more context.

        Raises:
            ConfigError: if the model has to see recordings as a whole, it needs a rate and none is given, or latency or
                hop cannot be.
        """
        settings = StreamSettings(
            self.model.config,
            self.inputs,
            self.detection,
            self.labels,
            lambda features: self._runner.run([features]),
            self.confidence,
        )
        return Stream(settings, latency=latency, rate=rate, hop=hop)

    def watch(
        self, source: str | Path, *, latency: float | None = 5.0, hop: float | None = None
    ) -> Iterator[Detection]:
        """Detect in video while it comes, and yield each detection when it leaves, until the source ends.

            >>> for detection in localizer.watch("rtsp://camera.local/stream"):
            ...     print(detection)

        Args:
            source: a camera (`/dev/video0`), an address (`rtsp://...`, `http://...`), a named pipe, or a video file.
            latency: as `stream` takes it; it begins when the extractor has made features of what it sees.
            hop: as `stream` takes it.

        Raises:
            VideoError: if the source cannot be opened; or, of a file, cannot be decoded.
            ModelError: if the extractor that the model was trained on is not known or not here.
            ConfigError: as from `stream`.
        """
        extractor = self.video_extractor
        with self.stream(latency=latency, rate=extractor.grid.rate, hop=hop) as stream:
            yield from stream.over(FrameFeatures(source, extractor))

    def level_scores(self, recording: Recording | NDArray[Any] | str | Path) -> tuple[LevelScores, ...]:
        """Return what the model says of every moment, level by level, finest first: what detections are made of.

        Args:
            recording: as `detect` takes it.

        Raises:
            UntrimmedError: as `detect`.
        """
        prepared = self._prepare(self._as_recording(recording))
        predictions, lengths = self._runner.predict([prepared])
        return level_scores(predictions, lengths, self.model.config.strides, prepared.grid)

    def _as_recording(self, recording: Recording | NDArray[Any] | str | Path) -> Recording:
        if isinstance(recording, Recording):
            return recording
        if not isinstance(recording, (str, Path)):
            return Recording(np.asarray(recording))
        path = Path(recording)
        if not _is_video(path):
            signals = self.inputs.kind == "signals"
            array = open_recording(path, self.inputs) if signals else view_feature_file(path)
            return Recording(array, id=path.stem, source=str(path))
        from untrimmed.video.extraction.videos import extract_features  # noqa: PLC0415  features need no decoder

        extractor = self.video_extractor
        video = extract_features(path, extractor)
        rate = extractor.grid.rate
        return Recording(video.features, id=path.stem, duration=video.duration, rate=rate, source=str(path))

    def _prepare(self, recording: Recording) -> Prepared:
        return prepare(recording, self.inputs, self.model.config.input_dim)

    @cached_property
    def _runner(self) -> Runner:
        return Runner(self.model, self.precision, self.max_memory)

    @torch.inference_mode()
    def _detect_batch(self, batch: list[Prepared]) -> list[Detections]:
        predictions, lengths = self._runner.predict(batch)
        candidates = decode(predictions, lengths, self.detection).to_host()
        return [self._finish(one, prepared) for one, prepared in zip(candidates, batch, strict=True)]

    def _finish(self, candidates: Candidates, video: Prepared) -> Detections:
        kept = suppress(candidates, self.detection)
        segments = kept.segments
        if self.detection.voting_tiou is not None and len(kept):
            segments = vote(segments, candidates, self.detection.voting_tiou)
        seconds = geometry.clip(video.grid.to_seconds(segments.astype(np.float64)), video.duration)
        found = Detections(video.id, seconds, kept.scores.astype(np.float64), kept.labels, self.labels)
        return found if self.confidence is None else self.confidence.select(found)


def _is_video(recording: object) -> bool:
    """Whether a recording is the path of a video: one that has not the suffix of a file of features or signals."""
    return isinstance(recording, (str, Path)) and Path(recording).suffix not in (*FORMATS, *TABLES)
