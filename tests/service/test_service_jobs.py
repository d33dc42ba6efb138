"""Jobs: the life of one, and how many are remembered."""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from typing import Any

import pytest
from small_service import LOCALIZER, NPY, GatedLocalizer, assert_same, features, npy, offline, running, wait_until

from untrimmed.service.bodies import Body, Facts
from untrimmed.service.jobs import Jobs
from untrimmed.service.limits import Limits
from untrimmed.service.refusals import RefusedError
from untrimmed.service.schemas import Answer
from untrimmed.service.work import Asked, Work

GOOD = npy(features(20))
JOB = {"job": "true"}


def test_the_life_of_a_job() -> None:
    localizer = GatedLocalizer()
    with running(localizer) as client:
        begun = client.post("/detect", content=GOOD, headers=NPY, params={**JOB, "id": "x", "top": 3})
        assert begun.status_code == 202
        state = begun.json()
        assert re.fullmatch(r"[\w-]{32}", state["job"])
        place = begun.headers["Location"]
        assert place == f"/jobs/{state['job']}"
        wait_until(lambda: client.get(place).json()["status"] == "detecting")
        state = client.get(place).json()
        assert (state["answer"], state["error"]) == (None, None)
        assert client.get("/health").json()["held"] == 1
        localizer.gate.set()
        wait_until(lambda: client.get(place).json()["status"] == "done")
        state = client.get(place).json()
        assert (state["progress"], state["answer"]["id"]) == (1.0, "x")
        assert_same(state["answer"]["detections"], offline(features(20))[:3])
        assert client.get("/health").json()["held"] == 0
        assert client.delete(place).status_code == 204
        for gone in (client.get(place), client.delete(place), client.get("/jobs/" + "x" * 5000)):
            assert (gone.status_code, "no such job" in gone.json()["error"]) == (404, True)
        assert 'untrimmed_jobs_total{status="done"} 1.0' in client.get("/metrics").text


def test_a_job_that_fails() -> None:
    with running() as client:
        place = client.post("/detect", content=b"nothing", headers=NPY, params=JOB).headers["Location"]
        wait_until(lambda: client.get(place).json()["status"] == "failed")
        state = client.get(place).json()
        assert (state["error_status"], "no .npy file" in state["error"]) == (400, True)


def test_a_job_that_takes_too_long_or_breaks_the_model() -> None:
    localizer = GatedLocalizer()
    with running(localizer, job_timeout=0.2, timeout=60) as client:
        place = client.post("/detect", content=GOOD, headers=NPY, params=JOB).headers["Location"]
        wait_until(lambda: client.get(place).json()["status"] == "failed")
        assert client.get(place).json()["error_status"] == 504
        localizer.gate.set()
        place = client.post("/detect", content=GOOD, headers=NPY, params={**JOB, "id": "bad"}).headers["Location"]
        wait_until(lambda: client.get(place).json()["status"] == "failed")
        assert client.get(place).json()["error"] == "a fault of the service; its log says more"
        assert client.get("/health").json()["held"] == 0


def test_a_job_that_is_stopped_is_not_begun_with() -> None:
    localizer = GatedLocalizer()
    with running(localizer, queue=2) as client:
        first = client.post("/detect", content=GOOD, headers=NPY, params=JOB).headers["Location"]
        assert localizer.reached.wait(30)
        second = client.post("/detect", content=GOOD, headers=NPY, params={**JOB, "id": "second"}).headers["Location"]
        wait_until(lambda: client.get(second).json()["status"] == "detecting")
        assert client.post("/detect", content=GOOD, headers=NPY, params=JOB).status_code == 503
        assert client.delete(second).status_code == 204
        wait_until(lambda: client.get("/health").json()["held"] == 1)
        localizer.gate.set()
        wait_until(lambda: client.get(first).json()["status"] == "done")
        assert client.post("/detect", content=GOOD, headers=NPY).status_code == 200
        assert ["second"] not in localizer.batches


def test_an_end_of_the_application_finishes_jobs() -> None:
    localizer = GatedLocalizer()
    with running(localizer) as client:
        job = client.post("/detect", content=GOOD, headers=NPY, params=JOB).json()["job"]
        work = client.app.state.work
    assert (work.jobs.get(job).status, work.held) == ("done", 0)


def test_a_job_that_is_removed_before_it_begins_is_not_held() -> None:
    async def begin_and_remove() -> None:
        work = Work(LOCALIZER, Limits())
        with ExitStack() as held:
            folder = held.enter_context(work.admitted())
            job = work.begin(Body("npy", folder / "body", 1, Facts()), Asked(), held.pop_all())
        work.jobs.remove(job.id)
        await work.finish()
        assert not folder.exists()
        work.close()

    asyncio.run(asyncio.wait_for(begin_and_remove(), 30))


def test_what_is_told_after_the_end_of_a_job_changes_nothing() -> None:
    jobs = Jobs(most=3, life=10)
    done, failed = ended(jobs), jobs.new()
    jobs.end(failed, None, RefusedError(504, "too late"))
    for job, status in ((done, "done"), (failed, "failed")):
        job.tell("decoding", (1.0, 2.0))  # by a thread that does not know yet
        assert (job.status, job.state.status) == (status, status)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def ended(jobs: Jobs) -> Any:
    job = jobs.new()
    jobs.end(job, Answer(id="", duration=1.0, detections=[]), None)
    return job


def test_finished_jobs_are_forgotten_by_age_and_by_number() -> None:
    clock = Clock()
    jobs = Jobs(most=3, life=10, clock=clock)
    at_work = jobs.new()
    first = ended(jobs)
    clock.now = 6
    later = [ended(jobs) for _ in range(2)]
    assert jobs.unfetched == 3
    clock.now = 11
    for job in (*later, at_work):
        assert jobs.get(job.id) is job
    with pytest.raises(RefusedError, match="no such job"):
        jobs.get(first.id)
    more = [ended(jobs) for _ in range(2)]
    assert jobs.unfetched == 3
    with pytest.raises(RefusedError):
        jobs.get(later[0].id)
    clock.now = 1000
    assert jobs.get(at_work.id) is at_work
    assert jobs.unfetched == 0
    assert len({job.id for job in (at_work, first, *later, *more)}) == 6
