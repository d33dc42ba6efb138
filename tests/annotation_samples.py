"""Small annotations as EPIC-KITCHENS and Ego4D publish theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

KITCHEN = {
    "EPIC_100_validation.csv": "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
    "P1_0,P1,00:00:01.00,00:00:02.50,1,0\n",
    "EPIC_100_verb_classes.csv": "id,key\n0,take\n1,put\n",
    "EPIC_100_noun_classes.csv": "id,key\n0,tap\n",
    "EPIC_100_video_info.csv": "video_id,duration,fps\nP1,10,50\n",
}
CLIP: dict[str, Any] = {
    "clip_uid": "c",
    "video_start_sec": 1.0,
    "video_end_sec": 11.0,
    "video_start_frame": 30,
    "video_end_frame": 330,
    "annotations": [{"labels": [{"label": "wash", "primary": True, "start_time": 2, "end_time": 3}]}],
}


def write_kitchen(folder: Path) -> Path:
    """Write a data set in the form of EPIC-KITCHENS-100: one segment, of verb 1 (put) and noun 0 (tap)."""
    folder.mkdir()
    for name, text in KITCHEN.items():
        (folder / name).write_text(text)
    return folder


def write_moments(folder: Path) -> Path:
    """Write a data set in the form of Moments Queries: one clip, from frame 30 of its video, with one instance."""
    folder.mkdir()
    content = {"videos": [{"video_uid": "v", "split": "val", "clips": [CLIP]}]}
    (folder / "moments_val.json").write_text(json.dumps(content))
    return folder
