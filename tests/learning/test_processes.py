from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthetic import make_videos
from untrimmed.errors import ConfigError, FeatureError, ProcessError
from untrimmed.learning.processes import gathered, others_watched, processes_from, share_of_videos


def test_processes_that_others_started() -> None:
    torchrun = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}
    assert processes_from({}) is None
    assert processes_from(torchrun) == (4, 2)
    assert processes_from({"SLURM_NTASKS": "6", "SLURM_NNODES": "3", "SLURM_JOB_NAME": "train"}) == (2, 3)
    assert processes_from({"SLURM_NTASKS": "6", "SLURM_JOB_NAME": "bash"}) is None
    with pytest.raises(ConfigError, match="7 processes were started, 4 of them on this machine"):
        processes_from(torchrun | {"WORLD_SIZE": "7"})


@given(st.integers(1, 9), st.integers(1, 5))
def test_every_video_is_in_one_share(count: int, processes: int) -> None:
    videos = make_videos({"test": count})
    shares = [share_of_videos(videos, rank, processes) for rank in range(processes)]
    assert sorted(id_ for share in shares for id_ in share.videos) == sorted(videos.videos)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert all(share.labels == videos.labels for share in shares)


def test_one_process_gathers_its_own() -> None:
    assert gathered([1, 2], 1) == [1, 2]


def test_what_the_end_of_another_process_looks_like() -> None:
    closed = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:1234")
    with pytest.raises(ProcessError, match=r"another process of this run has ended.*--resume"), others_watched(2):
        raise closed
    with pytest.raises(RuntimeError, match="gloo"), others_watched(1):
        raise closed
    with pytest.raises(RuntimeError, match="shapes"), others_watched(2):
        raise RuntimeError("shapes do not fit")
    with pytest.raises(FeatureError), others_watched(2):
        raise FeatureError("x")
