"""The bridge between wings: a model and a data set become scores."""

import os
import sys
from collections.abc import Callable, Collection, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfmds import spec
from tfmds.common import progress
from tfmds.common.errors import InputError
from tfmds.data import input_pipeline, integrity
from tfmds.data.data_set import DataSet, VideoRow
from tfmds.evaluation import epochs, score_files, scores
from tfmds.evaluation.scores import ChunkScores, VideoScores
from tfmds.exporting import networks
from tfmds.exporting.networks import NetworkInfo
from tfmds.models import checkpoints
from tfmds.models.two_stream import fake_probability
from tfmds.scoring import lag_scores

_BATCH_SIZE = 32
_COLUMNS = ("video_id", "track", "start_seconds", "label")

# Frames and MFCC to the network's outputs by name.
Predict = Callable[[tf.Tensor, tf.Tensor], dict[str, tf.Tensor]]


def predictor(model: keras.Model) -> Predict:
    """The network as a compiled function, which sees later changes of its weights."""

    # On a CPU XLA makes this network several times slower.
    @tf.function(
        reduce_retracing=True,
        autograph=False,
        jit_compile=bool(tf.config.list_physical_devices("GPU")),
    )
    def predict(frames: tf.Tensor, mfcc: tf.Tensor) -> dict[str, tf.Tensor]:
        return model({"frames": frames, "mfcc": mfcc}, training=False)

    return predict


def score_chunks(
    predict: Predict,
    dataset: tf.data.Dataset,
    total: int | None = None,
    heads: Collection[str] = (),
) -> ChunkScores:
    """Distances and heads' probabilities of all chunks of a `scoring_dataset`.

    Args:
      predict: The network as `predictor` gives it.
      dataset: Batches of chunks.
      total: Chunks in all, for a progress bar; none is shown without.
      heads: Streams whose heads were trained.
    """
    names = (*_COLUMNS, "distance", *heads)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    with progress.bar(total=total, unit="chunk", hidden=total is None) as bar:
        for batch in dataset:
            outputs = predict(batch["frames"], batch["mfcc"])
            batch["distance"] = outputs["distance"]
            for stream in heads:
                batch[stream] = fake_probability(outputs[f"{stream}_logits"])
            for name in names:
                parts[name].append(np.asarray(batch[name]))
            bar.update(len(batch["label"]))
    columns: dict[str, Any] = {
        name: np.concatenate(part) if part else np.zeros(0)
        for name, part in parts.items()
    }
    columns["video_id"] = [x.decode() for x in columns["video_id"]]
    columns["heads"] = {stream: columns.pop(stream) for stream in heads}
    return ChunkScores.from_distances(**columns)


def load(
    model_path: os.PathLike | str,
    data_dir: os.PathLike | str,
    step: int | None = None,
) -> tuple[DataSet, keras.Model, NetworkInfo]:
    """A data set and a model that fits it.

    Args:
      model_path: A run of tfmds.train or an export, see `networks.describe`.
      data_dir: The data set.
      step: Of a run's checkpoint; the best one without.

    Raises:
      InputError: The model or the data set cannot be used, or they do not fit.
    """
    data_set = DataSet.load(data_dir)
    model, known = networks.load(model_path, step)
    known.spec.check_same(
        data_set.spec, f"the model {model_path}", f"the data set {data_dir}"
    )
    return data_set, model, known


def warn_of_untrained(known: NetworkInfo, score: str) -> None:
    """Says so where videos are judged by what the model did not learn."""
    if score not in scores.OF_DISTANCE or known.trains_distance:
        return
    better = " or ".join(f"--score={name}" for name in known.heads)
    print(
        f"warning: {known.path} was trained without the distance of mouth and voice"
        f" (--contrastive_weight, --mismatch_weight): {score} tells nothing of its"
        f" videos. Judge them by what it was trained for: {better}",
        file=sys.stderr,
    )


def video_scores(rows: Sequence[VideoRow], chunks: ChunkScores) -> VideoScores:
    """Scores of the videos of these rows of videos.csv."""
    return VideoScores.from_chunks(
        chunks,
        video_id=[row.video.video_id for row in rows],
        label=[spec.LABELS[row.video.label] for row in rows],
        split=[row.video.split for row in rows],
        group=[row.video.group for row in rows],
        manipulation=[row.video.manipulation for row in rows],
        status=[row.status for row in rows],
        fake_periods=[row.video.fake_periods for row in rows],
        seconds=[row.seconds for row in rows],
        forged=[row.video.forged for row in rows],
    )


def score_data_set(
    model_path: os.PathLike | str,
    data_dir: os.PathLike | str,
    splits: Sequence[str],
    output_dir: os.PathLike | str,
    hop_seconds: float = 1.0,
    score: str = scores.MDS,
) -> None:
    """Writes `scores.csv` and `chunks.csv` of the splits into `output_dir`.

    Args:
      model_path: A run of tfmds.train or an export, see `networks.describe`.
      data_dir: The data set.
      splits: Which splits to score.
      output_dir: Made where it does not exist.
      hop_seconds: From the start of one chunk to that of the next, a multiple of
        0.1; chunks overlap where it is below 1.
      score: The MDS is written and the scores of the heads that were trained; with
        `aligned` that too, which costs five times as much, and with `fused` where the
        chunk spec has lags.

    Raises:
      InputError: The model or the data set cannot be used, or they do not fit.
    """
    videos, chunks = _score(model_path, data_dir, splits, hop_seconds, score=score)
    score_files.write(output_dir, videos, chunks)


def score_epochs(
    run: os.PathLike | str,
    data_dir: os.PathLike | str,
    split: str,
    output_dir: os.PathLike | str,
    score: str = scores.MDS,
) -> list[int]:
    """Writes `epoch-0001.csv`, ... for each epoch of a run whose checkpoint is kept.

    Args:
      run: A run of tfmds.train.
      data_dir: The data set.
      split: Which split to score.
      output_dir: Made where it does not exist.
      score: As for `score_data_set`.

    Returns:
      The epochs.

    Raises:
      InputError: There is no such checkpoint, or the data set cannot be used.
    """
    ends = checkpoints.epoch_ends(run)
    if not ends:
        raise InputError(f"{run}: no checkpoint of a whole epoch; train one at least")
    warn_of_untrained(networks.describe(run), score)
    folder = epath.Path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for epoch, step in ends.items():
        videos, _ = _score(run, data_dir, [split], step=step, score=score)
        score_files.write_videos(folder / epochs.file_name(epoch), videos)
    return list(ends)


def _score(
    model_path: os.PathLike | str,
    data_dir: os.PathLike | str,
    splits: Sequence[str],
    hop_seconds: float = 1.0,
    step: int | None = None,
    score: str = scores.MDS,
) -> tuple[VideoScores, ChunkScores]:
    data_set, model, known = load(model_path, data_dir, step)
    view = known.config.view
    hop_frames = data_set.spec.hop_frames(hop_seconds)
    rows = [row for row in data_set.videos() if row.video.split in splits]
    shards = data_set.shard_files(*splits)
    with integrity.damage_is_named(data_set, splits):
        chunks = score_chunks(
            predictor(model),
            input_pipeline.scoring_dataset(
                shards,
                data_set.spec,
                view,
                _BATCH_SIZE,
                hop_frames,
            ),
            # Only whole seconds are counted beforehand.
            total=sum(row.chunks for row in rows) if hop_seconds == 1 else None,
            heads=known.heads,
        )
        if score not in scores.OF_LAGS and not (
            score == scores.FUSED and data_set.spec.has_lags
        ):
            return video_scores(rows, chunks), chunks
        found = lag_scores.measure(model, view, data_set.spec, shards)
    chunks = found.with_misfit(found.with_offset_distance(chunks))
    return found.with_aligned(video_scores(rows, chunks)), chunks
