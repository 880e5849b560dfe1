"""Metrics: how well a score ranks fakes above reals, and how sure that is.

Fake is the positive class. A metric is a pure function of a `Ranking`, which counts
fakes and reals at each level of the score. Its leading axes may be bootstrap draws:
the same function then answers a value per draw, and no draw sorts anything again.
"""

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

# The share of draws that an interval holds.
CONFIDENCE = 0.95
# Up to this false positive rate the partial AUC looks.
MAX_FPR = 0.1

# Intervals are made on so many levels at most, values on all.
_MAX_LEVELS = 2048
_DRAWS_AT_ONCE = 100
# An interval needs this share of the draws to have a value.
_MIN_DEFINED = 0.9


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A figure with its interval, or the reason why there is none.

    Attributes:
      value: The figure, None where it cannot be said.
      interval: 95 % by bootstrap over groups, None where it cannot be said.
      reason: Why the value or the interval is absent, else empty.
    """

    value: float | None
    interval: tuple[float, float] | None = None
    reason: str = ""

    def __str__(self) -> str:
        if self.value is None:
            return "-"
        if isinstance(self.value, int):
            return str(self.value)
        if self.interval is None:
            return f"{self.value:.2f}"
        low, high = self.interval
        digits = 2 if high - low > 0.02 else 3
        return f"{self.value:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"

    def is_below(self, level: float) -> bool:
        """Whether the figure, as surely as it is known, is below a level."""
        if self.value is None:
            return False
        return (self.interval[1] if self.interval else self.value) < level

    def to_json(self) -> dict[str, float | str | None]:
        """`value`, `low`, `high`, and `reason` where something is absent."""
        low, high = self.interval or (None, None)
        fields = {"value": self.value, "low": low, "high": high}
        return fields | ({"reason": self.reason} if self.reason else {})


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


# --------------------------------------------------------------------------------------
# Without a threshold. NaN where a metric is not defined.


def roc(ranking: Ranking) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rate `[..., L + 1]`, from the highest threshold on."""
    return _rates(ranking.real), _rates(ranking.fake)


def auc(ranking: Ranking) -> np.ndarray:
    """Probability that a fake scores above a real; a tie counts one half."""
    below = np.cumsum(ranking.real, -1) - ranking.real / 2
    pairs = ranking.fake.sum(-1) * ranking.real.sum(-1)
    return _ratio((ranking.fake * below).sum(-1), pairs)


def partial_auc(ranking: Ranking, max_fpr: float = MAX_FPR) -> np.ndarray:
    """Area below the ROC up to `max_fpr`, scaled so that chance is 0.5 (McClish)."""
    fpr, tpr = roc(ranking)
    left, right = fpr[..., :-1], np.minimum(fpr[..., 1:], max_fpr)
    width = np.maximum(right - left, 0)
    slope = _ratio(np.diff(tpr), np.diff(fpr), otherwise=0)
    area = (width * (tpr[..., :-1] + slope * width / 2)).sum(-1)
    chance = max_fpr**2 / 2
    scaled = (1 + (area - chance) / (max_fpr - chance)) / 2
    return np.where(np.isnan(auc(ranking)), np.nan, scaled)


def average_precision(ranking: Ranking) -> np.ndarray:
    """Precision at each fake's rank, averaged; its chance level is the fakes' share."""
    fakes = np.cumsum(ranking.fake[..., ::-1], -1)
    called = fakes + np.cumsum(ranking.real[..., ::-1], -1)
    precision = _ratio(fakes, called, otherwise=0)
    total = (precision * ranking.fake[..., ::-1]).sum(-1)
    value = _ratio(total, ranking.fake.sum(-1))
    return np.where(ranking.real.sum(-1) > 0, value, np.nan)


def equal_error_rate(ranking: Ranking) -> np.ndarray:
    """Error rate where as large a share of reals as of fakes is called wrong."""
    fpr, tpr = roc(ranking)
    excess = fpr - (1 - tpr)
    at = np.argmax(excess >= 0, -1)[..., np.newaxis]
    before = np.maximum(at - 1, 0)
    low = np.take_along_axis(excess, before, -1)
    high = np.take_along_axis(excess, at, -1)
    share = _ratio(-low, high - low, otherwise=0)
    start = np.take_along_axis(fpr, before, -1)
    value = (start + share * (np.take_along_axis(fpr, at, -1) - start))[..., 0]
    return np.where(np.isnan(auc(ranking)), np.nan, value)


# --------------------------------------------------------------------------------------
# At a threshold.


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


def accuracy(c: Confusion) -> np.ndarray:
    """Share that is called what it is."""
    right = c.fakes_called_fake + c.reals_called_real
    return _ratio(right, right + c.fakes_called_real + c.reals_called_fake)


def recall(c: Confusion) -> np.ndarray:
    """Share of the fakes that is called fake."""
    return _ratio(c.fakes_called_fake, c.fakes_called_fake + c.fakes_called_real)


def false_positive_rate(c: Confusion) -> np.ndarray:
    """Share of the reals that is called fake."""
    return _ratio(c.reals_called_fake, c.reals_called_fake + c.reals_called_real)


def balanced_accuracy(c: Confusion) -> np.ndarray:
    """Mean of the share of fakes and the share of reals that are called right."""
    return (recall(c) + 1 - false_positive_rate(c)) / 2


def precision(c: Confusion) -> np.ndarray:
    """Share of what is called fake that is fake."""
    return _ratio(c.fakes_called_fake, c.fakes_called_fake + c.reals_called_fake)


def f1(c: Confusion) -> np.ndarray:
    """Harmonic mean of precision and recall."""
    wrong = c.fakes_called_real + c.reals_called_fake
    value = _ratio(2 * c.fakes_called_fake, 2 * c.fakes_called_fake + wrong)
    return np.where(np.isnan(balanced_accuracy(c)), np.nan, value)


def mcc(c: Confusion) -> np.ndarray:
    """Matthews correlation of what is called fake with what is fake."""
    tp, fn = c.fakes_called_fake, c.fakes_called_real
    fp, tn = c.reals_called_fake, c.reals_called_real
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return _ratio(tp * tn - fp * fn, np.sqrt(margins))


def detection_cost(
    c: Confusion,
    cost_real: float = 1.0,
    cost_fake: float = 10.0,
    share_fake: float = 0.05,
) -> np.ndarray:
    """Expected cost of the errors, 1 for the better of calling all one thing.

    The defaults are those of the ASVspoof 5 challenge (detection track).

    Args:
      c: The counts.
      cost_real: What a real called fake costs.
      cost_fake: What a fake called real costs.
      share_fake: How many of the things met in use are fake.
    """
    real = cost_real * (1 - share_fake)
    fake = cost_fake * share_fake
    cost = real * false_positive_rate(c) + fake * (1 - recall(c))
    return cost / min(real, fake)


AT_THRESHOLD: dict[str, Callable[[Confusion], np.ndarray]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "precision": precision,
    "recall": recall,
    "false_positive_rate": false_positive_rate,
    "f1": f1,
    "mcc": mcc,
    "detection_cost": detection_cost,
}
WITHOUT_THRESHOLD: dict[str, Callable[[Ranking], np.ndarray]] = {
    "auc": auc,
    "partial_auc": partial_auc,
    "average_precision": average_precision,
    "equal_error_rate": equal_error_rate,
}


# --------------------------------------------------------------------------------------
# Of a probability.


def brier_score(ranking: Ranking, probability: np.ndarray) -> np.ndarray:
    """Mean squared difference of the probability of being fake and the truth."""
    return _mean_cost(ranking, (1 - probability) ** 2, probability**2)


def log_loss(ranking: Ranking, probability: np.ndarray) -> np.ndarray:
    """Mean negative log of the probability given to the truth, in nats."""
    with np.errstate(divide="ignore"):
        return _mean_cost(ranking, -np.log(probability), -np.log1p(-probability))


def reliability(
    ranking: Ranking, probability: np.ndarray, num_bins: int = 10
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often a thing is fake where it was said to be so with a probability.

    Args:
      ranking: The counts.
      probability: `[L]`, of being fake at each level.
      num_bins: Bins of equal width from 0 to 1.

    Returns:
      Mean probability, share of fakes and number of things, `[..., num_bins]` each;
      NaN, NaN and 0 in an empty bin.
    """
    bins = np.minimum((probability * num_bins).astype(int), num_bins - 1)
    member = (bins[:, np.newaxis] == np.arange(num_bins)).astype(float)
    total = ranking.fake + ranking.real
    count = total @ member
    return (
        _ratio((total * probability) @ member, count),
        _ratio(ranking.fake @ member, count),
        count,
    )


def expected_calibration_error(
    ranking: Ranking, probability: np.ndarray, num_bins: int = 10
) -> np.ndarray:
    """Mean distance of said probability and share of fakes over the bins."""
    said, found, count = reliability(ranking, probability, num_bins)
    gap = np.where(count > 0, np.abs(said - found), 0)
    return _ratio((count * gap).sum(-1), count.sum(-1))


OF_PROBABILITY: dict[str, Callable[[Ranking, np.ndarray], np.ndarray]] = {
    "brier_score": brier_score,
    "log_loss": log_loss,
    "expected_calibration_error": expected_calibration_error,
}


# --------------------------------------------------------------------------------------
# Values and intervals.


def rank(sample: Sample) -> Ranking:
    """Counts at every score that occurs."""
    levels, at = np.unique(sample.score, return_inverse=True)
    return Ranking(
        levels=levels,
        fake=np.bincount(at, sample.fake, minlength=len(levels)),
        real=np.bincount(at, ~sample.fake, minlength=len(levels)),
    )


@dataclasses.dataclass(frozen=True)
class Bootstrap:
    """Draws of groups with replacement: things of one group are not independent.

    Attributes:
      weights: uint8 `[draws, groups]`, how often each draw holds each group.
    """

    weights: np.ndarray

    @classmethod
    def draw(cls, num_groups: int, num_draws: int = 1000, seed: int = 0) -> "Bootstrap":
        """As many groups as there are, `num_draws` times."""
        rng = np.random.default_rng(seed)
        weights = np.zeros((num_draws, num_groups), np.uint8)
        for row in weights:
            drawn = rng.integers(num_groups, size=num_groups)
            row[:] = np.bincount(drawn, minlength=num_groups)
        return cls(weights)

    def rankings(self, sample: Sample, threshold: float | None) -> Iterator[Ranking]:
        """The ranking of each draw, some draws at a time."""
        levels, at = _levels(sample.score, threshold)
        shape = self.weights.shape[1], len(levels)
        ones = np.ones(len(at), np.float32)
        by_group = [
            sparse.csr_matrix(
                (ones[mask], (sample.group[mask], at[mask])), shape=shape
            ).T.tocsr()
            for mask in (sample.fake, ~sample.fake)
        ]
        for start in range(0, len(self.weights), _DRAWS_AT_ONCE):
            block = self.weights[start : start + _DRAWS_AT_ONCE].T.astype(np.float32)
            fake, real = (
                np.ascontiguousarray((counts @ block).T, dtype=np.float64)
                for counts in by_group
            )
            yield Ranking(levels, fake, real)


def evaluate(
    sample: Sample,
    *,
    threshold: float | None = None,
    probability: Callable[[np.ndarray], np.ndarray] | None = None,
    bootstrap: Bootstrap | None = None,
) -> Iterator[tuple[str, Estimate]]:
    """Yields each metric of a sample by name.

    Args:
      sample: The things.
      threshold: Where a score is called fake; without it there are no metrics at a
        threshold.
      probability: Probability of being fake by score; without it there are no
        metrics of a probability.
      bootstrap: The draws; without it there are no intervals.
    """
    fakes = int(sample.fake.sum())
    reals = len(sample.fake) - fakes
    yield "fakes", Estimate(fakes)
    yield "reals", Estimate(reals)
    exact = rank(sample)
    if threshold is not None:
        for name, count in dataclasses.asdict(confusion(exact, threshold)).items():
            yield name, Estimate(int(count))
    values = dict(_figures(exact, threshold, probability))
    draws, no_draws = _draw_figures(sample, threshold, probability, bootstrap)
    for name, value in values.items():
        if not np.isfinite(value):
            yield name, Estimate(None, reason=_why_absent(name, fakes, reals))
        else:
            bounds, reason = (
                interval(draws[name]) if name in draws else (None, no_draws)
            )
            yield name, Estimate(float(value), bounds, reason)


def group_numbers(group: np.ndarray, video_id: np.ndarray) -> tuple[np.ndarray, int]:
    """Number of each video's group, and how many groups there are.

    A video without a group is a group of its own.
    """
    pairs = zip(group, video_id, strict=True)
    names = [(name, "" if name else own) for name, own in pairs]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64), len(numbers)


def _figures(
    ranking: Ranking,
    threshold: float | None,
    probability: Callable[[np.ndarray], np.ndarray] | None,
) -> Iterator[tuple[str, np.ndarray]]:
    for name, metric in WITHOUT_THRESHOLD.items():
        yield name, metric(ranking)
    if threshold is not None:
        counts = confusion(ranking, threshold)
        for name, at_threshold in AT_THRESHOLD.items():
            yield name, at_threshold(counts)
    if probability is not None:
        said = probability(ranking.levels)
        for name, of_probability in OF_PROBABILITY.items():
            yield name, of_probability(ranking, said)


def _draw_figures(
    sample: Sample,
    threshold: float | None,
    probability: Callable[[np.ndarray], np.ndarray] | None,
    bootstrap: Bootstrap | None,
) -> tuple[dict[str, np.ndarray], str]:
    if bootstrap is None:
        return {}, "no interval was asked for"
    groups = len(np.unique(sample.group))
    if groups < 2:
        return {}, f"{groups} group: an interval needs two or more"
    parts: dict[str, list[np.ndarray]] = {}
    for ranking in bootstrap.rankings(sample, threshold):
        for name, values in _figures(ranking, threshold, probability):
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(part) for name, part in parts.items()}, ""


def interval(draws: np.ndarray) -> tuple[tuple[float, float] | None, str]:
    """The middle of the draws `[d]`, or None and the reason why it says nothing."""
    defined = draws[np.isfinite(draws)]
    if len(defined) < _MIN_DEFINED * len(draws):
        return None, "too few groups: many draws of groups hold one class only"
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, (tail, 1 - tail))
    if low == high:
        return None, "drawing other groups changes nothing: too few to say how sure"
    return (float(low), float(high)), ""


def _why_absent(name: str, fakes: int, reals: int) -> str:
    if not fakes:
        return "there are no fakes"
    if not reals:
        return "there are no reals"
    if name == "precision":
        return "nothing is called fake"
    if name == "mcc":
        return "everything is called the same"
    return "a thing without a score has no probability"


def _levels(
    score: np.ndarray, threshold: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Levels for intervals, and the level of each score; none spans the threshold."""
    levels, at = np.unique(score, return_inverse=True)
    if len(levels) <= _MAX_LEVELS:
        return levels, at
    picked = np.quantile(score, np.linspace(0, 1, _MAX_LEVELS), method="nearest")
    # The outermost levels stay alone: they may be infinite.
    edges = np.unique(np.concatenate([picked, levels[:2], levels[-2:]]))
    if threshold is not None and threshold > edges[0]:
        edges = np.unique(np.append(edges, threshold))
    bins = np.searchsorted(edges, score, "right") - 1
    counts = np.bincount(bins, minlength=len(edges))
    means = _ratio(np.bincount(bins, score, minlength=len(edges)), counts)
    return np.where(counts > 0, means, edges), bins


def _rates(counts: np.ndarray) -> np.ndarray:
    """Share at or above each level, from the highest on, with a leading 0."""
    above = np.cumsum(counts[..., ::-1], -1)
    rates = _ratio(above, above[..., -1:])
    return np.concatenate([np.zeros_like(rates[..., :1]), rates], -1)


def _mean_cost(
    ranking: Ranking, of_fake: np.ndarray, of_real: np.ndarray
) -> np.ndarray:
    # A level without fakes costs nothing, even where a fake there would cost infinity.
    with np.errstate(invalid="ignore"):
        fake = np.where(ranking.fake > 0, ranking.fake * of_fake, 0).sum(-1)
        real = np.where(ranking.real > 0, ranking.real * of_real, 0).sum(-1)
    return _ratio(fake + real, (ranking.fake + ranking.real).sum(-1))


def _ratio(
    above: np.ndarray, below: np.ndarray, otherwise: float = np.nan
) -> np.ndarray:
    below = np.broadcast_to(below, np.shape(above))
    return np.divide(
        above,
        below,
        out=np.full(np.shape(above), otherwise, np.float64),
        where=below != 0,
    )
