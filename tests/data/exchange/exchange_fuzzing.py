"""Damaged files: what a reader makes of them has to be timelines, or one clear error."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exchange_samples import SAMPLES, Sample

from untrimmed.data.formats.exchange.formats import FORMATS
from untrimmed.data.formats.exchange.opening import read
from untrimmed.data.formats.exchange.source import Options, Source
from untrimmed.errors import AnnotationError

ODD: list[Any] = [
    *(None, True, 0, -1, 1e308, 10**400, 1e-320, float("nan"), float("inf"), "", " ", "x", "7", "\ud800", "\x00"),
    *([], {}, [[]], [0], [1, 2], {"": ""}, {"a": [1]}, "9" * 400, "../../etc/passwd", "NA", "1:2:3:4", -1e308),
]
PIECES = [
    "\x00",
    "\n",
    "\n\n",
    ",",
    "\t",
    '"',
    "'",
    "<",
    ">",
    "&",
    "]]>",
    "<!DOCTYPE a>",
    "-->",
    "{",
    "}",
    "\\",
    "\ufeff",
]
PIECES += [
    "٣",
    "1e999",
    "nan",
    "-",
    ":",
    "99999999999999999999",
    "ts1",
    "\u2028",
    "\r",
    "[Events]",
    "Dialogue:",
    "NOTE",
]


def mutations(sample: Sample, number: int, seed: int) -> Iterator[bytes]:
    """Yield damaged copies of a file."""
    text = sample.text
    original = text.encode()
    is_json = sample.name.endswith((".json", ".boris"))
    for i in range(number):
        rng = random.Random(f"{sample.name} {seed} {i}")
        kind = rng.choice(["bytes", "cut", "delete", "repeat", "pieces", "json", "json", "json", "swap"])
        if kind == "json":
            yield _changed_json(text, rng) if is_json else _changed_values(text, rng)
        elif kind == "bytes":
            content = bytearray(original)
            for _ in range(rng.randint(1, 6)):
                content[rng.randrange(len(content))] = rng.randrange(256)
            yield bytes(content)
        elif kind == "cut":
            yield original[: rng.randrange(len(original))]
        elif kind == "delete":
            first, last = sorted(rng.randrange(len(text) + 1) for _ in range(2))
            last = min(last, first + rng.randint(1, 60))
            yield (text[:first] + text[last:]).encode()
        elif kind == "repeat":
            first = rng.randrange(len(text))
            part = text[first : first + rng.randint(1, 200)]
            yield (text[:first] + part * rng.randint(2, 5) + text[first:]).encode()
        elif kind == "swap":
            lines = text.split("\n") if "\n" in text else text.split(" ")
            a, b = rng.randrange(len(lines)), rng.randrange(len(lines))
            lines[a], lines[b] = lines[b], lines[a]
            yield ("\n" if "\n" in text else " ").join(lines).encode()
        else:
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(len(text) + 1)
                text_now = text[:at] + rng.choice(PIECES) + text[at:]
            yield text_now.encode()


def outcomes(sample: Sample, folder: Path, number: int, seed: int = 0) -> Counter[str]:
    """Read damaged copies of a file; returns how often there were timelines, a clear error, and anything else."""
    path = sample.put(folder)
    found: Counter[str] = Counter()
    for content in mutations(sample, number, seed):
        path.write_bytes(content)
        found[outcome(path, sample.format)] += 1
    return found


def outcome(path: Path, name: str) -> str:
    """Read a file, and say what came of it."""
    try:
        document = read(Source(path), FORMATS[name], Options(rate=25.0))
    except AnnotationError as error:
        message = str(error)
        return "error" if message.startswith(str(path.parent)) and len(message) < 4000 else f"unclear: {message[:300]}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    for timeline in document.timelines:
        if not timeline.video or any(mark.start > mark.end or not mark.label for mark in timeline.marks):
            return f"wrong: {timeline}"[:300]
    return "right"


def _changed_json(text: str, rng: random.Random) -> bytes:
    """Return JSON with some values, of any depth, replaced by odd ones or by each other, or without some keys."""
    content = json.loads(text)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(content))
        if not places:
            break
        holder, key = rng.choice(places)
        what = rng.random()
        if what < 0.2:
            del holder[key]
        elif what < 0.5:
            other, other_key = rng.choice(places)
            holder[key] = json.loads(json.dumps(other[other_key]))
        else:
            holder[key] = copy.deepcopy(rng.choice(ODD))
    return json.dumps(content).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from _places(value[key])


def _changed_values(text: str, rng: random.Random) -> bytes:
    """Return a text with one of its numbers or words replaced by an odd one."""
    starts = [i for i, character in enumerate(text) if character.isalnum() and not text[i - 1].isalnum()]
    at = rng.choice(starts)
    end = next((i for i in range(at, len(text)) if not (text[i].isalnum() or text[i] == ".")), len(text))
    odd = rng.choice(ODD)
    word = odd if isinstance(odd, str) else json.dumps(odd)
    return (text[:at] + word + text[end:]).encode(errors="surrogatepass")


__all__ = ["SAMPLES", "mutations", "outcome", "outcomes"]
