"""Aligned scores of the videos of a data set: its records at all lags."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfmds.common import progress
from tfmds.common.errors import InputError
from tfmds.data import input_pipeline, lags
from tfmds.evaluation import alignment, course, lag_evidence, scores
from tfmds.evaluation.alignment import VideoAlignment
from tfmds.evaluation.course import Course
from tfmds.evaluation.lag_evidence import CELL_SECONDS, Evidence
from tfmds.evaluation.scores import ChunkScores, VideoScores
from tfmds.models.two_stream import single_streams
from tfmds.spec import VOICE_HOP, ChunkSpec, ViewConfig

# Of a chunk, from its start on, in seconds.
_MIDDLE = 0.5


@dataclasses.dataclass(frozen=True)
class LagScores:
    """What was measured of a data set's videos.

    Attributes:
      alignments: Of each video, by its id.
      courses: Of each video, by its id.
      starts: Starts of the mouth chunks of each track, `[m]` by video and number.
      distances: Their distances by lag, float32 `[m, k]`.
    """

    alignments: dict[str, VideoAlignment]
    courses: dict[str, Course]
    starts: dict[tuple[str, int], np.ndarray]
    distances: dict[tuple[str, int], np.ndarray]

    @classmethod
    def of(cls, evidence: Mapping[str, list[Evidence]]) -> "LagScores":
        """What is known of videos without the distances of their chunks."""
        found = {v: alignment.align_video(e) for v, e in evidence.items()}
        return cls(found, {v: course.trace(e) for v, e in evidence.items()}, {}, {})

    def with_aligned(self, videos: VideoScores) -> VideoScores:
        """The videos with their aligned score and offset, NaN where there is none."""
        found = [self.alignments.get(video) for video in videos.video_id]
        columns = {
            name: np.array(
                [getattr(a.whole, name) if a else None for a in found], np.float64
            )
            for name in ("aligned", "offset_seconds")
        }
        courses = [self.courses.get(video) for video in videos.video_id]
        by_stretches = [c.score if c else None for c in courses]
        return dataclasses.replace(
            videos,
            scores={
                **videos.scores,
                scores.ALIGNED: columns["aligned"],
                scores.STRETCHES: np.array(by_stretches, np.float64),
            },
            offset_seconds=columns["offset_seconds"],
        )

    def with_misfit(self, chunks: ChunkScores) -> ChunkScores:
        """The chunks with the probability that the voice fits no mouth then."""
        values = np.full(len(chunks), np.nan)
        for row, video_id in enumerate(chunks.video_id):
            found = self.courses.get(video_id)
            if found is None or not len(found.none):
                continue
            apart = np.abs(found.start_seconds - chunks.start_seconds[row])
            at = int(np.argmin(apart))
            if apart[at] < CELL_SECONDS:
                values[row] = found.none[at]
        return dataclasses.replace(chunks, misfit=values)

    def with_offset_distance(self, chunks: ChunkScores) -> ChunkScores:
        """The chunks with the distance at the offset of their video."""
        grid = lag_evidence.lags()
        values = np.full(len(chunks), np.nan)
        for row, key in enumerate(zip(chunks.video_id, chunks.track, strict=True)):
            found = self.alignments.get(key[0])
            if found is None or found.whole.offset_seconds is None:
                continue
            if key not in self.starts:
                continue
            at = np.argmin(np.abs(self.starts[key] - chunks.start_seconds[row]))
            column = np.argmin(np.abs(grid - found.whole.offset_seconds))
            values[row] = self.distances[key][at, column]
        return dataclasses.replace(chunks, offset_distance=values)


def measure(
    model: keras.Model, view: ViewConfig, spec: ChunkSpec, shards: Sequence[str]
) -> LagScores:
    """Asks a network for the distances by lag of all records.

    Args:
      model: The network.
      view: How mouths are shown to it.
      spec: Of the records.
      shards: Their files.

    Raises:
      InputError: The spec has no step at which picture and sound meet often enough.
    """
    evidence: dict[str, list[Evidence]] = {}
    parts: dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]] = {}
    for key, (starts, distances) in _ask(
        lags.distances_by_lag, model, view, spec, shards
    ):
        distances = np.where(distances == lags.NONE, np.nan, distances)
        evidence.setdefault(key[0], [])
        evidence[key[0]] += lag_evidence.sum_up(starts, distances, key[1], spec.seconds)
        parts.setdefault(key, []).append((starts, distances))
    joined = {
        key: tuple(map(np.concatenate, zip(*some, strict=True)))
        for key, some in parts.items()
    }
    return LagScores(
        alignments={v: alignment.align_video(e) for v, e in evidence.items()},
        courses={v: course.trace(e) for v, e in evidence.items()},
        starts={key: starts for key, (starts, _) in joined.items()},
        distances={key: distances for key, (_, distances) in joined.items()},
    )


@dataclasses.dataclass(frozen=True)
class Spoken:
    """A track's mouths and voice, that either may be given to another.

    Attributes:
      mouths: Of each record its starts `[m]` in seconds and embeddings `[m, d]`.
      voice_seconds: Starts of all voice chunks, float `[v]`.
      voice: Their embeddings, float32 `[v, d]`.
    """

    mouths: list[tuple[np.ndarray, np.ndarray]]
    voice_seconds: np.ndarray
    voice: np.ndarray

    def spliced(self, other: "Spoken", start: float, end: float) -> "Spoken":
        """With another's voice in a part, in seconds from the beginning of both.

        A chunk of a voice is of the part that its middle lies in.
        """
        seconds, voices = [], []
        for whose, is_other in ((self, False), (other, True)):
            at = whose.voice_seconds - whose.voice_seconds[0]
            inside = (at + _MIDDLE >= start) & (at + _MIDDLE < end)
            seconds.append(at[inside == is_other] + self.voice_seconds[0])
            voices.append(whose.voice[inside == is_other])
        order = np.argsort(np.concatenate(seconds), kind="stable")
        return Spoken(
            self.mouths, np.concatenate(seconds)[order], np.concatenate(voices)[order]
        )

    def evidence(
        self,
        track: int,
        chunk_seconds: float,
        other: "Spoken | None" = None,
        shift: float = 0.0,
    ) -> list[Evidence]:
        """What is to be said of its mouths with its own or another's voice.

        Args:
          track: Number of the track.
          chunk_seconds: Length of a chunk.
          other: Whose voice it is, its own without; both begin together.
          shift: How much later it is heard, in seconds.
        """
        voiced = other or self
        begin = self.mouths[0][0][0] + shift
        seconds = voiced.voice_seconds - voiced.voice_seconds[0] + begin
        found = []
        for starts, seen in self.mouths:
            inside = (seconds > starts[0] - 1e-3) & (seconds < starts[-1] + 1e-3)
            distances = lag_evidence.distances_by_lag(
                starts, seen, seconds[inside], voiced.voice[inside]
            )
            found += lag_evidence.sum_up(starts, distances, track, chunk_seconds)
        return found


def embed(
    model: keras.Model, view: ViewConfig, spec: ChunkSpec, shards: Sequence[str]
) -> dict[tuple[str, int], Spoken]:
    """Mouths and voices of all tracks, by video and number; as `measure`."""
    parts: dict[tuple[str, int], list[tuple[np.ndarray, ...]]] = {}
    for key, found in _ask(lags.embeddings, model, view, spec, shards):
        starts, seen, heard = found
        voices = starts[0] + np.arange(len(heard)) * VOICE_HOP
        parts.setdefault(key, []).append((starts, seen, voices, heard))
    return {
        key: Spoken(
            mouths=[(starts, seen) for starts, seen, _, _ in some],
            voice_seconds=np.concatenate([p[2] for p in some]),
            voice=np.concatenate([p[3] for p in some]),
        )
        for key, some in parts.items()
    }


def _ask(
    what: Callable[..., tuple[tf.Tensor, ...]],
    model: keras.Model,
    view: ViewConfig,
    spec: ChunkSpec,
    shards: Sequence[str],
) -> Iterator[tuple[tuple[str, int], list[np.ndarray]]]:
    """What a function of `lags` gives for each record, with its video and track."""
    if not spec.has_lags:
        raise InputError(
            "the aligned score needs a chunk spec in which 0.2 s are whole frames and"
            f" 0.04 s whole MFCC frames; here are {spec.frame_rate} and"
            f" {spec.mfcc_rate} a second. Judge by --score=mds"
        )
    see, hear = single_streams(model)

    @tf.function(input_signature=[tf.TensorSpec([], tf.string)], autograph=False)
    def ask(record: tf.Tensor) -> tuple[tf.Tensor, ...]:
        track = input_pipeline.parse_track(record, spec)
        found = what(
            record,
            spec,
            view,
            lambda frames: see(frames, training=False),
            lambda mfcc: hear(mfcc, training=False),
        )
        return track["video_id"], track["track"], *found

    records = input_pipeline.read_records(shards)
    for record in progress.bar(records, unit="record", leave=False):
        video_id, track, *found = (x.numpy() for x in ask(record))
        yield (video_id.decode(), int(track)), found
