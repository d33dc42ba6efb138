"""A sample of each format is recognised, and reads as it is meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from exchange_samples import SAMPLES, Sample, read_file

from untrimmed.data.formats.exchange.formats import FORMATS
from untrimmed.data.formats.exchange.opening import recognise
from untrimmed.data.formats.exchange.source import Source


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: f"{sample.format}-{sample.name}")
def test_sample_reads_as_it_is_meant(sample: Sample, tmp_path: Path) -> None:
    document = read_file(sample.put(tmp_path), sample.format, sample.rate)
    assert document.timelines == sample.timelines
    assert document.notes == sample.notes
    assert document.labels == sample.labels


@pytest.mark.parametrize("sample", [s for s in SAMPLES if not s.format.startswith("epic")], ids=lambda s: s.name)
def test_sample_is_recognised(sample: Sample, tmp_path: Path) -> None:
    assert recognise(Source(sample.put(tmp_path))) is FORMATS[sample.format]


def test_every_format_has_a_sample() -> None:
    assert {sample.format for sample in SAMPLES} == set(FORMATS)
