"""What a network in training makes of the validation split."""

import dataclasses
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import keras
import numpy as np
from etils import epath
from sklearn.metrics import roc_auc_score

from tfmds import spec
from tfmds.data import input_pipeline
from tfmds.data.data_set import DataSet
from tfmds.evaluation import (
    alignment,
    epochs,
    evaluation,
    metrics,
    score_files,
    scores,
)
from tfmds.evaluation.bootstrap import Estimate
from tfmds.evaluation.evaluation import VIDEOS, Evaluation
from tfmds.evaluation.lag_evidence import Evidence
from tfmds.evaluation.scores import VideoScores
from tfmds.reporting import chunk_pictures, result_charts
from tfmds.scoring import lag_scores, scorer
from tfmds.scoring.lag_scores import LagScores, Spoken
from tfmds.spec import ViewConfig

SPLIT = "validation"

_NUM_SAMPLES = 24
# Chunks shown, half of each class.
_NUM_SHOWN = 4


@dataclasses.dataclass(frozen=True)
class Samples:
    """The first chunk of each of the first records of the split, to look at.

    Attributes:
      frames: uint8 `[n, 30, s, s, 3]`.
      mfcc: float32 `[n, 13, 99]`.
      label: int64 `[n]`, 1 real, 0 fake.
      video_id: str `[n]`.
      start_seconds: float32 `[n]`.
      pairwise_distance: float32 `[n, n]`, of each mouth to each voice.
    """

    frames: np.ndarray
    mfcc: np.ndarray
    label: np.ndarray
    video_id: list[str]
    start_seconds: np.ndarray
    pairwise_distance: np.ndarray


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """The validation split after an epoch.

    Attributes:
      videos: The score of each video.
      evaluation: What the scores say.
    """

    videos: VideoScores
    evaluation: Evaluation

    def figures(self) -> dict[str, float]:
        """Each metric of the videos by tag, such as `validation/auc`, and how many."""
        return {
            f"{SPLIT}/{name}": float(e.value)
            for name, e in self._estimates().items()
            if e.value is not None
        } | {f"{SPLIT}/videos": len(self.evaluation.sample.score)}

    def bounds(self) -> dict[str, float]:
        """Ends of the intervals by tag, such as `validation/auc_low`."""
        return {
            f"{SPLIT}/{name}_{end}": bound
            for name, estimate in self._estimates().items()
            if estimate.interval
            for end, bound in zip(("low", "high"), estimate.interval, strict=True)
        }

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """PNG pictures to look at, by tag."""
        yield f"{SPLIT}/evaluation", result_charts.picture(self.evaluation)

    def _estimates(self) -> dict[str, Estimate]:
        found = self.evaluation.estimates
        names = {f"{VIDEOS}/{name}": name for name in metrics.METRICS}
        names |= {
            f"{stream}/{one.name}": f"{stream}_{one.name}"
            for stream in spec.STREAMS
            for one in metrics.METRICS.values()
            if one.place == metrics.KEY
        }
        return {tag: found[name] for name, tag in names.items() if name in found}


@dataclasses.dataclass(frozen=True)
class Result(Evaluated):
    """The same, of a network of mouth and voice.

    Attributes:
      mismatch_auc: AUC of real mouths with other chunks' voices against their own;
        None without real chunks. It tells also without fakes what was learned.
      aligned_auc: AUC of fakes, and of real mouths with the next video's voice, against
        reals by the aligned score; None where that is not measured.
      samples: Some chunks to look at.
    """

    mismatch_auc: float | None
    aligned_auc: float | None
    samples: Samples

    def figures(self) -> dict[str, float]:
        """Each metric of the videos, mean MDS of each class and AUC of mismatches.

        By tag, such as `validation/auc`, those of the heads against their own stream
        as `validation/visual_auc`; those there are.
        """
        sample = self.evaluation.sample
        figures: dict[str, float | None] = {}
        figures["mismatch_auc"] = self.mismatch_auc
        figures["aligned_auc"] = self.aligned_auc
        for word, mask in (("real", ~sample.fake), ("fake", sample.fake)):
            figures[f"mds_{word}"] = sample.score[mask].mean() if any(mask) else None
        return super().figures() | {
            f"{SPLIT}/{name}": float(x) for name, x in figures.items() if x is not None
        }

    def pictures(self) -> Iterator[tuple[str, bytes]]:
        """The evaluation, sample chunks, distances of mouths to voices."""
        yield from super().pictures()
        samples = self.samples
        yield f"{SPLIT}/samples", _samples_picture(samples)
        yield (
            f"{SPLIT}/mouth_against_voice",
            chunk_pictures.pairwise(samples.pairwise_distance, samples.label),
        )


def _samples_picture(samples: Samples) -> bytes:
    """Some chunks of each class: frames, MFCC and distance."""
    shown = _shown(samples.label)
    distance = np.diagonal(samples.pairwise_distance)
    return chunk_pictures.chunks(
        samples.frames[shown],
        samples.mfcc[shown],
        samples.label[shown],
        [
            f"distance {distance[chunk]:.3f}"
            f" ({samples.video_id[chunk]} from {samples.start_seconds[chunk]:g} s)"
            for chunk in shown
        ],
    )


def _shown(label: np.ndarray) -> np.ndarray:
    by_class = [np.flatnonzero(label == c) for c in (spec.REAL, spec.FAKE)]
    chosen = np.concatenate([rows[:: max(1, len(rows) // 2)][:2] for rows in by_class])
    return chosen[:_NUM_SHOWN]


class Validation:
    """Scores the validation split; returns None where there is none.

    Args:
      data_set: The data set.
      view: How chunks are shown.
      batch_size: Chunks at once.
      model: The network, with the output `pairwise_distance`.
      score: With `aligned` that is measured too, which costs five times as much.
      heads: Streams whose heads are trained.
    """

    def __init__(
        self,
        data_set: DataSet,
        view: ViewConfig,
        batch_size: int,
        model: keras.Model,
        score: str = scores.MDS,
        heads: Collection[str] = (),
    ):
        self._heads = heads
        self._measure_aligned = None
        self._rows = [row for row in data_set.videos() if row.video.split == SPLIT]
        self._predict = scorer.predictor(model)
        if any(row.chunks for row in self._rows):
            shards = data_set.shard_files(SPLIT)
            self._chunks = input_pipeline.scoring_dataset(
                shards, data_set.spec, view, batch_size
            )
            # No second chunk of a record is as far from the first.
            self._first_chunks = input_pipeline.scoring_dataset(
                shards, data_set.spec, view, _NUM_SAMPLES, hop_frames=1_000_000
            )
            if score == scores.ALIGNED:
                self._measure_aligned = lambda: lag_scores.embed(
                    model, view, data_set.spec, shards
                )
        else:
            self._chunks = None

    @property
    def tells_aligned(self) -> bool:
        """Whether there is an aligned AUC: two real videos, each with its voice."""
        reals = [r for r in self._rows if r.chunks and r.video.label == "real"]
        return self._measure_aligned is not None and len(reals) > 1

    @property
    def without_auc(self) -> str:
        """Why there is no AUC of the split, empty where there is one."""
        scored = {row.video.label for row in self._rows if row.chunks}
        labels = scored & {"real", "fake"}
        if not labels:
            return "there is no validation split with videos of a known class"
        if len(labels) == 1:
            return f"the validation split has only {labels.pop()} videos"
        return ""

    def __call__(self) -> Result | None:
        """Scores all chunks with the weights as they are now."""
        if self._chunks is None:
            return None
        pairwise: list[np.ndarray] = []

        def predict(frames: Any, mfcc: Any) -> dict[str, Any]:
            outputs = self._predict(frames, mfcc)
            pairwise.append(outputs["pairwise_distance"].numpy())
            return outputs

        chunks = scorer.score_chunks(predict, self._chunks, heads=self._heads)
        videos = scorer.video_scores(self._rows, chunks)
        aligned = None
        if self._measure_aligned:
            videos, aligned = with_aligned(videos, self._measure_aligned())
        result = evaluation.evaluate(
            videos, chunks, split=SPLIT, min_coverage=0, where="the validation split"
        )
        return Result(
            videos,
            result,
            mismatch_auc(pairwise, chunks.label),
            aligned,
            self._samples(),
        )

    def _samples(self) -> Samples:
        batch = next(iter(self._first_chunks))
        outputs = self._predict(batch["frames"], batch["mfcc"])
        return Samples(
            frames=batch["frames"].numpy(),
            mfcc=batch["mfcc"].numpy(),
            label=batch["label"].numpy(),
            video_id=[x.decode() for x in batch["video_id"].numpy()],
            start_seconds=batch["start_seconds"].numpy(),
            pairwise_distance=outputs["pairwise_distance"].numpy(),
        )


def write_scores(workdir: os.PathLike | str, epoch: int, videos: VideoScores) -> None:
    """Saves scores after an epoch, counted from 1, as RUN/validation/epoch-0001.csv."""
    folder = epath.Path(workdir) / epochs.FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    score_files.write_videos(folder / epochs.file_name(epoch), videos)


def with_aligned(
    videos: VideoScores, spoken: Mapping[tuple[str, int], Spoken]
) -> tuple[VideoScores, float | None]:
    """The videos with their aligned scores, and what these tell.

    Args:
      videos: The split.
      spoken: Its tracks by video and number.

    Returns:
      The videos, and `Result.aligned_auc`, None without reals, or where there is
      nothing to tell them from.
    """
    own: dict[str, list[Evidence]] = {}
    swapped: dict[str, list[Evidence]] = {}
    keys = sorted(spoken)
    real = set(videos.video_id[videos.label == spec.REAL])
    for number, (video, track) in enumerate(keys):
        mine = spoken[video, track]
        own.setdefault(video, []).extend(mine.evidence(track, 1.0))
        others = [k for k in (*keys[number:], *keys[:number]) if k[0] != video]
        if video in real and others:
            found = mine.evidence(track, 1.0, spoken[others[0]])
            swapped.setdefault(video, []).extend(found)
    aligned = {v: alignment.align_video(e).whole.aligned for v, e in own.items()}
    scored = LagScores.of(own).with_aligned(videos)
    reals = [aligned[v] for v in own if v in real and aligned[v] is not None]
    fakes = [aligned[v] for v in own if v not in real and aligned[v] is not None]
    fakes += [
        a
        for e in swapped.values()
        if (a := alignment.align_video(e).whole.aligned) is not None
    ]
    if not reals or not fakes:
        return scored, None
    label = np.repeat([0, 1], [len(reals), len(fakes)])
    return scored, float(roc_auc_score(label, reals + fakes))


def mismatch_auc(pairwise: list[np.ndarray], label: np.ndarray) -> float | None:
    """AUC of voices of other chunks of the batch against the own, for real mouths."""
    own, other = [], []
    ends = np.cumsum([len(distance) for distance in pairwise])
    for distance, end in zip(pairwise, ends, strict=True):
        real = label[end - len(distance) : end] == spec.REAL
        matched = np.eye(len(distance), dtype=bool)
        own.append(distance[matched & real[:, None]])
        other.append(distance[~matched & real[:, None]])
    counts = [sum(map(len, own)), sum(map(len, other))]
    if not all(counts):
        return None
    mismatched = np.repeat([0, 1], counts)
    return float(roc_auc_score(mismatched, np.concatenate([*own, *other])))
