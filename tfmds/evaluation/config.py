"""What evaluation, comparison and the choice of a threshold let their users choose."""

import dataclasses

from tfmds import spec
from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import FOLDER, REQUIRED, setting
from tfmds.evaluation import (
    calibration,
    criteria,
    evaluation,
    score_pairs,
    scores,
    thresholds,
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class CoverageConfig:
    """What becomes of videos without a score."""

    min_coverage: float = setting(
        0.99, "Share of the videos that must have a score.", low=0, high=1
    )
    unscored: str = setting(
        evaluation.LEAVE_OUT,
        "Whether videos without a score are left out or count as wrong.",
        choices=evaluation.UNSCORED,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CriterionConfig:
    """By which rule a threshold is chosen."""

    criterion: str = setting(
        criteria.DEFAULT_CRITERION,
        "How the threshold is chosen; midpoint is the paper's, sweep the"
        " reproduction's.",
        choices=tuple(criteria.CRITERIA),
    )
    target: float | None = setting(
        None, "Rate that target_fpr and target_recall aim at.", low=0, high=1
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResultConfig:
    """Where figures go, and how their intervals are drawn."""

    output_dir: str = setting(REQUIRED, "Where the results go.", writes=FOLDER)
    draws: int = setting(
        1000, "How often people (groups) are drawn anew for the 95 % intervals.", low=1
    )
    seed: int = setting(0, "Seed of the draws.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class EvaluateConfig(CoverageConfig, ResultConfig):
    """What to evaluate, and how."""

    threshold: str | None = setting(
        None,
        "threshold.json of tfmds.select_threshold; without it nothing is called fake.",
    )
    split: str = setting(
        "test",
        "Split to evaluate; all for every one, with figures for each.",
        choices=(*spec.SPLITS, evaluation.ALL),
    )
    report: str | None = setting(None, "Folder for a page to send.", writes=FOLDER)
    checkpoints: str | None = setting(
        None, "Not used any more: tfmds.compare_epochs compares the epochs of a run."
    )

    def __post_init__(self) -> None:
        if self.checkpoints:
            run = app.command(
                "tfmds.compare_epochs",
                f"--run={self.checkpoints}",
                f"--output_dir={self.output_dir}",
            )
            raise InputError(f"--checkpoints is a program of its own now: {run}")

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that are evaluated."""
        return spec.SPLITS if self.split == evaluation.ALL else (self.split,)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SelectThresholdConfig(CriterionConfig):
    """How to choose the threshold."""

    split: str = setting(
        "validation", "Split to choose on; test is refused.", choices=spec.SPLITS
    )
    calibration: str = setting(
        calibration.LOGISTIC,
        "How to fit the probability of being fake; isotonic wants a thousand videos.",
        choices=calibration.KINDS,
    )
    note: tuple[str, ...] = setting(
        (),
        "What users of the threshold should know; it goes with it into exports,"
        " verdicts and reports.",
        repeated=True,
    )
    output_dir: str = setting(REQUIRED, "Where threshold.json goes.", writes=FOLDER)
    seed: int = setting(0, "Seed of the bootstrap.")

    def __post_init__(self) -> None:
        thresholds.refuse_test(self.split, "--split")


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareConfig(ResultConfig):
    """On what to compare, and where the result goes."""

    split: str = setting(
        "test", "Split to compare on.", choices=(*spec.SPLITS, evaluation.ALL)
    )
    score: tuple[str, ...] | None = setting(
        None,
        f"Which score of the files, one of {', '.join(scores.SCORES)}; two where they"
        " differ. Without it those that --thresholds are of, else mds.",
    )
    thresholds: tuple[str, ...] | None = setting(
        None, "Two threshold.json, of the first and of the second file."
    )

    def __post_init__(self) -> None:
        if self.score:
            score_pairs.check_scores(self.score)
        if self.thresholds and len(self.thresholds) != 2:
            raise InputError(
                f"--thresholds names {len(self.thresholds)} files, expected two:"
                " --thresholds=A.json,B.json"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CompareEpochsConfig(ResultConfig):
    """Which epochs to compare, and on what."""

    run: str = setting(REQUIRED, "A run of tfmds.train.")
    data_dir: str | None = setting(
        None, "Data set to score the kept checkpoints on; else training's scores."
    )
    split: str = setting(
        "validation", "Split to score, with --data_dir.", choices=spec.SPLITS
    )
    score: str | None = setting(
        None,
        "Which score of the videos; without it the one that the run was trained by."
        " Training writes mds, those of the heads it trains, visual and audio, and"
        " aligned where it chooses by it; else that is measured with --data_dir.",
        choices=scores.MEASURED,
    )

    def __post_init__(self) -> None:
        if self.split != "validation" and not self.data_dir:
            raise InputError(
                f"--split={self.split}: training scores the validation split only;"
                " name the data set with --data_dir"
            )
