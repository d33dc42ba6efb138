from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from command_line import files, refused, run

from synthetic import experiment
from untrimmed.experiment.training import train

TRUTH = {
    "a": {
        "subset": "test",
        "duration": 10,
        "annotations": [{"label": "run", "segment": [1, 3]}, {"label": "jump", "segment": [4, 8]}],
    },
    "b": {"subset": "test", "duration": 10, "annotations": [{"label": "run", "segment": [0, 5]}]},
    "c": {"subset": "train", "duration": 10, "annotations": [{"label": "walk", "segment": [0, 5]}]},
}
FOUND = "video,start,end,label,score\na,1,3,run,0.9\na,4,6,jump,0.8\nb,0,5,run,0.7\n"


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with annotations and detections."""
    (tmp_path / "truth.json").write_text(json.dumps({"database": TRUTH}))
    (tmp_path / "found.csv").write_text(FOUND)
    return tmp_path


def of_file(tables: Path) -> list[object]:
    return ["evaluate", "--detections", tables / "found.csv", "--annotations", tables / "truth.json"]


# A file of detections


def test_table(tables: Path) -> None:
    outcome = run(*of_file(tables), "--subset", "test")
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[0] == f"{tables / 'found.csv'}: average precision by tIoU, %"
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in lines if line.startswith("│")]
    assert rows == [
        ["jump", "1", "100.00", "100.00", "100.00", "0.00", "0.00", "60.00"],
        ["run", "2", *["100.00"] * 6],
        ["mAP", "3", "100.00", "100.00", "100.00", "50.00", "50.00", "80.00"],
    ]


def test_outside_class_scores_replace_the_labels(tables: Path) -> None:
    (tables / "found.csv").write_text("video,start,end,label,score\na,1,3,proposal,0.9\nb,0,5,proposal,0.7\n")
    scores = {"class": ["jump", "run"], "results": {"a": [0.1, 0.9], "b": [0.2, 0.8]}}
    (tables / "scores.json").write_text(json.dumps(scores))
    outcome = run(*of_file(tables), "--subset", "test", "--class-scores", tables / "scores.json", "--json")
    assert outcome.code == 0
    by_class = {each["label"]: each["average"] for each in outcome.json["classes"]}
    assert by_class == {"jump": 0.0, "run": 1.0}
    line = refused(*of_file(tables), "--class-scores", tables / "scores.json", "--top-classes", 3, code=2)
    assert "3 top classes were asked for, but there are 1 to 2" in line


def test_json(tables: Path) -> None:
    outcome = run(*of_file(tables), "--subset", "test", "--tious", "0.5", "0.75", "--json")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.json["tious"] == [0.5, 0.75]
    assert outcome.json["by_tiou"] == [1.0, 0.5]
    assert outcome.json["average"] == 0.75
    assert [(row["label"], row["instances"]) for row in outcome.json["classes"]] == [("jump", 1), ("run", 2)]


def test_subsets_together_and_all(tables: Path) -> None:
    both = run(*of_file(tables), "--subset", "test", "--subset", "train", "--json").json
    assert both == run(*of_file(tables), "--json").json
    assert both["average"] == pytest.approx((1 + 0.6 + 0) / 3)


def test_videos_without_any_detection_are_told_of(tables: Path) -> None:
    outcome = run(*of_file(tables))
    assert outcome.code == 0
    assert "found.csv: nothing was detected in 1 of 3 videos" in outcome.err
    assert "--subset" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_wide_table_is_whole_where_nobody_sees_how_wide(tables: Path) -> None:
    tious = [f"0.{i:02}" for i in range(5, 96, 5)]
    outcome = run(*of_file(tables), "--tious", *tious)
    assert all(len(line) == len(outcome.out.splitlines()[1]) for line in outcome.out.splitlines()[1:])
    assert " 0.95 " in outcome.out


def test_labels_that_are_not_in_the_truth(tables: Path) -> None:
    (tables / "found.csv").write_text(FOUND + "a,1,3,runn,0.95\n")
    outcome = run(*of_file(tables), "--subset", "test", "--json")
    assert outcome.code == 0
    assert outcome.json["average"] == pytest.approx(0.8)
    assert outcome.err == (
        f"untrimmed: warning: {tables / 'found.csv'}: 1 of its labels, such as 'runn', perhaps 'run', do not occur in "
        f"{tables / 'truth.json'}; detections with them find nothing\n"
    )


def test_official_reading(tables: Path) -> None:
    # The fault that it reproduces: of classes 0 and 2 in the truth, class 1 counts against the second.
    truth: dict[str, Any] = {"a": {"duration": 10, "annotations": [], "subset": "test"}}
    for number, start in ((0, 0), (2, 5)):
        instance = {"label": f"c{number}", "label_id": number, "segment": [start, start + 3]}
        truth["a"]["annotations"].append(instance)
    truth["b"] = {"duration": 9, "subset": "train", "annotations": [{"label": "c1", "label_id": 1, "segment": [0, 1]}]}
    (tables / "truth.json").write_text(json.dumps({"database": truth}))
    (tables / "found.csv").write_text("video,start,end,label,score\na,0,3,c0,.9\na,5,8,c2,.8\na,1,2,c1,.99\n")
    words = [*of_file(tables), "--subset", "test", "--json"]
    assert run(*words).json["average"] == 1
    assert run(*words, "--reading", "official").json["average"] == 0.75


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--subset", "tset"], 1, "truth.json: no video is in subset 'tset'; there are 'test' (2 videos), 'train' (1"),
        (["--tious", "50"], 2, "tIoU thresholds are [50.0], but have to be one or more numbers in (0, 1]"),
        (["--subset", "train"], 1, "none of its 2 videos, such as 'a', is among the 1 that are evaluated"),
        (["--features", "features"], 2, "--features has no effect with --detections"),
        (["--out", "again.csv"], 2, "--out has no effect with --detections"),
        (["--device", "cpu"], 2, "--device has no effect with --detections"),
        (["--annotations", "none.json"], 1, "none.json: there is no such file"),
        (["--detections", "none.csv"], 1, "none.csv: there is no such file"),
    ],
)
def test_wrong_words(tables: Path, words: list[str], code: int, message: str) -> None:
    before = files(tables)
    options = dict(zip(*[iter(["--detections", "found.csv", "--annotations", "truth.json"])] * 2, strict=True))
    options |= {words[0]: words[1]}
    given = [
        tables / value if value.endswith((".csv", ".json")) else value for pair in options.items() for value in pair
    ]
    assert message in refused("evaluate", *given, code=code)
    assert files(tables) == before


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,3,1,run,0.9", "found.csv: row 4 (video 'a'): segment [3.0, 1.0] ends before it starts"),
        ("a,1,3,run,nan", "found.csv: row 4 (video 'a'): segment [1.0, 3.0] with score nan; all have to be finite"),
        ("a,1,3,run,high", "found.csv: row 4: score is 'high', but has to be a number"),
        ("a,1,3,run", "found.csv: row 4 has 4 values, but there are 5 columns"),
    ],
)
def test_damaged_detections(tables: Path, row: str, message: str) -> None:
    (tables / "found.csv").write_text(FOUND + row + "\n")
    assert message in refused(*of_file(tables), code=1)


def test_nothing_to_evaluate() -> None:
    assert refused("evaluate", code=2).startswith("name either a model folder or --detections FILE")
    assert refused("evaluate", "model", "--detections", "found.csv", code=2).startswith("name either a model folder")
    assert refused("evaluate", "--detections", "found.csv", code=2).startswith("--annotations FILE is missing")


def test_thumos14_is_scored_as_published_in_two_seconds(shared: Path) -> None:
    folder = shared / "data" / "thumos14"
    words = [
        "--detections",
        folder / "actionformer_official_detections.csv.gz",
        "--annotations",
        folder / "thumos14.json",
    ]
    started = time.process_time()
    outcome = run("evaluate", *words, "--subset", "test", "--json")
    assert time.process_time() - started < 2
    assert [round(100 * value, 2) for value in outcome.json["by_tiou"]] == [82.13, 77.80, 70.95, 59.40, 43.88]
    assert round(100 * outcome.json["average"], 2) == 66.83


# A model


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data and a trained `run`."""
    folder = tmp_path_factory.mktemp("evaluate")
    train(experiment(folder / "data", {"training.epochs": 6}), folder / "run")
    return folder


def test_model_is_evaluated_on_its_own_experiment(made: Path) -> None:
    last = run("evaluate", made / "run", "--json")
    assert (last.code, last.err) == (0, "")
    metrics = (made / "run" / "metrics.csv").read_text().splitlines()
    column = metrics[0].split(",").index("mAP")
    assert last.json["average"] == pytest.approx(float(metrics[-1].split(",")[column]), abs=1e-6)
    best = run("evaluate", made / "run" / "best", "--json")
    scores = [row.split(",")[column] for row in metrics[1:]]
    assert best.json["average"] == pytest.approx(max(float(score) for score in scores if score), abs=1e-6)


def test_model_elsewhere_on_named_data(made: Path, tmp_path: Path) -> None:
    model = shutil.copytree(made / "run" / "best", tmp_path / "model")
    line = refused("evaluate", model, code=2)
    assert line == f"--annotations is missing, and {model} has no experiment.yaml that names them"
    annotations = ["--annotations", made / "data" / "annotations.json"]
    assert refused("evaluate", model, *annotations, code=2).startswith("--features is missing")
    data = [*annotations, "--features", made / "data" / "features"]
    outcome = run("evaluate", model, *data, "--subset", "test", "--json")
    assert outcome.json == run("evaluate", made / "run" / "best", "--json").json


def test_detections_are_kept_and_score_the_same(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "found.csv"
    of_model = run("evaluate", made / "run", "--out", path)
    assert (of_model.code, of_model.err) == (0, "")
    truth = ["--annotations", made / "data" / "annotations.json", "--subset", "test"]
    of_table = run("evaluate", "--detections", path, *truth)
    assert of_table.out.splitlines()[1:] == of_model.out.splitlines()[1:]


def test_label_that_the_model_does_not_know(made: Path, tmp_path: Path) -> None:
    path = tmp_path / "annotations.json"
    path.write_text((made / "data" / "annotations.json").read_text().replace('"jump"', '"jmp"'))
    line = refused("evaluate", made / "run", "--annotations", path, code=1)
    assert line.startswith(f"{path}: video 'test")
    assert "has label 'jmp', which the model was not trained on; it knows jump, run" in line


def test_out_is_looked_at_before_anything_is_detected(made: Path, tmp_path: Path) -> None:
    line = refused("evaluate", made / "run", "--out", tmp_path / "found.txt", code=1)
    assert line.startswith(f"{tmp_path / 'found.txt'}: detections are read and written as .json")


def test_features_that_are_gone(made: Path, tmp_path: Path) -> None:
    line = refused("evaluate", made / "run", "--features", tmp_path / "features", code=1)
    assert line == f"{tmp_path / 'features'}: there is no such folder or file"


# As benchmarks do


def test_protocol(tables: Path) -> None:
    outcome = run(*of_file(tables), "--protocol", "thumos14")
    assert outcome.out.splitlines() == [
        "tIoU          0.3    0.4    0.5    0.6    0.7    Avg",
        "mAP        100.00 100.00 100.00  50.00  50.00  80.00",
    ]
    outcome = run(*of_file(tables), "--protocol", "ego4d", "--subset", "test", "--json")
    facts = json.loads(outcome.out)
    assert facts["protocol"] == "ego4d"
    assert facts["mAP"]["average"] == 1
    assert (facts["recall"]["tious"], facts["recall"]["pooled"]) == ([0.5], [[1.0]])
    outcome = run(*of_file(tables), "--protocol", "activitynet_proposals", "--subset", "test")
    assert [line.split()[0] for line in outcome.out.splitlines()] == ["proposals", "recall"]


def test_protocol_of_a_model(made: Path) -> None:
    outcome = run("evaluate", made / "run", "--protocol", "ego4d")
    assert [line.split()[0] for line in outcome.out.splitlines()] == ["tIoU", "mAP", "Recall@1x"]


def test_wrong_protocols(tables: Path) -> None:
    assert "Did you mean 'thumos14'?" in refused(*of_file(tables), "--protocol", "thumos", code=2)
    words = [*of_file(tables), "--protocol", "thumos14", "--tious", 0.5]
    assert "leave out --tious" in refused(*words, code=2)
    assert "no video is in subset 'validation'" in refused(*of_file(tables), "--protocol", "activitynet", code=1)


def test_unusable_instances_of_the_truth(tables: Path) -> None:
    truth = json.loads((tables / "truth.json").read_text())
    truth["database"]["a"]["annotations"].append({"label": "run", "segment": [5, 4]})
    (tables / "truth.json").write_text(json.dumps(truth))
    words = [*of_file(tables), "--subset", "test", "--json"]
    assert "has to start before it ends" in refused(*words, code=1)
    assert json.loads(run(*words, "--unusable", "drop").out)["average"] == pytest.approx(0.8)
