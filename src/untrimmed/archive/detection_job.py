"""Detecting in an archive: what is asked for, and what is found out once before the work begins."""

from __future__ import annotations

from dataclasses import dataclass, replace

from untrimmed.archive.detection_store import SHARDS
from untrimmed.archive.pipeline import found_there
from untrimmed.archive.sources import Kind
from untrimmed.data.features import FeatureDescription
from untrimmed.data.formats.detection_files import TRACKS
from untrimmed.data.inputs import InputConfig
from untrimmed.detection.backbone import USERS_OWN, open_users_choice
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError
from untrimmed.model.devices import Precision
from untrimmed.video.extraction.workers import ExtractorChoice

FORMATS = ("json", "csv", *(suffix.removeprefix(".") for suffix in TRACKS), SHARDS)
"""Formats of a file for each recording, and that of shards."""


@dataclass(frozen=True, kw_only=True)
class DetectionJob:
    """What is asked for.

    Attributes:
        model: folder of the model.
        out: folder for the detections, or its address.
        format: of what is written, one of `FORMATS`.
        kind: of the recordings.
        min_score: lowest score in subtitles and labels; the other formats have all.
        device: where the model and the extractor run.
        precision: that the model computes in.
        max_memory: see `Localizer`, as for `confident`.
        confident: see there.
        extractor: name of the one that the user wants.
        allow_truncated: take videos that end before they should as they are.
        threads: that each worker computes with.
        decoders: of each worker, for videos.
        places: where modules are looked for.

    Raises:
        ConfigError: if there is no such format.
    """

    model: str
    out: str
    format: str
    kind: Kind
    min_score: float = 0.0
    device: str = "auto"
    precision: Precision = "fp32"
    max_memory: int | None = None
    confident: bool = False
    extractor: str | None = None
    allow_truncated: bool = False
    threads: int = 1
    decoders: int = 0
    places: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise ConfigError(f"format is {self.format!r}, but has to be one of {', '.join(FORMATS)}")


@dataclass(frozen=True)
class Setting:
    """What is found out once about a model, and holds on all machines.

    Attributes:
        fingerprint: of its weights and configuration.
        inputs: of the model, completed by those of the extractor.
        choice: of the extractor; `None` for features.
        description: of the extractor's features.
    """

    fingerprint: str
    inputs: InputConfig
    choice: ExtractorChoice | None = None
    description: FeatureDescription | None = None


def setting_of(job: DetectionJob) -> Setting:
    """Open the model, and for videos the extractor, and see whether they fit.

    Raises:
        UntrimmedError: if they cannot be opened, or do not fit.
    """
    found_there(job.places)
    localizer = open_localizer(job)
    fingerprint = localizer.fingerprint
    if job.kind == "features":
        return Setting(fingerprint, localizer.inputs)
    if job.extractor is None:
        extractor = localizer.video_extractor
    else:
        extractor = open_users_choice(job.extractor, localizer.inputs, job.device)
    localizer = localizer.with_extractor(extractor)
    return Setting(fingerprint, localizer.inputs, _choice(job, extractor.description), extractor.description)


def open_localizer(job: DetectionJob) -> Localizer:
    """Load the model.

    Raises:
        UntrimmedError: if it cannot be loaded.
    """
    return Localizer.load(
        job.model, device=job.device, precision=job.precision, max_memory=job.max_memory, confident=job.confident
    )


def _choice(job: DetectionJob, made: FeatureDescription) -> ExtractorChoice:
    """Return how to make an extractor again that has been made; a program of the user's is told what it need be."""
    name = job.extractor or made.extractor
    assert name is not None
    plain = ExtractorChoice(name=name, device=job.device, trust_python=True)
    if name.startswith(USERS_OWN):
        own = _users_own(plain)
        return replace(
            plain,
            **{
                key: getattr(made, key)
                for key in ("stride", "window", "rate")
                if getattr(made, key) != getattr(own, key)
            },
        )
    return replace(plain, stride=made.stride, window=made.window, rate=made.rate, trust_python=False)


def _users_own(choice: ExtractorChoice) -> FeatureDescription:
    """Return the description of a program of the user's as it is by itself."""
    from untrimmed.video.extractors.opening import open_extractor  # noqa: PLC0415

    return open_extractor(choice.name, device=choice.device, trust_python=True).description
