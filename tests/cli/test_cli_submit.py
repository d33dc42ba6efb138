from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from command_line import refused, run

from annotation_samples import write_kitchen, write_moments
from untrimmed.data.formats.detection_files import read_detections

TRUTH = {
    "a": {"subset": "testing", "duration": 10.0},
    "b": {"subset": "testing", "duration": 20.0},
    "c": {"subset": "training", "duration": 10.0, "annotations": [{"label": "run", "segment": [1, 2]}]},
}
FOUND = "video,start,end,label,score\na,1,3,run,0.5\nc,0,1,run,0.25\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "truth.json").write_text(json.dumps({"database": TRUTH}))
    (tmp_path / "found.csv").write_text(FOUND)
    write_kitchen(tmp_path / "kitchen")
    write_moments(tmp_path / "ego")
    return tmp_path


def found(folder: Path, *rows: str) -> Path:
    path = folder / "rows.csv"
    path.write_text("\n".join(["video,start,end,label,score", *rows]) + "\n")
    return path


def test_activitynet(folder: Path) -> None:
    out = folder / "submission.json"
    words = [folder / "found.csv", "--for", "activitynet", "--annotations", folder / "truth.json"]
    outcome = run("submit", *words, "--subset", "testing", "--out", out, "--external-data", "TSP features")
    assert (outcome.code, outcome.out) == (0, f"{out}: 1 detections in 2 videos\n")
    content = json.loads(out.read_text())
    assert content["results"] == {"a": [{"label": "run", "score": 0.5, "segment": [1.0, 3.0]}], "b": []}
    assert content["external_data"] == {"used": True, "details": "TSP features"}
    checked = run("check-submission", out, *words[1:], "--subset", "testing")
    assert (checked.code, checked.out) == (0, f"{out}: 0 findings\n")


def test_actions_of_verbs_and_nouns(folder: Path) -> None:
    (folder / "verbs.csv").write_text("video,start,end,label,score\nP1,1,2.5,put,1\n")
    (folder / "nouns.csv").write_text("video,start,end,label,score\nP1,1,2.5,tap,0.25\n")
    kitchen, actions = folder / "kitchen", folder / "actions.csv"
    both = [folder / "verbs.csv", folder / "nouns.csv", "--annotations", kitchen]
    outcome = run("combine", *both, "--out", actions)
    assert (outcome.code, outcome.out) == (0, f"{actions}: 1 actions in 1 videos\n")
    assert [d.label for d in read_detections(actions, ())["P1"]] == ["1,0"]

    out = folder / "test.zip"
    outcome = run("submit", actions, "--for", "epic_kitchens", "--out", out, "--annotations", kitchen)
    assert outcome.code == 0
    with zipfile.ZipFile(out) as archive:
        content = json.loads(archive.read("test.json"))
    assert content["results"]["P1"] == [{"verb": 1, "noun": 0, "action": "1,0", "score": 0.5, "segment": [1.0, 2.5]}]
    assert run("check-submission", out, "--for", "epic_kitchens").code == 0

    # What is submitted can be scored as it is.
    (folder / "test.json").write_text(json.dumps(content))
    for file in (actions, folder / "test.json"):
        words = ["evaluate", "--detections", file, "--annotations", kitchen, "--protocol", "epic"]
        assert run(*words).out.splitlines()[1:] == [
            f"{name:10}{'100.00':>7}{'100.00':>7}{'100.00':>7}{'100.00':>7}{'100.00':>7}{'100.00':>7}"
            for name in ("verb", "noun", "action")
        ]


def test_nothing_in_common(folder: Path) -> None:
    verbs, nouns = folder / "verbs.csv", folder / "nouns.csv"
    verbs.write_text("video,start,end,label,score\nP1,1,2.5,put,1\n")
    nouns.write_text("video,start,end,label,score\nP2,1,2.5,tap,1\n")
    line = refused("combine", verbs, nouns, "--annotations", folder / "kitchen", "--out", folder / "a.csv", code=1)
    assert "have no video in common" in line
    assert not (folder / "a.csv").exists()


def test_moments_are_moved_to_the_clip(folder: Path) -> None:
    rows, out = found(folder, "c,2,3,wash,0.5"), folder / "mq.json"
    words = ["submit", rows, "--for", "ego4d", "--annotations", folder / "ego", "--out", out]
    assert run(*words).code == 0
    assert json.loads(out.read_text())["detect_results"]["c"][0]["segment"] == [2.0, 3.0]
    assert run(*words, "--cut-from", 16, 32).code == 0
    moved = [round(2 - 14 / 30, 6), round(3 - 14 / 30, 6)]
    assert json.loads(out.read_text())["detect_results"]["c"][0]["segment"] == moved


def test_options_of_another_benchmark(folder: Path) -> None:
    words = ["submit", folder / "found.csv", "--for", "activitynet", "--out", folder / "x.json"]
    for more, option in ((["--cut-from", 16, 32], "--cut-from"), (["--supervision", 1, 1, 1], "--supervision")):
        assert refused(*words, *more, code=2).startswith(f"{option} has an effect with --for")
    assert "--subset needs --annotations" in refused(*words, "--subset", "testing", code=2)
    words[3] = "ego4d"
    assert "--cut-from needs --annotations" in refused(*words, "--cut-from", 16, 32, code=2)
    assert not (folder / "x.json").exists()


def test_what_a_server_would_not_take(folder: Path) -> None:
    out = folder / "x.json"
    rows = found(folder, "a,1,3,walk,0.5")
    words = ["--for", "activitynet", "--annotations", folder / "truth.json"]
    line = refused("submit", rows, *words, "--out", out, code=1)
    assert "none of the 1 known labels" in line
    assert not out.exists()

    out.write_text('{"results": {}}')
    outcome = run("check-submission", out, *words, "--subset", "testing")
    assert outcome.code == 1
    assert outcome.out.splitlines()[-1] == f"{out}: 4 findings"
    assert f'{out}: "version": is missing' in outcome.out
    facts = json.loads(run("check-submission", out, *words, "--subset", "testing", "--json").out)
    assert len(facts["findings"]) == 4
