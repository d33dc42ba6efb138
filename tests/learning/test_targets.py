from __future__ import annotations

import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

from conftest import Golden
from untrimmed.learning.targets import Targets, assign_targets
from untrimmed.model.moments import pyramid_moments

STRIDES = (1, 2, 4)
RANGES = ((0.0, 4.0), (4.0, 8.0), (8.0, 10000.0))
CLASSES = 4


def slow_targets(
    moments: Tensor,
    segments: Tensor,
    labels: Tensor,
    num_classes: int,
    center_radius: float | None,
    *,
    real: int | None = None,
) -> Targets:
    """One moment and one instance at a time, as the docstring of `assign_targets` says it.

    With `real`, every instance gets a moment, of those before this time.
    """
    classes, offsets = torch.zeros(len(moments), num_classes), torch.zeros(len(moments), 2)

    def by_the_rules(moment: list[float], start: float, end: float) -> bool:
        time, low, high, stride = moment
        centered = center_radius is None or abs(time - (start + end) / 2) < center_radius * stride
        return start < time < end and centered and low <= max(time - start, end - time) <= high

    rows = moments.tolist()
    pairs = {(i, n) for i, row in enumerate(rows) for n, s in enumerate(segments.tolist()) if by_the_rules(row, *s)}
    if real is not None:
        usable = [i for i, row in enumerate(rows) if row[0] < real]
        for n, (start, end) in enumerate(segments.tolist()):
            if any((i, n) in pairs for i in usable):
                continue

            def cost(i: int, half: float = (end - start) / 2, center: float = (start + end) / 2) -> tuple[float, ...]:
                time, low, high, stride = rows[i]
                return max(low - half, half - high, 0), stride, abs(time - center), time

            pairs.add((min(usable, key=cost), n))
    for i, (time, _, _, stride) in enumerate(rows):
        candidates = []
        for n, ((start, end), label) in enumerate(zip(segments.tolist(), labels.tolist(), strict=True)):
            if (i, n) in pairs:
                candidates.append((end - start, label, start, end))
        if candidates:
            shortest, _, start, end = min(candidates, key=lambda c: c[0])
            for length, label, _, _ in candidates:
                if length <= shortest + 1e-3:
                    classes[i, label] = 1
            offsets[i] = torch.tensor([max(0, time - start) / stride, max(0, end - time) / stride])
    return Targets(classes, offsets)


def _assign(
    length: int, segments: list[list[float]], labels: list[int], center_radius: float | None = 1.5
) -> tuple[Tensor, Targets]:
    moments = pyramid_moments(length, STRIDES, RANGES)
    targets = assign_targets(
        moments, torch.tensor(segments).reshape(-1, 2), torch.tensor(labels), CLASSES, center_radius=center_radius
    )
    return moments, targets


@st.composite
def instances(draw: st.DrawFn) -> list[tuple[float, float, int]]:
    """Instances at multiples of 1/4, so that no rounding decides what is at an edge; some nearly as long as others."""
    found: list[tuple[float, float, int]] = []
    for _ in range(draw(st.integers(0, 6))):
        if found and draw(st.booleans()):
            # Ties: as long as another one to within, or just beyond, the 0.001 that count as equal.
            start, end, _ = draw(st.sampled_from(found))
            shift, more = draw(st.sampled_from([0, 0.25, 1])), draw(st.sampled_from([0, 2**-11, 2**-9, -(2**-11)]))
            start, end = start + shift, end + shift + more
        else:
            start = draw(st.integers(-8, 150)) / 4
            end = start + draw(st.integers(1, 160)) / 4
        found.append((start, end, draw(st.integers(0, CLASSES - 1))))
    return found


@given(
    length=st.integers(1, 40),
    drawn=instances(),
    center_radius=st.sampled_from([None, 0.5, 1.0, 1.5, 3.0]),
    overlapping=st.booleans(),
)
@example(length=8, drawn=[], center_radius=1.5, overlapping=False)
@example(length=8, drawn=[(2.0, 5.0, 0), (2.0, 5.0, 0)], center_radius=1.5, overlapping=False)
@example(length=8, drawn=[(2.0, 5.0, 0), (2.0, 5.0 + 2**-11, 1)], center_radius=1.5, overlapping=False)
@example(length=8, drawn=[(2.0, 5.0, 0), (2.0, 5.0 + 2**-9, 1)], center_radius=1.5, overlapping=False)
def test_targets_are_those_of_the_slow_reference(
    length: int, drawn: list[tuple[float, float, int]], center_radius: float | None, overlapping: bool
) -> None:
    ranges = ((0.0, 4.0), (2.0, 8.0), (4.0, 10000.0)) if overlapping else RANGES
    moments = pyramid_moments(length, STRIDES, ranges)
    segments = torch.tensor([[start, end] for start, end, _ in drawn]).reshape(-1, 2)
    labels = torch.tensor([label for _, _, label in drawn], dtype=torch.int64)
    targets = assign_targets(moments, segments, labels, CLASSES, center_radius=center_radius)
    expected = slow_targets(moments, segments, labels, CLASSES, center_radius)
    assert torch.equal(targets.classes, expected.classes)
    positive = targets.positive
    assert torch.equal(targets.offsets[positive], expected.offsets[positive])
    assert bool((targets.offsets[positive] > 0).all())


@given(
    length=st.integers(1, 40),
    padding=st.integers(0, 12),
    drawn=instances(),
    center_radius=st.sampled_from([None, 0.5, 1.5]),
    overlapping=st.booleans(),
)
@example(length=8, padding=0, drawn=[(2.25, 2.5, 0), (2.25, 2.75, 1)], center_radius=1.5, overlapping=False)
@example(length=8, padding=4, drawn=[(7.5, 8.0, 0)], center_radius=1.5, overlapping=False)
def test_every_instance_gets_a_moment(
    length: int,
    padding: int,
    drawn: list[tuple[float, float, int]],
    center_radius: float | None,
    overlapping: bool,
) -> None:
    ranges = ((0.0, 4.0), (2.0, 8.0), (4.0, 10000.0)) if overlapping else RANGES
    moments = pyramid_moments(length + padding, STRIDES, ranges)
    valid = moments[:, 0] < length
    segments = torch.tensor([[start, end] for start, end, _ in drawn]).reshape(-1, 2)
    labels = torch.tensor([label for _, _, label in drawn], dtype=torch.int64)
    options = {"center_radius": center_radius, "every_instance": True}
    targets = assign_targets(moments, segments, labels, CLASSES, valid=valid, **options)  # type: ignore[arg-type]
    expected = slow_targets(moments, segments, labels, CLASSES, center_radius, real=length)
    positive = targets.positive
    assert torch.equal(targets.classes, expected.classes)
    assert torch.equal(targets.offsets[positive], expected.offsets[positive])
    assert bool((targets.offsets[positive] >= 0).all())
    for row in range(len(segments)):  # alone, each is trained on
        alone = assign_targets(moments, segments[[row]], labels[[row]], CLASSES, valid=valid, **options)  # type: ignore[arg-type]
        assert bool((alone.positive & valid).any())


def test_an_instance_between_two_moments() -> None:
    moments = pyramid_moments(8, STRIDES, RANGES)
    segments, labels = torch.tensor([[2.25, 2.75]]), torch.tensor([1])
    assert not assign_targets(moments, segments, labels, CLASSES, center_radius=1.5).positive.any()
    targets = assign_targets(moments, segments, labels, CLASSES, center_radius=1.5, every_instance=True)
    assert moments[targets.positive].tolist() == [[2, 0, 4, 1]]
    assert targets.offsets[targets.positive].tolist() == [[0, 0.75]]


def test_golden_targets(golden: Golden) -> None:
    config = golden.config
    sampling = config["train_cfg"]
    radius = None if sampling["center_sample"] == "none" else sampling["center_sample_radius"]
    for i, video in enumerate(golden.videos):
        targets = assign_targets(
            golden.levels(0, "points"),
            video.segments,
            video.labels,
            config["dataset"]["num_classes"],
            center_radius=radius,
        )
        classes = torch.from_numpy(golden.arrays[f"video{i}/targets/classes"])
        offsets = torch.from_numpy(golden.arrays[f"video{i}/targets/offsets"])
        assert torch.equal(targets.classes, classes)
        assert torch.equal(targets.offsets[targets.positive], offsets[targets.positive])


def test_video_without_instances_has_no_positives() -> None:
    moments, targets = _assign(16, [], [])
    assert targets.classes.shape == (len(moments), CLASSES)
    assert targets.offsets.shape == (len(moments), 2)
    assert not targets.positive.any()


def test_offsets_are_in_strides() -> None:
    moments, targets = _assign(40, [[4.0, 16.0]], [2])
    row = int(((moments[:, 0] == 8) & (moments[:, 3] == 4)).nonzero())
    assert targets.classes[row].tolist() == [0, 0, 1, 0]
    assert targets.offsets[row].tolist() == [1, 2]


def test_both_ends_of_a_range_are_included() -> None:
    moments, targets = _assign(40, [[4.0, 12.0]], [0])
    at_center = (moments[:, 0] == 8) & (moments[:, 3] < 4)  # its larger distance is 4, the end of both ranges
    assert targets.positive[at_center].tolist() == [True, True]


def test_moment_at_the_edge_of_an_instance_is_outside() -> None:
    moments, targets = _assign(10, [[3.0, 5.0]], [0], center_radius=None)
    assert moments[targets.positive, 0].tolist() == [4]


def test_center_sampling_is_strict() -> None:
    moments, targets = _assign(30, [[4.0, 9.0]], [0], center_radius=None)
    assert moments[targets.positive & (moments[:, 3] == 1), 0].tolist() == [5, 6, 7, 8]
    _, targets = _assign(30, [[4.0, 9.0]], [0], center_radius=1.5)
    assert moments[targets.positive & (moments[:, 3] == 1), 0].tolist() == [6, 7]  # 5 and 8 are 1.5 from 6.5


def test_shortest_instance_wins() -> None:
    moments, targets = _assign(20, [[0.5, 19.5], [8.0, 12.0], [7.0, 12.5]], [0, 1, 2], center_radius=None)
    row = int(((moments[:, 0] == 10) & (moments[:, 3] == 1)).nonzero())
    assert targets.classes[row].tolist() == [0, 1, 0, 0]
    assert targets.offsets[row].tolist() == [2, 2]


def test_shorter_instance_of_another_level_does_not_count() -> None:
    moments, targets = _assign(40, [[0.0, 40.0], [18.0, 22.0]], [0, 1])
    row = int(((moments[:, 0] == 20) & (moments[:, 3] == 4)).nonzero())
    assert targets.classes[row].tolist() == [1, 0, 0, 0]


def test_equally_long_instances_share_their_moments() -> None:
    moments, targets = _assign(20, [[8.0, 12.0], [8.0, 12.0], [8.5, 12.5]], [1, 3, 1])
    row = int(((moments[:, 0] == 10) & (moments[:, 3] == 1)).nonzero())
    assert targets.classes[row].tolist() == [0, 1, 0, 1]  # 1 twice is still 1
    assert targets.offsets[row].tolist() == [2, 2]


def test_segments_in_double_precision() -> None:
    moments = pyramid_moments(20, STRIDES, RANGES)
    segments, labels = torch.tensor([[8.0, 12.0]], dtype=torch.float64), torch.tensor([1])
    targets = assign_targets(moments, segments, labels, CLASSES, center_radius=1.5)
    assert targets.classes.dtype == targets.offsets.dtype == torch.float32
    assert bool(targets.positive.any())
