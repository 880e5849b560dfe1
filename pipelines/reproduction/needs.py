"""What a job needs of its videos: told before it begins, and once they are read."""

import collections
import pathlib
from collections.abc import Callable, Iterable, Mapping

from pipelines import manifests
from pipelines.layouts import splits
from pipelines.reproduction.config import ReproduceConfig
from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data import manifest
from tfmds.data.config import BatchConfig
from tfmds.data.manifest import Video
from tfmds.evaluation import scores
from tfmds.training.config import TrainingConfig

# Videos by split and label.
Counts = Mapping[tuple[str, str], int]


def listed(config: ReproduceConfig, seed: int, made: pathlib.Path | None) -> Counts:
    """The videos of a job as they are listed.

    Args:
      config: What the job is told.
      seed: Chooses which group goes where.
      made: The manifest where it was made with these settings; else the folder is
        looked through.

    Raises:
      InputError: The data set cannot be read.
    """
    if made is not None:
        return count(manifest.read_manifest(made))
    source = pathlib.Path(config.input_dir)
    videos, _ = manifests.build(
        config.layout,
        source,
        source / "manifest.csv",
        splits.parse_fractions(config.split_fractions),
        seed,
        config.train_list,
        config.test_list,
    )
    return count(videos)


def count(videos: Iterable[Video]) -> Counts:
    """How many there are of each split and label."""
    return collections.Counter((video.split, video.label) for video in videos)


def takes_mismatches(config: ReproduceConfig, counts: Counts, split: str) -> bool:
    """Whether mismatches stand in for the fakes of a split.

    That is so where the user says it, and where there are real videos only.
    """
    if config.mismatches is None:
        return bool(counts[split, "real"]) and not counts[split, "fake"]
    return config.mismatches


def check(
    config: ReproduceConfig,
    counts: Counts,
    batch: BatchConfig,
    training: TrainingConfig,
    reaches: Callable[[str], bool],
    where: str,
) -> None:
    """Makes sure that the videos are what the steps to be taken need.

    Args:
      config: What the job is told.
      counts: Its videos.
      batch: How chunks are drawn.
      training: How it learns.
      reaches: Whether a step is to be taken.
      where: Names the videos in an error.

    Raises:
      InputError: A step would fail; names the setting that mends it.
    """

    def refuse(split: str, reason: str) -> None:
        real, fake = (counts[split, label] for label in spec.LABELS)
        raise InputError(
            f"{where}: the {split} split has {real} real and {fake} fake videos;"
            f" {reason}"
        )

    from_reals = training.mismatch_weight or (
        batch.self_blend and training.visual_weight
    )
    if reaches("train"):
        if not counts["train", "real"]:
            refuse("train", f"nothing is learned without real ones. {_MORE}")
        if not counts["train", "fake"] and not from_reals:
            refuse(
                "train",
                "this recipe learns from both. Add fakes, or learn from real videos"
                " alone with --flagfile=robust.flags (--mismatch_weight=1)",
            )
    for split, step, task in (
        ("validation", "threshold", "a threshold"),
        ("test", "evaluate", "an evaluation"),
    ):
        if not reaches(step):
            continue
        if takes_mismatches(config, counts, split):
            score = config.score or training.judged_by
            if score not in scores.OF_DISTANCE:
                refuse(
                    split,
                    f"mismatches are told by distances alone, and --score={score} would"
                    f" judge them. Add fakes, or --score={scores.MDS}",
                )
            if not counts[split, "real"]:
                refuse(split, f"mismatches are made of real ones. {_MORE}")
        elif not counts[split, "fake"] and counts[split, "real"]:
            refuse(
                split,
                f"{task} needs both. Add fakes, or let mismatched voices stand in for"
                " them with --mismatches",
            )
        elif not counts[split, "real"] and split == "validation":
            refuse(split, f"{task} needs real ones. {_MORE}")
        elif not counts[split, "real"] and not counts[split, "fake"]:
            refuse(split, f"{task} needs some. {_MORE}, or stop before with --until")


_MORE = "Add videos, or change the shares of the splits with --split_fractions"
