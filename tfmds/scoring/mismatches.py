"""Fakes made of real videos: a mouth with its own voice shifted, or with another's.

They tell what a model learned, and where to put a threshold, where there are no fakes.
They are the easy kind: a forger makes the mouth fit.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tfmds import spec
from tfmds.data import input_pipeline, integrity
from tfmds.data.data_set import DataSet, VideoRow
from tfmds.data.manifest import Period
from tfmds.evaluation import score_files, scores
from tfmds.evaluation.lag_evidence import Evidence
from tfmds.evaluation.scores import ChunkScores, VideoScores
from tfmds.models.config import TwoStreamConfig
from tfmds.scoring import lag_scores, scorer
from tfmds.scoring.lag_scores import LagScores, Spoken

# Between the starts of a track's chunks, and so how far a voice is shifted.
HOP_SECONDS = 0.5
# Of shorter tracks no part is long enough to know.
_SHORTEST_WITH_PARTS = 9.0
# The same in whole hops of the lags, for the aligned score.
_LAG_SHIFT = 12 * spec.VOICE_HOP


# Starts and distances of chunks, float `[c]` each.
Distances = tuple[np.ndarray, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Track:
    """Embeddings of a real video's track, `c` chunks half a second apart.

    Attributes:
      row: The video.
      track: Number of the track in it.
      start_seconds: float32 `[c]`.
      seen: float32 `[c, d]`, of the mouth, as its distance is taken.
      heard: float32 `[c, d]`, of the voice.
    """

    row: VideoRow
    track: int
    start_seconds: np.ndarray
    seen: np.ndarray
    heard: np.ndarray

    def with_voice(self, heard: np.ndarray, first: int = 0) -> Distances:
        """Start and distance of chunks a second apart, from chunk `first` on.

        Args:
          heard: float32 `[n, d]`, a voice for the mouth from that chunk on.
          first: Number of a chunk.
        """
        seen = self.seen[first : first + len(heard)]
        distance = np.linalg.norm(seen - heard[: len(seen)], axis=1)
        starts = self.start_seconds[first : first + len(seen)]
        step = round(1 / HOP_SECONDS)
        return starts[::step], distance[::step]

    def shifted(self) -> list[Distances]:
        """With its own voice half a second early, and late, where it is that long."""
        if len(self.seen) < 2:
            return []
        return [self.with_voice(self.heard[1:]), self.with_voice(self.heard, first=1)]


def embed(
    model: keras.Model, config: TwoStreamConfig, data_set: DataSet, split: str
) -> list[Track]:
    """Embeddings of all tracks of the split's real videos."""
    distance = model.get_layer("distance")
    streams = keras.Model(model.input, distance.embeddings(distance.input))
    rows = {row.video.video_id: row for row in data_set.videos()}
    dataset = input_pipeline.scoring_dataset(
        data_set.shard_files(split),
        data_set.spec,
        config.view,
        hop_frames=round(HOP_SECONDS * data_set.spec.frame_rate),
    )
    parts: dict[tuple[str, int], list[tuple[np.ndarray, ...]]] = {}
    for batch in dataset:
        inputs = {name: batch[name] for name in ("frames", "mfcc")}
        seen, heard = streams.predict_on_batch(inputs)
        video_ids, tracks, starts = (
            batch[name].numpy() for name in ("video_id", "track", "start_seconds")
        )
        for i, video_id in enumerate(video_ids):
            key = video_id.decode(), int(tracks[i])
            parts.setdefault(key, []).append((starts[i], seen[i], heard[i]))
    return [
        Track(rows[video_id], track, *map(np.stack, zip(*chunks, strict=True)))
        for (video_id, track), chunks in parts.items()
        if rows[video_id].video.label == "real"
    ]


def score_tracks(
    tracks: Sequence[Track],
    seed: int = 0,
    spoken: Mapping[tuple[str, int], Spoken] | None = None,
    by_parts: bool = False,
) -> tuple[VideoScores, ChunkScores]:
    """Scores of the tracks' videos, and of some fakes of each.

    The voice of the swap is drawn among the other videos' tracks, the shift is one hop,
    forwards or backwards by turns. A video of which nothing can be made (one chunk for
    the shift, no other video for the swap) goes without.

    Args:
      tracks: What `embed` gives.
      seed: Of the swaps.
      spoken: What `lag_scores.embed` gives; with it there are scores of lags too.
      by_parts: Whether the fakes are those that the stretch score is of: the swapped
        voice for all of the time, for the last two thirds, for the last third, and for
        3 s in the middle; no shifts, which are out of step and not forged.
    """
    rng = np.random.default_rng(seed)
    # By name of the new video.
    rows: dict[str, VideoRow] = {}
    chunks: dict[str, Any] = {
        name: [] for name in ("video_id", "track", "start_seconds", "distance", "label")
    }

    evidence: dict[str, list[Evidence]] = {}

    def add(
        track: Track,
        manipulation: str,
        start: np.ndarray,
        distance: np.ndarray,
        other: Track | None = None,
        shift: float = 0.0,
        part: Period | None = None,
    ) -> None:
        video_id = track.row.video.video_id
        if spoken:
            mine = spoken[video_id, track.track]
            voice = spoken[other.row.video.video_id, other.track] if other else None
            if part and voice:
                voice = mine.spliced(voice, *part)
        video_id += f"+{manipulation}" if manipulation else ""
        if spoken:
            evidence.setdefault(video_id, [])
            evidence[video_id] += mine.evidence(track.track, 1.0, voice, shift)
        label = spec.FAKE if manipulation else spec.REAL
        begin = float(track.start_seconds[0])
        periods = ((begin + part[0], begin + part[1]),) if part else ()
        is_fake = [
            bool(manipulation) and (not part or part[0] <= s + 0.5 - begin < part[1])
            for s in start
        ]
        video = dataclasses.replace(
            track.row.video,
            video_id=video_id,
            label=spec.LABEL_WORDS[label],
            manipulation=manipulation,
            fake_periods=periods,
            forged=spec.SOUND if manipulation else "",
        )
        rows[video_id] = dataclasses.replace(track.row, video=video)
        chunks["video_id"] += [video_id] * len(start)
        chunks["track"] += [track.track] * len(start)
        chunks["label"] += [spec.FAKE if fake else spec.REAL for fake in is_fake]
        chunks["start_seconds"] += list(start)
        chunks["distance"] += list(distance)

    for i, track in enumerate(tracks):
        add(track, "", *track.with_voice(track.heard))
        others = [other for other in tracks if other.row != track.row]
        if others:
            other = others[rng.integers(len(others))]
            swapped = track.with_voice(other.heard)
            add(track, spec.SWAP, *swapped, other=other)
            for name, part in _parts(track) if by_parts else ():
                own = track.with_voice(track.heard[: len(other.heard)])
                inside = (swapped[0] + 0.5 >= track.start_seconds[0] + part[0]) & (
                    swapped[0] + 0.5 < track.start_seconds[0] + part[1]
                )
                distance = np.where(inside, swapped[1], own[1])
                kind = f"{spec.PART}_{name}"
                add(track, kind, swapped[0], distance, other=other, part=part)
        if not by_parts and (shifted := track.shifted()):
            # The voice half a second early, that is, later ones at a time; and late.
            shift = (-_LAG_SHIFT, _LAG_SHIFT)[i % 2]
            add(track, spec.SHIFT, *shifted[i % 2], shift=shift)
    scored = ChunkScores.from_distances(**chunks)
    videos = scorer.video_scores(list(rows.values()), scored)
    if spoken:
        found = LagScores.of(evidence)
        videos, scored = found.with_aligned(videos), found.with_misfit(scored)
    return videos, scored


def _parts(track: Track) -> list[tuple[str, Period]]:
    """Which parts of a track get another's voice, in seconds from its beginning."""
    length = float(track.start_seconds[-1] - track.start_seconds[0]) + 1
    if length < _SHORTEST_WITH_PARTS:
        return []
    return [
        ("last_two_thirds", (length / 3, length)),
        ("last_third", (2 * length / 3, length)),
        ("middle_3_s", (length / 2 - 1.5, length / 2 + 1.5)),
    ]


def score_data_set(
    model_path: os.PathLike | str,
    data_dir: os.PathLike | str,
    splits: Sequence[str],
    output_dir: os.PathLike | str,
    seed: int = 0,
    score: str = scores.MDS,
) -> None:
    """Writes `scores.csv` and `chunks.csv` of the splits' real videos and mismatches.

    Args:
      model_path: A run of tfmds.train or an export, see `networks.describe`.
      data_dir: The data set.
      splits: Which splits to score.
      output_dir: Made where it does not exist.
      seed: Of the swaps.
      score: With one of lags these are written too, else the MDS alone; with
        `stretches` fakes are forged in parts.

    Raises:
      InputError: The model or the data set cannot be used, or they do not fit.
    """
    data_set, model, known = scorer.load(model_path, data_dir)
    config = known.config
    with integrity.damage_is_named(data_set, splits):
        tracks = [t for split in splits for t in embed(model, config, data_set, split)]
        spoken = None
        if score in scores.OF_LAGS:
            spoken = lag_scores.embed(
                model, config.view, data_set.spec, data_set.shard_files(*splits)
            )
    by_parts = score == scores.STRETCHES
    score_files.write(output_dir, *score_tracks(tracks, seed, spoken, by_parts))
