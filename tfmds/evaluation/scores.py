"""Scores in memory: a row per video and a row per chunk, as a few long columns."""

import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.data import manifest

MDS = "mds"
# See `alignment`.
ALIGNED = "aligned"
# See `course`.
STRETCHES = "stretches"
# Mean over the chunks of the probability of fake that a head of the network gives,
# named as its stream (`spec.STREAMS`).
VISUAL, AUDIO = "visual", "audio"
# See `fusion`.
FUSED = "fused"
# What a video may be judged by, and its title; higher means more likely fake.
SCORES = {
    MDS: "MDS",
    ALIGNED: "aligned score",
    STRETCHES: "stretch score",
    VISUAL: "probability of the visual head",
    AUDIO: "probability of the audio head",
    FUSED: "fused score",
}
# What each of those that a model gives tells, and what it does not.
TELLS = {
    MDS: "how far apart mouth and voice are, and nothing of forgeries that keep both in"
    " step",
    ALIGNED: "how well mouth and voice fit where they fit best, and nothing of"
    " forgeries that keep both in step",
    STRETCHES: "how sure it is that in some stretch the voice fits no mouth in view,"
    " nothing of forgeries that keep both in step",
    VISUAL: "whether the picture by itself looks like the forgeries that the model was"
    " trained on, and nothing of other kinds or of the voice",
    AUDIO: "whether the voice by itself sounds like the forgeries that the model was"
    " trained on, and nothing of other kinds or of the picture",
}
# Those that a model gives; the fused score is made of them.
MEASURED = (MDS, ALIGNED, STRETCHES, VISUAL, AUDIO)
# Those that are made of distances by lag.
OF_LAGS = (ALIGNED, STRETCHES)
# Those that mismatches are told by: distances of mouths and voices alone.
OF_DISTANCE = (MDS, *OF_LAGS)
# Those that are the mean of a value of the chunks.
MEANS = (MDS, VISUAL, AUDIO)
# Where a score comes from.
_HOW_TO_GET = {
    **dict.fromkeys(
        OF_LAGS, "--score=aligned or --score=stretches with --model=RUN measures it"
    ),
    **dict.fromkeys(
        (VISUAL, AUDIO),
        "tfmds.evaluate --model=RUN writes it where the run trained that head"
        " (--visual_weight, --audio_weight)",
    ),
    FUSED: "its weights are fitted by tfmds.select_threshold --score=fused, and come"
    " with --threshold=threshold.json",
}
# Status of a video that the score file of another detector passes over.
NO_SCORE = "no_score"

Table = TypeVar("Table", "VideoScores", "ChunkScores")


@dataclasses.dataclass(frozen=True)
class VideoScores:
    """A row per video, `n` rows as columns.

    Attributes:
      video_id: str `[n]`, each once.
      label: int8 `[n]`, 1 real, 0 fake.
      split: str `[n]`, train, validation or test.
      group: str `[n]`, what was not split: the source video or the person.
      manipulation: str `[n]`, free text, empty for real.
      status: str `[n]`, `ok` where the video has a score.
      chunks: int64 `[n]`, how many chunks were scored.
      scores: float64 `[n]` by name, of `SCORES`. The MDS is always there, NaN where the
        status is not `ok` and only there; another may be NaN elsewhere too.
      fake_periods: tuples of (start, end) in seconds `[n]`; empty means the whole
        video where the label is fake.
      seconds: float64 `[n]`, length of the video, NaN where it is not known.
      offset_seconds: float64 `[n]`, at which lag the voice fits the mouth best, see
        `alignment`; NaN where that is not known.
      attributes: str `[n]` by name; what is known of the group, such as gender.
      forged: str `[n]`, which stream is forged, one of `spec.FORGED`; empty where it is
        not known, and for real.
    """

    video_id: np.ndarray
    label: np.ndarray
    split: np.ndarray
    group: np.ndarray
    manipulation: np.ndarray
    status: np.ndarray
    chunks: np.ndarray
    scores: Mapping[str, np.ndarray]
    fake_periods: np.ndarray = dataclasses.field(default_factory=lambda: tuples([]))
    seconds: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    offset_seconds: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    attributes: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    forged: np.ndarray = dataclasses.field(default_factory=lambda: texts([]))

    def __post_init__(self) -> None:
        # Columns that were not given.
        if not len(self.forged):
            object.__setattr__(self, "forged", texts([""] * len(self)))
        if not len(self.fake_periods):
            object.__setattr__(self, "fake_periods", tuples([()] * len(self)))
        for name in ("seconds", "offset_seconds"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(len(self), np.nan))

    def __len__(self) -> int:
        return len(self.video_id)

    def select(self, mask: np.ndarray) -> "VideoScores":
        """The rows of a boolean mask or of row numbers."""
        return _select(self, mask)

    @property
    def scored(self) -> np.ndarray:
        """Which videos have a score, bool `[n]`."""
        return self.status == spec.OK

    @property
    def mds(self) -> np.ndarray:
        """Modality dissonance scores, float64 `[n]`, NaN where there is none."""
        return self.scores[MDS]

    def values(self, score: str = MDS, where: str = "the videos") -> np.ndarray:
        """A score by its name, float64 `[n]`, NaN where there is none.

        Raises:
          InputError: The videos do not have it; `where` names their table.
        """
        if score not in self.scores:
            raise InputError(
                f"{where}: no video has a score {score!r}, they have"
                f" {', '.join(self.scores)}; choose one of these, or make scores anew:"
                f" {_HOW_TO_GET.get(score, 'see --help')}"
            )
        return self.scores[score]

    def judged_by(self, score: str, where: str = "the videos") -> "VideoScores":
        """The same with `NO_SCORE` as status where a video lacks this score.

        Raises:
          InputError: No video has it; `where` names their table.
        """
        lacking = self.scored & np.isnan(self.values(score, where))
        status = np.where(lacking, NO_SCORE, self.status)
        return dataclasses.replace(self, status=texts(status))

    def of_stream(self, stream: str) -> "VideoScores":
        """The videos with the truth of one stream as their label.

        Args:
          stream: A key of `spec.STREAMS`. To it a fake is fake where that stream was
            forged, and real where only the other was; `spec.UNKNOWN` where the video
            does not say.
        """
        known = (self.label == spec.REAL) | (self.forged != "")
        parts = (spec.STREAMS[stream], spec.BOTH)
        is_forged = np.isin(self.forged.astype(str), parts)
        label = np.where(is_forged, spec.FAKE, spec.REAL)
        label = np.where(known, label, spec.UNKNOWN).astype(np.int8)
        return dataclasses.replace(self, label=label)

    @classmethod
    def from_chunks(
        cls,
        chunks: "ChunkScores",
        *,
        video_id: Sequence[str],
        label: Sequence[int],
        split: Sequence[str],
        group: Sequence[str],
        manipulation: Sequence[str],
        status: Sequence[str],
        fake_periods: Sequence[Sequence[manifest.Period]] | None = None,
        seconds: Sequence[float] | None = None,
        offset_seconds: Sequence[float] | None = None,
        attributes: Mapping[str, Sequence[str]] | None = None,
        more_scores: Mapping[str, Sequence[float]] | None = None,
        forged: Sequence[str] | None = None,
    ) -> "VideoScores":
        """The means over each video's chunks, `MEANS`; the other columns are given.

        Raises:
          InputError: A video that is `ok` has no chunk, one that is not has some, or
            a chunk is of no given video.
        """
        ids = texts(video_id)
        rows = chunk_rows(chunks.video_id, ids, "the chunks")
        counts = np.bincount(rows, minlength=len(ids))
        statuses = texts(status)
        wrong = np.flatnonzero((statuses == spec.OK) != (counts > 0))
        if len(wrong):
            row = wrong[0]
            raise InputError(
                f"the video {ids[row]!r} has the status {statuses[row]} and"
                f" {counts[row]} scored chunks; a video has chunks where it is ok, and"
                " only there. Preprocess the data set again."
            )
        return cls(
            video_id=ids,
            label=np.asarray(label, np.int8),
            split=texts(split),
            group=texts(group),
            manipulation=texts(manipulation),
            status=statuses,
            chunks=counts,
            scores={
                name: mds(values, rows, len(ids))
                for name, values in {MDS: chunks.distance, **chunks.heads}.items()
            }
            | {k: np.asarray(v, np.float64) for k, v in (more_scores or {}).items()},
            fake_periods=tuples(() if fake_periods is None else fake_periods),
            seconds=np.asarray(() if seconds is None else seconds, np.float64),
            offset_seconds=np.asarray(
                () if offset_seconds is None else offset_seconds, np.float64
            ),
            attributes={k: texts(v) for k, v in (attributes or {}).items()},
            forged=texts(() if forged is None else forged),
        )


@dataclasses.dataclass(frozen=True)
class ChunkScores:
    """A row per chunk, `m` rows as columns.

    Attributes:
      video_id: str `[m]`.
      track: int64 `[m]`, number of the track in its video.
      chunk: int64 `[m]`, number of the chunk in its track.
      start_seconds: float64 `[m]`, on the video's clock.
      label: int8 `[m]`, 1 real, 0 fake.
      distance: float64 `[m]`, between the embeddings of picture and sound.
      offset_distance: float64 `[m]`, of the mouth to the voice at the video's own
        offset, see `alignment`; NaN where that is not known.
      misfit: float64 `[m]`, probability that the voice fits no mouth then, see
        `course`; NaN where that is not known.
      heads: float64 `[m]` by `VISUAL` and `AUDIO`, probability of fake that a head of
        the network gives; those there are.
    """

    video_id: np.ndarray
    track: np.ndarray
    chunk: np.ndarray
    start_seconds: np.ndarray
    label: np.ndarray
    distance: np.ndarray
    offset_distance: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    misfit: np.ndarray = dataclasses.field(default_factory=lambda: np.empty(0))
    heads: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("offset_distance", "misfit"):
            if not len(getattr(self, name)):
                object.__setattr__(self, name, np.full(len(self), np.nan))

    def __len__(self) -> int:
        return len(self.video_id)

    def select(self, mask: np.ndarray) -> "ChunkScores":
        """The rows of a boolean mask or of row numbers."""
        return _select(self, mask)

    def judged_by(self, score: str) -> "ChunkScores":
        """The same with what goes with a score of the videos in place of the distance.

        With the aligned score the distance at the video's own offset, where that is
        known; with the stretch score the probability that no mouth fits, 0 where that
        is not; with the score of a head its probability; else the distance itself.
        """
        unknown = np.isnan(self.offset_distance)
        values = {
            ALIGNED: np.where(unknown, self.distance, self.offset_distance),
            STRETCHES: np.nan_to_num(self.misfit),
            **self.heads,
        }
        value = values.get(score, self.distance)
        return dataclasses.replace(self, distance=value)

    @classmethod
    def from_distances(
        cls,
        *,
        video_id: Sequence[str],
        track: Sequence[int],
        start_seconds: Sequence[float],
        label: Sequence[int],
        distance: Sequence[float],
        offset_distance: Sequence[float] | None = None,
        heads: Mapping[str, Sequence[float]] | None = None,
    ) -> "ChunkScores":
        """Orders chunks by video, track and time, and numbers them in each track."""
        ids = texts(video_id)
        tracks = np.asarray(track, np.int64)
        starts = np.asarray(start_seconds, np.float64)
        names, codes = np.unique(ids.astype(str), return_inverse=True)
        order = np.lexsort((starts, tracks, codes))
        codes, tracks, starts = codes[order], tracks[order], starts[order]
        first = np.ones(len(order), bool)
        first[1:] = (np.diff(codes) != 0) | (np.diff(tracks) != 0)
        begins = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
        return cls(
            video_id=names.astype(object)[codes],
            track=tracks,
            chunk=np.arange(len(order)) - begins,
            start_seconds=starts,
            label=np.asarray(label, np.int8)[order],
            distance=np.asarray(distance, np.float64)[order],
            offset_distance=(
                np.empty(0)
                if offset_distance is None
                else np.asarray(offset_distance, np.float64)[order]
            ),
            heads={
                k: np.asarray(v, np.float64)[order] for k, v in (heads or {}).items()
            },
        )


def mds(
    distance: npt.ArrayLike, video: np.ndarray | None = None, num_videos: int = 1
) -> np.ndarray:
    """Modality dissonance score of videos: the mean distance of the chunks of each.

    Paper, section 3.5: MDS = 1/n sum_t d_t over the n chunks of the video. The scores
    of the heads are the same mean of a head's probabilities.

    Args:
      distance: `[m]`, of each chunk.
      video: int64 `[m]`, number of each chunk's video; all of one without it.
      num_videos: How many videos there are.

    Returns:
      float64 `[num_videos]`, NaN where a video has no chunk.
    """
    each = np.asarray(distance, np.float64)
    if video is None:
        video = np.zeros(len(each), np.int64)
    counts = np.bincount(video, minlength=num_videos)
    sums = np.bincount(video, each, minlength=num_videos)
    return np.divide(sums, counts, out=np.full(len(counts), np.nan), where=counts > 0)


def chunk_rows(video_id: np.ndarray, ids: np.ndarray, where: str) -> np.ndarray:
    """Row of each chunk's video in the table of videos, int64 `[m]`.

    Raises:
      InputError: A chunk's video is not in the table; `where` names the chunks.
    """
    row_of = {name: row for row, name in enumerate(ids)}
    try:
        return np.fromiter(
            map(row_of.__getitem__, video_id), np.int64, count=len(video_id)
        )
    except KeyError as e:
        raise InputError(
            f"{where}: the video_id {e.args[0]!r} is not in the table of videos"
        ) from None


def _select(table: Table, mask: np.ndarray) -> Table:
    def rows(column: Any) -> Any:
        if isinstance(column, Mapping):
            return {name: values[mask] for name, values in column.items()}
        return column[mask]

    names = (f.name for f in dataclasses.fields(table))
    return type(table)(**{name: rows(getattr(table, name)) for name in names})


def tuples(values: Iterable[Iterable[manifest.Period]]) -> np.ndarray:
    """An array of tuples, not of their members."""
    rows = [tuple((start, end) for start, end in value) for value in values]
    array = np.empty(len(rows), object)
    for row, value in enumerate(rows):
        array[row] = value
    return array


def texts(values: Iterable[str]) -> np.ndarray:
    """One object per different text: ids come back a hundred times in chunks."""
    values = values.tolist() if isinstance(values, np.ndarray) else list(values)
    array = np.empty(len(values), object)
    array[:] = [sys.intern(str(value)) for value in values]
    return array
