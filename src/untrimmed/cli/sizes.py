"""Sizes in bytes, as people write them."""

from __future__ import annotations

import re

from untrimmed.errors import ConfigError

UNITS = {"": 1, "B": 1} | {
    f"{prefix}{'iB' if base == 1024 else 'B'}": base**power
    for base in (1000, 1024)
    for power, prefix in enumerate("KMGT", start=1)
}
"""Bytes of each unit: KB is 1,000 of them, KiB is 1,024."""

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,15})?)\s*([A-Za-z]*)", re.ASCII)
_BY_NAME = {unit.upper(): size for unit, size in UNITS.items()}


def byte_count(text: str, option: str) -> int:
    """Return the bytes that a size such as `1.5GB`, `900 MiB` or `1500000000` is.

    Raises:
        ConfigError: if it is none; the message names `option`.
    """
    found = _SIZE.fullmatch(text.strip())
    unit = None if found is None else _BY_NAME.get(found[2].upper())
    size = 0 if found is None or unit is None else int(float(found[1]) * unit)
    if not size:
        raise ConfigError(
            f"{option} is {text!r}, but has to be a size such as 1.5GB, 900MiB or, in bytes, 1500000000; "
            f"units are {', '.join(filter(None, UNITS))}"
        )
    return size
