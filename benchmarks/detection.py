"""What tfmds.detect costs on this machine: start-up, seconds a second of video, memory.

    python -m benchmarks.detection --model=EXPORT VIDEO...

Each video is judged by the program once, then three times in one run, one at a time:
the difference is what two more cost, and the rest of the first run the start-up. CPU
seconds are those of all processes; other programs disturb them less than the clock's.
With --tensorflow the same is done, in turns, with a copy of the model that has no light
form and is judged by TensorFlow.

    python -m benchmarks.detection --folder=CLIPS --num_workers=2 --other=OTHER_TREE

Judges a folder, some videos at a time, and prints videos an hour and the peak memory of
all processes together, each page counted once (PSS).

With --other all of this is done from another tree of this project, too, in turn with
this one, --rounds times, so that what else the machine does disturbs both.
"""

import contextlib
import dataclasses
import itertools
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import av
import psutil

from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import setting
from tfmds.detection import inputs
from tfmds.exporting import export_info

_TIMES = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionBenchmarkConfig:
    """What is judged, by what."""

    model: str | None = setting(None, "A folder that tfmds.export wrote.")
    folder: str | None = setting(None, "Judge all videos in this folder.")
    num_workers: int = setting(2, "As of tfmds.detect, for --folder.", low=1)
    other: str | None = setting(None, "Another tree, to be compared with this.")
    rounds: int = setting(2, "How often each tree judges.", low=1)
    tensorflow: bool = setting(False, "Judge by the same model in TensorFlow, too.")

    @property
    def trees(self) -> list[str]:
        return [os.getcwd(), *([os.path.abspath(self.other)] if self.other else [])]


def run(tree: str, *words: str) -> tuple[float, float, float]:
    """Clock seconds, CPU seconds and the largest process in MB of a run of detect."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "tfmds.detect", "--num_workers=1", *words],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": tree},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise InputError(f"tfmds.detect {' '.join(words)} failed; see above")
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def judge_folder(
    tree: str, model: list[str], folder: str, num_workers: int
) -> tuple[float, float, float, float]:
    """Seconds until the first row and to the end, CPU seconds, and peak PSS in MB."""
    began = time.perf_counter()
    words = [
        *model,
        f"--num_workers={num_workers}",
        "--csv",
        os.path.abspath(folder),
    ]
    run = psutil.Popen(
        [sys.executable, "-m", "tfmds.detect", *words],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": tree},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    first = 0.0
    peak = 0
    os.set_blocking(run.stdout.fileno(), False)
    rows = b""
    while run.poll() is None:
        rows += run.stdout.read() or b""
        if not first and rows.count(b"\n") > 1:
            first = time.perf_counter() - began
        size = 0
        for process in (run, *run.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                size += process.memory_full_info().pss
        peak = max(peak, size)
        time.sleep(0.2)
    seconds = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return first, seconds, usage.ru_utime + usage.ru_stime, peak / 1e6


def compare(model: list[str], config: DetectionBenchmarkConfig, folder: str) -> None:
    """Prints a row for each run over the folder."""
    count = len(inputs.find_videos(folder))
    print("| tree | first row, s | videos an hour | CPU seconds | peak PSS, MB |")
    print("| --- | --- | --- | --- | --- |")
    before = 0.0
    for _ in range(config.rounds):
        for tree in config.trees:
            first, seconds, cpu, peak = judge_folder(
                tree, model, folder, config.num_workers
            )
            print(
                f"| {tree} | {first:.1f} | {3600 * count / seconds:.0f} |"
                f" {cpu - before:.0f} | {peak:.0f} |",
                flush=True,
            )
            before = cpu


def cost(
    tree: str, model: list[str], path: str
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What `run` gives for one run with a video, and for one more such video."""
    path = os.path.abspath(path)
    once = run(tree, *model, path)
    with tempfile.TemporaryDirectory() as folder:
        for number in range(_TIMES):
            name = f"{number}{pathlib.Path(path).suffix}"
            os.symlink(path, os.path.join(folder, name))
        several = run(tree, *model, folder)
    each = ((b - a) / (_TIMES - 1) for a, b in zip(once, several, strict=True))
    return once, tuple(each)


def compare_videos(
    models: dict[str, list[str]], config: DetectionBenchmarkConfig
) -> None:
    """Prints a row for each video, model, tree and round."""
    print("| video | seconds | judged by | clock (CPU) s | start-up | a second | MB |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for path in app.arguments():
        with av.open(path) as container:
            length = container.duration / av.time_base
            stream = container.streams.video[0]
            size = f"{stream.width}x{stream.height}"
        for _ in range(config.rounds):
            for (name, model), tree in itertools.product(models.items(), config.trees):
                once, each = cost(tree, model, path)
                told = name if len(config.trees) == 1 else f"{name}, {tree}"
                print(
                    f"| {size} | {length:.1f} | {told} |"
                    f" {once[0]:.1f} ({once[1]:.1f}) |"
                    f" {once[0] - each[0]:.1f} ({once[1] - each[1]:.1f}) |"
                    f" {each[0] / length:.2f} ({each[1] / length:.2f}) |"
                    f" {once[2]:.0f} |",
                    flush=True,
                )


def main(config: DetectionBenchmarkConfig) -> None:
    """Prints a table."""
    given = os.path.abspath(config.model) if config.model else None
    model = [f"--model={given}"] if given else []
    if config.folder:
        compare(model, config, config.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        models = {"as it is": model}
        if config.tensorflow:
            copy = os.path.join(folder, "model", "1")
            shutil.copytree(
                export_info.find(given),
                copy,
                ignore=shutil.ignore_patterns(*export_info.LIGHT_FILES),
            )
            models["TensorFlow"] = [f"--model={os.path.dirname(copy)}"]
        compare_videos(models, config)


if __name__ == "__main__":
    app.run(main, takes_arguments=True)
