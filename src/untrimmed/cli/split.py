"""`untrimmed split`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from untrimmed.cli.console import show_json, show_table
from untrimmed.data.folds import fold_names, groups_by
from untrimmed.data.folds import split as split_into
from untrimmed.data.formats.activitynet import write_annotations
from untrimmed.data.formats.annotation_files import open_annotations
from untrimmed.data.formats.epic_kitchens import Task
from untrimmed.errors import ConfigError


def split(
    annotations: Path,
    /,
    *,
    out: Path,
    folds: int | None = None,
    parts: str | None = None,
    group: str | None = None,
    subset: list[str] | None = None,
    seed: int = 0,
    task: Task | None = None,
    force: bool = False,
    json: bool = False,
) -> None:
    """Split videos into subsets, with every class spread evenly, and write them as annotations.

    Examples: `untrimmed split annotations.json --parts train=0.8,val=0.2 --out split.json`;
    `untrimmed split annotations.json --folds 5 --group '^(.*?)_' --out folds.json`

    Parameters
    ----------
    annotations
        The videos, in any form that `untrimmed evaluate` reads.
    out
        File to write, ActivityNet-style JSON.
    folds
        Split into so many equal subsets, fold0, fold1 and so on.
    parts
        Split into these subsets, of these relative sizes: `train=8,val=1,test=1`.
    group
        Keep videos of one group (a person, a camera) together: a regular expression that finds the group in a video's
        id, what is in its brackets if it has any. `'^(.*?)_'` is what comes before the first underscore.
    subset
        Take only the videos of this subset; may be given several times.
    seed
        Another seed gives another split.
    task
        Which data set of EPIC-KITCHENS' own files: verb, noun or action.
    force
        Replace `--out` if it is there.
    json
        Print how many instances each subset has of each class as JSON.
    """
    if (folds is None) == (parts is None):
        raise ConfigError("say into what: either --folds 5, or --parts train=0.8,val=0.2")
    if out.suffix != ".json":
        raise ConfigError(f"--out {out}: annotations are a .json file")
    if out.exists() and not force:
        raise ConfigError(f"{out}: is there already; choose another --out, or replace it by --force")
    shares = dict.fromkeys(fold_names(folds), 1.0) if folds is not None else _shares(parts or "")
    known = open_annotations(annotations, task=task)
    known = known.of_subsets(subset) if subset else known
    made = split_into(known, shares, groups=None if group is None else groups_by(known, group), seed=seed)
    write_annotations(made, out)
    counts = {name: Counter(i.label for v in made.of_subsets([name]) for i in v.instances) for name in shares}
    if json:
        show_json({name: {"videos": made.subsets[name], "instances": dict(counts[name])} for name in shares})
        return
    rows = [[label, *(f"{counts[name][label]:,}" for name in shares)] for label in made.labels]
    videos = ["videos", *(f"{made.subsets[name]:,}" for name in shares)]
    show_table(f"{out}: instances of each class", ["class", *shares], [*rows, videos], last=True)


def _shares(text: str) -> dict[str, float]:
    """Return names and sizes of `train=8,val=2`.

    Raises:
        ConfigError: if it is no such text.
    """
    shares: dict[str, float] = {}
    for part in text.split(","):
        name, _, size = part.strip().partition("=")
        try:
            share = float(size)
        except ValueError:
            share = float("nan")
        if not name or name in shares or not share > 0:
            raise ConfigError(f"--parts {text!r}: {part.strip()!r} is not a new name and its size, as in train=8,val=2")
        shares[name] = share
    return shares
