"""Intervals: how sure a figure is, by drawing groups with replacement."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy import sparse

from tfmds.evaluation.ranking import Ranking, Sample, ratio

# The share of draws that an interval holds.
CONFIDENCE = 0.95

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


def estimate(value: float, draws: np.ndarray | None, num_groups: int) -> Estimate:
    """A figure with its interval.

    Args:
      value: The figure.
      draws: `[d]`, the figure of each draw; None where none were made.
      num_groups: How many groups the figure is of.
    """
    reason = why_no_interval(draws is not None, num_groups)
    if draws is None or reason:
        return Estimate(value, reason=reason)
    return Estimate(value, *interval(draws))


def why_no_interval(drawn: bool, num_groups: int) -> str:
    """Why there can be no interval, empty where there can."""
    if not drawn:
        return "no interval was asked for"
    if num_groups < 2:
        return f"{num_groups} group: an interval needs two or more"
    return ""


def group_numbers(group: np.ndarray, video_id: np.ndarray) -> tuple[np.ndarray, int]:
    """Number of each video's group, and how many groups there are.

    A video without a group is a group of its own.
    """
    pairs = zip(group, video_id, strict=True)
    names = [(name, "" if name else own) for name, own in pairs]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return np.array([numbers[name] for name in names], np.int64), len(numbers)


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
    means = ratio(np.bincount(bins, score, minlength=len(edges)), counts)
    return np.where(counts > 0, means, edges), bins
