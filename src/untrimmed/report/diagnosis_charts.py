"""The figures of a diagnosis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from untrimmed.evaluation.diagnosis import Diagnosis, Kind, Sensitivity
from untrimmed.report.diagnosis import ABOUT, TITLES, at_tious, kind_rows, ranges
from untrimmed.report.headline import percent
from untrimmed.report.svg import Chart, bar, line, text

KIND_COLOURS: Mapping[Kind, int] = {
    Kind.TRUE_POSITIVE: 2,
    Kind.DOUBLE_DETECTION: 0,
    Kind.WRONG_LABEL: 3,
    Kind.LOCALISATION: 1,
    Kind.CONFUSION: 4,
    Kind.BACKGROUND: 5,
}
"""Numbers of class colours. They are among the first six, which differ most (see `untrimmed.report.palette`)."""

_WIDTH = 360
_SCORE_COLOUR, _MISSED_COLOUR = 0, 1
_NAMES, _BARS, _SECOND = 118.0, 78.0, 244.0  # of buckets: where names end, width of bars, where the second bars start
_TOP_ROW, _ROW = 26.0, 36.0
_LEGEND_ROW = 18
_LEAST_HEIGHT_OF_TEXT, _LEAST_WIDTH_OF_TEXT = 12, 24


def charts(diagnosis: Diagnosis) -> tuple[Chart, ...]:
    """Draw the figures: kinds by rank, gains, and one for each characteristic."""
    where = at_tious(diagnosis.tious)
    return (
        _kinds_by_rank(diagnosis, where),
        _gains(diagnosis, where),
        *(_buckets(diagnosis, sensitivity, where) for sensitivity in diagnosis.sensitivities),
    )


def _kinds_by_rank(diagnosis: Diagnosis, where: str) -> Chart:
    """A column for each part of the profile, true positives at the bottom."""
    profile = diagnosis.false_positives.profile
    left, top, height = 30.0, 8.0, 200.0
    step = (_WIDTH - left) / len(profile)
    drawing: list[Markup] = []
    for percents in (0, 25, 50, 75, 100):
        y = top + height * (1 - percents / 100)
        drawing += [line(left, y, _WIDTH, y, class_="rule"), text(percents, left - 6, y + 4, anchor="end")]
    each = math.ceil(_LEAST_WIDTH_OF_TEXT / step)
    for i, shares in enumerate(profile.tolist()):
        x = left + i * step + 1.5
        drawing += _stack(f"{i + 1}G", shares, x, top, step - 3, height)
        if i % each == 0:
            drawing.append(text(f"{i + 1}G", x + step / 2 - 1.5, top + height + 16, anchor="middle"))
    drawing += _legend(top + height + 36)
    return Chart(
        name="kinds",
        title="Kinds of detections by rank",
        about=("% of the first G detections of a class, the second G, and so on", where),
        description="G is the number of instances of a class. "
        + " ".join(f"{i + 1}G: {_list_of_shares(shares)}" for i, shares in enumerate(profile.tolist())),
        width=_WIDTH,
        height=top + height + 36 + 3 * _LEGEND_ROW,
        body=Markup().join(drawing),
    )


def _stack(
    name: str, shares: Sequence[float], left: float, top: float, width: float, height: float
) -> Iterator[Markup]:
    """Draw the shares of the kinds upon each other, with numbers where they have room."""
    y = top + height
    for kind in Kind:
        size, colour = height * shares[kind], KIND_COLOURS[kind]
        y -= size
        if size:
            tip = f"{name}: {kind.title} {percent(shares[kind])} %"
            yield bar(left, y, width, size - min(1.0, size / 2), class_=f"colour-{colour}", tip=tip)
        if size >= _LEAST_HEIGHT_OF_TEXT and width >= _LEAST_WIDTH_OF_TEXT:
            number = percent(shares[kind], 0)
            yield text(number, left + width / 2, y + size / 2 + 3, anchor="middle", class_=f"small on-{colour}")


def _legend(top: float) -> Iterator[Markup]:
    for i, kind in enumerate(Kind):
        x, y = 30 + 165 * (i // 3), top + _LEGEND_ROW * (i % 3)
        yield bar(x, y, 11, 11, class_=f"colour-{KIND_COLOURS[kind]}")
        yield text(kind.title, x + 17, y + 9.5, class_="ink")


def _list_of_shares(shares: Sequence[float]) -> str:
    if not any(shares):
        return "none."
    return ", ".join(f"{kind.title} {percent(share)} %" for kind, share in zip(Kind, shares, strict=True)) + "."


def _gains(diagnosis: Diagnosis, where: str) -> Chart:
    """A bar for each kind of false positives."""
    rows = [(row.kind, row.gain) for row in kind_rows(diagnosis) if row.gain is not None]
    left, right, step, top = 112.0, 54.0, 34.0, 6.0
    end = _round_end(max(gain for _, gain in rows))
    scale = (_WIDTH - left - right) / end
    bottom = top + step * len(rows)
    drawing = _axis(left, _WIDTH - right, top, bottom, end)
    for i, (kind, gain) in enumerate(rows):
        y = top + step * i
        tip = f"without {kind.title}: mAP {percent(diagnosis.map + gain, 2)} instead of {percent(diagnosis.map, 2)}"
        drawing += [
            text(kind.title, left - 8, y + step / 2 + 4, anchor="end", class_="ink"),
            bar(left, y + 6, scale * gain, step - 12, class_=f"colour-{KIND_COLOURS[kind]}", tip=tip),
            text(f"+{percent(gain, 2)}", left + scale * gain + 5, y + step / 2 + 4, class_="strong"),
        ]
    return Chart(
        name="gains",
        title="What false positives cost",
        about=("points that mAP gains without those of a kind", f"mAP as it is: {percent(diagnosis.map, 2)}, {where}"),
        description=", ".join(f"{kind.title} +{percent(gain, 2)}" for kind, gain in rows) + ".",
        width=_WIDTH,
        height=bottom + 20,
        body=Markup().join(drawing),
    )


def _buckets(diagnosis: Diagnosis, sensitivity: Sensitivity, where: str) -> Chart:
    """A row for each bucket with two bars: how well its instances are detected, and how many are missed."""
    buckets, values = sensitivity.buckets, ranges(sensitivity)
    names = [f"{bucket.name}, {of_bucket}" for bucket, of_bucket in zip(buckets, values, strict=True)]
    counts = [_instances(bucket.instances) for bucket in buckets]
    bottom = _TOP_ROW + _ROW * len(buckets)
    drawing: list[Markup] = []
    for i, (bucket, of_bucket, count) in enumerate(zip(buckets, values, counts, strict=True)):
        y, x = _TOP_ROW + _ROW * i, _NAMES - 8
        drawing += [
            text(bucket.name, 0, y + 15, class_="strong"),
            text(of_bucket, x, y + 15, anchor="end", class_="ink"),
            text(count, x, y + 28, anchor="end", class_="small"),
        ]
    scores, missed = [b.map_normalised for b in buckets], [b.missed for b in buckets]
    most = max([diagnosis.missed, *(value for value in missed if not math.isnan(value))])
    all_scores, all_missed = percent(sensitivity.overall), percent(diagnosis.missed)
    drawing += _column(_NAMES, "mAP_N", names, scores, sensitivity.overall, 1.0, _SCORE_COLOUR)
    drawing += _column(_SECOND, "missed", names, missed, diagnosis.missed, _round_end(most), _MISSED_COLOUR)
    drawing += [
        line(0, bottom + 34, 22, bottom + 34, class_="mean"),
        text(f"all instances: mAP_N {all_scores}, missed {all_missed}", 28, bottom + 38, class_="ink"),
    ]
    described = [
        f"{name}: {count}, mAP_N {percent(score)} %, missed {percent(of_bucket)} %."
        for name, count, score, of_bucket in zip(names, counts, scores, missed, strict=True)
    ]
    return Chart(
        name=sensitivity.name,
        title=TITLES[sensitivity.name],
        about=(ABOUT[sensitivity.name], where),
        description=" ".join([*described, f"All instances: mAP_N {all_scores} %, missed {all_missed} %."]),
        width=_WIDTH,
        height=bottom + 44,
        body=Markup().join(drawing),
    )


def _column(
    left: float, title: str, names: Sequence[str], values: Sequence[float], overall: float, end: float, colour: int
) -> Iterator[Markup]:
    """Draw a bar for each bucket, from 0 to `end`, and a line at the value of all instances."""
    mean, bottom = left + _BARS * overall / end, _TOP_ROW + _ROW * len(names)
    yield text(f"{title}, %", left, 14, class_="strong")
    yield from _axis(left, left + _BARS, _TOP_ROW, bottom, end)
    for i, (name, value) in enumerate(zip(names, values, strict=True)):
        y = _TOP_ROW + _ROW * i
        size = 0.0 if math.isnan(value) else _BARS * value / end
        yield bar(left, y + 7, size, _ROW - 14, class_=f"colour-{colour}", tip=f"{name}: {title} {percent(value, 2)} %")
        behind = left + size if math.isnan(value) else max(left + size, mean)  # so that the line is not in the text
        yield text(percent(value), behind + 5, y + _ROW / 2 + 4, class_="ink")
    yield line(mean, _TOP_ROW, mean, bottom, class_="mean")


def _instances(count: int) -> str:
    return f"{count:,} {'instance' if count == 1 else 'instances'}"


def _axis(left: float, right: float, top: float, bottom: float, end: float) -> list[Markup]:
    """Draw lines at 0, at the middle and at the end, with their values in percent below."""
    drawing = []
    for part in (0.0, 0.5, 1.0):
        x = left + part * (right - left)
        drawing += [
            line(x, top, x, bottom, class_="rule"),
            text(f"{100 * part * end:g}", x, bottom + 14, anchor="middle", class_="small"),
        ]
    return drawing


def _round_end(value: float) -> float:
    """Return where an axis ends that shows a part of 1: the next of 0.01, 0.02, 0.05, 0.1, ..., 1."""
    return next((end for end in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if value <= end), 1.0)
