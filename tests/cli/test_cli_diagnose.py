from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from command_line import files, refused, run

from synthetic import experiment
from untrimmed.experiment.training import train
from untrimmed.report.headline import DASH

TRUTH = {
    "a": {
        "subset": "test",
        "duration": 10,
        "annotations": [{"label": "run", "segment": [1, 3]}, {"label": "jump", "segment": [4, 8]}],
    },
    "b": {"subset": "test", "duration": 10, "annotations": [{"label": "run", "segment": [0, 5]}]},
    "c": {"subset": "train", "duration": 10, "annotations": [{"label": "walk", "segment": [0, 5]}]},
}
# True, localisation, background, true, double, wrong label.
FOUND = """video,start,end,label,score
a,1,3,run,0.9
a,4,5,jump,0.8
a,8.5,9,run,0.75
b,0,5,run,0.7
b,0,5,run,0.6
b,0,5,jump,0.5
"""
THUMOS14 = ["actionformer_official_detections.csv.gz", "thumos14.json"]


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """A folder with annotations and detections."""
    (tmp_path / "truth.json").write_text(json.dumps({"database": TRUTH}))
    (tmp_path / "found.csv").write_text(FOUND)
    return tmp_path


def of_file(tables: Path, *more: object) -> list[object]:
    words = ["diagnose", "--detections", tables / "found.csv", "--annotations", tables / "truth.json"]
    return [*words, "--subset", "test", *more]


def rows(printed: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in printed.splitlines() if line.startswith("│")]


def test_what_is_printed(tables: Path) -> None:
    outcome = run(*of_file(tables))
    assert (outcome.code, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert lines[:2] == [
        f"{tables / 'found.csv'}, at tIoU 0.5, %",
        "3 instances, 6 detections: mAP 41.67, mAP_N 40.00, missed 33.33",
    ]
    table = rows(outcome.out)
    # Of run, G is 2, of jump 1: the best G are the first two of run and the first of jump; 2G are all there are.
    assert table[:6] == [
        ["true positive", "33.3", *["33.3"] * 4, "", ""],
        ["double detection", "0.0", *["16.7"] * 4, "0.00", "0.00"],
        ["wrong label", "0.0", *["16.7"] * 4, "0.00", "0.00"],
        ["localisation", "33.3", *["16.7"] * 4, "0.00", "0.00"],
        ["confusion", *["0.0"] * 5, "0.00", "0.00"],
        ["background", "33.3", *["16.7"] * 4, "8.33", "10.00"],
    ]
    assert "Length: how long the instance is" in lines
    assert [row[0] for row in table[6:]] == ["XS", "S", "M", "L", "XL"] * 2 + ["XS", "S", "M", "L"]


def test_shares_of_all_kinds_add_up(tables: Path) -> None:
    kinds = rows(run(*of_file(tables)).out)[:6]
    for column in range(1, 6):
        assert sum(float(row[column]) for row in kinds) == pytest.approx(100, abs=0.3)


def test_cut_points_of_a_benchmark(tables: Path) -> None:
    table = rows(run(*of_file(tables, "--cuts", "thumos14")).out)
    assert table[6:11] == [
        ["XS", "up to 3 s", "1", "100.00", "0.00"],
        ["S", "3 to 6 s", "2", table[7][3], "50.00"],
        ["M", "6 to 12 s", "0", DASH, DASH],
        ["L", "12 to 18 s", "0", DASH, DASH],
        ["XL", "over 18 s", "0", DASH, DASH],
    ]
    assert [row[1] for row in table[11:16]] == ["up to 2 %", "2 to 4 %", "4 to 6 %", "6 to 8 %", "over 8 %"]
    assert [row[1:3] for row in table[16:]] == [["1", "3"], ["2 to 40", "0"], ["41 to 80", "0"], ["81 or more", "0"]]


def test_json(tables: Path) -> None:
    outcome = run(*of_file(tables, "--tious", "0.1", "0.5", "--low", "0.05", "--json"))
    assert (outcome.code, outcome.err) == (0, "")
    found = outcome.json
    assert found["tious"] == [0.1, 0.5]
    assert (found["instances"], found["detections"]) == (3, 6)
    assert found["false_positives"]["low"] == 0.05
    assert found["false_positives"]["counts"] == [[3, 1, 1, 0, 0, 1], [2, 1, 1, 1, 0, 1]]
    assert [each["name"] for each in found["characteristics"]] == ["length", "coverage", "instances"]


def test_map_is_that_of_evaluate(tables: Path) -> None:
    words = of_file(tables, "--tious", "0.3", "0.5", "0.7", "--json")
    assert run(*words).json["mAP"] == run("evaluate", *words[1:]).json["average"]


def test_page_and_figures(tables: Path) -> None:
    page, figures = tables / "new" / "page.html", tables / "figures"
    outcome = run(*of_file(tables, "--out", page, "--figures", figures))
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-2:] == [f"The page is {page}", f"The figures are in {figures}"]
    assert "What goes wrong" in page.read_text()
    assert {path.name for path in figures.iterdir()} == {
        f"{name}.svg" for name in ("kinds", "gains", "length", "coverage", "instances")
    }
    for path in figures.iterdir():
        assert ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    quiet = run(*of_file(tables, "--out", page, "--json"))
    assert quiet.json == run(*of_file(tables, "--json")).json


def test_no_detections(tables: Path) -> None:
    (tables / "found.csv").write_text(FOUND.splitlines()[0] + "\n")
    outcome = run(*of_file(tables, "--out", tables / "page.html"))
    assert outcome.code == 0
    assert "3 instances, 0 detections: mAP 0.00, mAP_N 0.00, missed 100.00" in outcome.out
    assert rows(outcome.out)[0] == ["true positive", *[DASH] * 5, "", ""]
    assert "nan" not in outcome.out + (tables / "page.html").read_text()


def test_instances_that_end_before_they_start(tables: Path) -> None:
    whole = run(*of_file(tables, "--json")).json
    turned = {"label": "run", "segment": [7, 6]}
    truth = {**TRUTH, "b": {**TRUTH["b"], "annotations": [*TRUTH["b"]["annotations"], turned]}}  # type: ignore[misc]
    (tables / "truth.json").write_text(json.dumps({"database": truth}))
    assert "truth.json: " in refused(*of_file(tables), code=1)
    assert run(*of_file(tables, "--unusable", "drop", "--json")).json == whole


def test_warnings(tables: Path) -> None:
    (tables / "found.csv").write_text(FOUND + "a,1,3,runn,0.95\n")
    outcome = run(*[word for word in of_file(tables) if word not in ("--subset", "test")])
    assert outcome.code == 0
    first, second = outcome.err.splitlines()
    assert "1 of its labels, such as 'runn', perhaps 'run'" in first
    assert "nothing was detected in 1 of 3 videos" in second


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--tious", "50"], 2, "tIoU thresholds are [50.0], but have to be one or more numbers in (0, 1]"),
        (["--low", "0"], 2, "the low tIoU threshold is 0.0, but has to be a number in (0, 1]"),
        (["--cuts", "thumos"], 2, "thumos"),
        (["--out", "found.json"], 2, "found.json: the page is HTML, so its name has to end in .html"),
        (["--out", ""], 2, "is a folder; name the file to write"),
        (["--figures", "truth.json"], 2, "truth.json: is a file, but has to be a folder"),
        (["--features", "features"], 2, "--features has no effect with --detections"),
        (["--subset", "tset"], 1, "truth.json: no video is in subset 'tset'"),
        (["--annotations", "none.json"], 1, "none.json: there is no such file"),
    ],
)
def test_wrong_words(tables: Path, words: list[str], code: int, message: str) -> None:
    before = files(tables)
    option, value = words
    placed = tables / value if option in ("--out", "--figures", "--annotations") else value
    given = dict(zip(*[iter(of_file(tables)[1:])] * 2, strict=True)) | {option: placed}
    assert message in refused("diagnose", *(word for pair in given.items() for word in pair), code=code)
    assert files(tables) == before


def test_nothing_to_diagnose(tables: Path) -> None:
    assert refused("diagnose", code=2).startswith("name either a model folder or --detections FILE")
    (tables / "truth.json").write_text(json.dumps({"database": {"a": {"duration": 5, "subset": "test"}}}))
    outcome = run(*of_file(tables))
    assert (outcome.code, outcome.out) == (1, "")
    assert "none of the 1 videos to evaluate on has an instance" in outcome.err.splitlines()[-1]


def test_a_file_is_diagnosed_without_torch(tables: Path) -> None:
    words = ["untrimmed", *map(str, of_file(tables, "--json", "--out", tables / "page.html"))]
    code = f"import sys; sys.argv = {words}; from untrimmed.cli import main\ntry: main()\n"
    code += "finally: assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_model(tmp_path: Path) -> None:
    train(experiment(tmp_path / "data", {"training.epochs": 2}), tmp_path / "run")
    outcome = run("diagnose", tmp_path / "run", "--json", "--out", tmp_path / "page.html")
    assert (outcome.code, outcome.err) == (0, "")
    scored = run("evaluate", tmp_path / "run", "--tious", "0.5", "--json").json
    assert outcome.json["mAP"] == scored["average"]
    assert str(tmp_path / "run") in (tmp_path / "page.html").read_text()


def test_thumos14_as_the_documentation_shows_it(shared: Path, tmp_path: Path) -> None:
    detections, truth = (shared / "data" / "thumos14" / name for name in THUMOS14)
    words = ["--detections", detections, "--annotations", truth, "--subset", "test", "--cuts", "thumos14"]
    outcome = run("diagnose", *words, "--figures", tmp_path)
    assert (outcome.code, outcome.err) == (0, "")
    sums = "3,358 instances, 42,400 detections: mAP 70.95, mAP_N 75.05, missed 6.16"
    assert outcome.out.splitlines()[1] == sums
    docs = Path(__file__).parents[2] / "docs"
    printed = "\n".join(outcome.out.splitlines()[1:-1])
    assert printed in (docs / "diagnosis.md").read_text()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        path.name: path.read_text() for path in (docs / "figures" / "diagnosis").iterdir()
    }
