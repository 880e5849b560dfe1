"""Localization: from chunk distances to fake periods, and how good these are.

The paper looks for the forged seconds of a video by the distance of each chunk. Here
the distances become a curve over time. Where it reaches a low level is a proposal;
where its peak reaches a high level too, the proposal is reported as a fake period.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from scipy import sparse

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.evaluation import metrics
from tfmds.evaluation.metrics import Bootstrap, Estimate
from tfmds.evaluation.scores import ChunkScores, VideoScores, chunk_rows

Period = tuple[float, float]

# The measures of the field (AV-Deepfake1M, LAV-DF).
AP_IOUS = (0.5, 0.75, 0.95)
AR_COUNTS = (5, 10, 20, 50)
AR_IOUS = tuple(round(0.5 + 0.05 * step, 2) for step in range(10))
# The levels are chosen at the first.
_CHOSEN_BY_IOU = AP_IOUS[0]

# Seconds between two points of the curve; chunks start at multiples of it.
_STEP = 0.1
_SMOOTHINGS = (0.0, 0.5, 1.0, 2.0)
_NUM_LOWS = 30
_MIN_PERIODS = 10
_DRAWS_AT_ONCE = 50
# Times come through float32: chunks that are closer than this touch.
_ROUNDING = 1e-2


@dataclasses.dataclass(frozen=True)
class Localizer:
    """How distances become fake periods, and where that was chosen.

    Attributes:
      low: A proposal lasts while the curve is at or above it.
      high: A proposal whose peak reaches it is reported as fake.
      smoothing_seconds: Width of the moving mean over the curve.
      hop_seconds: Time between the chunks it was chosen with.
      split: The split it was chosen on, never test.
      periods: Fake periods of that split.
      average_precision: At IoU 0.5 on that split.
      f1: Of the reported periods at IoU 0.5 on that split.
    """

    low: float
    high: float
    smoothing_seconds: float = 0.0
    hop_seconds: float = 1.0
    split: str = ""
    periods: int = 0
    average_precision: float | None = None
    f1: float | None = None

    @property
    def summary(self) -> str:
        """The levels and what they promise, in one sentence."""
        return (
            f"localization: above {self.low:.4g}, with a peak of {self.high:.4g} or"
            f" more, smoothed over {self.smoothing_seconds:g} s; on {self.periods} fake"
            f" periods of {self.split} videos AP@0.5 {self.average_precision:.2f}, F1"
            f" of the reported periods {self.f1:.2f}"
        )

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any], where: str) -> "Localizer":
        """Reads what `to_json` wrote; `where` names the source in an error."""
        try:
            localizer = cls(**fields)
            numbers = (localizer.low, localizer.high, localizer.smoothing_seconds)
            if np.isfinite(numbers).all() and localizer.low <= localizer.high:
                return localizer
        except TypeError:
            pass
        raise InputError(
            f"{where}: the localization {fields!r} cannot be read, expected low, high"
            " and smoothing_seconds with low <= high; choose the threshold again"
        )

    def periods_of(
        self,
        track: Sequence[int],
        start_seconds: Sequence[float],
        distance: Sequence[float],
        chunk_seconds: float = 1.0,
    ) -> tuple[Period, ...]:
        """The fake periods of one video by its chunks, in order of time."""
        curve = _Curve.of(
            np.zeros(len(track), np.int64),
            np.asarray(track, np.int64),
            np.asarray(start_seconds, np.float64),
            np.asarray(distance, np.float64),
            self.smoothing_seconds,
            chunk_seconds,
        )
        found = curve.proposals(self.low)
        found = found.select(found.confidence >= self.high)
        return tuple(sorted(zip(found.start.tolist(), found.end.tolist(), strict=True)))


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


def has_periods(videos: VideoScores) -> bool:
    """Whether a fake is known to be forged in a part only, so that one can look."""
    return bool(videos.fake_periods.astype(bool).any())


def can_be_localized(videos: VideoScores) -> np.ndarray:
    """Which videos are real or forged in a known part, bool `[n]`.

    A video that is fake throughout has nothing to be found in it: any proposal that
    fills it would be a hit, and figures would flatter.
    """
    return (videos.label == spec.REAL) | videos.fake_periods.astype(bool)


def chunks_of(videos: VideoScores, chunks: ChunkScores) -> ChunkScores:
    """The chunks of the given videos."""
    known = set(videos.video_id)
    mask = (name in known for name in chunks.video_id)
    return chunks.select(np.fromiter(mask, bool, count=len(chunks)))


def propose(
    videos: VideoScores,
    chunks: ChunkScores,
    localizer: Localizer,
    chunk_seconds: float = 1.0,
) -> Proposals:
    """The proposals for each row of `videos` by its chunks."""
    return _curve(videos, chunks, localizer.smoothing_seconds, chunk_seconds).proposals(
        localizer.low
    )


def hop_seconds(chunks: ChunkScores) -> float:
    """Time between neighbouring chunks of a track, 1 where none has two."""
    same = chunks.video_id[1:] == chunks.video_id[:-1]
    same &= np.diff(chunks.track) == 0
    hops = np.diff(chunks.start_seconds)[same]
    hops = hops[hops > 0]
    return round(float(np.median(hops)), 2) if len(hops) else 1.0


def choose(videos: VideoScores, chunks: ChunkScores, split: str) -> Localizer:
    """Chooses smoothing and levels on a split.

    Smoothing and low level are those of the best average precision at IoU 0.5, and
    where that is equal, of the best overlap with the periods; the high level is that of
    the best F1 of the reported periods at IoU 0.5.

    Args:
      videos: The table of videos.
      chunks: Their chunks.
      split: Train or validation.

    Raises:
      InputError: No scored video of the split has fake periods.
    """
    usable = (videos.split == split) & videos.scored & can_be_localized(videos)
    videos = videos.select(usable)
    if not has_periods(videos):
        raise InputError(
            f"no scored video of the {split} split has fake_periods; the levels of"
            " localization are chosen on videos that are forged in a part"
        )
    chunks = chunks_of(videos, chunks)
    truth = Truth.of(videos.fake_periods)
    tried = []
    for smoothing in _SMOOTHINGS:
        curve = _curve(videos, chunks, smoothing)
        for low in _lows(curve.value):
            tried.append((_merits(curve.proposals(low), truth), smoothing, low))
    best = max(merits for merits, _, _ in tried)
    # Of equally good choices the plainest smoothing and a level amid the others.
    smoothing = min(s for merits, s, _ in tried if merits == best)
    lows = [low for merits, s, low in tried if merits == best and s == smoothing]
    low = lows[len(lows) // 2]
    high, f1 = _best_high(_curve(videos, chunks, smoothing).proposals(low), truth, low)
    return Localizer(
        low=low,
        high=high,
        smoothing_seconds=smoothing,
        hop_seconds=hop_seconds(chunks),
        split=split,
        periods=len(truth),
        average_precision=best[0],
        f1=f1,
    )


def notes(localizer: Localizer, hop: float) -> Iterator[str]:
    """What a reader of the localization should know.

    Args:
      localizer: The levels that were used.
      hop: Time between the chunks they were used on.
    """
    if 0 < localizer.periods < _MIN_PERIODS:
        yield (
            f"the levels of localization were chosen on {localizer.periods} fake"
            " periods only"
        )
    if not np.isclose(hop, localizer.hop_seconds, atol=0.01):
        yield (
            f"the levels of localization were chosen with a chunk every"
            f" {localizer.hop_seconds:g} s, and here there is one every {hop:g} s"
        )


# --------------------------------------------------------------------------------------
# Measures.


def match(proposals: Proposals, truth: Truth, iou: float) -> np.ndarray:
    """Which proposals find a fake period, bool `[p]`.

    Each period, in the order of the table, takes the surest proposal of its video that
    overlaps it by more than `iou` and is not taken yet.
    """
    labels, found, overlaps = _pairs(proposals, truth)
    return _match(labels, found, overlaps, iou, len(proposals.video))


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


def average_recall(proposals: Proposals, truth: Truth, count: int) -> np.ndarray:
    """Share of `AR_IOUS` at which each period is found, float64 `[l]`.

    By one of the `count` surest proposals of its video. The mean over the periods is
    the average recall at `count` proposals.
    """
    return _recall(*_pairs(proposals, truth), proposals, len(truth), count)


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
        for name in _names():
            yield name, Estimate(None, reason="there are no fake periods")
        return
    pairs = _pairs(proposals, truth)
    num_groups = int(group.max()) + 1
    if bootstrap is not None:
        num_groups = bootstrap.weights.shape[1]
    by_group = np.bincount(group[truth.video], minlength=num_groups)
    with_periods = len(np.unique(group))
    for iou in AP_IOUS:
        hits = _match(*pairs, iou, len(proposals.video))
        value = average_precision(proposals.confidence, hits, num_periods)
        draws = None
        if bootstrap is not None:
            draws = _draw_average_precision(
                proposals.confidence, hits, group[proposals.video], by_group, bootstrap
            )
        yield f"ap@{iou:g}", _estimate(value, draws, with_periods)
    for count in AR_COUNTS:
        shares = _recall(*pairs, proposals, num_periods, count)
        draws = None
        if bootstrap is not None:
            sums = np.bincount(group[truth.video], shares, minlength=num_groups)
            with np.errstate(invalid="ignore"):
                draws = (bootstrap.weights @ sums) / (bootstrap.weights @ by_group)
        yield f"ar@{count}", _estimate(float(shares.mean()), draws, with_periods)


def _names() -> Iterator[str]:
    yield from (f"ap@{iou:g}" for iou in AP_IOUS)
    yield from (f"ar@{count}" for count in AR_COUNTS)


def _estimate(value: float, draws: np.ndarray | None, groups: int) -> Estimate:
    if draws is None:
        return Estimate(value, reason="no interval was asked for")
    if groups < 2:
        return Estimate(value, reason=f"{groups} group: an interval needs two or more")
    return Estimate(value, *metrics.interval(draws))


def _pairs(
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


def _match(
    label: np.ndarray,
    found: np.ndarray,
    overlap: np.ndarray,
    iou: float,
    num_proposals: int,
) -> np.ndarray:
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


# --------------------------------------------------------------------------------------
# The curve.


def _curve(
    videos: VideoScores,
    chunks: ChunkScores,
    smoothing_seconds: float,
    chunk_seconds: float = 1.0,
) -> "_Curve":
    return _Curve.of(
        chunk_rows(chunks.video_id, videos.video_id, "the chunks"),
        chunks.track,
        chunks.start_seconds,
        chunks.distance,
        smoothing_seconds,
        chunk_seconds,
    )


@dataclasses.dataclass(frozen=True)
class _Curve:
    """Dissonance of videos over time, a point per `_STEP`, by video and time.

    Attributes:
      video: int64 `[c]`, row of the video.
      step: int64 `[c]`, the point lies at `step * _STEP` seconds.
      value: float64 `[c]`, of the face that is worst there.
    """

    video: np.ndarray
    step: np.ndarray
    value: np.ndarray

    @classmethod
    def of(
        cls,
        video: np.ndarray,
        track: np.ndarray,
        start_seconds: np.ndarray,
        distance: np.ndarray,
        smoothing_seconds: float,
        chunk_seconds: float,
    ) -> "_Curve":
        """The line through the middles of the chunks, level at the ends, smoothed."""
        order = np.lexsort((start_seconds, track, video))
        video, track = video[order], track[order]
        start, distance = start_seconds[order], distance[order]
        if not len(order):
            return cls(video, np.zeros(0, np.int64), distance)
        begins = np.ones(len(order), bool)
        begins[1:] = (np.diff(video) != 0) | (np.diff(track) != 0)
        # A face that was gone for a while begins anew.
        begins[1:] |= np.diff(start) > chunk_seconds + _ROUNDING
        stretch = np.cumsum(begins) - 1
        first = np.flatnonzero(begins)
        last = np.append(first[1:], len(order)) - 1
        first_step = np.round(start[first] / _STEP).astype(np.int64)
        last_step = np.round((start[last] + chunk_seconds) / _STEP).astype(np.int64)
        count = last_step - first_step + 1
        offset = np.cumsum(count) - count
        member = np.repeat(np.arange(len(first)), count)
        step = np.arange(count.sum()) - offset[member] + first_step[member]
        # All stretches one after another on one axis, so that one call serves all.
        middle = start + chunk_seconds / 2
        shift = np.cumsum(middle[last] - middle[first] + 1) - middle[last]
        at = np.clip(step * _STEP, middle[first][member], middle[last][member])
        value = np.interp(at + shift[member], middle + shift[stretch], distance)
        value = _smoothed(value, offset, count, smoothing_seconds)
        return cls._worst(video[first][member], step, value)

    @classmethod
    def _worst(cls, video: np.ndarray, step: np.ndarray, value: np.ndarray) -> "_Curve":
        order = np.lexsort((step, video))
        video, step, value = video[order], step[order], value[order]
        first = np.ones(len(order), bool)
        first[1:] = (np.diff(video) != 0) | (np.diff(step) != 0)
        worst = np.maximum.reduceat(value, np.flatnonzero(first))
        return cls(video[first], step[first], worst)

    def proposals(self, low: float) -> Proposals:
        """The stretches at or above `low`, their ends where the line crosses it."""
        above = self.value >= low
        joined = np.zeros(len(above) + 1, bool)
        joined[1:-1] = (np.diff(self.video) == 0) & (np.diff(self.step) == 1)
        before = np.append(False, above[:-1]) & joined[:-1]
        after = np.append(above[1:], False) & joined[1:]
        first = np.flatnonzero(above & ~before)
        last = np.flatnonzero(above & ~after)
        start, end = self.step[first] * _STEP, self.step[last] * _STEP
        rises, falls = joined[first], joined[last + 1]
        start[rises] = self._crossing(first[rises], first[rises] - 1, low)
        end[falls] = self._crossing(last[falls], last[falls] + 1, low)
        bounds = np.stack([first, last + 1], 1).ravel()
        peak = np.maximum.reduceat(np.append(self.value, -np.inf), bounds)[::2]
        found = Proposals(self.video[first], start, end, peak)
        found = found.select(end > start)
        return Proposals.ordered(found.video, found.start, found.end, found.confidence)

    def _crossing(
        self, inside: np.ndarray, outside: np.ndarray, low: float
    ) -> np.ndarray:
        """Seconds at which the line between neighbouring points crosses `low`.

        Never beyond the outer point, by rounding neither: two periods share it.
        """
        share = (self.value[inside] - low) / (self.value[inside] - self.value[outside])
        at, end = self.step[inside] * _STEP, self.step[outside] * _STEP
        crossing = at + np.sign(end - at) * share * _STEP
        return np.clip(crossing, np.minimum(at, end), np.maximum(at, end))


def _smoothed(
    value: np.ndarray, offset: np.ndarray, count: np.ndarray, seconds: float
) -> np.ndarray:
    """Moving mean within each stretch, over what there is of the window at its ends."""
    reach = round(seconds / 2 / _STEP)
    if not reach:
        return value
    place = np.arange(len(value))
    low = np.maximum(place - reach, np.repeat(offset, count))
    high = np.minimum(place + reach + 1, np.repeat(offset + count, count))
    total = np.concatenate([[0], np.cumsum(value)])
    return (total[high] - total[low]) / (high - low)


def _lows(value: np.ndarray) -> list[float]:
    """Levels to try: evenly among the points of the curve, and among their values."""
    by_share = np.quantile(value, np.linspace(0, 1, _NUM_LOWS))
    by_value = np.linspace(*np.quantile(value, (0.01, 0.99)), _NUM_LOWS)
    return np.unique(np.concatenate([by_share, by_value])).tolist()


def _merits(found: Proposals, truth: Truth) -> tuple[float, float]:
    """Average precision, and for equals how well the periods are covered.

    Rounded, so that equals are equal. The latter is the mean over the periods of the
    best IoU of a proposal: unlike an average precision it has no steps, which a few
    periods would make coarse.
    """
    label, proposal, overlap = _pairs(found, truth)
    hits = _match(label, proposal, overlap, _CHOSEN_BY_IOU, len(found.video))
    best = np.zeros(len(truth))
    np.maximum.at(best, label, overlap)
    value = average_precision(found.confidence, hits, len(truth))
    return round(value, 9), round(float(best.mean()), 9)


def _best_high(found: Proposals, truth: Truth, low: float) -> tuple[float, float]:
    """The peak from which on to report, and the F1 that this gives."""
    order = np.argsort(-found.confidence, kind="stable")
    hits = match(found, truth, _CHOSEN_BY_IOU)[order]
    peak = found.confidence[order]
    f1 = 2 * np.cumsum(hits) / (np.arange(len(hits)) + 1 + len(truth))
    # Proposals of one peak are reported together or not at all.
    f1[:-1][np.diff(peak) == 0] = -1
    best = int(np.argmax(f1))
    # Where nothing is left over, what was not proposed lies below `low`.
    next_peak = peak[best + 1] if best + 1 < len(peak) else low
    return float((peak[best] + next_peak) / 2), float(f1[best])
