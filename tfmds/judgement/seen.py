"""What was seen of a video: scored chunks, faces that were left out, stretches."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tfmds.data.manifest import Period

# Times come through float32: what is closer than this touches.
ROUNDING = 1e-3


@dataclasses.dataclass(frozen=True)
class JudgedChunk:
    """One scored chunk of a video.

    Attributes:
      track: Number of the track in its video.
      start_seconds: On the video's clock.
      distance: Between the embeddings of picture and sound.
      face_jpeg: A face crop of the chunk to show, some 96 px a side; may be empty.
      box: Where the face is in the picture in the mean, in pixels (left, top, right,
        bottom); may be empty.
      offset_distance: Distance of the mouth to the voice at the video's own offset;
        None where that is not known.
      mismatch_distance: Mean distance of the mouth to its mismatches, see
        `lag_evidence`.
      mouth_motion: Mean change of the lower face from picture to picture, in grey
        levels of 255; None where it was not measured.
      heads: By stream, the probability of fake that its head gives; those asked for.
    """

    track: int
    start_seconds: float
    distance: float
    face_jpeg: bytes = b""
    box: tuple[float, ...] = ()
    offset_distance: float | None = None
    mismatch_distance: float | None = None
    mouth_motion: float | None = None
    heads: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def face_size(self) -> float:
        """Side of a square as large as the box, in pixels; 0 without a box."""
        if not self.box:
            return 0.0
        left, top, right, bottom = self.box
        return float(np.sqrt((right - left) * (bottom - top)))


@dataclasses.dataclass(frozen=True)
class SkippedTrack:
    """A face that was seen and not scored.

    Attributes:
      start_seconds: When it appears.
      end_seconds: When it is gone.
      reason: Why it was not scored, as a reader would say it.
    """

    start_seconds: float
    end_seconds: float
    reason: str


def merge_periods(periods: Sequence[Period]) -> tuple[Period, ...]:
    """Joins stretches that touch or overlap; the result is in order of time."""
    merged: list[Period] = []
    for start, end in sorted(periods):
        if merged and start <= merged[-1][1] + ROUNDING:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def gaps_between(periods: Iterable[Period], end: float) -> tuple[Period, ...]:
    """What merged stretches leave free from 0 to an end."""
    gaps, at = [], 0.0
    for start, stop in (*periods, (end, end)):
        if start - at > ROUNDING:
            gaps.append((at, min(start, end)))
        at = max(at, stop)
    return tuple(gaps)


def length(periods: Iterable[Period]) -> float:
    """Seconds of stretches that do not overlap."""
    return sum(end - start for start, end in periods)
