"""Seconds a chunk in training and inference, beside PyTorch, and how fast data comes.

    python -m benchmarks.speed --image_size=224 --batch_size=8
    python -m benchmarks.speed --image_size=56 --batch_size=32 --width=0.25

Each contender runs in a process of its own and they take turns, step by step, so that
what else the machine does slows all of them alike; trust the ratios. `torch` is a
PyTorch network of the same shape (tests/torch_reference.py, width 1 only), run as the
paper's code does: float32, Adam with weight decay; it is left out where torch is
missing. `data` are training chunks from the records of --data_dir: read, cut, decoded,
scaled, and varied or not, with all cores to themselves. Start-up is from the start of
the process to the end of the first step.
"""

import multiprocessing
import os
import resource
import statistics
import sys
import time

import numpy as np
from absl import flags

_IMAGE_SIZE = flags.DEFINE_integer("image_size", 224, "Side of the pictures, pixels.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 8, "Chunks of a step.")
_WIDTH = flags.DEFINE_float("width", 1.0, "Width of the network.")
_REGION = flags.DEFINE_string("region", "face", "Part of the crops for `data`.")
_DATA_DIR = flags.DEFINE_string("data_dir", None, "Data set for `data`.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "Steps of each contender that count.")
_ONLY = flags.DEFINE_list("only", [], "Names of contenders, all without.")


def batch(size: int, side: int):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (size, 30, side, side, 3), dtype=np.uint8)
    mfcc = rng.normal(size=(size, 13, 99)).astype(np.float32)
    return frames, mfcc, np.arange(size) % 2


def torch_network(side: int):
    import torch

    from tests import torch_reference

    torch.set_num_threads(os.cpu_count())
    frames, mfcc, label = batch(_size(), side)
    network = torch_reference.Reference("resnet18", side)
    return network, torch.from_numpy(frames), torch.from_numpy(mfcc), label


def torch_training(side: int, width: float):
    import torch
    from torch.nn import functional

    network, frames, mfcc, label = torch_network(side)
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, weight_decay=1e-5)
    real = torch.from_numpy(label).float()
    target = torch.from_numpy(label)

    def step():
        optimizer.zero_grad()
        found = network(frames, mfcc)
        distance = found["distance"]
        loss = (
            real * distance**2 + (1 - real) * functional.relu(0.99 - distance) ** 2
        ).mean()
        loss = loss + functional.cross_entropy(found["visual_logits"], target)
        loss = loss + functional.cross_entropy(found["audio_logits"], target)
        loss.backward()
        optimizer.step()
        loss.item()

    return step


def torch_inference(side: int, width: float):
    import torch

    network, frames, mfcc, _ = torch_network(side)
    network.eval()

    def step():
        with torch.no_grad():
            network(frames, mfcc)["distance"].numpy()

    return step


def keras_network(side: int, width: float, precision: str):
    import keras

    from tfmds.models.two_stream import TwoStreamConfig, two_stream

    keras.mixed_precision.set_global_policy(precision)
    return two_stream(TwoStreamConfig(width=width, image_size=side))


def keras_training(precision: str):
    def make(side: int, width: float):
        import tensorflow as tf

        from tfmds import strategies, train_step, training
        from tfmds.models.optimizers import AdamL2
        from tfmds.models.two_stream import with_pairwise_distance

        model = with_pairwise_distance(keras_network(side, width, precision))
        model.compile(AdamL2(1e-3, l2=1e-5))
        model.optimizer.build(model.trainable_variables)
        strategy = strategies.make(strategies.SINGLE)
        terms = training.terms(training.Recipe())
        train = train_step.make(model, terms, None, strategy)
        data = tuple(tf.constant(x) for x in batch(_size(), side))
        return lambda: float(train(data)["loss/total"])

    return make


def keras_inference(precision: str):
    def make(side: int, width: float):
        import tensorflow as tf

        from tfmds import scoring

        predict = scoring.predictor(keras_network(side, width, precision))
        frames, mfcc, _ = (tf.constant(x) for x in batch(_size(), side))
        return lambda: predict(frames, mfcc)["distance"].numpy()

    return make


def data(augment: bool):
    def make(side: int, width: float):
        from tfmds.data import input_pipeline
        from tfmds.data.data_set import DataSet

        data_set = DataSet.load(_DATA_DIR.value)
        batches = iter(
            input_pipeline.training_dataset(
                [os.fspath(path) for path in data_set.shards("train")],
                data_set.spec,
                input_pipeline.ViewConfig(side, _REGION.value),
                input_pipeline.BatchConfig(
                    tracks=max(1, _size() // 4),
                    chunks_per_track=min(4, _size()),
                    sampling="random",
                    shuffle_buffer=64,
                    augment=augment,
                ),
                seed=0,
            )
        )

        def step():
            # What was prepared while others had their turn must not count.
            for _ in range(8):
                next(batches)
            begin = time.perf_counter()
            for _ in range(4):
                next(batches)
            return (time.perf_counter() - begin) / 4

        return step

    return make


def _size() -> int:
    return _BATCH_SIZE.value


# By table: contender, function that makes its step.
CONTENDERS = {
    "training": {
        "torch float32": torch_training,
        "keras float32": keras_training("float32"),
        "keras bfloat16": keras_training("mixed_bfloat16"),
    },
    "inference": {
        "torch float32": torch_inference,
        "keras float32": keras_inference("float32"),
        "keras bfloat16": keras_inference("mixed_bfloat16"),
    },
    "data": {"as it is": data(False), "varied": data(True)},
}


def serve(pipe, table: str, name: str, argv: list[str]) -> None:
    """A contender's process: a step for each message, its seconds as the answer."""
    begin = time.perf_counter()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    flags.FLAGS(argv)
    try:
        step = CONTENDERS[table][name](_IMAGE_SIZE.value, _WIDTH.value)
        step()
    except ImportError as e:
        pipe.send(str(e))
        return
    pipe.send(time.perf_counter() - begin)
    while pipe.recv():
        begin = time.perf_counter()
        own = step()
        took = time.perf_counter() - begin
        # Data comes ahead of time: its step takes the time itself.
        pipe.send(own if table == "data" else took)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def main(argv: list[str]) -> None:
    flags.FLAGS(argv)
    context = multiprocessing.get_context("spawn")
    print(
        f"{_IMAGE_SIZE.value} px, width {_WIDTH.value:g}, batches of {_size()},"
        f" {os.cpu_count()} cores, medians of {_ROUNDS.value}\n"
    )
    print("| | | s a chunk | chunks a second | ratio | start-up s | memory GiB |")
    print("|---|---|---|---|---|---|---|")
    for table, contenders in CONTENDERS.items():
        pipes = {}
        starts = {}
        for name in contenders:
            if _ONLY.value and f"{table} {name}" not in _ONLY.value:
                continue
            if name.startswith("torch") and _WIDTH.value != 1:
                continue
            if table == "data" and not _DATA_DIR.value:
                continue
            here, there = context.Pipe()
            process = context.Process(target=serve, args=(there, table, name, argv))
            process.start()
            there.close()
            answer = here.recv()
            if isinstance(answer, str):
                print(f"{table} {name}: left out, {answer}", file=sys.stderr)
                continue
            pipes[name], starts[name] = here, answer
        seconds = {name: [] for name in pipes}
        for _ in range(_ROUNDS.value):
            for name, pipe in pipes.items():
                pipe.send(True)
                seconds[name].append(pipe.recv() / _size())
        first = None
        for name, pipe in pipes.items():
            pipe.send(False)
            memory = pipe.recv()
            median = statistics.median(seconds[name])
            first = first or median
            print(
                f"| {table} | {name} | {median:.4g} | {1 / median:.3g} |"
                f" {first / median:.2f} | {starts[name]:.1f} | {memory:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv)
