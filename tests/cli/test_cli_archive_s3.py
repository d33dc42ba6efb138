"""Archives in an object store that speaks S3, on loopback: read from it, and written to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import files, refused, run

from clusters import MARKS, with_extractor
from extracting import varied
from small_models import make
from untrimmed.archive.cluster import ClusterConfig, connected
from untrimmed.data.inputs import InputConfig
from untrimmed.video.extraction.videos import extract_videos

pytestmark = [
    *MARKS,
    # Of the server, and of the packages that speak to it.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

OWN = "python:stored_extractor:make"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """An empty bucket `archive` on a server of this machine, as fsspec sees it, and a cluster that knows the server."""
    moto_server = pytest.importorskip("moto.server")
    s3fs = pytest.importorskip("s3fs")
    pytest.importorskip("ray")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {
            "AWS_ACCESS_KEY_ID": "someone",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            patch.setenv(key, value)
        system = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
        system.mkdir("archive")
        with connected(ClusterConfig()):
            yield system
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: Any) -> Iterator[Path]:
    yield with_extractor(tmp_path, monkeypatch, "stored_extractor")
    bucket.rm("archive", recursive=True)
    bucket.mkdir("archive")


def in_bucket(bucket: Any, folder: str) -> dict[str, bytes]:
    paths = bucket.find(f"archive/{folder}")
    return {path.removeprefix(f"archive/{folder}/"): bucket.cat_file(path) for path in paths}


def by_name(folder: Path) -> dict[str, bytes]:
    return {path.name: content for path, content in files(folder).items()}


def test_features_from_a_bucket_into_a_bucket(place: Path, bucket: Any) -> None:
    names = ("a", "b c", "ü")
    for name in names:
        bucket.put_file(str(varied(place / "videos" / f"{name}.mp4", 12)), f"archive/2024/{name}.mp4")
    rows = [f"s3://archive/2024/{name}.mp4" for name in (*names, "none")]
    (place / "list.csv").write_text("path\n" + "".join(f"{row}\n" for row in rows))
    extract_videos([place / "videos"], "plain", OWN, processes=1, trust_python=True)
    words = ["extract", "list.csv", "--out", "s3://archive/features", "--extractor", OWN, "--ray", "local"]
    outcome = run(*words, "--workers", "1", "--json")
    assert outcome.code == 1
    assert (outcome.json["done"], outcome.json["failed"]) == (3, 1)
    assert outcome.json["out"] == "s3://archive/features"
    told = [json.loads(line) for line in (place / "features.outcomes.jsonl").read_text().splitlines()]
    assert {each["id"]: each["error"] for each in told if each["error"]} == {"none": "there is no such file"}
    assert in_bucket(bucket, "features") == by_name(place / "plain")

    again = run(*words, "--workers", "1", "--decoders", "1", "--json")
    assert (again.json["done"], again.json["were_there"]) == (0, 3)
    assert "use --half" not in refused(*words, "--half", code=2)
    bucket.rm_file("archive/features/a.npy")
    bucket.pipe_file("archive/features/features.json", b'{"dimension": 7}')
    assert "dimension was 7 and is 6 now" in refused(*words, code=2)


def test_a_recording_without_detections_is_not_detected_in_again(place: Path, bucket: Any) -> None:
    make().save("model")
    np.save(place / "a.npy", np.zeros((9, 6), np.float32))
    (place / "list.csv").write_text("path\na.npy\n")
    words = [
        "detect",
        "model",
        "list.csv",
        "--format",
        "txt",
        "--min-score",
        "0.999",
        "--ray",
        "local",
        "--workers",
        "1",
    ]
    words += ["--json", "--out", "s3://archive/labels"]
    assert run(*words).json["done"] == 1
    assert in_bucket(bucket, "labels")["a.txt"] == b""
    assert run(*words).json["were_there"] == 1


@pytest.mark.parametrize("format", ["json", "parquet"])
def test_detections_of_a_bucket_into_a_bucket(place: Path, bucket: Any, format: str) -> None:  # noqa: A002
    make(InputConfig(stride=1, window=2, rate=25)).save("model")
    random = np.random.default_rng(0)
    rows = []
    for number in range(70):
        path = place / "features" / f"r{number:03}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, random.normal(size=(5 + 7 * number % 40, 6)).astype(np.float32))
        bucket.put_file(str(path), f"archive/features/{path.name}")
        rows.append(f"s3://archive/features/{path.name}\n")
    (place / "list.csv").write_text("path\n" + "".join(rows))
    words = ["detect", "model", "list.csv", "--format", format, "--ray", "local", "--workers", "1", "--json"]
    assert run(*words, "--out", "plain").json["done"] == 70
    assert run(*words, "--out", "s3://archive/found").json["done"] == 70
    found = in_bucket(bucket, "found")
    assert found == by_name(place / "plain")
    gone = sorted(name for name in found if not name.startswith("."))[-1]
    bucket.rm_file(f"archive/found/{gone}")
    again = run(*words, "--out", "s3://archive/found")
    assert again.json["done"] == (1 if format == "json" else 6)
    assert in_bucket(bucket, "found") == found


def test_what_cannot_be_written_is_one_error(place: Path, bucket: Any) -> None:
    varied(place / "videos" / "a.mp4", 12)
    words = ["extract", "videos", "--extractor", OWN, "--out", "s3://nobody/features"]
    assert "--out s3://nobody/features: is an address" in refused(*words, code=2)
    said = refused(*words, "--ray", "local", code=1)
    assert "s3://nobody/features/features.json: cannot be written (there is no such bucket)" in said
    assert "http" in refused(*words[:-1], "http://127.0.0.1/x", "--ray", "local", code=2)
