"""Calibration: from a score to the probability of being fake.

The probability is that for a video that is as likely real as fake before one looks:
the classes weigh the same in the fit, however many there are of each.
"""

import dataclasses
from typing import Any, Literal

import numpy as np

LOGISTIC = "logistic"
ISOTONIC = "isotonic"
KINDS = (LOGISTIC, ISOTONIC)


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A rising curve from score to probability.

    Attributes:
      kind: `logistic`: 1 / (1 + exp(-(slope * score + intercept))); `isotonic`: the
        line through the points, level outside.
      slope: Of the logistic curve.
      intercept: Of the logistic curve.
      points: Score and probability of each corner of the isotonic line.
    """

    kind: Literal["logistic", "isotonic"]
    slope: float = 0.0
    intercept: float = 0.0
    points: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if (self.kind == ISOTONIC) != bool(self.points):
            raise ValueError(f"a calibration with {len(self.points)} points")

    def __call__(self, score: np.ndarray) -> np.ndarray:
        """Probability of being fake, float64 of the shape of `score`."""
        score = np.asarray(score, np.float64)
        if self.kind == ISOTONIC:
            scores, probabilities = zip(*self.points, strict=True)
            return np.interp(score, scores, probabilities)
        if not self.slope:
            # A video without a score has an infinite one, and 0 times that is NaN.
            score = np.zeros_like(score)
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-(self.slope * score + self.intercept)))

    def to_json(self) -> dict[str, Any]:
        """The fields that the kind uses."""
        if self.kind == ISOTONIC:
            return {"kind": self.kind, "points": [list(p) for p in self.points]}
        return {"kind": self.kind, "slope": self.slope, "intercept": self.intercept}


def fit(real: np.ndarray, fake: np.ndarray, kind: str = LOGISTIC) -> Calibration:
    """Fits the probability of being fake on scores of both classes.

    The logistic curve is fitted to Platt's smoothed targets, which keep it finite
    where the classes do not overlap.

    Args:
      real: Scores of reals, one or more.
      fake: Scores of fakes, one or more.
      kind: `logistic` for few videos, `isotonic` for a thousand or more.
    """
    score = np.concatenate([real, fake])
    is_fake = np.repeat([0.0, 1.0], [len(real), len(fake)])
    weight = np.repeat([0.5 / len(real), 0.5 / len(fake)], [len(real), len(fake)])
    return (_isotonic if kind == ISOTONIC else _logistic)(score, is_fake, weight)


def _logistic(score: np.ndarray, fake: np.ndarray, weight: np.ndarray) -> Calibration:
    # scikit-learn starts slowly, and who judges only reads what was fitted.
    from sklearn.linear_model import LogisticRegression

    fakes = fake.sum()
    target = np.where(fake == 1, (fakes + 1) / (fakes + 2), 1 / (len(fake) - fakes + 2))
    centre, spread = float(score.mean()), float(score.std()) or 1.0
    inputs = ((score - centre) / spread)[:, np.newaxis]
    # A target between 0 and 1 is the same thing seen as both, with weights.
    model = LogisticRegression(C=np.inf)
    model.fit(
        np.concatenate([inputs, inputs]),
        np.repeat([1, 0], len(score)),
        np.concatenate([weight * target, weight * (1 - target)]) * len(score),
    )
    # A score that ranks the wrong way round tells nothing; it must not tell the
    # opposite of the verdict.
    slope = max(float(model.coef_[0, 0]) / spread, 0.0)
    intercept = float(model.intercept_[0]) - slope * centre if slope else 0.0
    return Calibration("logistic", slope=slope, intercept=intercept)


def _isotonic(score: np.ndarray, fake: np.ndarray, weight: np.ndarray) -> Calibration:
    # As above.
    from sklearn.isotonic import IsotonicRegression

    model = IsotonicRegression(y_min=0, y_max=1).fit(score, fake, weight)
    points = zip(
        model.X_thresholds_.tolist(), model.y_thresholds_.tolist(), strict=True
    )
    return Calibration("isotonic", points=tuple(points))
