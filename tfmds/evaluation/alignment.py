"""Alignment: at which lag a voice fits a mouth, and how well, judged within the video.

Of a video as a whole, from the evidence of all its seconds: one offset, how clear it
is, and the aligned score. Of its stretches see `course`. docs/alignment.md has what
each part was measured to be worth.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from tfmds.evaluation import lag_evidence
from tfmds.evaluation.lag_evidence import Evidence, lags
from tfmds.spec import MOUTH_HOP, VOICE_HOP

# Where an offset is searched for; as far as charts show the distance by lag.
MAX_OFFSET = 1.0
# Offset of most recordings for weights that were learned from GRID, and how far others
# lie around it: a fit that far off counts one standard deviation less.
USUAL_OFFSET = 0.06
TOLERANCE = 0.1
# Farther from the usual offset than this, a clear offset is out of step.
MAX_IN_STEP = 0.2
# From this clearness on an offset is reported; one in 25 voices of somebody else
# reaches it by chance. An offset farther off than so much has to be clearer, since
# there are as many of these as of the others.
CLEAR = 3.0
_RARE_OFFSET, _CLEARER = 0.6, 0.4
# A score from less would be guessed.
MIN_SECONDS = 2.0
# Who speaks is asked anew after so many seconds.
TURN_SECONDS = 5.0

# A far lag's mean over `n` seconds has a deviation of about `_NOISE / sqrt(n)` of that
# of single distances; how many independent lags this guess weighs as much as.
_NOISE = 0.9
_NOISE_WEIGHT = 10.0
# Lags nearer than this are no sample of the noise, and so many lags are as good as one.
_FAR_LAG = 0.6
_DEPENDENT_LAGS = 7.5
# Mean of the lowest fit within the tolerance where nothing fits.
_LOWEST_OF_NOISE = -0.5
_ROUNDING = 1e-6


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
        present = by_time.setdefault(int(middle // TURN_SECONDS), {})
        present.setdefault(stretch.track, []).append(stretch)
        by_track.setdefault(stretch.track, []).append(stretch)
    deviations = {
        track: lag_evidence.deviation(found) for track, found in by_track.items()
    }
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
        count = lag_evidence.total(stretches, "count")
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = lag_evidence.total(stretches, "distance") / count
            fit = lag_evidence.total(stretches, "centred") / np.sqrt(count)
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
    if offset is not None and clearness >= CLEAR:
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


def _dip(grid: np.ndarray, fit: np.ndarray) -> tuple[float | None, float]:
    """Lag of the lowest fit within `MAX_OFFSET`, and how far below 0 that is.

    None where it is lowest at the edge of the search: that is no offset.
    """
    rare = _CLEARER * (np.abs(grid) > _RARE_OFFSET + _ROUNDING)
    inside = np.flatnonzero(np.abs(grid) <= MAX_OFFSET + _ROUNDING)
    at = int(inside[np.nanargmin((fit + rare)[inside])])
    left, lowest, right = fit[at - 1 : at + 2]
    if at in (inside[0], inside[-1]) and min(left, right) < lowest:
        # The dip, if it is one, lies beyond.
        return None, 0.0
    bend = left - 2 * lowest + right
    shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
    shift = shift if abs(shift) <= 1 else 0.0
    offset = round(float(grid[at] + shift * VOICE_HOP), 3)
    return offset, max(0.0, float(-lowest - rare[at]))


def _covered(periods: Sequence[tuple[float, float]]) -> float:
    """Seconds that stretches cover, however many of them at a time."""
    total, end = 0.0, -math.inf
    for start, stop in sorted(periods):
        total += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return total
