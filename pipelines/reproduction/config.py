"""What the whole job lets its user choose, besides network and training."""

import dataclasses

from pipelines import layouts
from pipelines.reproduction import steps
from tfmds.common import flags
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.evaluation import scores
from tfmds.evaluation.config import CoverageConfig, CriterionConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReproduceConfig(CriterionConfig, CoverageConfig):
    """Which videos, what is made of them, and which steps are taken."""

    layout: str = setting(REQUIRED, f"One of {', '.join(layouts.LAYOUTS)}.")
    input_dir: str = setting(REQUIRED, "Folder of the data set.")
    workdir: str = setting(REQUIRED, "Where everything goes.", writes=FOLDER)
    from_step: str | None = setting(
        None,
        "Take this step and those after it again, done or not. What is whole in data/"
        " and run/ is kept; delete it to have it made anew.",
        choices=steps.NAMES,
        flag="from",
    )
    until: str | None = setting(None, "The last step to take.", choices=steps.NAMES)
    dry_run: bool = setting(
        False, "Prints what would be done, and how long it may take."
    )
    train_list: str | None = setting(
        None, "DFDC: the authors' list of fakes for training."
    )
    test_list: str | None = setting(
        None, "DFDC: a list of fakes for the test, as --train_list."
    )
    audio_altered: str | None = setting(
        None,
        "DFDC: a table of fakes with the columns train_mp4 and audio_altered; says"
        " which stream of a fake was forged.",
    )
    split_fractions: tuple[str, ...] = setting(
        ("0.6", "0.15", "0.25"),
        "Shares of train, validation and test, where the data set does not state them.",
    )
    crop_size: int | None = setting(
        None,
        "Side of the stored face crops in pixels; without it what the network sees of"
        " them at its --image_size.",
        low=32,
    )
    mismatches: bool | None = setting(
        None,
        "Whether real mouths with other or shifted voices stand in for fakes in"
        " validation and test; without it where these have real videos only.",
    )
    score: str | None = setting(
        None,
        "What videos are judged by; without it the score that training chooses by.",
        choices=tuple(scores.SCORES),
    )

    def __post_init__(self) -> None:
        flags.check(self)
