"""The annotations of a data set, in whichever form its authors publish them.

- ActivityNet-style JSON, see `untrimmed.data.formats.activitynet`: a `.json` or `.json.gz` file;
- EPIC-KITCHENS-100, see `untrimmed.data.formats.epic_kitchens`: one of its CSV files of segments, or the folder;
- Ego4D's Moments Queries, see `untrimmed.data.formats.ego4d`: one of its `moments_*.json`, or the folder.
"""

from __future__ import annotations

from pathlib import Path

from untrimmed.data.annotations import Annotations
from untrimmed.data.formats import activitynet
from untrimmed.data.formats.ego4d import FeatureRows, is_moments, read_moments
from untrimmed.data.formats.epic_kitchens import Task, is_epic_kitchens, read_epic_kitchens
from untrimmed.data.formats.reading import Problem
from untrimmed.errors import AnnotationError


def open_annotations(
    path: str | Path, *, task: Task | None = None, cut_from: FeatureRows | None = None, strict: bool = True
) -> Annotations:
    """Read the annotations of a data set.

    Args:
        path: a file or folder as the module describes.
        task: which of the three data sets that EPIC-KITCHENS' files hold; no effect on others.
        cut_from: how features were cut for the clips of Moments Queries; no effect on others.
        strict: whether to refuse instances that cannot be used; otherwise they are left out.

    Raises:
        AnnotationError: if there are none, they cannot be read or understood, or hold several data sets and nothing
            says which.
    """
    path = Path(path)
    if is_epic_kitchens(path):
        if task is None:
            way_out = "name one by data.task in a configuration, or by --task"
            raise AnnotationError(f"{path}: EPIC-KITCHENS' files hold verbs, nouns and actions: {way_out}")
        return read_epic_kitchens(path, task, strict=strict)
    if is_moments(path):
        return read_moments(path, cut_from=cut_from, strict=strict)
    if path.is_dir():
        known = "the files of EPIC-KITCHENS (EPIC_100_*.csv) nor those of Ego4D (moments_*.json)"
        raise AnnotationError(f"{path}: this folder has neither {known}; name a file of annotations")
    return activitynet.read_annotations(path, strict=strict)


def open_videos(path: str | Path) -> Annotations:
    """Read the annotations of a data set for what they say of its videos.

    Of EPIC-KITCHENS, where all tasks have the same videos, the instances are those of any; instances that cannot be
    used are left out.

    Raises:
        AnnotationError: as from `open_annotations`.
    """
    return open_annotations(path, task="verb" if is_epic_kitchens(path) else None, strict=False)


def find_problems(path: str | Path) -> list[Problem]:
    """Return all reasons for which `open_annotations` refuses an ActivityNet-style file, in the order of the file.

    There are none of other files: what is wrong with them is known once they are opened.

    Raises:
        AnnotationError: if it is not JSON of this form at all.
    """
    path = Path(path)
    return [] if path.is_dir() or is_epic_kitchens(path) or is_moments(path) else activitynet.find_problems(path)
