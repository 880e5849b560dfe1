r"""What limits training: a step beside the machine's matrix rate, and where it goes.

    python -m benchmarks.training_limits --flagfile=tfmds/configs/robust.flags \
        --precision=mixed_bfloat16 --data_dir=DATA
    python -m benchmarks.training_limits --image_size=224 --batch_tracks=8

Takes the flags of tfmds.train and makes the same step, of random chunks. Products of
large matrices, in the same precision and on the same cores, and steps take turns.
Everything is counted in seconds of CPU, which depend little on what else the machine
does; the matrix rate is what a core can do at best.

A step is counted from the shapes of convolutions and dense layers: a multiplication and
an addition are two operations, zeros at borders are counted, and training is three
times the way forward, for the gradients of weights and of inputs, two times where
nothing before can learn. TensorFlow's profiler says how long each kind of operation
takes. With --data_dir the input pipeline is measured too, which takes its time from the
same cores while a run trains.
"""

import collections
import dataclasses
import itertools
import math
import os
import pathlib
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tfmds.common import app
from tfmds.common.flags import setting
from tfmds.data.config import BatchConfig
from tfmds.models.config import TwoStreamConfig
from tfmds.training.config import SINGLE, TrainingConfig

# Kinds of operations by their names in TensorFlow, the first that fits.
_KINDS = {
    "convolutions": r"Conv[23]D|Conv3D",
    "dense layers, distances": r"MatMul",
    "batch norms": r"FusedBatchNorm",
    "pooling": r"Pool",
    "weights and their averages": r"Resource|Variable",
    "additions, ReLUs, casts, copies and the rest": r"",
}
# What only calls others, or does nothing.
_NO_OPERATIONS = re.compile(r"PartitionedCall|^_Send|^_Recv|NoOp|_SOURCE|_SINK")
_Seconds = dict[str, float]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitsConfig:
    """What is measured, and how often."""

    rounds: int = setting(5, "Steps and products that count, in turns.", low=1)
    side: int = setting(2048, "Side of the matrices.", low=64)
    data_dir: str = setting("", "Data set of the input pipeline, if it is measured.")


def multiply_adds(model: Any) -> tuple[int, int]:
    """Operations of one chunk by layers with a kernel.

    Args:
      model: A Keras model.

    Returns:
      A multiplication and an addition as two: on the way forward, and in a step of
      training.
    """
    from keras import layers, tree

    forward = training = 0
    learned: set[int] = set()
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        inputs = tree.flatten(layer.input)
        follows = any(id(x) in learned for x in inputs)
        if follows or layer.trainable_weights:
            learned |= {id(x) for x in tree.flatten(layer.output)}
        if isinstance(
            layer, (layers.Dense, layers.Conv1D, layers.Conv2D, layers.Conv3D)
        ):
            positions = math.prod(layer.output.shape[1:-1])
            operations = 2 * positions * math.prod(layer.kernel.shape)
            forward += operations
            training += operations * (3 if follows else 2)
    return forward, training


def cpu_seconds(step: Callable[[], Any]) -> float:
    """Seconds of CPU, all threads together."""
    begin = time.process_time()
    step()
    return time.process_time() - begin


def in_turns(steps: Sequence[Callable[[], Any]], rounds: int) -> list[float]:
    """Median seconds of CPU of each, one after the other, several times."""
    for step in steps:
        step()
    taken = [[cpu_seconds(step) for step in steps] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def by_operation(step: Callable[[], Any]) -> _Seconds:
    """Seconds that operations of each TensorFlow name took in one step.

    By the clock, on however many cores; those that ran at the same time count in full.
    """
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    options = tf.profiler.experimental.ProfilerOptions(
        host_tracer_level=2, python_tracer_level=0
    )
    taken: _Seconds = collections.defaultdict(float)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, options):
            step()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
    for plane in space.planes:
        for line in plane.lines:
            # Other threads do parts of what these do.
            if not line.name.startswith("tf_Compute"):
                continue
            for event in line.events:
                called = plane.event_metadata[event.metadata_id].name
                node, _, name = called.rpartition(":")
                if node and not node.endswith(":") and not _NO_OPERATIONS.search(name):
                    taken[name] += event.duration_ps / 1e12
    return dict(taken)


def by_kind(operations: Mapping[str, float]) -> _Seconds:
    """Shares of the kinds of operations, which add up to 1."""
    kinds = dict.fromkeys(_KINDS, 0.0)
    for name, seconds in operations.items():
        kind = next(k for k, pattern in _KINDS.items() if re.search(pattern, name))
        kinds[kind] += seconds
    total = sum(kinds.values())
    return {kind: seconds / total for kind, seconds in kinds.items()}


def _training(
    network: TwoStreamConfig, batch: BatchConfig, recipe: TrainingConfig
) -> tuple[Any, Callable[[], Any]]:
    import keras
    import numpy as np
    import tensorflow as tf

    from tfmds.models.optimizers import AdamL2
    from tfmds.models.two_stream import two_stream, with_pairwise_distance
    from tfmds.training import run, strategies
    from tfmds.training import step as train_step

    keras.mixed_precision.set_global_policy(recipe.precision)
    model = with_pairwise_distance(two_stream(network))
    model.compile(AdamL2(1e-3, l2=1e-5))
    model.optimizer.build(model.trainable_variables)
    train = train_step.make(model, run.terms(recipe), strategies.make(SINGLE))
    rng = np.random.default_rng(0)
    shapes = {name: (batch.size, *x.shape[1:]) for name, x in model.input.items()}
    frames = rng.integers(0, 256, shapes["frames"], dtype=np.uint8)
    chunks = {
        "frames": tf.constant(frames),
        "mfcc": tf.constant(rng.normal(size=shapes["mfcc"]), tf.float32),
        "label": tf.constant(np.arange(batch.size) % 2),
    }
    return model, lambda: float(train(chunks)["loss/total"])


def _product(side: int, precision: str) -> Callable[[], Any]:
    import tensorflow as tf

    dtype = tf.bfloat16 if "bfloat16" in precision else tf.float32
    matrix = tf.cast(tf.random.stateless_normal((side, side), (0, 0)), dtype)
    return lambda: tf.matmul(matrix, matrix).numpy()


def _input_pipeline(
    data_dir: str, network: TwoStreamConfig, batch: BatchConfig, seed: int
) -> float:
    """Seconds of CPU of a chunk."""
    from tfmds.data import input_pipeline
    from tfmds.data.data_set import DataSet

    data_set = DataSet.load(data_dir)
    shards = [os.fspath(path) for path in data_set.shards("train")]
    batches = itertools.chain.from_iterable(
        input_pipeline.training_dataset(
            shards, data_set.spec, network.view, batch, seed, epoch
        )
        for epoch in itertools.count()
    )
    # The first one waits until the buffers are full.
    next(batches)
    count = max(4, 512 // batch.size)
    taken = cpu_seconds(lambda: [next(batches) for _ in range(count)])
    return taken / count / batch.size


def _short(value: float) -> str:
    return f"{float(f'{value:.3g}'):g}"


def main(
    config: LimitsConfig,
    network: TwoStreamConfig,
    batch: BatchConfig,
    recipe: TrainingConfig,
) -> None:
    """Measures and prints two tables."""
    model, step = _training(network, batch, recipe)
    product = _product(config.side, recipe.precision)
    matrix, taken = in_turns([product, step], config.rounds)
    forward, operations = multiply_adds(model)
    matrix_rate = 2 * config.side**3 / matrix / 1e9
    rate = operations * batch.size / taken / 1e9
    print(
        f"{network.image_size} px, width {network.width:g}, batches of {batch.size},"
        f" {recipe.precision}, {len(os.sched_getaffinity(0))} cores; medians of"
        f" {config.rounds}, in seconds of CPU\n"
    )
    print("| | measured |\n| --- | --- |")
    print(f"| product of two matrices of {config.side} | {matrix_rate:.0f} GFLOP/s |")
    print(f"| a chunk, forward | {forward / 1e9:.3g} GFLOP |")
    print(f"| a chunk, training | {operations / 1e9:.3g} GFLOP |")
    print(f"| a chunk, training | {_short(1000 * taken / batch.size)} ms |")
    print(f"| a step | {rate:.3g} GFLOP/s, {rate / matrix_rate:.1%} of the matrices |")
    if config.data_dir:
        made = _input_pipeline(config.data_dir, network, batch, recipe.seed)
        print(f"| a chunk, input pipeline beside it | {_short(1000 * made)} ms |")
    operations_taken = by_operation(step)
    print("\n| kind of operation | share of a step | ms a chunk |\n| --- | --- | --- |")
    shares = by_kind(operations_taken)
    for kind, share in shares.items():
        print(f"| {kind} | {share:.1%} | {_short(1000 * taken * share / batch.size)} |")
    share = shares["convolutions"]
    print(
        f"\nConvolutions alone: {rate / share:.3g} GFLOP/s,"
        f" {rate / share / matrix_rate:.1%} of the matrices. What takes longest:"
    )
    total = sum(operations_taken.values())
    longest = sorted(operations_taken.items(), key=lambda item: -item[1])
    for name, seconds in longest[:12]:
        print(f"{seconds / total:7.1%} {name}")


if __name__ == "__main__":
    app.run(main)
