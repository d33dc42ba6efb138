from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.data.annotations import Annotations, Instance, Video
from untrimmed.data.check import uncovered
from untrimmed.experiment.commented_yaml import WIDTH, commented_yaml
from untrimmed.experiment.config import ExperimentConfig, load_config
from untrimmed.experiment.planning import CROP, EPOCHS, LARGEST_BATCH, STEPS, Choice, plan
from untrimmed.experiment.suitability import MOST_LONG, clips_of, finer
from untrimmed.model.config import LAST
from untrimmed.model.moments import pyramid_moments
from untrimmed.model.network import ActionFormer
from untrimmed.settings import dump, parse
from untrimmed.time_grid import TimeGrid

GRID = TimeGrid(2, 2, 10)
"""A clip every 0.2 s."""


def data(videos: int, actions: int, *, seconds: float = 60, length: float = 3, classes: int = 2) -> Annotations:
    """So many videos, each with so many actions of a length in seconds."""
    labels = tuple(f"class {i}" for i in range(classes))
    made = {}
    for i in range(videos):
        starts = np.linspace(0, seconds - length, actions)
        instances = tuple(Instance(float(s), float(s) + length, labels[j % classes]) for j, s in enumerate(starts))
        made[f"v{i}"] = Video(f"v{i}", seconds, "train", instances=instances)
    return Annotations(made, labels)


def config(annotations: Annotations, grid: TimeGrid = GRID) -> ExperimentConfig:
    return parse(ExperimentConfig, plan(annotations, grid).values, "plan")


def warnings(annotations: Annotations, grid: TimeGrid = GRID) -> tuple[str, ...]:
    return plan(annotations, grid).warnings


grids = st.builds(TimeGrid, st.integers(1, 16), st.integers(1, 32), st.sampled_from([5.0, 10.0, 25.0, 30.0]))


@given(st.integers(1, 300), st.integers(1, 40), st.floats(2, 20_000), st.floats(1e-3, 1), st.integers(1, 30), grids)
def test_any_data_have_a_plan(
    videos: int, actions: int, seconds: float, share: float, classes: int, grid: TimeGrid
) -> None:
    annotations = data(videos, actions, seconds=seconds, length=share * seconds, classes=classes)
    chosen = config(annotations, grid)
    training, model = chosen.training, chosen.model
    assert 1 <= training.batch_size <= max(1, min(LARGEST_BATCH, videos // 4))
    assert EPOCHS[0] <= training.total_epochs <= EPOCHS[1]
    per_epoch = -(-videos // training.batch_size)
    assert training.total_epochs * per_epoch <= max(STEPS[1], EPOCHS[0] * per_epoch) + per_epoch
    assert training.total_epochs * per_epoch >= STEPS[0] or training.total_epochs == EPOCHS[1]
    assert 1 <= training.warmup_epochs < training.epochs
    assert training.validate_every <= training.total_epochs
    longest = share * seconds * grid.rate / grid.stride
    assert training.crop.max_length >= max(CROP, 2 * min(longest, 2 * LAST))
    assert training.crop.max_length <= 4 * LAST + 256  # what is longer cannot be learnt, and takes memory
    assert chosen.detection.max_detections >= 10 * actions
    assert model.width % model.attention_heads == 0
    assert plan(annotations, grid) == plan(annotations, grid)


@given(st.lists(st.tuples(st.floats(0, 0.9), st.floats(2, MOST_LONG)), min_size=1, max_size=20))
def test_every_action_from_two_clips_to_the_longest_is_trained_on(parts: list[tuple[float, float]]) -> None:
    longest = max(length for _, length in parts)
    clips = int(2 * longest) + 20
    starts = [2 + share * longest for share, _ in parts]
    segments = np.array([(start, start + length) for start, (_, length) in zip(starts, parts, strict=True)])
    seconds = GRID.to_seconds(segments)
    instances = tuple(Instance(float(start), float(end), "a") for start, end in seconds)
    annotations = Annotations({"v": Video("v", GRID.end(clips), instances=instances)}, ("a",))
    chosen = config(annotations)
    moments = pyramid_moments(clips, chosen.model.strides, chosen.model.ranges).numpy()
    assert not uncovered(segments, clips, moments, chosen.training.target.center_radius).any()


def test_longer_actions_have_more_levels() -> None:
    levels = {
        length: config(data(4, 4, seconds=4000, length=length)).model.levels for length in (0.5, 50, 60, 120, 380, 3000)
    }
    assert list(levels.values()) == [6, 6, 7, 8, 9, 9]


def test_more_data_have_a_wider_network_with_smaller_steps() -> None:
    few, more, many = (config(data(n, 10)) for n in (20, 500, 1500))
    assert [c.model.width for c in (few, more, many)] == [128, 256, 512]
    rates = [c.training.optimiser.learning_rate for c in (few, more, many)]
    assert rates == sorted(rates, reverse=True)
    assert few.training.threads == 1
    assert more.training.threads is None


def test_longer_videos_are_fewer_in_a_batch() -> None:
    sizes = [config(data(100, 4, seconds=seconds)).training.batch_size for seconds in (10, 40, 100, 1000, 20_000)]
    assert sizes == [8, 5, 2, 1, 1]


def test_as_good_as_the_recipe_of_the_recordings_that_ship_with_the_package() -> None:
    """Settings planned for its data are those of a recipe that was tuned on them.

    But for the length of training, and for where onset and offset start: the recipe starts as the official code does.
    """
    recipe = load_config("timed_up_and_go")
    from untrimmed.experiment.data import open_data

    opened = open_data(recipe.data)
    planned = plan(opened.train, opened.inputs.grid(next(iter(opened.train)))).values
    planned["data"] = dump(recipe.data)
    planned["description"] = recipe.description
    del planned["model"]["offset_prior"]
    for key in ("epochs", "warmup_epochs", "validate_every"):
        planned["training"][key] = getattr(recipe.training, key)
    assert dump(parse(ExperimentConfig, planned, "plan")) == dump(recipe)


def test_the_planned_model_can_be_built() -> None:
    chosen = config(data(10, 4))
    model = ActionFormer(chosen.model.for_data(32, 2))
    assert sum(parameter.numel() for parameter in model.parameters()) > 1e6


def test_nothing_to_warn_of() -> None:
    assert warnings(data(10, 4)) == ()


@pytest.mark.parametrize(
    ("length", "grid", "options"),
    [
        (0.3, TimeGrid(2, 2, 10), "--stride 1"),
        (0.1, TimeGrid(2, 2, 10), "--stride 1 --rate 20"),
        (0.05, TimeGrid(2, 2, 10), "--stride 1 --rate 30"),
        (0.6, TimeGrid(16, 16, 30), "--stride 9"),
    ],
)
def test_actions_shorter_than_two_clips(length: float, grid: TimeGrid, options: str) -> None:
    (warning,) = warnings(data(10, 4, length=length), grid)
    assert warning.startswith(
        f"40 of 40 actions are shorter than two clips, {2 * grid.stride / grid.rate:.2g} s ('class 0', "
    )
    assert warning.endswith(f"Finer features suit them: {options}")


@given(st.floats(0.01, 2), grids)
def test_finer_features_are_fine_enough(clip: float, grid: TimeGrid) -> None:
    options = finer(clip, grid)
    rate = options.get("rate", grid.rate)
    assert options["stride"] == int(options["stride"]) >= 1
    assert rate >= grid.rate
    assert options["stride"] / rate <= clip + 1e-6 or rate >= 30


def test_a_few_short_actions_are_no_matter() -> None:
    many = data(10, 10)
    first = many["v0"]
    short = Video(first.id, first.duration, "train", instances=(Instance(1, 1.1, "class 0"), *first.instances[1:]))
    assert warnings(Annotations({**many.videos, "v0": short}, many.labels)) == ()


def test_actions_that_no_moment_is_trained_on_are_counted() -> None:
    (warning,) = warnings(data(10, 4, length=0.02))
    assert (
        "; 40 of them cannot be learnt from at all. " in warning or " of them cannot be learnt from at all" in warning
    )


def test_very_long_actions() -> None:
    (warning,) = warnings(data(10, 4, seconds=4000, length=1000))
    assert warning == (
        "40 actions, the longest of 1000 s, are very long for a clip every 0.2 s. Coarser features suit them: "
        "--stride 8"
    )
    (warning,) = warnings(data(10, 4, seconds=10_000, length=5000))
    assert warning.endswith("--stride 32")
    assert (
        "; those of more than 4000 s cannot be learnt from at all. Coarser features suit them: --stride 32" in warning
    )


def test_few_examples() -> None:
    assert warnings(data(2, 3, classes=3)) == (
        "few examples to learn from: 'class 0' 2, 'class 1' 2, 'class 2' 2. Do not expect much of a class before it "
        "has ten or twenty",
    )


@given(st.floats(0.01, 10_000), grids)
def test_clips_of_a_video(duration: float, grid: TimeGrid) -> None:
    clips = clips_of(duration, grid)
    assert clips >= 1
    assert clips == 1 or grid.end(clips) <= duration + 1 / grid.rate


def written(folder: Path, heading: str, *choices: Choice) -> tuple[str, Any]:
    text = commented_yaml(heading, choices)
    (folder / "x.yaml").write_text(text, encoding="utf-8")
    return text, yaml.safe_load((folder / "x.yaml").read_text(encoding="utf-8"))


def test_a_plan_as_it_is_written_is_read_back(tmp_path: Path) -> None:
    planned = plan(data(10, 4), GRID)
    text, values = written(tmp_path, "A heading.", *planned.choices)
    assert values == planned.values
    assert dump(load_config(str(tmp_path / "x.yaml"))) == dump(parse(ExperimentConfig, planned.values, "plan"))
    assert max(map(len, text.splitlines())) <= WIDTH
    for choice in planned.choices:
        assert choice.reason.split()[0] in text
    assert text.index("model:") < text.index("training:") < text.index("detection:")


def test_comments_and_values(tmp_path: Path) -> None:
    text, values = written(
        tmp_path,
        "One.\n  two",
        Choice("a.b.c", 1e-3, "Why."),
        Choice("d", "it's: #1", ""),
        Choice("a.b.e", ["x"], "Long " * 30),
        Choice("a.f", [0.9, 1.0], ""),
    )
    assert values == {"a": {"b": {"c": 0.001, "e": ["x"]}, "f": [0.9, 1.0]}, "d": "it's: #1"}
    assert text.startswith("# One.\n#   two\n\na:\n  b:\n    # Why.\n    c: 0.001\n    # Long")
    assert text.endswith("\n\nd: 'it''s: #1'\n")


@given(st.text(), st.text(), st.text())
def test_hostile_text(tmp_path_factory: pytest.TempPathFactory, heading: str, value: str, reason: str) -> None:
    _, values = written(tmp_path_factory.getbasetemp(), heading, Choice("a.b", value, reason))
    assert values == {"a": {"b": value}}
