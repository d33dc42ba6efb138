from __future__ import annotations

import pytest

from untrimmed.cli.sizes import byte_count
from untrimmed.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1500000000", 1_500_000_000),
        ("1.5GB", 1_500_000_000),
        ("1.5 gb", 1_500_000_000),
        (" 20KB ", 20_000),
        ("0.5MB", 500_000),
        ("1KiB", 1024),
        ("3MiB", 3 * 2**20),
        ("1.5GiB", 3 * 2**29),
        ("2TB", 2 * 10**12),
        ("7B", 7),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert byte_count(text, "--max-memory") == expected


@pytest.mark.parametrize(
    "text",
    ["", "much", "1.5 gigs", "-1GB", "GB", "1,5GB", "0", "0GB", "0.1B", "1e9", "nan", "inf", "1GB 2", "1G"],
)
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--max-memory is '.*', but has to be a size such as 1\.5GB, "):
        byte_count(text, "--max-memory")


def test_a_size_that_is_beyond_all_numbers() -> None:
    with pytest.raises(ConfigError, match="has to be a size"):
        byte_count("9" * 400, "--max-memory")
