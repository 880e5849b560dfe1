"""Metrics of localization: how well proposals find the fake periods of videos.

As the field measures it (AV-Deepfake1M, LAV-DF): average precision at an overlap, and
average recall by so many proposals of each video.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from scipy import sparse

from tfmds.data.manifest import Period
from tfmds.evaluation.bootstrap import Bootstrap, Estimate, estimate

AP_IOUS = (0.5, 0.75, 0.95)
AR_COUNTS = (5, 10, 20, 50)
AR_IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
# Names of the metrics and their titles.
TITLES = {f"ap@{iou:g}": f"AP@{iou:g}" for iou in AP_IOUS} | {
    f"ar@{count}": f"AR@{count}" for count in AR_COUNTS
}
_DRAWS_AT_ONCE = 50


@dataclasses.dataclass(frozen=True)
class Proposals:
    """Stretches that may be fake, `p` of them, by video, the surest first.

    Attributes:
      video: int64 `[p]`, row of the video, ascending.
      start: float64 `[p]`, in seconds.
      end: float64 `[p]`, in seconds.
      confidence: float64 `[p]`, not ascending within a video.
    """

    video: np.ndarray
    start: np.ndarray
    end: np.ndarray
    confidence: np.ndarray

    @classmethod
    def ordered(
        cls,
        video: np.ndarray,
        start: np.ndarray,
        end: np.ndarray,
        confidence: np.ndarray,
    ) -> "Proposals":
        """Proposals in any order."""
        order = np.lexsort((-confidence, video))
        return cls(video[order], start[order], end[order], confidence[order])

    def select(self, mask: np.ndarray) -> "Proposals":
        """The proposals of a boolean mask."""
        return Proposals(
            self.video[mask], self.start[mask], self.end[mask], self.confidence[mask]
        )


@dataclasses.dataclass(frozen=True)
class Truth:
    """The fake periods of videos, `l` of them, by video.

    Attributes:
      video: int64 `[l]`, row of the video, ascending.
      start: float64 `[l]`, in seconds.
      end: float64 `[l]`, in seconds.
    """

    video: np.ndarray
    start: np.ndarray
    end: np.ndarray

    @classmethod
    def of(cls, periods: Iterable[Sequence[Period]]) -> "Truth":
        """From the periods of each video."""
        rows = [(row, *period) for row, some in enumerate(periods) for period in some]
        columns = np.array(rows, np.float64).reshape(-1, 3).T
        return cls(columns[0].astype(np.int64), columns[1], columns[2])

    def __len__(self) -> int:
        return len(self.video)


def match(proposals: Proposals, truth: Truth, iou: float) -> np.ndarray:
    """Which proposals find a fake period, bool `[p]`.

    Each period, in the order of the table, takes the surest proposal of its video that
    overlaps it by more than `iou` and is not taken yet.
    """
    labels, found, overlaps = pairs(proposals, truth)
    return matched(labels, found, overlaps, iou, len(proposals.video))


def average_precision(
    confidence: np.ndarray, hits: np.ndarray, num_periods: int
) -> float:
    """Area below the precision over the recall, each precision the best to its right.

    The evaluator of AV-Deepfake1M (0.0.4) leaves out the area before the first
    proposal: where the surest proposal of all is a hit, its answer is 1 / num_periods
    lower than the area, so that a perfect answer for one period is worth 0 there.

    Args:
      confidence: `[p]`, of each proposal; equals keep their order.
      hits: bool `[p]`, which ones find a period.
      num_periods: How many there are to be found.
    """
    if not num_periods:
        return float("nan")
    hits = hits[np.argsort(-confidence, kind="stable")]
    places = np.flatnonzero(hits)
    precision = np.arange(1, len(places) + 1) / (places + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best.sum() / num_periods)


def evaluate(
    proposals: Proposals,
    truth: Truth,
    group: np.ndarray,
    bootstrap: Bootstrap | None = None,
) -> Iterator[tuple[str, Estimate]]:
    """Yields each measure by name: `ap@0.5`, `ar@10`, and the number of periods.

    Args:
      proposals: Of all videos, real ones too.
      truth: The fake periods.
      group: int64 `[n]`, number of the group of each video.
      bootstrap: Draws of groups; without it there are no intervals.
    """
    num_periods = len(truth)
    yield "periods", Estimate(num_periods)
    if not num_periods:
        for name in TITLES:
            yield name, Estimate(None, reason="there are no fake periods")
        return
    overlapping = pairs(proposals, truth)
    num_groups = int(group.max()) + 1
    if bootstrap is not None:
        num_groups = bootstrap.weights.shape[1]
    by_group = np.bincount(group[truth.video], minlength=num_groups)
    with_periods = len(np.unique(group))
    for iou in AP_IOUS:
        hits = matched(*overlapping, iou, len(proposals.video))
        value = average_precision(proposals.confidence, hits, num_periods)
        draws = None
        if bootstrap is not None:
            draws = _draw_average_precision(
                proposals.confidence, hits, group[proposals.video], by_group, bootstrap
            )
        yield f"ap@{iou:g}", estimate(value, draws, with_periods)
    for count in AR_COUNTS:
        shares = _recall(*overlapping, proposals, num_periods, count)
        draws = None
        if bootstrap is not None:
            sums = np.bincount(group[truth.video], shares, minlength=num_groups)
            with np.errstate(invalid="ignore"):
                draws = (bootstrap.weights @ sums) / (bootstrap.weights @ by_group)
        yield f"ar@{count}", estimate(float(shares.mean()), draws, with_periods)


def pairs(
    proposals: Proposals, truth: Truth
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Periods and proposals of one video that overlap, and their IoU.

    In the order of the periods, then of the proposals.
    """
    first = np.searchsorted(proposals.video, truth.video, "left")
    count = np.searchsorted(proposals.video, truth.video, "right") - first
    label = np.repeat(np.arange(len(truth)), count)
    before = np.cumsum(count) - count
    found = np.arange(count.sum()) - np.repeat(before - first, count)
    start, end = proposals.start[found], proposals.end[found]
    inner = np.minimum(end, truth.end[label]) - np.maximum(start, truth.start[label])
    outer = np.maximum(end, truth.end[label]) - np.minimum(start, truth.start[label])
    touching = inner > 0
    return label[touching], found[touching], (inner[touching] / outer[touching])


def matched(
    label: np.ndarray,
    found: np.ndarray,
    overlap: np.ndarray,
    iou: float,
    num_proposals: int,
) -> np.ndarray:
    """As `match`, of what `pairs` returns."""
    near = overlap > iou
    taken = np.zeros(num_proposals, bool)
    served = -1
    for period, proposal in zip(
        label[near].tolist(), found[near].tolist(), strict=True
    ):
        if period != served and not taken[proposal]:
            taken[proposal] = True
            served = period
    return taken


def _recall(
    label: np.ndarray,
    found: np.ndarray,
    overlap: np.ndarray,
    proposals: Proposals,
    num_periods: int,
    count: int,
) -> np.ndarray:
    rank = found - np.searchsorted(proposals.video, proposals.video[found], "left")
    best = np.zeros(num_periods)
    among = rank < count
    np.maximum.at(best, label[among], overlap[among])
    return (best[:, np.newaxis] > np.array(AR_IOUS)).mean(1)


def _draw_average_precision(
    confidence: np.ndarray,
    hits: np.ndarray,
    group: np.ndarray,
    periods_by_group: np.ndarray,
    bootstrap: Bootstrap,
) -> np.ndarray:
    """The average precision of each draw."""
    order = np.argsort(-confidence, kind="stable")
    hits, group = hits[order], group[order]
    places = np.flatnonzero(hits)
    # Precision is best at a hit: what lies between two hits is only counted.
    stretch = np.searchsorted(places, np.arange(len(hits)))
    counted = stretch < len(places)
    per_stretch = sparse.csr_matrix(
        (
            np.ones(counted.sum(), np.float32),
            (stretch[counted], group[counted]),
        ),
        shape=(len(places), len(periods_by_group)),
    )
    values = []
    for first in range(0, len(bootstrap.weights), _DRAWS_AT_ONCE):
        weights = bootstrap.weights[first : first + _DRAWS_AT_ONCE].T
        weights = weights.astype(np.float32)
        proposed = np.cumsum(per_stretch @ weights, 0, dtype=np.float64)
        right = weights[group[places]]
        with np.errstate(invalid="ignore", divide="ignore"):
            precision = np.cumsum(right, 0, dtype=np.float64) / proposed
            precision = np.nan_to_num(precision)
            best = np.maximum.accumulate(precision[::-1], 0)[::-1]
            values.append((best * right).sum(0) / (periods_by_group @ weights))
    return np.concatenate(values)
