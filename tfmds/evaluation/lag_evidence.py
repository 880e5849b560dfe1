"""Evidence: what stretches of a face say at each lag, summed up as they come.

A distance means something else in each recording, and sound and picture are seldom in
step to the millisecond. So a mouth is not only compared with the voice of the same
time, but with that of other times up to two seconds away: where its own voice fits,
the mean distance by lag has a dip, and the rest of the curve says what "does not fit"
means in this recording.

    distances by lag --(evidence)--> a second of a face --(alignment)--> the whole video
                                                        --(course)-----> its stretches

Lags are in seconds: how much later the voice is taken than the mouth, so positive where
the sound is late.
"""

import array
import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfmds.spec import MAX_LAG, MOUTH_HOP, VOICE_HOP

# From here on mouth and voice of a track are mismatches.
MISMATCH_LAG = 0.4
# Evidence is summed up by so many seconds.
CELL_SECONDS = 1.0
# Means of rows and of columns are taken away in turns so often.
_PASSES = 6
_ROUNDING = 1e-6


def lags() -> np.ndarray:
    """The lags that are looked at, float64 `[k]`, ascending; 0 is in the middle."""
    count = round(MAX_LAG / VOICE_HOP)
    return np.arange(-count, count + 1) * VOICE_HOP


def lags_within(seconds: float) -> np.ndarray:
    """Which lags are no farther than this, bool `[k]`."""
    return np.abs(lags()) <= seconds + _ROUNDING


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
# Digits of a sum that travel as text.
_DIGITS = 5


@dataclasses.dataclass(frozen=True)
class Evidence:
    """What a second of a track says; seconds of the same track add up.

    Attributes:
      track: Number of the track.
      start_seconds: When its first mouth chunk begins, on the video's clock.
      end_seconds: When its last one ends.
      count: float32 `[k]`, mouth chunks that have a voice chunk at each lag.
      distance: float32 `[k]`, sum of their distances.
      centred: float32 `[k]`, sum of their centred distances, see `sum_up`.
      freedom: Degrees of freedom of the centred distances of its mismatches.
      square: Sum of their squares.
      loudness: Log energy of its voice where that is loud, in nats; None where it was
        not measured.
      mouth_motion: Mean change of the lower face from picture to picture, in grey
        levels of 255; None where it was not measured.
    """

    track: int
    start_seconds: float
    end_seconds: float
    count: array.array
    distance: array.array
    centred: array.array
    freedom: float
    square: float
    loudness: float | None = None
    mouth_motion: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        sums = {n: [round(x, _DIGITS) for x in fields[n]] for n in _BY_LAG}
        return fields | sums

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Evidence":
        """Reads what `to_json` wrote; KeyError or TypeError where it is another."""
        return cls(
            **fields | {name: array.array("f", fields[name]) for name in _BY_LAG}
        )


def sum_up(
    start_seconds: npt.ArrayLike,
    distances: npt.ArrayLike,
    track: int = 0,
    chunk_seconds: float = 1.0,
    loudness: np.ndarray | None = None,
    mouth_motion: np.ndarray | None = None,
) -> list[Evidence]:
    """Sums up the distances by lag of one track record, second by second.

    The centred distance of mouth `i` and voice `j` is `D[i, j] - mouth[i] - voice[j]`,
    where `mouth` and `voice` are such that over the mismatches of each mouth and of
    each voice its mean is 0: a mouth, or a voice, that is far from everything says
    nothing about who belongs to whom.

    Args:
      start_seconds: `[m]`, starts of the mouth chunks, `MOUTH_HOP` apart.
      distances: `[m, k]` by `lags()`, NaN where there is no voice.
      track: Number of the track.
      chunk_seconds: Length of a chunk.
      loudness: `[m]`, of the voice at lag 0, see `Evidence`.
      mouth_motion: `[m]`.

    Returns:
      One for each second in which mouths begin; none where there are no mismatches,
      since nothing can be said then.
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
    number = np.floor((starts - starts[0] + _ROUNDING) / CELL_SECONDS).astype(int)
    found = []
    for cell in np.unique(number):
        rows = number == cell
        found.append(
            Evidence(
                track=int(track),
                start_seconds=round(float(starts[rows][0]), 3),
                end_seconds=round(float(starts[rows][-1] + chunk_seconds), 3),
                count=_sums(known[rows]),
                distance=_sums(np.where(known[rows], distances[rows], 0.0)),
                centred=_sums(centred[rows]),
                freedom=float(far[rows].sum() * free),
                square=float(np.square(centred[rows][far[rows]]).sum()),
                loudness=_rounded_mean(loudness, rows),
                mouth_motion=_rounded_mean(mouth_motion, rows),
            )
        )
    return found


def _sums(values: np.ndarray) -> array.array:
    return array.array("f", np.round(values.sum(axis=0), _DIGITS).tolist())


def _rounded_mean(values: np.ndarray | None, rows: np.ndarray) -> float | None:
    return None if values is None else round(float(values[rows].mean()), 3)


def total(cells: Iterable[Evidence], name: str) -> np.ndarray:
    """Sum of a field over evidence, float64 `[k]`."""
    values = [getattr(cell, name) for cell in cells]
    return np.asarray(np.sum(values, axis=0, dtype=np.float64))


def deviation(cells: Sequence[Evidence]) -> float:
    """Standard deviation of the mismatches' centred distances, 0 where hardly any."""
    freedom = sum(cell.freedom for cell in cells)
    if not freedom:
        return 0.0
    found = math.sqrt(sum(cell.square for cell in cells) / freedom)
    distance = total(cells, "distance").sum() / total(cells, "count").sum()
    return found if found > _ROUNDING * distance else 0.0


def _mean(values: np.ndarray, mask: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Mean of the values under the mask that share a label, for each value."""
    label = np.broadcast_to(label, values.shape)
    weight = mask.ravel().astype(np.float64)
    total = np.bincount(label.ravel(), values.ravel() * weight)
    count = np.bincount(label.ravel(), weight)
    return (total / np.maximum(count, 1))[label]
