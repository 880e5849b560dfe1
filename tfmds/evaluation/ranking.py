"""Rankings: how many fakes and reals stand at each level of a score.

Fake is the positive class. Leading axes of a ranking may be bootstrap draws: what is
computed of it is then a value per draw, and no draw sorts anything again.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Sample:
    """Things with a score, `n` of them.

    Attributes:
      score: float64 `[n]`, higher = more likely fake; infinite where a thing has none
        and counts as wrong.
      fake: bool `[n]`.
      group: int64 `[n]`, number of the group, below the number of groups.
    """

    score: np.ndarray
    fake: np.ndarray
    group: np.ndarray

    def select(self, mask: np.ndarray) -> "Sample":
        """The things of a boolean mask."""
        return Sample(self.score[mask], self.fake[mask], self.group[mask])


@dataclasses.dataclass(frozen=True)
class Ranking:
    """How many things stand at each level of the score, levels ascending.

    Attributes:
      levels: float64 `[L]`, a score of each level.
      fake: float64 `[..., L]`, fakes at each level.
      real: float64 `[..., L]`, reals at each level.
    """

    levels: np.ndarray
    fake: np.ndarray
    real: np.ndarray


@dataclasses.dataclass(frozen=True)
class Confusion:
    """What was called what at a threshold, float64 `[...]` each."""

    fakes_called_fake: np.ndarray
    fakes_called_real: np.ndarray
    reals_called_fake: np.ndarray
    reals_called_real: np.ndarray


def rank(sample: Sample) -> Ranking:
    """Counts at every score that occurs."""
    levels, at = np.unique(sample.score, return_inverse=True)
    return Ranking(
        levels=levels,
        fake=np.bincount(at, sample.fake, minlength=len(levels)),
        real=np.bincount(at, ~sample.fake, minlength=len(levels)),
    )


def roc(ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate `[..., L + 1]`, from the highest threshold on."""
    return _rates(ranking.real), _rates(ranking.fake)


def confusion(ranking: Ranking, threshold: float) -> Confusion:
    """Counts where everything at `threshold` or above is called fake.

    Exact where no level spans the threshold, as in every ranking made here.
    """
    first = np.searchsorted(ranking.levels, threshold, "left")
    return Confusion(
        fakes_called_fake=ranking.fake[..., first:].sum(-1),
        fakes_called_real=ranking.fake[..., :first].sum(-1),
        reals_called_fake=ranking.real[..., first:].sum(-1),
        reals_called_real=ranking.real[..., :first].sum(-1),
    )


def _rates(counts: np.ndarray) -> np.ndarray:
    """Share at or above each level, from the highest on, with a leading 0."""
    above = np.cumsum(counts[..., ::-1], -1)
    rates = ratio(above, above[..., -1:])
    return np.concatenate([np.zeros_like(rates[..., :1]), rates], -1)


def ratio(
    above: np.ndarray, below: np.ndarray, otherwise: float = np.nan
) -> np.ndarray:
    """Quotient of arrays, `otherwise` where the lower one is 0."""
    below = np.broadcast_to(below, np.shape(above))
    return np.divide(
        above,
        below,
        out=np.full(np.shape(above), otherwise, np.float64),
        where=below != 0,
    )
