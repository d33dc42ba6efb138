from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from untrimmed.allocation import give_back_memory, keep_freed_memory

PROGRAM = """
import resource
import numpy as np
from untrimmed.allocation import give_back_memory, keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(5_000_000)  # 40 MB, which the C library maps anew each time
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

usual = faults()
keep_freed_memory()
np.ones(5_000_000)
kept, held_then = faults(), held()
give_back_memory()
print(usual, kept, held_then - held())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_memory_is_kept_until_it_is_given_back() -> None:
    out = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    usual, kept, given_back = map(int, out.split())
    assert kept < usual / 5
    assert given_back > 30_000


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", None)
    keep_freed_memory()
    give_back_memory()
