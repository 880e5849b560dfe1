"""The fused score: several scores of a video weighed into one."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import scores
from tfmds.evaluation.scores import VideoScores


@dataclasses.dataclass(frozen=True)
class FusedInput:
    """One of the scores that are fused.

    Attributes:
      score: Its name, one of `scores.MEASURED`.
      mean: Over the videos of the fit.
      scale: Standard deviation over them.
      weight: Of the score, taken from that mean in units of that scale.
    """

    score: str
    mean: float
    scale: float
    weight: float


@dataclasses.dataclass(frozen=True)
class Fusion:
    """A logistic model of scores.

    Attributes:
      inputs: The scores and their weights.
      intercept: Of the sum.
    """

    inputs: tuple[FusedInput, ...]
    intercept: float

    def __post_init__(self) -> None:
        names = [one.score for one in self.inputs]
        if not names or len({*names} & {*scores.MEASURED}) < len(names):
            raise ValueError(
                f"the fused scores are {', '.join(names) or 'none'}, expected some of"
                f" {', '.join(scores.MEASURED)}, each once"
            )
        if not all(one.scale > 0 for one in self.inputs):
            raise ValueError("a fused score has a scale that is not above 0")

    @property
    def names(self) -> tuple[str, ...]:
        """The scores that are fused."""
        return tuple(one.score for one in self.inputs)

    @property
    def summary(self) -> str:
        """The weights in one sentence."""
        weights = ", ".join(f"{one.score} {one.weight:+.3g}" for one in self.inputs)
        return f"fused score: weights by standard deviation {weights}"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the weights should know."""
        turned = [one.score for one in self.inputs if one.weight < 0]
        if not turned:
            return ()
        return (
            f"the fused score counts {', '.join(turned)} the other way round: higher"
            " should mean more likely fake, and takes from it. On few videos that is"
            " mostly chance; compare its AUC with that of each score alone",
        )

    def __call__(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """Fused scores: log odds of fake where real and fake are equally likely.

        Args:
          values: float `[n]` by the name of each score, NaN where there is none.

        Returns:
          float64 `[n]`, NaN where one of the scores is.
        """
        total = np.asarray(self.intercept, np.float64)
        for one in self.inputs:
            value = np.asarray(values[one.score], np.float64)
            total = total + one.weight * (value - one.mean) / one.scale
        return total

    def added_to(self, videos: VideoScores, where: str = "the videos") -> VideoScores:
        """The videos with their fused score.

        Raises:
          InputError: No video has one of the scores; `where` names their table.
        """
        missing = [name for name in self.names if name not in videos.scores]
        if missing:
            raise InputError(
                f"{where}: the fused score is made of {', '.join(self.names)}, and no"
                f" video has {', '.join(missing)}; score them with the model that the"
                " weights were fitted for, or fit the weights anew with"
                " python -m tfmds.select_threshold --score=fused"
            )
        fused = {scores.FUSED: self(videos.scores)}
        return dataclasses.replace(videos, scores={**videos.scores, **fused})

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)


def fit(videos: VideoScores, split: str, where: str = "the scores") -> Fusion:
    """Fits the weights on the videos of a split that have all scores.

    A logistic regression of fake against real on standardized scores, its weights
    drawn to 0 by an L2 penalty (C = 1); the classes weigh the same, however many
    there are of each.

    Args:
      videos: The table of videos; those of its `scores.MEASURED` are fused that a
        video of the split has.
      split: Train or validation.
      where: Names the table in an error.

    Raises:
      InputError: There are fewer than two scores, or a class is missing.
    """
    # scikit-learn starts slowly, and who judges only reads what was fitted.
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    some = videos.select((videos.split == split) & videos.scored)
    columns = {
        name: some.scores[name]
        for name in scores.MEASURED
        if name in some.scores and np.isfinite(some.scores[name]).any()
    }
    if len(columns) < 2:
        raise InputError(
            f"{where}: the {split} split has the scores"
            f" {', '.join(columns) or '(none)'}, and a fused score is made of two or"
            " more. Train heads (--visual_weight,"
            " --audio_weight), or measure the aligned score with --score=aligned"
        )
    values = np.column_stack([*columns.values()])
    known = np.isfinite(values).all(axis=1)
    values, fake = values[known], some.label[known] == spec.FAKE
    if fake.all() or not fake.any():
        raise InputError(
            f"{where}: the {split} split has {(~fake).sum()} real and {fake.sum()} fake"
            f" videos with all of {', '.join(columns)}; weights need both. Choose"
            " another split or score more videos"
        )
    standard = StandardScaler().fit(values)
    model = LogisticRegression(class_weight="balanced")
    model.fit(standard.transform(values), fake)
    return Fusion(
        tuple(
            FusedInput(name, float(mean), float(scale), float(weight))
            for name, mean, scale, weight in zip(
                columns, standard.mean_, standard.scale_, model.coef_[0], strict=True
            )
        ),
        float(model.intercept_[0]),
    )
