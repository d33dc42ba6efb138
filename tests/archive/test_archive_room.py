"""How the cores of a cluster are shared between workers and their decoders, and who may be beside whom."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from untrimmed.archive import cluster
from untrimmed.archive.attempts import Gate
from untrimmed.archive.cluster import ClusterConfig, Room, room_for
from untrimmed.cli.archive import ray_cluster
from untrimmed.errors import ConfigError

Nodes = list[dict[str, int]]


def room(config: ClusterConfig, nodes: Nodes, device: str = "auto", *, decoding: bool = True) -> Room:
    with pytest.MonkeyPatch.context() as patch:
        alive = [{"Alive": True, "Resources": node} for node in nodes]
        patch.setattr(cluster, "_imported", lambda: SimpleNamespace(nodes=lambda: alive))
        return room_for(config, device, decoding=decoding)[0]


TWO: Nodes = [{"CPU": 2}]
GPUS: Nodes = [{"CPU": 16, "GPU": 2}, {"CPU": 8}]


@pytest.mark.parametrize(
    ("config", "nodes", "expected"),
    [
        (ClusterConfig(), TWO, Room(1, 2, 1, 0)),
        (ClusterConfig(decoders=0), TWO, Room(1, 2, 1, 0)),
        (ClusterConfig(decoders=1), TWO, Room(1, 1, 1, 0, 1)),
        (ClusterConfig(decoders=4), TWO, Room(1, 1, 1, 0, 1)),
        (ClusterConfig(decoders=2), [{"CPU": 4}, {"CPU": 4}], Room(1, 2, 1, 0, 2)),
        (ClusterConfig(), GPUS, Room(1, 2, 1, 1, 4)),
        (ClusterConfig(), [{"CPU": 3, "GPU": 1}], Room(1, 1, 1, 1, 2)),
        (ClusterConfig(), [{"CPU": 1, "GPU": 1}], Room(1, 1, 1, 1)),  # nobody has asked for decoders
        (ClusterConfig(decoders=8), GPUS, Room(1, 2, 1, 1, 8)),
        (ClusterConfig(decoders=1, workers=(1, 9)), [{"CPU": 6}], Room(1, 3, 1, 0, 1)),
        (ClusterConfig(decoders=4, workers=(2, 2)), [{"CPU": 6}], Room(2, 2, 1, 0, 2)),
        (ClusterConfig(decoders=4, workers=(2, 9), address="auto"), [{"CPU": 6}], Room(2, 9, 1, 0, 2)),
        (ClusterConfig(decoders=4, workers=(2, 9), address="auto"), [{"CPU": 0}], Room(2, 9, 1, 0, 4)),  # it grows
    ],
)
def test_workers_and_decoders_share_the_cores(config: ClusterConfig, nodes: Nodes, expected: Room) -> None:
    assert room(config, nodes) == expected


def test_features_need_no_decoders() -> None:
    assert room(ClusterConfig(decoders=4), TWO, decoding=False) == Room(1, 2, 1, 0)


@given(
    st.integers(1, 40),
    st.integers(1, 4),
    st.integers(0, 9),
    st.none() | st.tuples(st.integers(1, 5), st.integers(5, 9)),
)
def test_what_is_granted_fits(cores: int, threads: int, decoders: int, workers: tuple[int, int] | None) -> None:
    config = ClusterConfig(threads=threads, decoders=decoders, workers=workers)
    if cores < (workers[0] if workers else 1) * (threads + (1 if decoders else 0)) and (decoders or not workers):
        with pytest.raises(ConfigError, match=r"for a worker|are needed"):
            room(config, [{"CPU": cores}])
        return
    granted = room(config, [{"CPU": cores}])
    assert granted.decoders <= decoders
    assert (granted.decoders > 0) == (decoders > 0)
    if decoders:
        assert granted.least * (threads + granted.decoders) <= cores
        assert granted.most == granted.least or granted.most * (threads + granted.decoders) <= cores


@pytest.mark.parametrize(
    ("config", "nodes", "message"),
    [
        (ClusterConfig(decoders=1), [{"CPU": 1}], "has 1 core, but the worker takes 1, and 1 for a decoder: 2 are"),
        (ClusterConfig(decoders=1, threads=2), TWO, "has 2 cores, but the worker takes 2, and 1 for a decoder: 3 are"),
        (
            ClusterConfig(decoders=1, workers=(2, 2)),
            TWO,
            "each of 2 workers takes 1, and 1 for a decoder: 4 are needed",
        ),
    ],
)
def test_no_room_for_a_decoder(config: ClusterConfig, nodes: Nodes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        room(config, nodes)


def test_a_number_of_decoders_is_not_below_0() -> None:
    with pytest.raises(ConfigError, match="decoders is -1, but has to be 0 or more"):
        ClusterConfig(decoders=-1)


def test_the_option_of_decoders() -> None:
    assert ray_cluster("local", "2", None, 3, None) == ClusterConfig(workers=(2, 2), decoders=3)
    assert ray_cluster("local", None, None, None, None) == ClusterConfig()
    with pytest.raises(ConfigError, match="--decoders has an effect with --ray only: leave it out"):
        ray_cluster(None, None, None, 0, None)


def test_one_that_is_alone_has_nobody_beside_it() -> None:
    gate = Gate()
    inside: list[str] = []
    together = 0

    def pass_it(number: int) -> None:
        nonlocal together
        alone = number % 3 == 0
        with gate.alone() if alone else gate.with_others():
            inside.append("alone" if alone else "other")
            assert not alone or len(inside) == 1
            together = max(together, len(inside))
            time.sleep(0.002)
            assert not alone or len(inside) == 1
            inside.pop()

    with ThreadPoolExecutor(8) as threads:
        for _ in threads.map(pass_it, range(60)):
            pass
    assert together > 1
