"""Evaluation of THUMOS14's official detections, once they have been read."""

from __future__ import annotations

from timing.measuring import Table, in_turn, milliseconds, seconds
from timing.settings import Settings
from untrimmed.data.formats.activitynet import read_annotations
from untrimmed.data.formats.detection_files import read_detections
from untrimmed.evaluation.mean_ap import mean_average_precision

TIOUS = (0.3, 0.4, 0.5, 0.6, 0.7)


def evaluation(settings: Settings) -> None:
    """Print the time."""
    truth = read_annotations(settings.thumos14 / "thumos14.json")
    path = settings.thumos14 / "actionformer_official_detections.csv.gz"
    reading = seconds(lambda: read_detections(path, truth.labels))
    found = read_detections(path, truth.labels)
    test = truth.of_subsets(["test"])
    (took,) = in_turn([lambda: mean_average_precision(test, found, TIOUS)], settings.rounds)
    count = sum(len(found[video.id]) for video in test if video.id in found)
    table = Table("### Evaluation", "detections", "tIoUs", "evaluating, ms", "reading them, ms")
    table.row(count, len(TIOUS), milliseconds(took), f"{1e3 * reading:.0f}")
