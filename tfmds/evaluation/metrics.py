"""Metrics: how well a score ranks fakes above reals, and how sure that is.

A metric is a pure function with `@metric` above it, which names, titles and places it:
from there it goes to metrics.json, the table, the report and the board. NaN where it is
not defined.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np

from tfmds.evaluation.bootstrap import Bootstrap, Estimate, interval, why_no_interval
from tfmds.evaluation.ranking import (
    Confusion,
    Ranking,
    Sample,
    confusion,
    rank,
    ratio,
    roc,
)

# Up to this false positive rate the partial AUC looks.
MAX_FPR = 0.1

# What a metric is a function of: a `Ranking`; the `Confusion` at a threshold; a
# `Ranking` and the probability of being fake at each of its levels, float64 `[L]`.
RANKING = "ranking"
AT_THRESHOLD = "at_threshold"
OF_PROBABILITY = "of_probability"
# Where a metric stands: in every table; in wide ones; among the others below them.
KEY = "key"
COLUMN = "column"
LISTED = "listed"

_UNDEFINED = "a thing without a score has no probability"


@dataclasses.dataclass(frozen=True)
class Metric:
    """A metric and what to call it.

    Attributes:
      name: In metrics.json and on the board.
      title: In tables and reports.
      function: Values of it, `[...]`, from what `of` names.
      of: `RANKING`, `AT_THRESHOLD` or `OF_PROBABILITY`.
      place: `KEY`, `COLUMN` or `LISTED`.
      undefined: Why there may be no value though there are fakes and reals.
    """

    name: str
    title: str
    function: Callable[..., np.ndarray]
    of: str
    place: str = LISTED
    undefined: str = _UNDEFINED


# All metrics by name, in the order in which they are shown.
METRICS: dict[str, Metric] = {}


def metric(
    title: str, of: str, place: str = LISTED, undefined: str = _UNDEFINED
) -> Callable[[Callable[..., np.ndarray]], Callable[..., np.ndarray]]:
    """Registers a function as the metric of its name; arguments as in `Metric`."""

    def register(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        name = function.__name__
        METRICS[name] = Metric(name, title, function, of, place, undefined)
        return function

    return register


# --------------------------------------------------------------------------------------
# Without a threshold.


@metric("AUC", RANKING, KEY)
def auc(ranking: Ranking) -> np.ndarray:
    """Probability that a fake scores above a real; a tie counts one half."""
    below = np.cumsum(ranking.real, -1) - ranking.real / 2
    pairs = ranking.fake.sum(-1) * ranking.real.sum(-1)
    return ratio((ranking.fake * below).sum(-1), pairs)


@metric(f"partial AUC to FPR {MAX_FPR:g}", RANKING)
def partial_auc(ranking: Ranking, max_fpr: float = MAX_FPR) -> np.ndarray:
    """Area below the ROC up to `max_fpr`, scaled so that chance is 0.5 (McClish)."""
    fpr, tpr = roc(ranking)
    left, right = fpr[..., :-1], np.minimum(fpr[..., 1:], max_fpr)
    width = np.maximum(right - left, 0)
    slope = ratio(np.diff(tpr), np.diff(fpr), otherwise=0)
    area = (width * (tpr[..., :-1] + slope * width / 2)).sum(-1)
    chance = max_fpr**2 / 2
    scaled = (1 + (area - chance) / (max_fpr - chance)) / 2
    return np.where(np.isnan(auc(ranking)), np.nan, scaled)


@metric("average precision", RANKING, KEY)
def average_precision(ranking: Ranking) -> np.ndarray:
    """Precision at each fake's rank, averaged; its chance level is the fakes' share."""
    fakes = np.cumsum(ranking.fake[..., ::-1], -1)
    called = fakes + np.cumsum(ranking.real[..., ::-1], -1)
    precision = ratio(fakes, called, otherwise=0)
    total = (precision * ranking.fake[..., ::-1]).sum(-1)
    value = ratio(total, ranking.fake.sum(-1))
    return np.where(ranking.real.sum(-1) > 0, value, np.nan)


@metric("equal error rate", RANKING, KEY)
def equal_error_rate(ranking: Ranking) -> np.ndarray:
    """Error rate where as large a share of reals as of fakes is called wrong."""
    fpr, tpr = roc(ranking)
    excess = fpr - (1 - tpr)
    at = np.argmax(excess >= 0, -1)[..., np.newaxis]
    before = np.maximum(at - 1, 0)
    low = np.take_along_axis(excess, before, -1)
    high = np.take_along_axis(excess, at, -1)
    share = ratio(-low, high - low, otherwise=0)
    start = np.take_along_axis(fpr, before, -1)
    value = (start + share * (np.take_along_axis(fpr, at, -1) - start))[..., 0]
    return np.where(np.isnan(auc(ranking)), np.nan, value)


# --------------------------------------------------------------------------------------
# At a threshold.


@metric("accuracy", AT_THRESHOLD)
def accuracy(c: Confusion) -> np.ndarray:
    """Share that is called what it is."""
    right = c.fakes_called_fake + c.reals_called_real
    return ratio(right, right + c.fakes_called_real + c.reals_called_fake)


@metric("recall", AT_THRESHOLD, COLUMN)
def recall(c: Confusion) -> np.ndarray:
    """Share of the fakes that is called fake."""
    return ratio(c.fakes_called_fake, c.fakes_called_fake + c.fakes_called_real)


@metric("reals called fake", AT_THRESHOLD, COLUMN)
def false_positive_rate(c: Confusion) -> np.ndarray:
    """Share of the reals that is called fake."""
    return ratio(c.reals_called_fake, c.reals_called_fake + c.reals_called_real)


@metric("balanced accuracy", AT_THRESHOLD, KEY)
def balanced_accuracy(c: Confusion) -> np.ndarray:
    """Mean of the share of fakes and the share of reals that are called right."""
    return (recall(c) + 1 - false_positive_rate(c)) / 2


@metric("precision", AT_THRESHOLD, undefined="nothing is called fake")
def precision(c: Confusion) -> np.ndarray:
    """Share of what is called fake that is fake."""
    return ratio(c.fakes_called_fake, c.fakes_called_fake + c.reals_called_fake)


@metric("F1", AT_THRESHOLD)
def f1(c: Confusion) -> np.ndarray:
    """Harmonic mean of precision and recall."""
    wrong = c.fakes_called_real + c.reals_called_fake
    value = ratio(2 * c.fakes_called_fake, 2 * c.fakes_called_fake + wrong)
    return np.where(np.isnan(balanced_accuracy(c)), np.nan, value)


@metric("MCC", AT_THRESHOLD, undefined="everything is called the same")
def mcc(c: Confusion) -> np.ndarray:
    """Matthews correlation of what is called fake with what is fake."""
    tp, fn = c.fakes_called_fake, c.fakes_called_real
    fp, tn = c.reals_called_fake, c.reals_called_real
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return ratio(tp * tn - fp * fn, np.sqrt(margins))


@metric("detection cost", AT_THRESHOLD, COLUMN)
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


# --------------------------------------------------------------------------------------
# Of a probability.


@metric("Brier score", OF_PROBABILITY)
def brier_score(ranking: Ranking, probability: np.ndarray) -> np.ndarray:
    """Mean squared difference of the probability of being fake and the truth."""
    return _mean_cost(ranking, (1 - probability) ** 2, probability**2)


@metric("log loss", OF_PROBABILITY)
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
        ratio((total * probability) @ member, count),
        ratio(ranking.fake @ member, count),
        count,
    )


@metric("expected calibration error", OF_PROBABILITY)
def expected_calibration_error(
    ranking: Ranking, probability: np.ndarray, num_bins: int = 10
) -> np.ndarray:
    """Mean distance of said probability and share of fakes over the bins."""
    said, found, count = reliability(ranking, probability, num_bins)
    gap = np.where(count > 0, np.abs(said - found), 0)
    return ratio((count * gap).sum(-1), count.sum(-1))


def _mean_cost(
    ranking: Ranking, of_fake: np.ndarray, of_real: np.ndarray
) -> np.ndarray:
    # A level without fakes costs nothing, even where a fake there would cost infinity.
    with np.errstate(invalid="ignore"):
        fake = np.where(ranking.fake > 0, ranking.fake * of_fake, 0).sum(-1)
        real = np.where(ranking.real > 0, ranking.real * of_real, 0).sum(-1)
    return ratio(fake + real, (ranking.fake + ranking.real).sum(-1))


# --------------------------------------------------------------------------------------
# Values and intervals.


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


def _figures(
    ranking: Ranking,
    threshold: float | None,
    probability: Callable[[np.ndarray], np.ndarray] | None,
) -> Iterator[tuple[str, np.ndarray]]:
    given: dict[str, tuple] = {RANKING: (ranking,)}
    if threshold is not None:
        given[AT_THRESHOLD] = (confusion(ranking, threshold),)
    if probability is not None:
        given[OF_PROBABILITY] = (ranking, probability(ranking.levels))
    for name, one in METRICS.items():
        if one.of in given:
            yield name, one.function(*given[one.of])


def _draw_figures(
    sample: Sample,
    threshold: float | None,
    probability: Callable[[np.ndarray], np.ndarray] | None,
    bootstrap: Bootstrap | None,
) -> tuple[dict[str, np.ndarray], str]:
    reason = why_no_interval(bootstrap is not None, len(np.unique(sample.group)))
    if bootstrap is None or reason:
        return {}, reason
    parts: dict[str, list[np.ndarray]] = {}
    for ranking in bootstrap.rankings(sample, threshold):
        for name, values in _figures(ranking, threshold, probability):
            parts.setdefault(name, []).append(values)
    return {name: np.concatenate(part) for name, part in parts.items()}, ""


def _why_absent(name: str, fakes: int, reals: int) -> str:
    if not fakes:
        return "there are no fakes"
    if not reals:
        return "there are no reals"
    return METRICS[name].undefined


def titled(
    estimates: Mapping[str, Estimate],
    part: str,
    places: Collection[str] = (KEY, COLUMN, LISTED),
    of: Collection[str] = (RANKING, AT_THRESHOLD, OF_PROBABILITY),
) -> dict[str, Estimate]:
    """The figures of a part of an evaluation by the titles of their metrics.

    Args:
      estimates: Figures by name, such as `videos/auc`.
      part: What stands before the name of the metric, such as `videos`.
      places: Which metrics, by their place.
      of: Which metrics, by what they are a function of.
    """
    return {
        one.title: estimates[f"{part}/{name}"]
        for name, one in METRICS.items()
        if one.place in places and one.of in of and f"{part}/{name}" in estimates
    }
