"""What is answered, in this process."""

from __future__ import annotations

import json
import struct
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from small_service import (
    LOCALIZER,
    NPY,
    GatedLocalizer,
    assert_same,
    features,
    npy,
    offline,
    running,
    wait_until,
)

from small_models import make
from untrimmed.data.inputs import InputConfig
from untrimmed.errors import ConfigError
from untrimmed.service.app import build_app
from untrimmed.service.limits import Limits


@pytest.fixture(scope="module")
def client() -> Any:
    with running(max_body=100_000, max_json=20_000, max_clips=500) as client:
        yield client


def test_every_kind_of_body_gets_the_answer_of_the_localizer(client: Any) -> None:
    array = features(40)
    expected = offline(array)
    assert len(expected) > 5
    form = {"file": ("../../etc/x.npy", npy(array), "application/octet-stream")}
    for answer in (
        client.post("/detect", content=npy(array), headers=NPY),
        client.post("/detect", content=npy(np.asfortranarray(array)), headers=NPY),
        client.post("/detect", json={"features": array.tolist()}),
        client.post("/detect", files=form),
    ):
        assert answer.status_code == 200, answer.text
        found = answer.json()
        assert_same(found["detections"], expected)
        scores = [each["score"] for each in found["detections"]]
        assert scores == sorted(scores, reverse=True)
        assert found["duration"] == pytest.approx((39 * 4 + 16) / 10)


def test_what_a_client_says_of_a_recording(client: Any) -> None:
    array = features(40)
    query = {"id": "päth/../x", "duration": 7.5}
    for answer in (
        client.post("/detect", content=npy(array), headers=NPY, params=query),
        client.post("/detect", json={"features": array.tolist(), **query}),
        client.post("/detect", files={"file": npy(array)}, data=query),
    ):
        found = answer.json()
        assert (found["id"], found["duration"]) == ("päth/../x", 7.5)
        assert_same(found["detections"], offline(array, duration=7.5))


def test_min_score_and_top(client: Any) -> None:
    array = features(40)
    expected = offline(array)
    score = expected[4]["score"]
    found = client.post("/detect", content=npy(array), headers=NPY, params={"min_score": score - 1e-6}).json()
    assert len(found["detections"]) == 5
    found = client.post("/detect", content=npy(array), headers=NPY, params={"top": 2}).json()
    assert_same(found["detections"], expected[:2])


def rows(array: np.ndarray[Any, Any]) -> bytes:
    return json.dumps({"features": array.tolist()}).encode()


GOOD = npy(features(5))
HUGE_HEADER = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31) + b"{"


@pytest.mark.parametrize(
    ("status", "kind", "body", "message"),
    [
        (400, "application/octet-stream", b"", "empty"),
        (400, "application/octet-stream", b"no numbers", "no .npy file"),
        (400, "application/octet-stream", GOOD[:9], "cannot be read"),
        (400, "application/octet-stream", GOOD[:-1], "cut short"),
        (400, "application/octet-stream", HUGE_HEADER, "longer than any"),
        (400, "application/octet-stream", npy(np.array([[{}]], object), pickled=True), "pickled Python objects"),
        (400, "application/json", b"{", "no JSON"),
        (400, "application/json", b"\xff\xfe", "no JSON"),
        (400, "application/json", b'{"features": ' + b"[" * 9000, "no JSON"),
        (400, "application/json", b'{"features": [[1, 2, 3, 4, 5, 6]], "id": "\\ud800"}', "no JSON"),
        (400, "multipart/form-data", b"x", "malformed"),
        (400, "multipart/form-data; boundary=a", b"x", "malformed"),
        (413, "application/json", b" " * 20_001, "20,000 bytes"),
        (413, "application/octet-stream", b" " * 100_001, "100,000 bytes"),
        (413, "application/octet-stream", npy(features(501)), "501 clips"),
        (415, "", b"x", "is not taken; send application/json"),
        (415, "text/plain", b"x", "'text/plain' is not taken"),
        (415, "video/mp4", b"x", "videos are not taken"),
        (422, "application/json", b"[]", "what it holds"),
        (422, "application/json", b"{}", "features"),
        (422, "application/json", b'{"features": [[NaN, 1, 2, 3, 4, 5]]}', "features[0][0]"),
        (422, "application/json", b'{"features": [[1, 2]], "x": 1}', "x: Extra"),
        (422, "application/json", b'{"features": [["1", 2]]}', "features[0][0]"),
        (422, "application/json", b'{"features": [[true, 2]]}', "features[0][0]"),
        (422, "application/json", b'{"features": [[1e999, 2]]}', "features[0][0]"),
        (422, "application/json", b'{"features": [[' + b"9" * 400 + b"]]}", "features[0][0]"),
        (422, "application/json", b'{"features": [[1e39, 2]]}', "features[0][0]"),
        (422, "application/json", b'{"features": [[1, 2], [1]]}', "from 1 to 2 numbers"),
        (422, "application/json", b'{"features": [[], []]}', "features[0]"),
        (422, "application/json", rows(features(2, dimension=7)), "7 dimensions, but 6 are expected"),
        (422, "application/octet-stream", npy(features(2, dimension=7)), "7 dimensions, but 6 are expected"),
        (422, "application/octet-stream", npy(features(6, dimension=7).T[:, :2].T), "7 dimensions"),
        (422, "application/octet-stream", npy(np.zeros((2, 6, 1))), "3 axes"),
        (422, "application/octet-stream", npy(np.zeros((0, 6))), "empty"),
        (422, "application/octet-stream", npy(np.zeros((2, 6), complex)), "complex128"),
        (422, "application/octet-stream", npy(np.full((2, 6), "x")), "<U1"),
        (422, "application/octet-stream", npy(np.full((2, 6), np.nan)), "12 of 12 values are NaN"),
        (422, "application/octet-stream", npy(np.full((2, 6), 1e300)), "NaN or infinite"),
    ],
)
def test_refused_bodies(client: Any, status: int, kind: str, body: bytes, message: str) -> None:
    answer = client.post("/detect", content=body, headers={"Content-Type": kind} if kind else {})
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["error"]
    assert message in answer.json()["error"]
    assert "/tmp" not in answer.text
    assert "\n" not in answer.json()["error"]


def test_an_array_that_promises_more_than_there_is_takes_no_memory(client: Any) -> None:
    header = str({"descr": "<f4", "fortran_order": False, "shape": (10**15, 6)}).encode()
    header += b" " * (117 - len(header)) + b"\n"
    body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(24)
    answer = client.post("/detect", content=body, headers=NPY)
    assert (answer.status_code, "cut short" in answer.json()["error"]) == (400, True)


def test_json_of_too_many_values_is_not_read(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("untrimmed.service.recordings.MOST_VALUES", 31)  # the commas and brackets of five rows
    for clips, status in ((4, 200), (5, 413)):
        answer = client.post("/detect", json={"features": features(clips).tolist()})
        assert (answer.status_code, "values" in answer.text) == (status, status == 413)
    for bomb in (b'{"x": [' + b"[]," * 30 + b"1]}", b'{"x":' + b'{"a":' * 31, b"[" * 32):
        assert client.post("/detect", content=bomb, headers={"Content-Type": "application/json"}).status_code == 413


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"files": {"other": b"x"}}, "a field 'other'"),
        ({"files": {"file": b"x"}, "data": {"what": "x"}}, "a field 'what'"),
        ({"files": {"id": b"x"}}, "no file"),
        ({"files": {"file": GOOD}, "data": {"rate": "fast"}}, "'rate'"),
        ({"files": {"file": GOOD}, "data": {"rate": "nan"}}, "'rate'"),
        ({"files": {"file": GOOD}, "data": {"duration": "-1"}}, "'duration'"),
        ({"files": {"file": GOOD}, "data": {"id": "x" * 201}}, "'id'"),
    ],
)
def test_refused_forms(client: Any, form: dict[str, Any], message: str) -> None:
    answer = client.post("/detect", **form)
    assert answer.status_code == 422, answer.text
    assert message in answer.json()["error"]


def test_forms_of_too_many_parts_or_empty_ones(client: Any) -> None:
    many = client.post("/detect", files=[("file", GOOD), ("file", GOOD)])
    assert (many.status_code, "malformed" in many.json()["error"]) == (400, True)
    empty = client.post("/detect", files={"file": b""})
    assert (empty.status_code, "empty" in empty.json()["error"]) == (400, True)
    large = client.post("/detect", files={"file": bytes(100_000)})
    assert large.status_code == 413
    head = b"--x\r\nContent-Disposition: form-data; name=file; filename=" + b"y" * 50_000
    for endless in (head, head[:60] + b"\r\nA: b" * 9000, b"--x\r\n\r\n" * 9000):
        answer = client.post("/detect", content=endless, headers={"Content-Type": "multipart/form-data; boundary=x"})
        assert (answer.status_code, "malformed" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    "query",
    [
        "min_score=2",
        "min_score=nan",
        "min_score=x",
        "top=0",
        "top=1e9",
        "rate=inf",
        "rate=0",
        "duration=-1",
        "job=maybe",
        "minscore=0.5",
        "top=1&Top=2",
    ],
)
def test_refused_parameters(client: Any, query: str) -> None:
    answer = client.post(f"/detect?{query}", content=GOOD, headers=NPY)
    assert answer.status_code == 422
    assert query.rsplit("&", maxsplit=1)[-1].split("=", maxsplit=1)[0] in answer.json()["error"]


def test_other_paths_and_methods(client: Any) -> None:
    assert client.get("/nothing").status_code == 404
    assert client.get("/docs").status_code == 404  # it would load scripts from elsewhere
    assert client.post("/detect/", content=GOOD, headers=NPY, follow_redirects=False).status_code == 404
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "BREW"):
        wrong = client.request(method, "/detect")
        assert (wrong.status_code, wrong.headers["Allow"]) == (405, "POST")
    assert "error" in client.get("/detect").json()
    compressed = client.post("/detect", content=GOOD, headers=NPY | {"Content-Encoding": "gzip"})
    assert compressed.status_code == 415


def test_chunks_without_a_length_are_counted(client: Any) -> None:
    answer = client.post("/detect", content=(bytes(10_000) for _ in range(11)), headers=NPY)
    assert answer.status_code == 413
    answer = client.post("/detect", content=iter([GOOD[:50], GOOD[50:]]), headers=NPY)
    assert answer.status_code == 200


def test_a_model_that_needs_a_rate() -> None:
    with running(make(InputConfig(stride=4, window=16))) as client:
        assert client.get("/health").json()["needs_rate"]
        refused = client.post("/detect", content=GOOD, headers=NPY)
        assert (refused.status_code, "frames per second" in refused.json()["error"]) == (422, True)
        answered = client.post("/detect?rate=5", content=GOOD, headers=NPY)
        assert answered.json()["duration"] == pytest.approx((4 * 4 + 16) / 5)
        smallest = client.post("/detect?rate=0.001", content=npy(features(400)), headers=NPY)
        assert smallest.status_code == 200


def test_numbers_that_run_over_inside_the_model(client: Any) -> None:
    answer = client.post("/detect", content=npy(np.full((20, 6), 3e38, np.float32)), headers=NPY)
    assert answer.status_code in (200, 422)


def test_a_model_of_signals() -> None:
    localizer = make(InputConfig(kind="signals", stride=2, window=3, rate=10))
    with running(localizer) as client:
        health = client.get("/health").json()
        assert (health["kind"], health["dimension"], health["videos"]) == ("signals", None, False)
        answer = client.post("/detect", content=npy(features(30, dimension=2)), headers=NPY)
        assert answer.status_code == 200
        assert client.post("/detect", content=npy(features(2, dimension=2)), headers=NPY).status_code == 422


def test_waiting_requests_share_a_batch_and_get_what_they_get_alone() -> None:
    localizer = GatedLocalizer()
    arrays = [features(20 + i, seed=i) for i in range(5)]
    with running(localizer, batch=4) as client, ThreadPoolExecutor(5) as threads:

        def ask(i: int) -> Any:
            return client.post("/detect", content=npy(arrays[i]), headers=NPY, params={"id": str(i)})

        first = threads.submit(ask, 0)
        assert localizer.reached.wait(30)
        others = [threads.submit(ask, i) for i in range(1, 5)]
        wait_until(lambda: client.get("/health").json()["waiting"] == 4)
        localizer.gate.set()
        for i, future in enumerate([first, *others]):
            answer = future.result(30).json()
            assert answer["id"] == str(i)
            assert_same(answer["detections"], offline(arrays[i]))
        assert [len(batch) for batch in localizer.batches] == [1, 4]
        assert "untrimmed_batch_size_sum 5.0" in client.get("/metrics").text


def test_a_recording_that_breaks_the_model_does_not_harm_the_others() -> None:
    localizer = GatedLocalizer()
    with running(localizer) as client, ThreadPoolExecutor(4) as threads:

        def ask(name: str) -> Any:
            return client.post("/detect", content=GOOD, headers=NPY, params={"id": name})

        first = threads.submit(ask, "first")
        assert localizer.reached.wait(30)
        others = {name: threads.submit(ask, name) for name in ("a", "bad", "b")}
        wait_until(lambda: client.get("/health").json()["waiting"] == 3)
        localizer.gate.set()
        assert first.result(30).status_code == 200
        assert {name: each.result(30).status_code for name, each in others.items()} == {"a": 200, "bad": 500, "b": 200}
        assert others["bad"].result().json() == {"error": "a fault of the service; its log says more"}
        assert_same(others["a"].result().json()["detections"], offline(features(5)))
        assert ask("after").status_code == 200


def test_a_full_service_sends_away_and_recovers() -> None:
    localizer = GatedLocalizer()
    with running(localizer, queue=2) as client, ThreadPoolExecutor(2) as threads:
        waiting = [threads.submit(client.post, "/detect", content=GOOD, headers=NPY) for _ in range(2)]
        wait_until(lambda: client.get("/health").json()["held"] == 2)
        refused = client.post("/detect", content=GOOD, headers=NPY)
        assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (503, True)
        assert "busy" in refused.json()["error"]
        localizer.gate.set()
        assert [each.result(30).status_code for each in waiting] == [200, 200]
        assert client.get("/health").json()["held"] == 0
        assert client.post("/detect", content=GOOD, headers=NPY).status_code == 200


def test_an_answer_that_takes_too_long() -> None:
    localizer = GatedLocalizer()
    with running(localizer, timeout=0.2) as client:
        late = client.post("/detect", content=GOOD, headers=NPY)
        assert (late.status_code, "0.2 s" in late.json()["error"]) == (504, True)
        waiting = client.post("/detect", content=GOOD, headers=NPY, params={"id": "never begun"})
        assert waiting.status_code == 504
        localizer.gate.set()
        assert client.post("/detect", content=GOOD, headers=NPY).status_code == 200
        assert ["never begun"] not in localizer.batches


def test_a_service_that_is_being_stopped() -> None:
    with running() as client:
        client.app.state.work.stop()
        refused = client.post("/detect", content=GOOD, headers=NPY)
        assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
        assert (client.get("/health").status_code, client.get("/health").json()["status"]) == (503, "stopping")


def test_tokens() -> None:
    with running(token="s3cret-token") as client:
        for path in ("/detect", "/jobs/x", "/metrics", "/openapi.json", "/nothing"):
            ask = client.post if path == "/detect" else client.get
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "s3cret-token"}):
                refused = ask(path, headers=headers)
                assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        wrong = client.get("/metrics", headers={"Authorization": b"Bearer \xff"})
        assert wrong.status_code == 401
        right = {"Authorization": "Bearer s3cret-token"}
        assert client.post("/detect", content=GOOD, headers=NPY | right).status_code == 200
        assert client.get("/jobs/x", headers=right).status_code == 404
        assert client.get("/health").status_code == 200
        paths = client.get("/openapi.json", headers=right).json()["paths"]
        secured = {path: ["security" in each for each in paths[path].values()] for path in paths}
        assert secured == {"/detect": [True], "/jobs/{job}": [True] * 2, "/health": [False], "/metrics": [True]}
    for bad in ("", "two words", "ünïcode", "line\n"):
        with pytest.raises(ConfigError, match="token"):
            build_app(LOCALIZER, token=bad)


def test_what_the_schema_says_of_bodies_is_what_is_taken(client: Any) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/detect"]["post"]
    rows = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["features"]["items"]
    assert (rows["minItems"], rows["maxItems"]) == (6, 6)
    names = {each["name"]: each["schema"] for each in operation["parameters"]}
    assert set(names) == {"min_score", "top", "job", "id", "rate", "duration"}
    assert (names["min_score"]["minimum"], names["min_score"]["maximum"]) == (0, 1)


def test_web_pages_cannot_use_a_service_of_their_readers_machine(client: Any) -> None:
    page = {"Origin": "http://elsewhere.example"}
    for refused in (
        client.post("/detect", files={"file": GOOD}, headers=page),
        client.post("/detect", content=GOOD, headers=NPY | {"Origin": "null"}),
        client.get("/metrics", headers=page),
    ):
        assert (refused.status_code, "web pages" in refused.json()["error"]) == (403, True)
    assert client.get("/health", headers=page).status_code == 200
    with running(token="known") as secured:
        known = page | {"Authorization": "Bearer known"}
        assert secured.post("/detect", files={"file": GOOD}, headers=known).status_code == 200


def test_metrics_and_schema(client: Any) -> None:
    client.post("/detect", content=GOOD, headers=NPY)
    client.get("/whatever/else")
    answer = client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert 'untrimmed_requests_total{path="/detect",status="200"}' in answer.text
    assert 'untrimmed_requests_total{path="other",status="404"}' in answer.text
    for name in ("held", "waiting", "received_bytes_total", "seconds_bucket", "batch_size_count"):
        assert f"untrimmed_{name}" in answer.text
    schema = client.get("/openapi.json").json()
    assert set(schema["paths"]) == {"/detect", "/jobs/{job}", "/health", "/metrics"}
    assert set(schema["paths"]["/detect"]["post"]["responses"]) >= {
        "200",
        "202",
        "400",
        "401",
        "413",
        "415",
        "503",
        "504",
    }


def test_limits_have_to_be_positive() -> None:
    for wrong in ({"queue": 0}, {"timeout": float("nan")}, {"max_body": -1}, {"job_life": float("inf")}):
        with pytest.raises(ConfigError, match="positive"):
            Limits(**wrong)
