from __future__ import annotations

import csv
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from untrimmed.data.annotations import Instance, Video
from untrimmed.data.formats.activitynet import read_annotations, write_annotations
from untrimmed.data.formats.epic_kitchens import is_epic_kitchens, parse_action, read_epic_kitchens
from untrimmed.errors import AnnotationError

HEADER = "narration_id,video_id,start_timestamp,stop_timestamp,narration,verb_class,noun_class,all_nouns"
ROWS = [
    "P01_11_0,P01_11,00:00:00.50,00:00:01.89,take plate,0,2,\"['plate', 'cup']\"",
    "P01_11_1,P01_11,00:01:00.00,00:01:02.45,put plate,1,2,['plate']",
    "P02_01_0,P02_01,01:00:00.25,01:00:01.00,take cup,0,0,['cup']",
]
TRAINING = ["P03_01_0,P03_01,00:00:03.00,00:00:04.00,wash cup,2,0,['cup']"]
VERBS = "id,key,instances\n0,take,\"['take', 'get']\"\n2,wash,[]\n1,put,[]\n"
NOUNS = "id,key,instances\n0,cup,[]\n1,knife,[]\n2,plate,[]\n"
VIDEOS = "video_id,duration,fps,resolution\nP01_11,100.5,59.94,x\nP02_01,4000,50,x\nP03_01,10,50,x\nP04_01,10,50,x\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "validation", HEADER, *ROWS)
    for name, text in {"verb_classes": VERBS, "noun_classes": NOUNS, "video_info": VIDEOS}.items():
        (tmp_path / f"EPIC_100_{name}.csv").write_text(text)
    return tmp_path


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / f"EPIC_100_{name}.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def fault(path: Path) -> str:
    with pytest.raises(AnnotationError) as error:
        read_epic_kitchens(path, "verb")
    assert "\n" not in str(error.value)
    return str(error.value)


def test_verbs_and_nouns_are_numbered_as_in_the_lists(folder: Path) -> None:
    verbs, nouns = read_epic_kitchens(folder, "verb"), read_epic_kitchens(folder, "noun")
    assert verbs.labels == ("take", "put", "wash")
    assert nouns.labels == ("cup", "knife", "plate")
    assert verbs["P01_11"] == Video(
        "P01_11", 100.5, "validation", 59.94, (Instance(0.5, 1.89, "take"), Instance(60, 62.45, "put"))
    )
    assert [i.label for i in nouns["P01_11"].instances] == ["plate", "plate"]
    assert nouns["P02_01"].instances == (Instance(3600.25, 3601, "cup"),)
    assert list(verbs.videos) == ["P01_11", "P02_01"]


def test_actions_are_the_pairs_that_occur(folder: Path) -> None:
    actions = read_epic_kitchens(folder, "action")
    assert actions.labels == ("0,0", "0,2", "1,2")
    assert [i.label for v in actions for i in v.instances] == ["0,2", "1,2", "0,0"]


def test_actions_are_in_the_order_of_the_official_numbers(folder: Path) -> None:
    (folder / "EPIC_100_verb_classes.csv").write_text("id,key\n" + "".join(f"{i},v{i}\n" for i in range(12)))
    rows = [f"a{v},P01_11,00:00:00.00,00:00:01.00,x,{v},{n},[]" for v, n in ((11, 0), (9, 2), (2, 1), (9, 0))]
    rows[3] = rows[3].replace("a9", "b9")
    write(folder, "validation", HEADER, *rows)
    assert read_epic_kitchens(folder, "action").labels == ("2,1", "9,0", "9,2", "11,0")


def test_a_file_a_folder_or_files_by_subset(folder: Path) -> None:
    alone = read_epic_kitchens(folder / "EPIC_100_validation.csv", "verb")
    assert alone.videos == read_epic_kitchens(folder, "verb").videos
    training = write(folder, "train", HEADER, *TRAINING)
    both = read_epic_kitchens(folder, "verb")
    assert both.subsets == {"training": 1, "validation": 2}
    named = read_epic_kitchens({"a": training, "b": folder / "EPIC_100_validation.csv"}, "verb")
    assert named.subsets == {"a": 1, "b": 2}

    elsewhere = folder / "mine" / "kitchen.csv"
    elsewhere.parent.mkdir()
    training.rename(elsewhere)
    mine = read_epic_kitchens(elsewhere, "verb", lists=folder)
    assert mine.subsets == {"kitchen": 1}
    assert mine.source == str(elsewhere)


def test_the_test_set_has_videos_only(folder: Path) -> None:
    header = "narration_id,participant_id,video_id,start_timestamp,stop_timestamp"
    write(folder, "test_timestamps", header, "P04_01_0,P04,P04_01,00:00:00.00,00:00:01.00")
    annotations = read_epic_kitchens(folder, "noun")
    assert annotations.subsets == {"validation": 2, "test": 1}
    assert annotations["P04_01"].instances == ()


def test_columns_in_any_order_and_ways_to_write_the_file(folder: Path) -> None:
    expected = read_epic_kitchens(folder, "action")
    path = folder / "EPIC_100_validation.csv"
    with path.open(newline="") as file:
        records = [list(reversed(record)) for record in csv.reader(file)]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, lineterminator="\r\n").writerows([*records, [], [""] * len(records[0])])
    assert read_epic_kitchens(folder, "action") == expected


def test_what_is_read_can_be_written_and_read_again(folder: Path) -> None:
    for task in ("verb", "noun", "action"):
        annotations = read_epic_kitchens(folder, task)
        write_annotations(annotations, folder / "there.json")
        again = read_annotations(folder / "there.json")
        assert (again.videos, again.labels) == (annotations.videos, annotations.labels)


def test_which_files_are_meant(folder: Path) -> None:
    assert is_epic_kitchens(folder)
    assert is_epic_kitchens(folder / "EPIC_100_validation.csv")
    assert not is_epic_kitchens(folder / "EPIC_100_verb_classes.csv")
    assert not is_epic_kitchens(folder / "absent.csv")
    (folder / "EPIC_100_validation.csv").unlink()
    assert not is_epic_kitchens(folder)


def test_reversed_segments_can_be_left_out(folder: Path) -> None:
    write(folder, "validation", HEADER, ROWS[0].replace("00:00:01.89", "00:00:00.10"), *ROWS[1:])
    expected = "row 2, column 'stop_timestamp': found '00:00:00.10', expected none before the start, '00:00:00.50'"
    assert expected in fault(folder)
    kept = read_epic_kitchens(folder, "verb", strict=False)
    assert [i.label for i in kept["P01_11"].instances] == ["put"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("00:00:01.89", "1.89", "row 2, column 'stop_timestamp': found '1.89', expected a time as hh:mm:ss.ff"),
        ("00:00:01.89", "00:99:01.89", "row 2, column 'stop_timestamp': '00:99:01.89' is no time"),
        ("00:00:01.89", "", "row 2, column 'stop_timestamp': found '', expected a time"),
        ("00:00:01.89", "nan", "row 2, column 'stop_timestamp': found 'nan', expected a time"),
        ("00:00:01.89", "-0:00:01.89", "expected a time"),
        ("00:00:01.89", "9" * 400 + ":00:01.89", "it is too large"),
        ("take plate,0,", "take plate,3,", "row 2, column 'verb_class': found '3', expected a verb_class, a whole"),
        ("take plate,0,", "take plate,-1,", "found '-1', expected a verb_class, a whole number from 0 to 2"),
        ("take plate,0,2", "take plate,0,plate", "row 2, column 'noun_class': found 'plate'"),
        ("take plate,0,", "take plate,٣,", "column 'verb_class'"),
        ("put plate,1,", "put plate,1.0,", "row 3, column 'verb_class': found '1.0'"),
        (",P01_11,", ",P99_99,", "row 2, column 'video_id': found 'P99_99', expected a video that is in EPIC_100_vi"),
        ("P01_11_1", "P01_11_0", "row 3, column 'narration_id': found 'P01_11_0', which is in row 2 too"),
        ("take plate,", "take, plate,", "row 2: found 9 values, expected 8, as many as the first row has; text with"),
        ("['cup']", '"[', "cannot be read as CSV"),
        ("stop_timestamp", "stop", "row 1: column 'stop_timestamp' is missing; found 'narration_id'"),
        ("verb_class", "verb", "row 1: column 'verb_class' is missing"),
        ("narration,", "video_id,", "row 1: column 'video_id' is there 2 times"),
    ],
)
def test_malformed_segments(folder: Path, old: str, new: str, message: str) -> None:
    path = folder / "EPIC_100_validation.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    found = fault(folder)
    assert found.startswith(f"{path}: ")
    assert message in found


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("verb_classes", "2,wash", "3,wash", "row 3, column 'id': found '3', expected the number of a class, a whole"),
        ("verb_classes", "2,wash", "0,wash", "row 3, column 'id': found 0 for 'wash', but 'take' has it"),
        ("verb_classes", "wash", "take", "row 3, column 'key': found 'take', which is in row 2 too"),
        ("noun_classes", "knife", " ", "row 3, column 'key': found ''; expected"),
        ("noun_classes", "key", "name", "column 'key' is missing"),
        ("video_info", "100.5", "0", "row 2, column 'duration': found '0', expected a positive number of seconds"),
        ("video_info", "59.94", "inf", "row 2, column 'fps': found 'inf', expected a positive number of frames"),
        ("video_info", "P02_01", "P01_11", "row 3, column 'video_id': found 'P01_11'; expected the id of a video, ea"),
    ],
)
def test_malformed_lists(folder: Path, name: str, old: str, new: str, message: str) -> None:
    path = folder / f"EPIC_100_{name}.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    found = fault(folder)
    assert found.startswith(f"{path}: ")
    assert message in found


@pytest.mark.parametrize("name", ["verb_classes", "noun_classes", "video_info"])
def test_lists_have_to_be_there(folder: Path, name: str) -> None:
    path = folder / f"EPIC_100_{name}.csv"
    path.write_text(path.read_text().splitlines()[0])
    assert fault(folder) == f"{path}: has no rows; get the file again"
    path.unlink()
    assert fault(folder).startswith(f"{path}: there is no such file; it has to lie beside the segments")


def test_files_that_are_none(folder: Path) -> None:
    assert "absent.csv: there is no such file" in fault(folder / "absent.csv")
    (folder / "sub").mkdir()
    assert "none of EPIC_100_train.csv, EPIC_100_validation.csv" in fault(folder / "sub")
    path = folder / "EPIC_100_validation.csv"
    path.write_text("")
    assert "is empty; its first row has to name the columns" in fault(folder)
    path.write_text(HEADER)
    assert "has no segments" in fault(folder)
    path.write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8 text" in fault(folder)
    with pytest.raises(AnnotationError, match="name at least one"):
        read_epic_kitchens({}, "verb")


def test_the_number_of_other_faults_is_told(folder: Path) -> None:
    write(folder, "validation", HEADER, *(row.replace("00:", "00-") for row in ROWS))
    assert fault(folder).endswith("correct it, or get the file again (and 2 more rows with faults)")


def test_a_video_is_in_one_subset(folder: Path) -> None:
    write(folder, "train", HEADER, ROWS[2])
    assert "video 'P02_01' is in subset 'training'" in fault(folder)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(position=st.integers(0, 600), text=st.text(max_size=4))
@pytest.mark.parametrize("name", ["validation", "video_info", "verb_classes"])
def test_damage_is_an_error_or_harmless(folder: Path, name: str, position: int, text: str) -> None:
    path = folder / f"EPIC_100_{name}.csv"
    content = path.read_bytes()
    path.write_bytes(content[:position] + text.encode("utf-8", "surrogatepass") + content[position + 1 :])
    with suppress(AnnotationError):
        read_epic_kitchens(folder, "action")
    path.write_bytes(content)


def test_labels_of_actions() -> None:
    assert parse_action("3,12") == (3, 12)
    for label in ("3", "3,", ",3", "a,b", "3,-1", "3,1,2", "٣,1", "3, 1", "9" * 5000 + ",1"):
        assert parse_action(label) is None


@pytest.mark.parametrize("task", ["verb", "noun", "action"])
def test_the_published_validation_set(shared: Path, task: str) -> None:
    path = shared / "data" / "epic_kitchens" / "EPIC_100_validation.csv"
    annotations = read_epic_kitchens(path, task)  # type: ignore[arg-type]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(len(video.instances) for video in annotations) == len(rows) == 9668
    assert len(annotations) == 138
    assert len(annotations.labels) == {"verb": 97, "noun": 300, "action": 1352}[task]
    assert annotations.subsets == {"validation": 138}

    def number(row: dict[str, str]) -> int:
        verb, noun = int(row["verb_class"]), int(row["noun_class"])
        return {"verb": verb, "noun": noun, "action": verb * 300 + noun}[task]

    def official(label: str) -> int:
        if task != "action":
            return annotations.label_index[label]
        verb, noun = label.split(",")
        return int(verb) * 300 + int(noun)

    expected = Counter((row["video_id"], number(row)) for row in rows)
    assert Counter((v.id, official(i.label)) for v in annotations for i in v.instances) == expected
    assert sum(i.end > v.duration for v in annotations for i in v.instances) == 1
    assert all(0 <= i.start < i.end for v in annotations for i in v.instances)
