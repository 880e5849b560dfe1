"""Size, load time and speed of each export format on this machine's CPU.

    python -m benchmarks.export_formats --model=RUN

Needs the packages of `pip install -e '.[test]'`. Each format is loaded in a process of
its own. Seconds are CPU seconds of all threads, the least of several rounds over the
same chunks, since other programs disturb those of a clock more; the last column tells
those, too. The SavedModel cuts the region out and scales it itself, the others get
that done. `keras` is the trained network as
tfmds.evaluate runs it, batch norms and all.
"""

import dataclasses
import multiprocessing
import os
import tempfile
import time

import numpy as np

from tfmds.common import app
from tfmds.common.flags import REQUIRED, setting
from tfmds.exporting import export_info


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportFormatsConfig:
    """Which model, and how often it is asked."""

    model: str = setting(REQUIRED, "A run of tfmds.train.")
    chunks: int = setting(8, "Chunks that are scored at a time.", low=1)
    rounds: int = setting(7, "How often they are scored.", low=1)


def measure(name: str, path: str, size: int, chunks: int, rounds: int) -> dict:
    rng = np.random.default_rng(0)
    batch = {
        "frames": rng.integers(0, 256, (chunks, 30, size, size, 3), dtype=np.uint8),
        "mfcc": rng.normal(size=(chunks, 13, 99)).astype(np.float32),
    }
    began = time.process_time()
    score = {
        "keras": _keras,
        "saved_model": _saved_model,
        "onnx": _onnx,
        "litert": _litert,
    }[name](path)
    score({key: value[:1] for key, value in batch.items()})
    loaded = time.process_time()
    score(batch)
    seconds = []
    for _ in range(rounds):
        start = time.process_time(), time.perf_counter()
        score(batch)
        end = time.process_time(), time.perf_counter()
        seconds.append(np.subtract(end, start) / chunks)
    cpu, wall = np.min(seconds, axis=0)
    return {"load": loaded - began, "cpu": cpu, "wall": wall}


def _keras(path: str):
    from tfmds.models import checkpoints

    model, _, _ = checkpoints.load_model(path)
    model.compile(jit_compile=False)
    return lambda batch: model.predict_on_batch(batch)["distance"]


def _saved_model(path: str):
    import tensorflow as tf

    module = tf.saved_model.load(path)
    score = module.signatures["serving_default"]

    def run(batch):
        answer = score(**{key: tf.constant(value) for key, value in batch.items()})
        return answer["distance"].numpy()

    return run


def _onnx(path: str):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        os.path.join(path, export_info.OTHER_FILES["onnx"])
    )
    return lambda batch: session.run(["distance"], batch)[0]


def _litert(path: str):
    from ai_edge_litert import interpreter

    cores = len(os.sched_getaffinity(0))
    network = interpreter.Interpreter(
        os.path.join(path, export_info.OTHER_FILES["litert"]), num_threads=cores
    ).get_signature_runner()
    return lambda batch: network(**batch)["distance"]


def _megabytes(path: str) -> float:
    return (
        sum(
            os.path.getsize(os.path.join(folder, name))
            for folder, _, names in os.walk(path)
            for name in names
        )
        / 1e6
    )


def _export(model: str, folder: str) -> dict[str, str]:
    from tfmds.evaluation import thresholds
    from tfmds.exporting import saved_model
    from tfmds.models import checkpoints

    threshold = os.path.join(folder, thresholds.FILE)
    thresholds.write(
        threshold, thresholds.Threshold(0.5, model_id=checkpoints.model_id(model))
    )
    return {
        name: os.fspath(
            saved_model.export(model, threshold, os.path.join(folder, name), name)
        )
        for name in export_info.FORMATS
    }


def main(config: ExportFormatsConfig) -> None:
    """Prints a table of the README's form."""
    from tfmds.models import run_config

    size = run_config.read(config.model)["model"]["image_size"]
    context = multiprocessing.get_context("spawn")
    print("| format | MB | load, first chunk (s) | a chunk (s) | by the clock (s) |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        with context.Pool(1) as pool:
            paths = pool.apply(_export, (config.model, folder))
        for name, path in {"keras": config.model, **paths}.items():
            with context.Pool(1) as pool:
                got = pool.apply(
                    measure, (name, path, size, config.chunks, config.rounds)
                )
            megabytes = "" if name == "keras" else f"{_megabytes(path):.1f}"
            print(
                f"| {name} | {megabytes} | {got['load']:.1f} | {got['cpu']:.4f} |"
                f" {got['wall']:.4f} |",
                flush=True,
            )


if __name__ == "__main__":
    app.run(main)
