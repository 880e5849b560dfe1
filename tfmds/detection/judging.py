"""Detection: a video and an exported model become a judgement."""

import dataclasses
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import cv2
import numpy as np

from tfmds import spec
from tfmds.common.thumbnails import small
from tfmds.data import records
from tfmds.data.manifest import Video
from tfmds.detection.track_choice import TrackChoice
from tfmds.evaluation import alignment, lag_evidence, scores
from tfmds.evaluation.lag_evidence import Evidence
from tfmds.evaluation.thresholds import Threshold
from tfmds.exporting.export_info import DistancesByLag
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk
from tfmds.preprocessing import isolation
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.isolation import IsolatedTrackReader
from tfmds.spec import ChunkSpec

# Chunks that go through the network together, at most.
_BATCH_SIZE = 8
# Share of the moments of a chunk that are quieter than what its loudness is taken at.
_LOUD = 0.8


class Model(Protocol):
    """What is asked for scores: `exporting.ExportedModel`, `remote.RemoteModel`."""

    @property
    def spec(self) -> ChunkSpec:
        """Of the chunks it was trained with."""

    @property
    def threshold(self) -> Threshold:
        """Where a video is called fake."""

    @property
    def model_id(self) -> str:
        """Digest of the weights."""

    @property
    def has_lags(self) -> bool:
        """Whether it can tell distances by lag."""

    @property
    def told_streams(self) -> tuple[str, ...]:
        """Streams that it was trained to tell forged from own."""

    def score(self, examples: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Of track records of one chunk each, see `export_info.chunk_scores`."""

    def lags(self, examples: Sequence[bytes]) -> list[DistancesByLag]:
        """Distances by lag of each track record, where the model `has_lags`."""


class SharedModel:
    """A model that several threads ask in turn, so that its work takes memory once."""

    def __init__(self, model: Model):
        self.spec = model.spec
        self.threshold = model.threshold
        self.model_id = model.model_id
        self.has_lags = model.has_lags
        self.told_streams = model.told_streams
        self._model = model
        self._lock = threading.Lock()

    def score(self, examples: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Of track records of one chunk each, see `export_info.chunk_scores`."""
        with self._lock:
            return self._model.score(examples)

    def lags(self, examples: Sequence[bytes]) -> list[DistancesByLag]:
        """Distances by lag of each track record, where the model `has_lags`."""
        with self._lock:
            return self._model.lags(examples)


def judge(
    model: Model,
    path: str,
    options: PreprocessingConfig | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
    *,
    on_chunk: Callable[[JudgedChunk], None] = lambda _: None,
    hop_seconds: float = 1.0,
    tracks: TrackChoice | None = None,
    num_threads: int = 0,
) -> VideoJudgement:
    """Looks at a video and says what the model makes of it.

    A process of its own reads the file (`preprocessing.isolation`). A video that
    cannot be used raises nothing: its status tells why.

    Args:
      model: Whom to ask.
      path: The video.
      options: How faces are found.
      on_progress: Is told how many seconds of the video were read, now and then.
      on_chunk: Is told each chunk as soon as it is scored.
      hop_seconds: From the start of one chunk to that of the next, a multiple of
        0.1; chunks overlap where it is below 1.
      tracks: Which faces are scored, all without it.
      num_threads: Threads that decode pictures, 0 for one a core.

    Raises:
      InputError: The hop is none, or the model cannot be asked.
      StartError: No process can be started.
    """
    reader = isolation.IsolatedTrackReader(
        path,
        options,
        chunk_spec=model.spec,
        num_threads=num_threads,
        on_progress=on_progress,
    )
    return judge_tracks(
        model, path, reader, on_chunk=on_chunk, hop_seconds=hop_seconds, tracks=tracks
    )


def judge_tracks(
    model: Model,
    path: str,
    reader: IsolatedTrackReader,
    *,
    on_chunk: Callable[[JudgedChunk], None] = lambda _: None,
    hop_seconds: float = 1.0,
    tracks: TrackChoice | None = None,
) -> VideoJudgement:
    """Says what the model makes of the tracks of a video; as `judge`.

    Args:
      model: Whom to ask.
      path: The video, for the judgement.
      reader: Who reads it, with the spec of the model.
      on_chunk: As in `judge`.
      hop_seconds: As in `judge`.
      tracks: As in `judge`.
    """
    tracks = tracks or TrackChoice()
    hop_frames = model.spec.hop_frames(hop_seconds)
    chunks: list[JudgedChunk] = []
    left_out: list[JudgedChunk] = []
    # Five times as many mouths go through the network: only who needs it pays.
    by_lags = not {*model.threshold.made_of}.isdisjoint(scores.OF_LAGS)
    measured = _Lags(model) if by_lags else None
    for segment in reader:
        if not tracks.may_take(segment.track):
            left_out += [c for c, _ in _cut(segment, model.spec, hop_frames)]
            continue
        motion = _mouth_motion(segment) if by_lags else None
        for chunk in _judge_segment(model, segment, hop_frames, motion):
            chunks.append(chunk)
            on_chunk(chunk)
        if measured is not None and motion is not None:
            measured.add(segment, motion)
    chunks, smaller = tracks.part(chunks, model.spec.seconds)
    evidence: tuple[Evidence, ...] = ()
    if measured is not None:
        evidence, chunks = measured.of(chunks)
    summary = reader.summary
    status, reason = summary.status, summary.reason
    if status == spec.OK and not chunks:
        status = spec.NO_FACE
        reason = f"it has {summary.tracks} faces and none of the chosen numbers"
    return VideoJudgement(
        path=path,
        status=status,
        threshold=model.threshold,
        reason=reason,
        chunks=tuple(chunks),
        # What could not be read is part of the video all the same.
        seconds_total=max([summary.seconds, *(u.end for u in summary.unread)]) or None,
        unread=tuple((start, end, why) for start, end, why in summary.unread),
        skipped_tracks=tracks.skipped(left_out + smaller, model.spec.seconds),
        model_id=model.model_id,
        chunk_seconds=model.spec.seconds,
        evidence=evidence,
        told_streams=model.told_streams,
    )


class _Lags:
    """What the mouths of a video make of its voice at other lags."""

    def __init__(self, model: Model):
        self._model = model
        self._evidence: list[Evidence] = []
        # Starts of mouths and their distances by lag, by track.
        self._tables: dict[int, list[DistancesByLag]] = {}

    def add(self, segment: records.TrackSegment, motion: np.ndarray) -> None:
        """Asks the model about a segment whose lower face moves so, float `[T - 1]`."""
        seconds = len(segment.frames) / self._model.spec.frame_rate
        # The name plays no part in the answer, and may be no UTF-8.
        record = records.encode(segment, Video("", ""), seconds)
        ((starts, table),) = self._model.lags([record])
        self._evidence += lag_evidence.sum_up(
            starts,
            table,
            segment.track,
            self._model.spec.seconds,
            loudness=self._loudness(segment, starts),
            mouth_motion=self._motion(segment, starts, motion),
        )
        self._tables.setdefault(segment.track, []).append((starts, table))

    def _loudness(
        self, segment: records.TrackSegment, starts: np.ndarray
    ) -> np.ndarray:
        """Log energy of the voice of each mouth where that is loud, `[m]`."""
        chunk_spec = self._model.spec
        energy = segment.mfcc[:, 0]
        first = (starts - segment.start_seconds) * chunk_spec.mfcc_rate
        return np.array(
            [
                np.quantile(energy[at : at + chunk_spec.num_mfcc_frames], _LOUD)
                for at in np.round(first).astype(int)
            ]
        )

    def _motion(
        self, segment: records.TrackSegment, starts: np.ndarray, motion: np.ndarray
    ) -> np.ndarray:
        """Mean change of the lower face over each mouth chunk, `[m]`."""
        chunk_spec = self._model.spec
        first = (starts - segment.start_seconds) * chunk_spec.frame_rate
        return np.array(
            [
                motion[at : at + chunk_spec.num_frames - 1].mean()
                for at in np.round(first).astype(int)
            ]
        )

    def of(
        self, chunks: Sequence[JudgedChunk]
    ) -> tuple[tuple[Evidence, ...], list[JudgedChunk]]:
        """The evidence of the tracks of these chunks, and the chunks with distances.

        These are taken from the mouth chunk that begins next to each.
        """
        kept = {chunk.track for chunk in chunks}
        evidence = tuple(s for s in self._evidence if s.track in kept)
        offset = alignment.align_video(evidence).whole.offset_seconds
        if offset is None:
            return evidence, list(chunks)
        lags = lag_evidence.lags()
        column = int(np.argmin(np.abs(lags - offset)))
        far = np.abs(lags) >= lag_evidence.MISMATCH_LAG
        found = []
        tables = {
            track: tuple(map(np.concatenate, zip(*parts, strict=True)))
            for track, parts in self._tables.items()
        }
        for chunk in chunks:
            starts, table = tables[chunk.track]
            row = table[int(np.argmin(np.abs(starts - chunk.start_seconds)))]
            mismatches = row[far & ~np.isnan(row)]
            if len(mismatches) and not np.isnan(row[column]):
                chunk = dataclasses.replace(
                    chunk,
                    offset_distance=round(float(row[column]), 6),
                    mismatch_distance=round(float(mismatches.mean()), 6),
                )
            found.append(chunk)
        return evidence, found


def _judge_segment(
    model: Model,
    segment: records.TrackSegment,
    hop_frames: int,
    motion: np.ndarray | None,
) -> Iterator[JudgedChunk]:
    cut = list(_cut(segment, model.spec, hop_frames, motion))
    for first in range(0, len(cut), _BATCH_SIZE):
        batch = cut[first : first + _BATCH_SIZE]
        found = model.score([record for _, record in batch])
        distances = found.pop("distance")
        for row, (chunk, _) in enumerate(batch):
            heads = {stream: float(values[row]) for stream, values in found.items()}
            distance = float(distances[row])
            yield dataclasses.replace(chunk, distance=distance, heads=heads)


def _cut(
    segment: records.TrackSegment,
    chunk_spec: ChunkSpec,
    hop_frames: int,
    motion: np.ndarray | None = None,
) -> Iterator[tuple[JudgedChunk, bytes]]:
    """The chunks of a segment, not judged yet, each with its track record."""
    length = chunk_spec.num_frames
    for start in range(0, len(segment.frames) - length + 1, hop_frames):
        at = start * chunk_spec.mfcc_rate // chunk_spec.frame_rate
        seconds = segment.start_seconds + start / chunk_spec.frame_rate
        boxes = segment.boxes[start : start + length]
        piece = records.TrackSegment(
            frames=segment.frames[start : start + length],
            mfcc=segment.mfcc[at : at + chunk_spec.num_mfcc_frames],
            start_seconds=seconds,
            track=segment.track,
            boxes=boxes,
        )
        chunk = JudgedChunk(
            track=segment.track,
            start_seconds=round(seconds, 3),
            distance=math.nan,
            face_jpeg=small(piece.frames[length // 2]),
            box=tuple(boxes.mean(axis=0).round(1).tolist()),
            mouth_motion=None
            if motion is None
            else round(float(motion[start : start + length - 1].mean()), 3),
        )
        # The name plays no part in the answer, and may be no UTF-8.
        yield chunk, records.encode(piece, Video("", ""), chunk_spec.seconds)


def _mouth_motion(segment: records.TrackSegment) -> np.ndarray:
    """Change of the lower face from each picture to the next, float32 `[T - 1]`."""
    top, left, height, width = spec.REGIONS["mouth"]
    mouths = []
    for jpeg in segment.frames:
        # A quarter of its side says enough.
        face = cv2.imdecode(
            np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_4
        )
        assert face is not None, "a crop is a JPEG of our own"
        rows, columns = face.shape
        mouth = face[
            round(top * rows) : round((top + height) * rows),
            round(left * columns) : round((left + width) * columns),
        ]
        mouths.append(mouth.astype(np.float32))
    return np.abs(np.diff(np.stack(mouths), axis=0)).mean(axis=(1, 2))
