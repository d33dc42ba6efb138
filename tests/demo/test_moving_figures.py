from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from untrimmed.data.annotations import Annotations
from untrimmed.demo import moving_figures
from untrimmed.demo.moving_figures import Demo
from untrimmed.detection.localizer import Localizer
from untrimmed.errors import ConfigError, VideoError
from untrimmed.experiment.evaluation import detect_all, evaluation_data
from untrimmed.report.run import _silently


def small(out: Path, **changed: object) -> Demo:
    chosen = {"clips": 4, "epochs": 1, "extractor": "default-motion", "seconds": 8.0} | changed
    return Demo(out, **chosen)  # type: ignore[arg-type]


def until_features(demo: Demo) -> Annotations:
    annotations = moving_figures.begin(demo)
    assert sorted(script.id for script in moving_figures.draw_clips(demo, processes=1)) == list(annotations.videos)
    assert set(moving_figures.extract(demo).videos) == set(annotations.videos)
    return annotations


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    demo = small(tmp_path_factory.mktemp("moving_figures") / "demo")
    config = moving_figures.configure(demo, until_features(demo))
    moving_figures.learn(demo, config)
    localizer = Localizer.load(demo.run)
    data = evaluation_data(demo.run, localizer)
    found = {each.video_id: each for each in detect_all(localizer, data.truth, data.inputs)}
    moving_figures.write_page(demo, localizer, data, found, _silently)
    return demo


def files(demo: Demo) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in demo.out.rglob("*") if path.is_file()}


def test_what_it_leaves(made: Demo) -> None:
    left = {path.relative_to(made.out).as_posix() for path in files(made)}
    assert {"annotations.json", "untrimmed.yaml", "report.html", "features/features.json", "run/config.yaml"} <= left
    assert {f"clips/clip{n:03}.mp4" for n in range(4)} | {f"features/clip{n:03}.npy" for n in range(4)} <= left
    assert all(part.split("/")[0] in {"clips", "features", "run"} for part in left if "/" in part)


def test_the_page_holds_the_clips_that_are_held_out(made: Demo) -> None:
    page = made.report.read_text(encoding="utf-8")
    assert "Moving figures" in page
    assert "clip003" in page
    assert len(page) > (made.videos / "clip003.mp4").stat().st_size


def test_the_configuration_says_what_was_chosen(made: Demo) -> None:
    values = yaml.safe_load(made.configuration.read_text(encoding="utf-8"))
    assert values["data"]["train"] == ["train"]
    assert values["data"]["validate"] == ["val"]
    assert values["training"]["epochs"] + values["training"]["warmup_epochs"] == 1
    extractor = Localizer.load(made.run).extractor
    assert extractor is not None
    assert extractor.name == "default-motion"


def test_what_is_missing_is_made_again(made: Demo) -> None:
    before = files(made)
    clip = made.videos / "clip001.mp4"
    for lost in (clip, made.features / "clip002.npy", made.configuration):
        lost.unlink()
    moving_figures.learn(made, moving_figures.configure(made, until_features(made)))
    after = files(made)
    assert after.keys() == before.keys()  # x264 does not always give the same bytes
    assert {path: each for path, each in after.items() if path != clip} == {
        path: each for path, each in before.items() if path != clip
    }


@pytest.mark.parametrize("changed", [{"clips": 8}, {"seed": 1}, {"seconds": 4.0}])
def test_clips_of_another_demo_are_not_taken_for_ours(made: Demo, changed: dict[str, object]) -> None:
    before = files(made)
    with pytest.raises(ConfigError, match=r"annotations.json: is of another demo"):
        moving_figures.begin(small(made.out, **changed))
    assert files(made) == before


def test_settings_of_another_demo_are_not_taken_for_ours(made: Demo) -> None:
    annotations = moving_figures.begin(made)
    with pytest.raises(ConfigError, match=r"untrimmed.yaml: is not as this demo would write it. To train with it: "):
        moving_figures.configure(small(made.out, epochs=2), annotations)


def test_comments_and_the_place_of_a_configuration_do_not_matter(made: Demo) -> None:
    annotations = moving_figures.begin(made)
    written = made.configuration.read_text(encoding="utf-8")
    assert str(made.out) not in written
    try:
        made.configuration.write_text(f"# Mine.\n{written}", encoding="utf-8")
        moving_figures.configure(made, annotations)
        made.configuration.write_text("[", encoding="utf-8")
        with pytest.raises(ConfigError, match=r"untrimmed.yaml: is not as this demo would write it"):
            moving_figures.configure(made, annotations)
    finally:
        made.configuration.write_text(written, encoding="utf-8")


def test_features_of_another_extractor_are_not_taken_for_ours(made: Demo) -> None:
    with pytest.raises(ConfigError, match="default-motion"):
        moving_figures.extract(small(made.out, extractor="default-appearance"))


def test_an_unknown_extractor_is_refused_before_anything_is_drawn(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="best"):
        moving_figures.begin(small(tmp_path / "demo", extractor="best"))
    assert not list(tmp_path.iterdir())


def test_folders_of_something_else_are_left_alone(made: Demo, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds a run, not this demo"):
        moving_figures.begin(small(made.run))
    (tmp_path / "clips").mkdir()
    with pytest.raises(ConfigError, match="is there already, but not from a demo"):
        moving_figures.begin(small(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]


def test_a_clip_that_has_been_damaged(made: Demo, tmp_path: Path) -> None:
    demo = small(tmp_path / "demo")
    moving_figures.begin(demo)
    shutil.copytree(made.videos, demo.videos)
    for clip in demo.videos.iterdir():
        clip.write_bytes(b"no video")
    with pytest.raises(VideoError, match=r"clip000.mp4.*Delete it and run the demo again"):
        moving_figures.extract(demo)


@pytest.mark.parametrize(("changed", "message"), [({"clips": 3}, "clips is 3"), ({"epochs": 0}, "epochs is 0")])
def test_no_demo(tmp_path: Path, changed: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small(tmp_path, **changed)
