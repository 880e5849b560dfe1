"""Criteria: rules that choose a threshold.

A criterion is a pure function from the scores of reals and of fakes to the threshold
tau; a thing is called fake where its score >= tau.
"""

import dataclasses
from collections.abc import Callable

import numpy as np

from tfmds.common.errors import InputError
from tfmds.evaluation import ranking
from tfmds.evaluation.ranking import Sample


def midpoint(real: np.ndarray, fake: np.ndarray) -> float:
    """Midpoint between the mean score of reals and of fakes (paper, section 3.5)."""
    return float((np.mean(real) + np.mean(fake)) / 2)


def sweep(real: np.ndarray, fake: np.ndarray, num_steps: int = 20) -> float:
    """The reproduction's rule: the first best step from the smallest fake on.

    Steps go to the largest real: `low + (high - low) / num_steps * i`, i < num_steps;
    the best has the highest balanced accuracy. Where the classes do not overlap it is
    the midpoint of the gap. Source: test.py of github.com/maxbonzulak/deepfake.
    """
    low, high = np.min(fake), np.max(real)
    if low > high:
        return _between(high, low)
    steps = low + (high - low) / num_steps * np.arange(num_steps)
    reals, fakes = ((s[:, np.newaxis] >= steps).sum(0) for s in (real, fake))
    # In whole numbers: rounding must not make one of two equals the better.
    return float(steps[np.argmax(fakes * len(real) - reals * len(fake))])


def youden(real: np.ndarray, fake: np.ndarray) -> float:
    """Best balanced accuracy of all thresholds."""
    cuts = Cuts.of(real, fake)
    return cuts.threshold(_middle_of_best(cuts.recall - cuts.fpr))


def equal_error_rate(real: np.ndarray, fake: np.ndarray) -> float:
    """As large a share of reals as of fakes is called wrong, as nearly as can be."""
    cuts = Cuts.of(real, fake)
    return cuts.threshold(_middle_of_best(-np.abs(cuts.fpr - (1 - cuts.recall))))


def target_fpr(real: np.ndarray, fake: np.ndarray, target: float) -> float:
    """The lowest threshold at which at most `target` of the reals is called fake."""
    cuts = Cuts.of(real, fake)
    return cuts.threshold(int(np.argmax(cuts.fpr <= target)))


def target_recall(real: np.ndarray, fake: np.ndarray, target: float) -> float:
    """The highest threshold at which at least `target` of the fakes is called fake."""
    cuts = Cuts.of(real, fake)
    return cuts.threshold(int(np.flatnonzero(cuts.recall >= target)[-1]))


CRITERIA: dict[str, Callable[..., float]] = {
    "midpoint": midpoint,
    "sweep": sweep,
    "youden": youden,
    "equal_error_rate": equal_error_rate,
    "target_fpr": target_fpr,
    "target_recall": target_recall,
}
# Criteria that aim at a given rate.
TARGETED = ("target_fpr", "target_recall")
DEFAULT_CRITERION = "equal_error_rate"


def options(criterion: str, target: float | None) -> dict[str, float]:
    """What to call a criterion with, besides the scores.

    Raises:
      InputError: There is no such criterion, or it and the target do not go together.
    """
    if criterion not in CRITERIA:
        raise InputError(
            f"the criterion is {criterion!r}, expected one of {', '.join(CRITERIA)}"
        )
    if criterion not in TARGETED:
        if target is not None:
            raise InputError(
                f"a target is given and the criterion {criterion} has none; expected"
                f" one of {', '.join(TARGETED)}"
            )
        return {}
    if target is None or not 0 <= target <= 1:
        raise InputError(
            f"the criterion {criterion} aims at a rate, expected a target from 0 to 1"
            f" such as --target=0.05, got {target}"
        )
    return {"target": target}


@dataclasses.dataclass(frozen=True)
class Cuts:
    """All the ways to cut the ordered scores in two, from "all fake" to "none".

    Attributes:
      levels: `[L]`, the scores that occur, ascending.
      fpr: `[L + 1]`, share of the reals above each cut.
      recall: `[L + 1]`, share of the fakes above each cut.
    """

    levels: np.ndarray
    fpr: np.ndarray
    recall: np.ndarray

    @classmethod
    def of(cls, real: np.ndarray, fake: np.ndarray) -> "Cuts":
        """Of the scores of reals and of fakes."""
        score = np.concatenate([real, fake])
        is_fake = np.arange(len(score)) >= len(real)
        ranked = ranking.rank(Sample(score, is_fake, np.zeros(len(score))))
        fpr, recall = ranking.roc(ranked)
        return cls(ranked.levels, fpr[::-1], recall[::-1])

    def threshold(self, cut: int) -> float:
        """Midway between the scores on both sides of a cut."""
        if cut == 0:
            return float(self.levels[0])
        if cut == len(self.levels):
            return float(np.nextafter(self.levels[-1], np.inf))
        return _between(self.levels[cut - 1], self.levels[cut])


def _between(low: float, high: float) -> float:
    middle = float((low + high) / 2)
    # Neighbouring numbers have none between; `low` itself must stay below.
    return middle if middle > low else float(high)


def _middle_of_best(merit: np.ndarray) -> int:
    """Of equally good choices the middle one: the others lie at an edge by chance."""
    best = np.flatnonzero(merit >= merit.max() - 1e-12)
    return int(best[len(best) // 2])
