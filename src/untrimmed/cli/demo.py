"""`untrimmed demo`."""

from __future__ import annotations

from pathlib import Path

from untrimmed.cli.console import show_score, show_table
from untrimmed.cli.train import TrainingBar, stop_politely
from untrimmed.detection.localizer import Localizer
from untrimmed.evaluation.mean_ap import mean_average_precision
from untrimmed.experiment.config import load_config
from untrimmed.experiment.evaluation import detect_all, evaluation_data
from untrimmed.experiment.run_folder import is_run
from untrimmed.experiment.training import train

RECIPE = "timed_up_and_go"


def demo(*, out: Path = Path("runs/demo"), epochs: int = 30) -> None:
    """Train, score and use a model on recordings that ship with the package.

    23 people stand up, walk, turn and sit down with a phone in the pocket. A model is trained on 19 of them, is scored
    on the 4 others, and detects what one of these does. Takes a minute or two. A demo that was interrupted goes on.

    Example: `untrimmed demo`

    Parameters
    ----------
    out
        Folder of the run.
    epochs
        Epochs to train, a sixth of them to warm up; fewer are faster and worse.
    """
    warmup = epochs // 6
    config = load_config(RECIPE, {"training.epochs": epochs - warmup, "training.warmup_epochs": warmup})
    with stop_politely(f"untrimmed demo --out {out} --epochs {epochs}", out), TrainingBar() as shown:
        train(config, out, resume=is_run(out), watchers=[shown])
    localizer = Localizer.load(out)
    data = evaluation_data(out, localizer)
    found = {each.video_id: each for each in detect_all(localizer, data.truth, data.inputs)}
    title = "People that the model has never seen: average precision by tIoU, %"
    show_score(title, mean_average_precision(data.truth, found, data.tious))
    video = next(iter(data.truth))
    rows = [(d.label, f"{d.start:.2f}", f"{d.end:.2f}", f"{d.score:.2f}") for d in found[video.id].above(0.3)]
    show_table(f"Detected in {video.id}", ["label", "start, s", "end, s", "score"], rows)
    truth = [(i.label, f"{i.start:.2f}", f"{i.end:.2f}") for i in video.instances]
    show_table(f"What a person had marked in {video.id}", ["label", "start, s", "end, s"], truth)
    print(f"The model is in {out}. Next: `untrimmed detect {out} RECORDING.npy`, or `untrimmed recipes {RECIPE}`")
