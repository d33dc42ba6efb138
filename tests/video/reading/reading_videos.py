"""Reads the videos that it is given, in a process of its own: a crash of FFmpeg then ends this one, and is seen.

Prints a line of JSON for each: what came of it, how long it took, and how many sampled frames there were.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import traceback

from untrimmed.errors import VideoError
from untrimmed.video.reading.reader import VideoFile
from untrimmed.video.view import View

VIEWS = (View(32, 32, 40), View(27, 48, every=2))
MEMORY = 3 << 30  # of addresses; far more than any of them needs


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for path in sys.argv[1:]:
        began, frames, outcome, message = time.monotonic(), 0, "read", ""
        try:
            with VideoFile(path) as video:
                for _ in video.sampled(8, VIEWS):
                    frames += 1
        except VideoError as error:
            outcome, message = "refused", str(error)
        except BaseException:
            outcome, message = "raised", traceback.format_exc()
        seconds = time.monotonic() - began
        print(json.dumps({"outcome": outcome, "message": message, "seconds": seconds, "frames": frames}), flush=True)


if __name__ == "__main__":
    main()
