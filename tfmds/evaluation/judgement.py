"""Judgement of one video: from chunk distances to a verdict and suspicious seconds."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfmds import spec
from tfmds.data.manifest import Period
from tfmds.evaluation import scores
from tfmds.evaluation.thresholds import Threshold


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
    """

    track: int
    start_seconds: float
    distance: float
    face_jpeg: bytes = b""
    box: tuple[float, ...] = ()

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


@dataclasses.dataclass(frozen=True)
class VideoJudgement:
    """What is said about one video.

    Attributes:
      path: The video's file, as the user named it.
      status: `ok` where the video was scored.
      threshold: Where a video is called fake, and where that comes from.
      reason: Why the status is not `ok`; where it is, what else is to be known.
      chunks: The scored chunks, none where the status is not `ok`.
      seconds_total: Length of the video, None where it is not known.
      skipped_tracks: Faces that were not scored.
      unread: Stretches of the file without picture or sound to look at, as start and
        end in seconds and why.
      model_id: Which model made the distances.
      chunk_seconds: Length of a chunk.
    """

    path: str
    status: str
    threshold: Threshold
    reason: str = ""
    chunks: tuple[JudgedChunk, ...] = ()
    seconds_total: float | None = None
    skipped_tracks: tuple[SkippedTrack, ...] = ()
    unread: tuple[tuple[float, float, str], ...] = ()
    model_id: str = ""
    chunk_seconds: float = 1.0

    def __post_init__(self) -> None:
        if (self.status == spec.OK) != bool(self.chunks):
            raise ValueError(
                f"{self.path}: the status is {self.status} and there are"
                f" {len(self.chunks)} chunks; a video has chunks where it is ok, and"
                " only there"
            )

    @property
    def mds(self) -> float | None:
        """Mean distance of all chunks, None where there are none."""
        if not self.chunks:
            return None
        return float(scores.mds([chunk.distance for chunk in self.chunks])[0])

    @property
    def verdict(self) -> str:
        """`fake` where MDS >= threshold, else `real`; empty where there is no MDS."""
        if self.mds is None:
            return ""
        return "fake" if self.mds >= self.threshold.value else "real"

    @property
    def fake_probability(self) -> float | None:
        """Calibrated; as if real and fake were equally likely beforehand."""
        if self.mds is None or self.threshold.calibration is None:
            return None
        return float(self.threshold.calibration(np.float64(self.mds)))

    @property
    def is_borderline(self) -> bool:
        """Whether other validation videos might have turned the verdict."""
        if self.mds is None or self.threshold.interval is None:
            return False
        low, high = self.threshold.interval
        return low <= self.mds <= high

    @property
    def scored_periods(self) -> tuple[Period, ...]:
        """Stretches that were looked at, in seconds."""
        return self._periods(self.chunks)

    @property
    def unscored_periods(self) -> tuple[Period, ...]:
        """Stretches of the video that were not looked at, in seconds."""
        if self.seconds_total is None:
            return ()
        gaps, at = [], 0.0
        end = (self.seconds_total, self.seconds_total)
        for start, stop in (*self.scored_periods, end):
            if start - at > _ROUNDING:
                gaps.append((at, min(start, self.seconds_total)))
            at = max(at, stop)
        return tuple(gaps)

    @property
    def seconds_scored(self) -> float:
        """Seconds of the video that were looked at, however many faces there are."""
        return _length(self.scored_periods)

    @property
    def suspicious_periods(self) -> tuple[Period, ...]:
        """Stretches in which a chunk's distance reaches the threshold, in seconds."""
        return self._periods(filter(self.is_suspicious, self.chunks))

    @property
    def fake_periods(self) -> tuple[Period, ...] | None:
        """Stretches that localization reports as forged, in seconds.

        None where nothing was localized: the threshold has no levels for it, or the
        video has no chunks.
        """
        if self.threshold.localizer is None or not self.chunks:
            return None
        return self.threshold.localizer.periods_of(
            [chunk.track for chunk in self.chunks],
            [chunk.start_seconds for chunk in self.chunks],
            [chunk.distance for chunk in self.chunks],
            self.chunk_seconds,
        )

    @property
    def seconds_suspicious(self) -> float:
        """Seconds of the video in which a chunk's distance reaches the threshold."""
        return _length(self.suspicious_periods)

    @property
    def tracks(self) -> tuple[int, ...]:
        """Numbers of the scored tracks, ascending."""
        return tuple(sorted({chunk.track for chunk in self.chunks}))

    def is_suspicious(self, chunk: JudgedChunk) -> bool:
        """Whether a chunk's distance reaches the threshold."""
        return chunk.distance >= self.threshold.value

    def of_track(self, track: int) -> "VideoJudgement":
        """The judgement as if only one track had been seen."""
        chunks = [chunk for chunk in self.chunks if chunk.track == track]
        chunks.sort(key=lambda chunk: chunk.start_seconds)
        return dataclasses.replace(self, chunks=tuple(chunks))

    def to_json(self) -> dict[str, Any]:
        """All that is said, without pictures."""
        return {
            "path": self.path,
            "status": self.status,
            "reason": self.reason,
            "verdict": self.verdict,
            "mds": self.mds,
            "threshold": self.threshold.value,
            "fake_probability": self.fake_probability,
            "is_borderline": self.is_borderline,
            "seconds_total": self.seconds_total,
            "seconds_scored": round(self.seconds_scored, 3),
            "suspicious_periods": _lists(self.suspicious_periods),
            "fake_periods": self._fake_periods_to_json(),
            "unscored_periods": _lists(self.unscored_periods),
            "unread": [list(stretch) for stretch in self.unread],
            "tracks": [self._track_to_json(track) for track in self.tracks],
            "skipped_tracks": [dataclasses.asdict(s) for s in self.skipped_tracks],
            "model_id": self.model_id,
        }

    @classmethod
    def from_json(
        cls, fields: dict[str, Any], threshold: Threshold, chunk_seconds: float = 1.0
    ) -> "VideoJudgement":
        """Reads what `to_json` wrote of a video judged by this threshold.

        Raises:
          KeyError, TypeError, ValueError: The fields are others.
        """
        return cls(
            path=fields["path"],
            status=fields["status"],
            threshold=threshold,
            reason=fields["reason"],
            chunks=tuple(
                JudgedChunk(
                    track["track"],
                    chunk["start_seconds"],
                    chunk["distance"],
                    box=tuple(chunk["box"]),
                )
                for track in fields["tracks"]
                for chunk in track["chunks"]
            ),
            seconds_total=fields["seconds_total"],
            skipped_tracks=tuple(SkippedTrack(**s) for s in fields["skipped_tracks"]),
            # Older results do not have it.
            unread=tuple(tuple(stretch) for stretch in fields.get("unread", ())),
            model_id=fields["model_id"],
            chunk_seconds=chunk_seconds,
        )

    def _fake_periods_to_json(self) -> list[list[float]] | None:
        return None if self.fake_periods is None else _lists(self.fake_periods)

    def _track_to_json(self, track: int) -> dict[str, Any]:
        alone = self.of_track(track)
        return {
            "track": track,
            "mds": alone.mds,
            "suspicious_periods": _lists(alone.suspicious_periods),
            "chunks": [
                {
                    "start_seconds": c.start_seconds,
                    "distance": c.distance,
                    "box": list(c.box),
                }
                for c in alone.chunks
            ],
        }

    def _periods(self, chunks: Iterable[JudgedChunk]) -> tuple[Period, ...]:
        return merge_periods(
            [(c.start_seconds, c.start_seconds + self.chunk_seconds) for c in chunks]
        )


# Times come through float32: what is closer than this touches.
_ROUNDING = 1e-3


def merge_periods(periods: Sequence[Period]) -> tuple[Period, ...]:
    """Joins stretches that touch or overlap; the answer is in order of time."""
    merged: list[Period] = []
    for start, end in sorted(periods):
        if merged and start <= merged[-1][1] + _ROUNDING:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _length(periods: Iterable[Period]) -> float:
    return sum(end - start for start, end in periods)


def _lists(periods: Iterable[Period]) -> list[list[float]]:
    return [[round(start, 3), round(end, 3)] for start, end in periods]
