from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from untrimmed.errors import ConfigError
from untrimmed.video.extractors.default import Appearance, DefaultExtractor, Motion
from untrimmed.video.view import Pictures

APPEARANCE, MOTION = slice(0, 1280), slice(1280, 1536)


@pytest.fixture(scope="module")
def extractor() -> DefaultExtractor:
    return DefaultExtractor(device="cpu", precision="fp32")


def film(extractor: DefaultExtractor, frames: int, seed: int = 0) -> list[Pictures]:
    """A bright square that moves before a wall of noise, in all the sizes that are asked for."""
    random = np.random.default_rng(seed)
    wall = random.integers(0, 128, (9, 12, 3))
    shown = []
    for number in range(frames):
        picture = wall.astype(np.uint8)
        picture[3:6, number % 9 : number % 9 + 3] = 255
        sizes = []
        for view in extractor.views:
            rows, columns = (np.arange(n) * m // n for n, m in ((view.height, 9), (view.width, 12)))
            sizes.append(picture[rows][:, columns] if view.shows(number) else None)
        shown.append(tuple(sizes))
    return shown


def rows(extractor: DefaultExtractor, frames: list[Pictures]) -> NDArray[np.float32]:
    return np.concatenate(list(extractor.features(iter(frames))))


def test_what_it_says_of_itself(extractor: DefaultExtractor) -> None:
    description = extractor.description
    assert (description.extractor, description.dimension) == ("default", 1536)
    assert (description.stride, description.window, description.rate) == (2, 2, 10.0)
    assert [(view.height, view.width, view.every) for view in extractor.views] == [(224, 224, 2), (27, 48, 1)]


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 8, 9, 97])
def test_rows(extractor: DefaultExtractor, frames: int) -> None:
    found = rows(extractor, film(extractor, frames))
    assert found.shape == (max(1, extractor.grid.clips(frames)), extractor.dimension)
    assert found.dtype == np.float32
    assert np.isfinite(found).all()


def test_no_frame_is_no_video(extractor: DefaultExtractor) -> None:
    """The reader refuses those; what comes out of none is one row of zeros."""
    assert not rows(extractor, []).any()


def test_each_row_is_what_its_own_frames_show(extractor: DefaultExtractor) -> None:
    """Definition: the whole film at once, every picture of its own, and every frame with all its neighbours."""
    frames = film(extractor, 83)
    networks = {type(part): part for part in extractor._parts}
    appearance, motion = networks[Appearance], networks[Motion]
    found = rows(extractor, frames)
    for row in (0, 5, 20, 40):
        picture = frames[2 * row + 1][0]
        assert picture is not None
        np.testing.assert_allclose(found[row, APPEARANCE], appearance.vectors([picture] * 4)[0], rtol=1e-3, atol=1e-4)
        around = [frames[min(max(2 * row + k, 0), 82)][1] for k in range(-16, 64 + 16)]
        expected = motion.vectors([each for each in around if each is not None])[:2].mean(0)
        np.testing.assert_allclose(found[row, MOTION], expected, rtol=1e-3, atol=1e-3)


def test_rows_come_while_the_film_runs(extractor: DefaultExtractor) -> None:
    given = 0

    def running() -> Iterator[Pictures]:
        nonlocal given
        for frame in film(extractor, 210):
            given += 1
            yield frame

    first = next(extractor.features(running()))
    assert len(first) <= 32
    assert given <= 100


def test_two_films_at_once_do_not_mix(extractor: DefaultExtractor) -> None:
    one, two = film(extractor, 70, 1), film(extractor, 70, 2)
    mixed = zip(extractor.features(iter(one)), extractor.features(iter(two)), strict=True)
    first, second = map(np.concatenate, zip(*mixed, strict=True))
    np.testing.assert_array_equal(first, rows(extractor, one))
    np.testing.assert_array_equal(second, rows(extractor, two))
    assert np.abs(first - second).max() > 0.1


def test_a_half_alone_is_that_half_of_both(extractor: DefaultExtractor) -> None:
    frames = film(extractor, 20)
    whole = rows(extractor, frames)
    for parts, half, view in (("appearance", APPEARANCE, 0), ("motion", MOTION, 1)):
        alone = DefaultExtractor(device="cpu", precision="fp32", parts=parts)  # type: ignore[arg-type]
        assert alone.name == f"default-{parts}"
        assert alone.fingerprint != extractor.fingerprint
        np.testing.assert_array_equal(rows(alone, [(each[view],) for each in frames]), whole[:, half])


def test_bf16_says_the_same(extractor: DefaultExtractor) -> None:
    frames = film(extractor, 40)
    rounded = DefaultExtractor(device="cpu", precision="bf16")
    assert rounded.fingerprint == extractor.fingerprint
    exact, found = rows(extractor, frames), rows(rounded, frames)
    np.testing.assert_array_equal(found[:, MOTION], exact[:, MOTION])
    a, b = torch.from_numpy(exact[:, APPEARANCE]), torch.from_numpy(found[:, APPEARANCE])
    assert torch.cosine_similarity(a, b).min() > 0.99


@pytest.mark.parametrize(
    ("options", "every"),
    [
        ({}, 2),
        ({"stride": 5}, 1),
        ({"stride": 4, "window": 8}, 2),
        ({"stride": 4, "window": 2}, 2),
        ({"stride": 1}, 1),
        ({"rate": 30, "stride": 6}, 6),
        ({"rate": 30, "stride": 4}, 4),
        ({"rate": 2}, 1),
    ],
)
def test_sampling(options: dict[str, Any], every: int) -> None:
    """Pictures are looked at about five times a second, and as often in each window."""
    extractor = DefaultExtractor(**options, device="cpu", precision="fp32")
    assert extractor.views[0].every == every
    frames = film(extractor, 21)
    assert len(rows(extractor, frames)) == max(1, extractor.grid.clips(21))


def test_fingerprints_differ_where_features_do(extractor: DefaultExtractor) -> None:
    others = [{}, {"stride": 1}, {"window": 4}, {"rate": 12}]
    prints = [DefaultExtractor(**each, device="cpu").fingerprint for each in others]  # type: ignore[arg-type]
    assert prints[0] == extractor.fingerprint
    assert len(set(prints)) == len(prints)


@pytest.mark.parametrize("option", ["stride", "window"])
@pytest.mark.parametrize("value", [0, -2, 1.5, float("nan"), float("inf")])
def test_frames_are_counted_in_whole_numbers(option: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{option} is .*whole number of sampled frames"):
        DefaultExtractor(**{option: value})  # type: ignore[arg-type]
