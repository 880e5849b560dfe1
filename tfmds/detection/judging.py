"""Detection: a video and an exported model become a judgement."""

import dataclasses
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from tfmds import spec
from tfmds.common.thumbnails import small
from tfmds.data import records
from tfmds.data.manifest import Video
from tfmds.detection.track_choice import TrackChoice
from tfmds.evaluation.judgement import JudgedChunk, VideoJudgement
from tfmds.evaluation.thresholds import Threshold
from tfmds.preprocessing import isolation
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.isolation import IsolatedTrackReader

# Chunks that go through the network together, at most.
_BATCH_SIZE = 8


class Model(Protocol):
    """What is asked for distances: `exporting.ExportedModel`, `remote.RemoteModel`."""

    spec: spec.ChunkSpec
    threshold: Threshold
    model_id: str

    def distances(self, examples: Sequence[bytes]) -> np.ndarray:
        """Distance of each track record of one chunk, float `[n]`."""


class SharedModel:
    """A model that several threads ask in turn, so that its work takes memory once."""

    def __init__(self, model: Model):
        self.spec = model.spec
        self.threshold = model.threshold
        self.model_id = model.model_id
        self._model = model
        self._lock = threading.Lock()

    def distances(self, examples: Sequence[bytes]) -> np.ndarray:
        """Distance of each track record of one chunk, float `[n]`."""
        with self._lock:
            return self._model.distances(examples)


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
    reader = isolation.read_tracks(
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
    for segment in reader:
        if not tracks.may_take(segment.track):
            left_out += [c for c, _ in _cut(segment, model.spec, hop_frames)]
            continue
        for chunk in _judge_segment(model, segment, hop_frames):
            chunks.append(chunk)
            on_chunk(chunk)
    chunks, smaller = tracks.part(chunks, model.spec.seconds)
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
        unread=tuple(map(tuple, summary.unread)),
        skipped_tracks=tracks.skipped(left_out + smaller, model.spec.seconds),
        model_id=model.model_id,
        chunk_seconds=model.spec.seconds,
    )


def _judge_segment(
    model: Model, segment: records.TrackSegment, hop_frames: int
) -> Iterator[JudgedChunk]:
    cut = list(_cut(segment, model.spec, hop_frames))
    for first in range(0, len(cut), _BATCH_SIZE):
        batch = cut[first : first + _BATCH_SIZE]
        distances = model.distances([record for _, record in batch])
        for (chunk, _), distance in zip(batch, distances, strict=True):
            yield dataclasses.replace(chunk, distance=float(distance))


def _cut(
    segment: records.TrackSegment, chunk_spec: spec.ChunkSpec, hop_frames: int
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
        )
        # The name plays no part in the answer, and may be no UTF-8.
        yield chunk, records.encode(piece, Video("", ""), chunk_spec.seconds)
