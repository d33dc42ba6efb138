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
from torch import Tensor

from untrimmed import segments as geometry
from untrimmed.allocation import keep_freed_memory
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
from untrimmed.detection.model_folder import (
    ExtractorReference,
    LocalizerConfig,
    read_model_folder,
    write_model_folder,
)
from untrimmed.detection.onnx_network import ONNX, OnnxNetwork, read_onnx_folder, refuse_for_exported
from untrimmed.detection.recording import PROGRAM, Prepared, Recording, held_bytes, prepare
from untrimmed.detection.streaming.frames import FrameFeatures
from untrimmed.detection.streaming.stream import Stream, StreamSettings
from untrimmed.detection.suppression import Candidates, suppress
from untrimmed.detection.voting import vote
from untrimmed.errors import ConfigError, ModelError
from untrimmed.model.batching import alike, pad
from untrimmed.model.chunks import predict_in_chunks, usual_chunk
from untrimmed.model.devices import Precision, autocast, dtype_of, pick_device
from untrimmed.model.memory import clips_within
from untrimmed.model.moments import level_lengths
from untrimmed.model.network import ActionFormer, Predictions
from untrimmed.model.packed import Packed
from untrimmed.settings import parse

if TYPE_CHECKING:
    from untrimmed.video.extractors.extractor import Extractor

LOOK_AHEAD = 8
"""Batches that `detect_many` reads ahead, to put recordings of similar length together."""
MOST_ON_CPU = 4096
"""Clips that a batch has at the most on a CPU."""


@dataclass(frozen=True, eq=False)
class LevelScores:
    """What the model says of every moment of one level of the pyramid; n moments, C classes.

    Attributes:
        seconds: `[n]`, times of the moments: the centres of the clips that they sit at.
        scores: `[n, C]`, probability of each class.
        stride: from one moment to the next, in seconds.
    """

    seconds: NDArray[np.float64]
    scores: NDArray[np.float32]
    stride: float


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
        return open_backbone(self.extractor, self.inputs, dimension, str(self._device))

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
                for batch in self._batches(ahead, batch_size):
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
            lambda features: self._run([features]),
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
        predictions, lengths = self._predict([prepared])
        valid, moments = predictions.valid[0].cpu(), predictions.moments.cpu()
        scores = predictions.logits[0].sigmoid().cpu()
        levels = zip(valid.split(lengths), moments.split(lengths), scores.split(lengths), strict=True)
        return tuple(
            LevelScores(
                seconds=prepared.grid.to_seconds(of_moments[there, 0].numpy().astype(np.float64)),
                scores=of_scores[there].numpy(),
                stride=stride * prepared.grid.stride / prepared.grid.rate,
            )
            for stride, (there, of_moments, of_scores) in zip(self.model.config.strides, levels, strict=True)
        )

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

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device

    @cached_property
    def _packed(self) -> Packed:
        if self._device.type == "cpu":
            keep_freed_memory()
        return Packed(self.model, dtype_of(self.precision, self._device))

    @property
    def _network(self) -> ActionFormer:
        """The model as it computes fastest; where memory is limited, without its weights a second time."""
        as_it_is = self.max_memory is not None or isinstance(self.model, OnnxNetwork)
        return self.model if as_it_is else self._packed.current()

    def _clips_at_once(self, video: Prepared) -> int | None:
        """Most clips that the model is given at a time; `None` is any number."""
        if self.max_memory is None:
            return usual_chunk(self.model.config)
        return clips_within(self.max_memory, self.model, besides=held_bytes(self.model.config, video))

    def _batches(self, videos: list[Prepared], batch_size: int) -> Iterator[list[int]]:
        most = usual_chunk(self.model.config)
        if self._device.type == "cpu":  # which is no faster with more at a time
            most = MOST_ON_CPU if most is None else min(most, MOST_ON_CPU)
        return alike([video.clips for video in videos], self.model.config, videos=batch_size, clips=most)

    @torch.inference_mode()
    def _predict(self, batch: list[Prepared]) -> tuple[Predictions, list[int]]:
        """Run the model on a batch; also returns how many moments each level has."""
        device, config, video = self._device, self.model.config, batch[0]
        most = self._clips_at_once(video) if len(batch) == 1 else None
        if most is not None and video.clips > most:
            with autocast(device, self.precision):
                predictions = predict_in_chunks(
                    self._network,
                    lambda start, stop: video.features(start, stop)[None],
                    video.clips,
                    clips=most,
                )
            return predictions, level_lengths(video.clips, config.strides)
        return self._run([video.features() for video in batch])

    @torch.inference_mode()
    def _run(self, batch: list[Tensor]) -> tuple[Predictions, list[int]]:
        """Run the model on features `[T, D]`, each as a whole; also returns how many moments each level has."""
        device, config = self._device, self.model.config
        on_cpu = device.type == "cpu"
        dtype = dtype_of(self.precision, device) if on_cpu else None
        features, valid = pad(batch, config, rounded=on_cpu, dtype=dtype)
        with autocast(device, self.precision):
            predictions = self._network(features.to(device), valid.to(device))
        return predictions, level_lengths(features.shape[1], config.strides)

    @torch.inference_mode()
    def _detect_batch(self, batch: list[Prepared]) -> list[Detections]:
        predictions, lengths = self._predict(batch)
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
