"""Running statistics for visual batch norms that were trained without any.

The paper's code normalises its visual stream by the batch at hand, when scoring too: a
chunk's score then depends on the chunks beside it. Here mean and variance are measured
once, over many training chunks, and stay: "precise batch norm" (Wu and Johnson 2021,
"Rethinking Batch in BatchNorm", section 3).
"""

import dataclasses
import os
from collections.abc import Iterable, Iterator

import keras
import numpy as np
from keras import ops

from tfmds.common import progress
from tfmds.common.errors import InputError
from tfmds.data import input_pipeline
from tfmds.data.config import BatchConfig
from tfmds.data.data_set import DataSet
from tfmds.models import batch_norm
from tfmds.models.batch_norm import BatchStatisticsNormalization
from tfmds.models.config import TwoStreamConfig
from tfmds.models.two_stream import two_stream
from tfmds.spec import ChunkSpec

# As in training, since each norm sees what those before it made of such a batch.
BATCH_SIZE = 8


def training_batches(
    data_dir: os.PathLike | str, config: TwoStreamConfig, num_chunks: int
) -> Iterator[np.ndarray]:
    """Shuffled batches of the frames of training chunks, uint8 `[8, 30, s, s, 3]`.

    Args:
      data_dir: Data set with a train split.
      config: How the network sees a chunk.
      num_chunks: Chunks wanted, at most each of the split once.

    Raises:
      InputError: The data set cannot be used, or has no full batch.
    """
    data_set = DataSet.load(data_dir)
    ChunkSpec().check_same(data_set.spec, "the paper's network", str(data_dir))
    shards = [os.fspath(path) for path in data_set.shards("train")]
    present = sum(r.chunks for r in data_set.videos() if r.video.split == "train")
    num_batches = min(num_chunks, present) // BATCH_SIZE
    if not num_batches:
        raise InputError(
            f"{data_dir}: {min(num_chunks, present)} training chunks to measure"
            f" statistics on, expected at least {BATCH_SIZE}, better some hundreds"
        )
    batches = input_pipeline.training_dataset(
        shards,
        data_set.spec,
        config.view,
        BatchConfig(tracks=BATCH_SIZE),
        seed=0,
    )
    for batch in progress.bar(
        batches.take(num_batches), total=num_batches, unit="batch"
    ):
        yield batch["frames"].numpy()


def with_running_statistics(
    model: keras.Model, config: TwoStreamConfig, batches: Iterable[np.ndarray]
) -> tuple[keras.Model, TwoStreamConfig]:
    """The same network, its visual norms on statistics measured over `batches`.

    Mean and variance are those of all batches together: the mean of the batches'
    variances and the variance of their means.

    Args:
      model: A network with `visual_batch_statistics`.
      config: Its configuration.
      batches: Frames, uint8 `[b, 30, s, s, 3]` each.

    Returns:
      The network and its configuration, without `visual_batch_statistics`.
    """
    norms = [x for x in model.layers if isinstance(x, BatchStatisticsNormalization)]
    moments = _moments(model, norms)
    sums: list[np.ndarray] | None = None
    count = 0
    for frames in batches:
        batch = [np.asarray(x, np.float64) for x in moments.predict_on_batch(frames)]
        means, variances = batch[: len(norms)], batch[len(norms) :]
        squares = [v + m**2 for m, v in zip(means, variances, strict=True)]
        new = [*means, *squares]
        sums = new if sums is None else [a + b for a, b in zip(sums, new, strict=True)]
        count += 1
    if sums is None:
        raise ValueError("no batch to take statistics of")
    config = dataclasses.replace(config, visual_batch_statistics=False)
    running = two_stream(config)
    for layer in model.layers:
        mine = running.get_layer(layer.name)
        if layer not in norms:
            mine.set_weights(layer.get_weights())
    for i, layer in enumerate(norms):
        mean, square = sums[i] / count, sums[i + len(norms)] / count
        variance = np.maximum(square - mean**2, 0)
        mine = running.get_layer(layer.name)
        mine.set_weights([*layer.get_weights(), mean, variance])
    return running, config


def _moments(model: keras.Model, norms: list[keras.layers.Layer]) -> keras.Model:
    """From frames to means, then variances, of what each norm is given."""
    means, variances = [], []
    for layer in norms:
        mean, variance = batch_norm.moments(layer.input)
        means.append(ops.reshape(mean, (-1,)))
        variances.append(ops.reshape(variance, (-1,)))
    made = keras.Model(model.input["frames"], means + variances)
    made.compile(jit_compile=model.jit_compile if model.compiled else False)
    return made
