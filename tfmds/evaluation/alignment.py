"""Alignment: at which lag a voice fits a mouth, and how well, judged within the video.

A distance means something else in each recording, and sound and picture are seldom in
step to the millisecond. So a mouth is not only compared with the voice of the same
time, but with that of other times up to two seconds away: where its own voice fits,
the mean distance by lag has a dip, and the rest of the curve says what "does not fit"
means in this recording. docs/alignment.md has what each part was measured to be worth.

    distances by lag --(evidence)--> stretches --(align)--> offset, clearness, score

Lags are in seconds: how much later the voice is taken than the mouth, so positive where
the sound is late.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfmds.spec import MAX_LAG, MOUTH_HOP, VOICE_HOP

# From here on mouth and voice of a track are mismatches.
MISMATCH_LAG = 0.4
# Where an offset is searched for.
MAX_OFFSET = 0.6
# Offset of most recordings for weights that were learned from GRID, and how far others
# lie around it: a fit that far off counts one standard deviation less.
USUAL_OFFSET = 0.06
TOLERANCE = 0.1
# Farther from the usual offset than this, a clear offset is out of step.
MAX_IN_STEP = 0.2
# From this clearness on an offset is reported; one in 25 voices of somebody else
# reaches it by chance.
CLEAR = 3.0
# A score from less would be guessed.
MIN_SECONDS = 2.0
# Who speaks is asked anew after so many seconds.
STRETCH_SECONDS = 5.0

# A far lag's mean over `n` seconds has a deviation of about `_NOISE / sqrt(n)` of that
# of single distances; how many independent lags this guess weighs as much as.
_NOISE = 0.9
_NOISE_WEIGHT = 10.0
# Lags nearer than this are no sample of the noise, and so many lags are as good as one.
_FAR_LAG = 0.6
_DEPENDENT_LAGS = 7.5
# Mean of the lowest fit within the tolerance where nothing fits.
_LOWEST_OF_NOISE = -0.5
# Means of rows and of columns are taken away in turns so often.
_PASSES = 6
_ROUNDING = 1e-6


def lags() -> np.ndarray:
    """The lags that are looked at, float64 `[k]`, ascending; 0 is in the middle."""
    count = round(MAX_LAG / VOICE_HOP)
    return np.arange(-count, count + 1) * VOICE_HOP


def distances_by_lag(
    mouth_seconds: np.ndarray,
    mouth: np.ndarray,
    voice_seconds: np.ndarray,
    voice: np.ndarray,
) -> np.ndarray:
    """Distance of each mouth to the voice at each lag.

    Args:
      mouth_seconds: `[m]`, starts of the mouth chunks, `MOUTH_HOP` apart.
      mouth: `[m, d]`, their embeddings.
      voice_seconds: `[v]`, starts of the voice chunks, `VOICE_HOP` apart.
      voice: `[v, d]`.

    Returns:
      float64 `[m, k]`, by `lags()`; NaN where there is no voice chunk.
    """
    step = np.asarray(voice_seconds)[None] - np.asarray(mouth_seconds)[:, None]
    column = np.round(step / VOICE_HOP).astype(int) + len(lags()) // 2
    square = (
        np.sum(np.square(mouth, dtype=np.float64), axis=1)[:, None]
        + np.sum(np.square(voice, dtype=np.float64), axis=1)[None]
        - 2 * np.asarray(mouth, np.float64) @ np.asarray(voice, np.float64).T
    )
    row, at = np.nonzero((column >= 0) & (column < len(lags())))
    table = np.full((len(mouth), len(lags())), np.nan)
    table[row, column[row, at]] = np.sqrt(np.maximum(square[row, at], 0))
    return table


_BY_LAG = ("count", "distance", "centred")


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a stretch of a track says; stretches of the same track add up.

    Attributes:
      track: Number of the track.
      start_seconds: When its first mouth chunk begins, on the video's clock.
      end_seconds: When its last one ends.
      count: `[k]`, mouth chunks that have a voice chunk at each lag.
      distance: `[k]`, sum of their distances.
      centred: `[k]`, sum of their centred distances, see `evidence`.
      freedom: Degrees of freedom of the centred distances of its mismatches.
      square: Sum of their squares.
    """

    track: int
    start_seconds: float
    end_seconds: float
    count: tuple[float, ...]
    distance: tuple[float, ...]
    centred: tuple[float, ...]
    freedom: float
    square: float

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Evidence":
        """Reads what `to_json` wrote; KeyError or TypeError where it is another."""
        return cls(**fields | {name: tuple(fields[name]) for name in _BY_LAG})


def evidence(
    start_seconds: np.ndarray,
    distances: np.ndarray,
    track: int = 0,
    chunk_seconds: float = 1.0,
) -> list[Evidence]:
    """Sums up the distances by lag of one track record, by stretches of 5 s.

    The centred distance of mouth `i` and voice `j` is `D[i, j] - mouth[i] - voice[j]`,
    where `mouth` and `voice` are such that over the mismatches of each mouth and of
    each voice its mean is 0: a mouth, or a voice, that is far from everything says
    nothing about who belongs to whom.

    Args:
      start_seconds: `[m]`, starts of the mouth chunks, `MOUTH_HOP` apart.
      distances: `[m, k]` by `lags()`, NaN where there is no voice.
      track: Number of the track.
      chunk_seconds: Length of a chunk.

    Returns:
      A stretch every `STRETCH_SECONDS`; none where there are no mismatches, since
      nothing can be said then.
    """
    distances = np.asarray(distances, np.float64)
    starts = np.asarray(start_seconds, np.float64)
    known = ~np.isnan(distances)
    far = known & (np.abs(lags()) >= MISMATCH_LAG - _ROUNDING)
    if not far.any():
        return []
    per_hop = round(MOUTH_HOP / VOICE_HOP)
    mouth = np.round((starts - starts[0]) / MOUTH_HOP).astype(int)
    voice = mouth[:, None] * per_hop + np.arange(len(lags()))
    centred = np.where(known, distances, 0.0)
    # Each mouth has mismatches with other voices than its neighbour has, so that one
    # pass does not part what both add.
    for _ in range(_PASSES):
        centred -= _mean(centred, far, np.arange(len(starts))[:, None])
        centred -= _mean(centred, far, voice)
    centred = np.where(known, centred, 0.0)
    means = far.any(axis=1).sum() + len(np.unique(voice[far])) - 1
    free = max(0.0, 1 - means / far.sum())
    number = np.floor((starts - starts[0] + _ROUNDING) / STRETCH_SECONDS).astype(int)
    found = []
    for stretch in np.unique(number):
        rows = number == stretch
        found.append(
            Evidence(
                track=int(track),
                start_seconds=round(float(starts[rows][0]), 3),
                end_seconds=round(float(starts[rows][-1] + chunk_seconds), 3),
                count=tuple(known[rows].sum(axis=0).tolist()),
                distance=_sums(np.where(known[rows], distances[rows], 0.0)),
                centred=_sums(centred[rows]),
                freedom=float(far[rows].sum() * free),
                square=float(np.square(centred[rows][far[rows]]).sum()),
            )
        )
    return found


def _sums(values: np.ndarray) -> tuple[float, ...]:
    # Rounded, since they travel as text.
    return tuple(np.round(values.sum(axis=0), 5).tolist())


def _mean(values: np.ndarray, mask: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Mean of the values under the mask that share a label, for each value."""
    label = np.broadcast_to(label, values.shape)
    weight = mask.ravel().astype(np.float64)
    total = np.bincount(label.ravel(), values.ravel() * weight)
    count = np.bincount(label.ravel(), weight)
    return (total / np.maximum(count, 1))[label]


@dataclasses.dataclass(frozen=True)
class Alignment:
    """Whether and at which lag a voice fits a mouth.

    Attributes:
      aligned: Aligned score: higher means more likely fake. About 0, with a standard
        deviation of about 1, where nothing fits, whatever the length; far below where
        mouth and voice belong together. None where there is too little to know.
      offset_seconds: Lag at which the voice fits best; None where there is too little.
      clearness: How far that fit lies below 0, in standard deviations of the noise.
      seconds: How long mouth and voice were compared.
      distance: `[k]`, mean distance by `lags()`, NaN where there is none.
      fit: `[k]`, the same centred, in standard deviations of the noise: what `aligned`
        and `clearness` are read off.
    """

    aligned: float | None
    offset_seconds: float | None
    clearness: float
    seconds: float
    distance: np.ndarray
    fit: np.ndarray

    @property
    def offset_is_clear(self) -> bool:
        """Whether chance would hardly make a voice fit so well anywhere."""
        return self.clearness >= CLEAR

    @property
    def is_out_of_step(self) -> bool:
        """Whether the offset is clear and farther off than recordings usually are."""
        return (
            self.offset_is_clear
            and self.offset_seconds is not None
            and abs(self.offset_seconds - USUAL_OFFSET) > MAX_IN_STEP + _ROUNDING
        )


@dataclasses.dataclass(frozen=True)
class Turn:
    """Who of the faces in view the voice fits best, for some seconds.

    Attributes:
      start_seconds: When the stretch begins.
      end_seconds: When it ends.
      track: Whose mouth fits best.
      num_faces: Among how many.
    """

    start_seconds: float
    end_seconds: float
    track: int
    num_faces: int


@dataclasses.dataclass(frozen=True)
class VideoAlignment:
    """The alignment of a video's speaker, and that of each face.

    Attributes:
      whole: Of whoever speaks best at each time.
      tracks: Of each face over all of its time, by its number.
      spoken: Of each face over the turns in which it is the one.
      turns: Who that is, in order of time.
    """

    whole: Alignment
    tracks: dict[int, Alignment]
    spoken: dict[int, Alignment]
    turns: tuple[Turn, ...]


def align(stretches: Iterable[Evidence]) -> Alignment:
    """Reads offset, clearness and aligned score off the stretches of a track.

    With `c(l)` the mean centred distance at lag `l`, `s` the standard deviation of the
    mismatches and `T(l)` the seconds that were compared at this lag, the fit is
    `t(l) = sqrt(T(l)) c(l) / (s noise)`. `noise`, about 0.9, is how much the means of
    lags of 0.6 s and more vary, in these units: chunks overlap, so that they vary less
    than independent ones. The aligned score is the smallest of
    `t(l) + ((l - USUAL_OFFSET) / TOLERANCE)^2` for `l` up to 0.2 s from the usual
    offset, less its mean where nothing fits (-0.5). The offset is the lag of the
    smallest `t` within `MAX_OFFSET`, between lags by a parabola.
    """
    return align_video(stretches).whole


def align_video(stretches: Iterable[Evidence]) -> VideoAlignment:
    """Aligns a video with any number of faces, by its speaker at each time.

    As `align`, but of the faces in view in the same five seconds the one counts, at
    each lag, that the voice fits best there. The best of several fits better by chance:
    so it does at the far lags, and their mean is taken away.
    """
    by_time: dict[int, dict[int, list[Evidence]]] = {}
    by_track: dict[int, list[Evidence]] = {}
    for stretch in sorted(stretches, key=lambda s: (s.start_seconds, s.track)):
        middle = (stretch.start_seconds + stretch.end_seconds) / 2
        present = by_time.setdefault(int(middle // STRETCH_SECONDS), {})
        present.setdefault(stretch.track, []).append(stretch)
        by_track.setdefault(stretch.track, []).append(stretch)
    deviations = {track: _deviation(found) for track, found in by_track.items()}
    moments = [
        {t: _Moment.of(s, deviations[t]) for t, s in present.items()}
        for _, present in sorted(by_time.items())
    ]
    whole, at = _whole(moments)
    turns: list[Turn] = []
    spoken: dict[int, list[dict[int, _Moment]]] = {}
    for faces in moments:
        fits = {track: _or_zero(faces[track].fit[at]) for track in sorted(faces)}
        track = min(fits, key=fits.__getitem__)
        moment = faces[track]
        turns.append(Turn(moment.start, moment.end, track, len(faces)))
        spoken.setdefault(track, []).append({track: moment})
    return VideoAlignment(
        whole=whole,
        tracks={
            track: _whole([{track: m[track]} for m in moments if track in m])[0]
            for track in by_track
        },
        spoken={track: _whole(said)[0] for track, said in spoken.items()},
        turns=tuple(turns),
    )


@dataclasses.dataclass(frozen=True)
class _Moment:
    """A face in some five seconds: its stretches there as one."""

    start: float
    end: float
    seconds: np.ndarray
    distance: np.ndarray
    # Of these seconds alone, not yet by the noise.
    fit: np.ndarray

    @classmethod
    def of(cls, stretches: Sequence[Evidence], deviation: float) -> "_Moment":
        count = _total(stretches, "count")
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = _total(stretches, "distance") / count
            fit = _total(stretches, "centred") / np.sqrt(count)
        # A distance that is always the same, or nearly, says nothing.
        fit = fit / deviation if deviation else np.full(len(fit), np.nan)
        return cls(
            start=stretches[0].start_seconds,
            end=max(s.end_seconds for s in stretches),
            seconds=np.where(np.isnan(fit), 0.0, count * MOUTH_HOP),
            distance=distance,
            fit=fit * math.sqrt(MOUTH_HOP),
        )


def _whole(moments: Sequence[dict[int, _Moment]]) -> tuple[Alignment, int]:
    """The alignment of whoever fits best at each time, and the number of its lag."""
    grid = lags()
    middle = len(grid) // 2
    every = [moment for present in moments for moment in present.values()]
    covered = _covered([(m.start, m.end) for m in every])
    nothing = np.full(len(grid), np.nan)
    silent = not any(m.seconds.any() for m in every)
    if covered < MIN_SECONDS - _ROUNDING or silent:
        return Alignment(None, None, 0.0, covered, nothing, nothing), middle
    fit, seconds = np.zeros(len(grid)), np.zeros(len(grid))
    distance = np.zeros(len(grid))
    for present in moments:
        fits = np.stack([m.fit for m in present.values()])
        best = np.argmin(np.where(np.isnan(fits), np.inf, fits), axis=0)
        chosen = best, np.arange(len(grid))
        length = np.stack([m.seconds for m in present.values()])[chosen]
        fit += np.nan_to_num(fits[chosen]) * np.sqrt(length)
        seconds += length
        of_each = np.stack([m.distance for m in present.values()])[chosen]
        distance += np.nan_to_num(of_each) * length
    with np.errstate(invalid="ignore", divide="ignore"):
        fit, distance = fit / np.sqrt(seconds), distance / seconds
    usable = seconds >= 0.4 * seconds.max()
    far = usable & (np.abs(grid) >= _FAR_LAG - _ROUNDING)
    if any(len(present) > 1 for present in moments) and far.any():
        fit -= fit[far].mean()
    variance = np.square(fit[far]).sum() / _DEPENDENT_LAGS
    weight = far.sum() / _DEPENDENT_LAGS
    fit /= math.sqrt((_NOISE_WEIGHT * _NOISE**2 + variance) / (_NOISE_WEIGHT + weight))
    near = np.abs(grid - USUAL_OFFSET) <= MAX_IN_STEP + _ROUNDING
    late = ((grid - USUAL_OFFSET) / TOLERANCE) ** 2
    near_fit = np.where(near & (seconds > 0), fit + late, np.inf)
    offset, clearness = _dip(grid, fit)
    at = int(np.argmin(near_fit))
    if clearness >= CLEAR:
        at = int(np.argmin(np.abs(grid - offset)))
    found = Alignment(
        aligned=float(near_fit.min()) - _LOWEST_OF_NOISE,
        offset_seconds=offset,
        clearness=clearness,
        seconds=covered,
        distance=distance,
        fit=fit,
    )
    return found, at


def _or_zero(value: float) -> float:
    return 0.0 if np.isnan(value) else float(value)


def _dip(grid: np.ndarray, fit: np.ndarray) -> tuple[float, float]:
    """Lag of the lowest fit within `MAX_OFFSET`, and how far below 0 that is."""
    inside = np.flatnonzero(np.abs(grid) <= MAX_OFFSET + _ROUNDING)
    at = int(inside[np.nanargmin(fit[inside])])
    left, lowest, right = fit[at - 1 : at + 2]
    bend = left - 2 * lowest + right
    shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
    # At the edge of the search the dip, if it is one, lies beyond.
    shift = shift if abs(shift) <= 1 else 0.0
    return round(float(grid[at] + shift * VOICE_HOP), 3), max(0.0, float(-lowest))


def _covered(periods: Sequence[tuple[float, float]]) -> float:
    """Seconds that stretches cover, however many of them at a time."""
    total, end = 0.0, -math.inf
    for start, stop in sorted(periods):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total


def _total(stretches: Iterable[Evidence], name: str) -> np.ndarray:
    values = [getattr(s, name) for s in stretches]
    return np.asarray(np.sum(values, axis=0, dtype=np.float64))


def _deviation(stretches: Sequence[Evidence]) -> float:
    """Standard deviation of the mismatches' centred distances, 0 where hardly any."""
    freedom = sum(s.freedom for s in stretches)
    if not freedom:
        return 0.0
    deviation = math.sqrt(sum(s.square for s in stretches) / freedom)
    distance = _total(stretches, "distance").sum() / _total(stretches, "count").sum()
    return deviation if deviation > _ROUNDING * distance else 0.0
