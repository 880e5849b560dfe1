"""Course: second by second, whether the voice of a video fits a mouth, at which lag.

One sum over the whole throws away what is forged in part. So each second is in a state:
the voice fits a mouth in view at some lag, or it fits none; and a video is a chain of
such states (a hidden Markov model, forward and backward). A lag stays, creeps where a
clock is off, or slips where something was cut out; who speaks may change; at a cut of
the picture all of it may. How clearly a person's voice fits is not known beforehand
and is summed over.

The stretch score asks how much surer than before one is that the voice fits no mouth
anywhere: the odds of all courses with such a second against those without, less the
same odds before anything was measured. These grow with the length of a video, so that a
long one is not called fake more often than a short one. docs/alignment.md has what this
was measured to be worth.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence

import numpy as np

from tfmds.evaluation import lag_evidence
from tfmds.evaluation.alignment import MIN_SECONDS
from tfmds.evaluation.chain import MAX_LAG, Chain
from tfmds.evaluation.lag_evidence import CELL_SECONDS, Evidence
from tfmds.spec import MOUTH_HOP

# A voice so far below the loudest second is silence: log energy, some 26 dB.
_SILENCE = 6.0
# Below this `mouth_motion` a face is a still picture. Of 100 people who speak nobody is
# below 0.8, listeners go down to 0.65, still pictures up to 0.1.
STILL, _SPEAKING = 0.5, 0.8
# So is a second that moves so much less than the busiest seconds of talk: a picture
# that stands still is seldom stored the same each time, and listeners move a little.
_STILL_SHARE = 0.3
# So many faces at a time may be the one that speaks; of more the most seen.
_MAX_FACES = 4

# Deviation of the mean centred distance of a second's mouths from those of other times,
# in units of `lag_evidence.deviation`.
_CELL_NOISE = 1.58
# Unusual lags fit by chance, but not as surely for any second.
_SURE = 0.8
# The score, at most, of a video that lags explain: out of step is not forged.
_EXPLAINED = -5.0


@dataclasses.dataclass(frozen=True)
class Course:
    """What each second says, `t` seconds in which a mouth moves and a voice is heard.

    Attributes:
      score: The stretch score: higher means more likely fake. None where there is too
        little to know; far below 0 where the video is out of step.
      start_seconds: `[t]`, when their first mouths begin, on the video's clock.
      end_seconds: `[t]`, when their last ones end.
      none: `[t]`, probability that the voice fits no mouth in view.
      out_of_step: `[t]`, probability that it fits, farther from the usual offset than
        recordings are.
      offset_seconds: `[t]`, the likeliest lag where it fits.
      track: int `[t]`, whose mouth it fits best.
      is_cut: bool `[t]`, whether no face is of the second before.
      silent: Start and end of seconds without a voice.
      still: Start and end of seconds in which no mouth in view moves.
    """

    score: float | None
    start_seconds: np.ndarray
    end_seconds: np.ndarray
    none: np.ndarray
    out_of_step: np.ndarray
    offset_seconds: np.ndarray
    track: np.ndarray
    is_cut: np.ndarray
    silent: tuple[tuple[float, float], ...] = ()
    still: tuple[tuple[float, float], ...] = ()

    @property
    def is_out_of_step(self) -> bool:
        """Whether unusual lags explain more of the video than voices of others."""
        return bool(
            len(self.none)
            and self.out_of_step.max() > _SURE
            and self.out_of_step.sum() > self.none.sum()
        )

    @property
    def seconds(self) -> float:
        """How long mouth and voice were compared."""
        return _covered(self.start_seconds, self.end_seconds)


def trace(evidence: Iterable[Evidence], min_seconds: float = MIN_SECONDS) -> Course:
    """Traces a video's course from the evidence of all its faces.

    Args:
      evidence: Of any tracks, in any order.
      min_seconds: Of less there is no score.
    """
    every = sorted(evidence, key=lambda e: (e.start_seconds, e.track))
    usable, silent, still = _usable(every)
    cells = _Cells.of(usable)
    if cells is None:
        no, nobody, never = np.empty(0), np.empty(0, int), np.empty(0, bool)
        return Course(
            *(None, no, no, no, no, no, nobody, never),
            silent=_spans(silent, usable),
            still=_spans(still, usable),
        )
    chain = Chain(cells)
    chain.forward()
    chain.backward()
    found = Course(
        score=chain.score,
        start_seconds=cells.start,
        end_seconds=cells.end,
        none=chain.none,
        out_of_step=chain.out_of_step,
        offset_seconds=chain.offset,
        track=cells.tracks[chain.speaker, np.arange(len(cells.start))],
        is_cut=cells.is_cut,
        silent=_spans(silent, usable),
        still=_spans(still, usable),
    )
    if found.seconds < min_seconds - 1e-6:
        return dataclasses.replace(found, score=None)
    if found.is_out_of_step:
        return dataclasses.replace(found, score=min(chain.score, _EXPLAINED))
    return found


def _usable(
    every: Sequence[Evidence],
) -> tuple[list[Evidence], list[Evidence], list[Evidence]]:
    """Seconds that can tell, silent ones, and those of still mouths."""
    loud = max((e.loudness for e in every if e.loudness is not None), default=0.0)
    talk = [m for e in every if (m := e.mouth_motion) is not None and m >= _SPEAKING]
    still_below = max(STILL, _STILL_SHARE * float(np.quantile(talk or [0], 0.9)))
    usable, silent, still = [], [], []
    for e in every:
        if e.loudness is not None and e.loudness < loud - _SILENCE:
            silent.append(e)
        elif e.mouth_motion is not None and e.mouth_motion < still_below:
            still.append(e)
        else:
            usable.append(e)
    return usable, silent, still


def _number(evidence: Evidence) -> int:
    """Which second of the video it is of."""
    return int((evidence.start_seconds + 1e-3) // CELL_SECONDS)


def _spans(
    unable: Iterable[Evidence], usable: Iterable[Evidence]
) -> tuple[tuple[float, float], ...]:
    """When no face can tell."""
    told = {_number(e) for e in usable}
    return tuple(
        (e.start_seconds, e.end_seconds) for e in unable if _number(e) not in told
    )


def _covered(starts: np.ndarray, ends: np.ndarray) -> float:
    total, at = 0.0, -math.inf
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        total += max(0.0, end - max(start, at))
        at = max(at, end)
    return total


@dataclasses.dataclass(frozen=True)
class _Cells:
    """Evidence by second and face, `w` faces at most at a time.

    Attributes:
      start: `[t]`.
      end: `[t]`.
      tracks: int `[w, t]`, numbers of the tracks; -1 for none.
      fit: `[w, t, n]` by the lags of a course, in deviations of the noise, or NaN.
      seconds: `[w, t]`, how much was compared.
      is_cut: bool `[t]`, whether no face is of the second before.
    """

    start: np.ndarray
    end: np.ndarray
    tracks: np.ndarray
    fit: np.ndarray
    seconds: np.ndarray
    is_cut: np.ndarray

    @classmethod
    def of(cls, evidence: Sequence[Evidence]) -> "_Cells | None":
        by_track: dict[int, list[Evidence]] = {}
        for e in evidence:
            by_track.setdefault(e.track, []).append(e)
        deviations = {t: lag_evidence.deviation(es) for t, es in by_track.items()}
        evidence = [e for e in evidence if deviations[e.track]]
        if not evidence:
            return None
        numbers = [_number(e) for e in evidence]
        seconds = sorted(set(numbers))
        place = {number: t for t, number in enumerate(seconds)}
        faces = _faces({t: by_track[t] for t in by_track if deviations[t]})
        shape = max(faces.values()) + 1, len(seconds)
        used = lag_evidence.lags_within(MAX_LAG)
        sums = np.zeros((*shape, int(used.sum())))
        count = np.zeros_like(sums)
        tracks = np.full(shape, -1)
        start, end = np.full(len(seconds), np.inf), np.full(len(seconds), -np.inf)
        for e, number in zip(evidence, numbers, strict=True):
            if e.track not in faces:
                continue
            at = faces[e.track], place[number]
            sums[at] += np.asarray(e.centred)[used] / deviations[e.track]
            count[at] += np.asarray(e.count)[used]
            tracks[at] = e.track
            start[at[1]] = min(start[at[1]], e.start_seconds)
            end[at[1]] = max(end[at[1]], e.end_seconds)
        # A lag that few of the second's mouths have says too little.
        most = count.max(axis=2, keepdims=True)
        known = (count > 0) & (count >= 0.5 * most)
        fit = np.where(known, sums / np.sqrt(np.maximum(count, 1)), np.nan)
        same = (tracks[:, 1:] == tracks[:, :-1]) & (tracks[:, 1:] >= 0)
        kept = np.isfinite(start)
        is_cut = np.concatenate([[False], ~same.any(axis=0)])
        return cls(
            start=start[kept],
            end=end[kept],
            tracks=tracks[:, kept],
            fit=fit[:, kept] / _CELL_NOISE,
            seconds=most[:, kept, 0] * MOUTH_HOP,
            is_cut=is_cut[kept],
        )


def _faces(by_track: dict[int, list[Evidence]]) -> dict[int, int]:
    """A place for each track such that none at the same time share one."""
    places: list[list[tuple[float, float]]] = [[] for _ in range(_MAX_FACES)]
    found = {}
    for track in sorted(by_track, key=lambda t: -len(by_track[t])):
        span = by_track[track][0].start_seconds, by_track[track][-1].end_seconds
        for place, taken in enumerate(places):
            if all(span[1] <= a or b <= span[0] for a, b in taken):
                taken.append(span)
                found[track] = place
                break
    return found
