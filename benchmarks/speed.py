"""Seconds a chunk in training and inference, beside PyTorch, and how fast data comes.

    python -m benchmarks.speed --image_size=224 --batch_size=8
    python -m benchmarks.speed --image_size=56 --batch_size=32 --width=0.25

Each contender runs in a process of its own, beside the first of its table, and the two
take turns, step by step, so that what else the machine does slows both alike; trust the
ratios. (All at once would not fit into 24 GB at 224 pixels.) `torch` is a
PyTorch network of the same shape (tests/torch_reference.py, width 1 only), run as the
paper's code does: float32, Adam with weight decay; it is left out where torch is
missing. `data` are training chunks from the records of --data_dir: read, cut, decoded,
scaled, and varied or not, with all cores to themselves. Start-up is from the start of
the process to the end of the first step.
"""

import dataclasses
import importlib.util
import multiprocessing
import os
import resource
import statistics
import time

import numpy as np

from tfmds.common import app
from tfmds.common.flags import setting
from tfmds.spec import REGIONS, ViewConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeedConfig:
    """Which network, on how much."""

    image_size: int = setting(224, "Side of the pictures, pixels.", low=32)
    batch_size: int = setting(8, "Chunks of a step.", low=1)
    width: float = setting(1.0, "Width of the network.")
    region: str = setting(
        "face", "Part of the crops for `data`.", choices=tuple(REGIONS)
    )
    data_dir: str | None = setting(None, "Data set for `data`.")
    rounds: int = setting(5, "Steps of each contender that count.", low=1)
    only: tuple[str, ...] = setting((), "Names of contenders, all without.")


def batch(size: int, side: int):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (size, 30, side, side, 3), dtype=np.uint8)
    mfcc = rng.normal(size=(size, 13, 99)).astype(np.float32)
    return frames, mfcc, np.arange(size) % 2


def torch_network(config: SpeedConfig):
    import torch

    from tests import torch_reference

    torch.set_num_threads(os.cpu_count())
    frames, mfcc, label = batch(config.batch_size, config.image_size)
    network = torch_reference.Reference("resnet18", config.image_size)
    return network, torch.from_numpy(frames), torch.from_numpy(mfcc), label


def torch_training(config: SpeedConfig):
    import torch
    from torch.nn import functional

    network, frames, mfcc, label = torch_network(config)
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


def torch_inference(config: SpeedConfig):
    import torch

    network, frames, mfcc, _ = torch_network(config)
    network.eval()

    def step():
        with torch.no_grad():
            network(frames, mfcc)["distance"].numpy()

    return step


def keras_network(config: SpeedConfig, precision: str):
    import keras

    from tfmds.models.config import TwoStreamConfig
    from tfmds.models.two_stream import two_stream

    keras.mixed_precision.set_global_policy(precision)
    return two_stream(TwoStreamConfig(width=config.width, image_size=config.image_size))


def keras_training(precision: str):
    def make(config: SpeedConfig):
        import tensorflow as tf

        from tfmds.models.optimizers import AdamL2
        from tfmds.models.two_stream import with_pairwise_distance
        from tfmds.training import run, strategies
        from tfmds.training import step as train_step
        from tfmds.training.config import SINGLE, TrainingConfig

        model = with_pairwise_distance(keras_network(config, precision))
        model.compile(AdamL2(1e-3, l2=1e-5))
        model.optimizer.build(model.trainable_variables)
        strategy = strategies.make(SINGLE)
        terms = run.terms(TrainingConfig())
        train = train_step.make(model, terms, strategy)
        names = ("frames", "mfcc", "label")
        values = map(tf.constant, batch(config.batch_size, config.image_size))
        data = dict(zip(names, values, strict=True))
        return lambda: float(train(data)["loss/total"])

    return make


def keras_inference(precision: str):
    def make(config: SpeedConfig):
        import tensorflow as tf

        from tfmds.models.folding import fold_batch_norm
        from tfmds.scoring import scorer

        network = fold_batch_norm(keras_network(config, precision))
        predict = scorer.predictor(network)
        frames, mfcc, _ = map(tf.constant, batch(config.batch_size, config.image_size))
        return lambda: predict(frames, mfcc)["distance"].numpy()

    return make


def data(augment: bool):
    def make(config: SpeedConfig):
        from tfmds.data import input_pipeline
        from tfmds.data.config import BatchConfig
        from tfmds.data.data_set import DataSet

        data_set = DataSet.load(config.data_dir)
        batches = iter(
            input_pipeline.training_dataset(
                data_set.shard_files("train"),
                data_set.spec,
                ViewConfig(config.image_size, config.region),
                BatchConfig(
                    tracks=max(1, config.batch_size // 4),
                    chunks_per_track=min(4, config.batch_size),
                    sampling="random",
                    shuffle_buffer=64,
                    augment=augment,
                ),
                seed=0,
            )
        )

        def step():
            # What was prepared while the other had its turn must not count, nor what
            # it still prepares now.
            for _ in range(16):
                next(batches)
            begin = time.perf_counter()
            for _ in range(16):
                next(batches)
            return (time.perf_counter() - begin) / 16

        return step

    return make


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


def serve(pipe, table: str, name: str, config: SpeedConfig) -> None:
    """A contender's process: a step for each message, its seconds as the answer."""
    begin = time.perf_counter()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    step = CONTENDERS[table][name](config)
    step()
    pipe.send(time.perf_counter() - begin)
    while pipe.recv():
        begin = time.perf_counter()
        own = step()
        took = time.perf_counter() - begin
        # Data comes ahead of time: its step takes the time itself.
        pipe.send(own if table == "data" else took)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


class Contender:
    """The other end of `serve`: starts the process and asks it for steps."""

    def __init__(self, table: str, name: str, config: SpeedConfig):
        self.name = f"{table} {name}"
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=serve, args=(there, table, name, config))
        self._process.start()
        there.close()
        # Seconds from nothing to the end of the first step.
        self.start = self._answer()

    def step(self) -> float:
        """Seconds of one step."""
        self._pipe.send(True)
        return self._answer()

    def end(self) -> float:
        """Ends the process; the most memory that it took, GiB."""
        self._pipe.send(False)
        memory = self._answer()
        self._process.join()
        return memory

    def _answer(self):
        try:
            return self._pipe.recv()
        except EOFError:
            self._process.join()
            raise SystemExit(
                f"{self.name}: its process ended with {self._process.exitcode}; -9 is"
                " mostly a lack of memory, try a smaller --batch_size"
            ) from None


def side_by_side(
    table: str, names: list[str], config: SpeedConfig
) -> list[list[float]]:
    """Rows of figures of contenders that take turns."""
    contenders = [Contender(table, name, config) for name in names]
    rounds = [
        [c.step() / config.batch_size for c in contenders] for _ in range(config.rounds)
    ]
    medians = [statistics.median(column) for column in zip(*rounds, strict=True)]
    return [
        [c.name, median, 1 / median, medians[0] / median, c.start, c.end()]
        for c, median in zip(contenders, medians, strict=True)
    ]


def main(config: SpeedConfig) -> None:
    """Prints a row for each contender."""
    has_torch = config.width == 1 and importlib.util.find_spec("torch")
    print(
        f"{config.image_size} px, width {config.width:g},"
        f" batches of {config.batch_size},"
        f" {os.cpu_count()} cores, medians of {config.rounds}\n"
    )
    print("| | s a chunk | chunks a second | ratio | start-up s | memory GiB |")
    print("|---|---|---|---|---|---|")
    for table, contenders in CONTENDERS.items():
        names = [
            name
            for name in contenders
            if (not config.only or f"{table} {name}" in config.only)
            and (not name.startswith("torch") or has_torch)
            and (table != "data" or config.data_dir)
        ]
        shown = set()
        for other in names[1:] or names:
            for name, s, rate, ratio, start, memory in side_by_side(
                table, list(dict.fromkeys([names[0], other])), config
            ):
                if name not in shown:
                    print(
                        f"| {name} | {s:.4g} | {rate:.3g} | {ratio:.2f}"
                        f" | {start:.1f} | {memory:.1f} |",
                        flush=True,
                    )
                shown.add(name)


if __name__ == "__main__":
    app.run(main)
