"""Memory between training steps.

Each step needs the same large pieces of memory again. By default the C library gives them back to the system when they
are freed, and the system clears every page anew for the next step; that was 3 to 5 % of a step's time.
"""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Numbers of the two options of glibc's `mallopt`."""
LARGEST_PIECE = 2**28
LARGEST_PIECE_BY_DEFAULT = 2**25


@contextmanager
def keeping_memory() -> Iterator[None]:
    """Context in which memory that is freed is kept by the process, and given back at the end; on glibc only."""
    if platform.libc_ver()[0] != "glibc":
        yield
        return
    library = ctypes.CDLL(None)
    library.mallopt(TRIM_THRESHOLD, 2**31 - 1)
    library.mallopt(MMAP_THRESHOLD, LARGEST_PIECE)
    try:
        yield
    finally:
        library.mallopt(TRIM_THRESHOLD, LARGEST_PIECE_BY_DEFAULT)
        library.mallopt(MMAP_THRESHOLD, LARGEST_PIECE_BY_DEFAULT)
        library.malloc_trim(0)
