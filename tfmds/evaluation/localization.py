"""Localization: from chunk distances to fake periods.

The paper looks for the forged seconds of a video by the distance of each chunk. Here
the distances become a curve over time. Where it reaches a low level is a proposal;
where its peak reaches a high level too, the proposal is reported as a fake period.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data.manifest import Period
from tfmds.evaluation import localization_metrics
from tfmds.evaluation.localization_metrics import Proposals, Truth
from tfmds.evaluation.scores import ChunkScores, VideoScores, chunk_rows

# The levels are chosen at the first.
_CHOSEN_BY_IOU = localization_metrics.AP_IOUS[0]

# Seconds between two points of the curve; chunks start at multiples of it.
_STEP = 0.1
_SMOOTHINGS = (0.0, 0.5, 1.0, 2.0)
_NUM_LOWS = 30
_MIN_PERIODS = 10
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

    def __post_init__(self) -> None:
        numbers = (self.low, self.high, self.smoothing_seconds)
        if not np.isfinite(numbers).all() or self.low > self.high:
            raise ValueError(
                f"levels of localization from {self.low} to {self.high}, expected"
                " low <= high"
            )

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
    low, high = np.quantile(value, (0.01, 0.99))
    by_value = np.linspace(low, high, _NUM_LOWS)
    return np.unique(np.concatenate([by_share, by_value])).tolist()


def _merits(found: Proposals, truth: Truth) -> tuple[float, float]:
    """Average precision, and for equals how well the periods are covered.

    Rounded, so that equals are equal. The latter is the mean over the periods of the
    best IoU of a proposal: unlike an average precision it has no steps, which a few
    periods would make coarse.
    """
    label, proposal, overlap = localization_metrics.pairs(found, truth)
    hits = localization_metrics.matched(
        label, proposal, overlap, _CHOSEN_BY_IOU, len(found.video)
    )
    best = np.zeros(len(truth))
    np.maximum.at(best, label, overlap)
    value = localization_metrics.average_precision(found.confidence, hits, len(truth))
    return round(value, 9), round(float(best.mean()), 9)


def _best_high(found: Proposals, truth: Truth, low: float) -> tuple[float, float]:
    """The peak from which on to report, and the F1 that this gives."""
    order = np.argsort(-found.confidence, kind="stable")
    hits = localization_metrics.match(found, truth, _CHOSEN_BY_IOU)[order]
    peak = found.confidence[order]
    f1 = 2 * np.cumsum(hits) / (np.arange(len(hits)) + 1 + len(truth))
    # Proposals of one peak are reported together or not at all.
    f1[:-1][np.diff(peak) == 0] = -1
    best = int(np.argmax(f1))
    # Where nothing is left over, what was not proposed lies below `low`.
    next_peak = peak[best + 1] if best + 1 < len(peak) else low
    return float((peak[best] + next_peak) / 2), float(f1[best])
