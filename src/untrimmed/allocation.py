"""Memory that is freed and needed again a moment later.

Every training step and every detection needs the same large pieces of memory as the one before. By default the C
library gives them back to the system when they are freed, and the system clears every page of them anew, which takes up
to a tenth of the time.
"""

from __future__ import annotations

import ctypes
import platform

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Numbers of the two options of glibc's `mallopt`."""
LARGEST_PIECE = 2**28
LARGEST_REST = 2**31 - 1


def keep_freed_memory() -> None:
    """From now on, let this process keep the memory that it frees, for what it needs next; on glibc only."""
    if _on_glibc():
        library = ctypes.CDLL(None)
        library.mallopt(TRIM_THRESHOLD, LARGEST_REST)
        library.mallopt(MMAP_THRESHOLD, LARGEST_PIECE)


def give_back_memory() -> None:
    """Give the memory that has been kept back to the system."""
    if _on_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _on_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"
