from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from untrimmed.learning.allocation import keeping_memory

PROGRAM = """
import resource
import numpy as np
from untrimmed.learning.allocation import keeping_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.ones(5_000_000)  # 40 MB, which the C library maps anew each time
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

usual = faults()
with keeping_memory():
    np.ones(5_000_000)
    kept = faults()
print(usual, kept, faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")
def test_memory_is_kept_inside_and_given_back_afterwards() -> None:
    out = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout
    usual, kept, afterwards = map(int, out.split())
    assert kept < usual / 5
    assert afterwards > usual / 2


def test_it_does_nothing_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr("ctypes.CDLL", None)
    with keeping_memory():
        pass
