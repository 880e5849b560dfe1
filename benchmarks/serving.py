"""Requests and videos that the service answers on loopback, beside what its parts take.

    python -m benchmarks.serving --model=EXPORT clip.mp4

Starts the service, asks it for a bounded time and prints two tables.

    python -m benchmarks.serving --model=EXPORT --other=OTHER_TREE clip.mp4

Compares the service of this tree with that of another one: videos an hour and the peak
memory of all processes together (PSS), in turn, --rounds times.
"""

import base64
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import tempfile
import threading
import time

import httpx
import numpy as np
import psutil

from benchmarks import services
from tfmds.common import app
from tfmds.common.errors import InputError
from tfmds.common.flags import REQUIRED, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServingBenchmarkConfig:
    """Which service is asked, and for how long."""

    model: str = setting(REQUIRED, "An exported model.")
    seconds: float = setting(10.0, "Time of each measurement.", low=0)
    clients: tuple[str, ...] = setting(
        ("1", "4", "16"), "Requests at once.", repeated=True
    )
    videos: int = setting(12, "Uploads to be judged.", low=1)
    workers: int = setting(1, "As of tfmds.serve.", low=1)
    other: str | None = setting(None, "Another tree, to be compared with this.")
    rounds: int = setting(2, "How often each tree is measured.", low=1)


class Memory(threading.Thread):
    """Looks at the memory of a process and all below it until it ends.

    Attributes:
      peak: The most at a time, each page counted once (PSS), in bytes.
    """

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.peak = 0
        self._process = psutil.Process(pid)

    def run(self) -> None:
        while True:
            size = 0
            try:
                found = [self._process, *self._process.children(recursive=True)]
            except psutil.Error:
                return
            for process in found:
                with contextlib.suppress(psutil.Error):
                    size += process.memory_full_info().pss
            self.peak = max(self.peak, size)
            time.sleep(0.2)


@contextlib.contextmanager
def service(model: str, workers: int, tree: str = "."):
    with tempfile.TemporaryDirectory() as folder:
        words = [f"--model={model}", f"--data_dir={folder}"]
        words += [f"--workers={workers}", "--uploads_per_minute=1000"]
        with services.running(*words, tree=tree) as (client, process):
            memory = Memory(process.pid)
            memory.start()
            services.wait_until_ready(client)
            yield client, memory


def predict(
    client: httpx.Client, body: bytes, num_clients: int, seconds: float
) -> list[float]:
    """Seconds of each request that was answered in the time."""
    end = time.monotonic() + seconds

    def ask(_) -> list[float]:
        taken = []
        while (start := time.monotonic()) < end:
            answer = client.post("/v1/models/mds:predict", content=body)
            assert answer.status_code == 200, answer.text
            taken.append(time.monotonic() - start)
        return taken

    with concurrent.futures.ThreadPoolExecutor(num_clients) as pool:
        return sum(pool.map(ask, range(num_clients)), [])


def videos_per_hour(client: httpx.Client, content: bytes, count: int) -> float:
    start = time.monotonic()
    ids = [
        client.post("/v1/videos", content=content).json()["id"] for _ in range(count)
    ]
    for job_id in ids:
        while (state := client.get(f"/v1/videos/{job_id}").json()["state"]) != "done":
            assert state != "failed"
            time.sleep(0.05)
    return 3600 * len(ids) / (time.monotonic() - start)


def mean_seconds(function, most: float) -> float:
    """Mean time of a call, the first left out."""
    function()
    start, count = time.monotonic(), 0
    while time.monotonic() - start < most:
        function()
        count += 1
    return (time.monotonic() - start) / count


def compare(config: ServingBenchmarkConfig, path: str) -> None:
    """Prints a row for each run of a service."""
    content = pathlib.Path(path).read_bytes()
    print("| tree | ready after, s | videos an hour | peak PSS, MB |")
    print("| --- | --- | --- | --- |")
    for _ in range(config.rounds):
        for tree in (os.getcwd(), config.other):
            began = time.monotonic()
            model = os.path.abspath(config.model)
            with service(model, config.workers, tree) as (client, memory):
                ready = time.monotonic() - began
                done = videos_per_hour(client, content, config.videos)
                peak = memory.peak / 1e6
            print(f"| {tree} | {ready:.1f} | {done:.0f} | {peak:.0f} |", flush=True)


def main(config: ServingBenchmarkConfig) -> None:
    """Prints two tables, or compares with another tree."""
    if len(app.arguments()) != 1:
        raise InputError("expected one video: python -m benchmarks.serving ... VIDEO")
    path = app.arguments()[0]
    if config.other:
        compare(config, path)
        return
    import tensorflow as tf

    from tfmds.data import records
    from tfmds.data.manifest import Video
    from tfmds.detection import judging
    from tfmds.exporting import loading
    from tfmds.preprocessing.tracks import TrackReader

    model = loading.load(config.model)
    spec = model.spec
    segment = next(iter(TrackReader(path, chunk_spec=spec)))
    second = dataclasses.replace(
        segment,
        frames=segment.frames[: spec.num_frames],
        mfcc=segment.mfcc[: spec.num_mfcc_frames],
    )
    record = records.encode(second, Video(video_id="v", path=""), spec.seconds)
    pictures = np.stack([tf.io.decode_jpeg(f).numpy() for f in second.frames])
    chunk = {"frames": pictures, "mfcc": second.mfcc.T}
    bodies = {
        "records (b64)": {
            "signature_name": "examples",
            "instances": [{"b64": base64.b64encode(record).decode()}],
        },
        "crops (numbers)": {"instances": [{k: v.tolist() for k, v in chunk.items()}]},
    }
    tensors = {
        "records (b64)": ("examples", {"examples": tf.constant([record])}),
        "crops (numbers)": (
            "serving_default",
            {k: tf.constant(v[None]) for k, v in chunk.items()},
        ),
    }
    alone = {
        name: mean_seconds(
            lambda s=signature, i=inputs: model.signatures[s](**i), config.seconds / 3
        )
        for name, (signature, inputs) in tensors.items()
    }
    prepare = mean_seconds(
        lambda: list(TrackReader(path, chunk_spec=spec)), config.seconds
    )
    judge = mean_seconds(lambda: judging.judge(model, path), config.seconds)
    with service(config.model, config.workers) as (client, _):
        print("| one chunk a request | MB | at once | requests/s | 95th percentile |")
        print("| --- | --- | --- | --- | --- |")
        for name, body in bodies.items():
            content = json.dumps(body).encode()
            print(
                f"| {name} | {len(content) / 1e6:.2f} | the model alone |"
                f" {1 / alone[name]:.1f} | |"
            )
            # Numbers as text take the time of a second core to read.
            many = [int(count) for count in config.clients]
            for num_clients in many if len(content) < 1e6 else many[:2]:
                taken = predict(client, content, num_clients, config.seconds)
                late = np.percentile(taken, 95)
                print(
                    f"| | | {num_clients} | {len(taken) / config.seconds:.1f} |"
                    f" {1000 * late:.0f} ms |"
                )
        done = videos_per_hour(client, pathlib.Path(path).read_bytes(), config.videos)
    print("\n| videos | an hour |\n| --- | --- |")
    print(f"| preprocessing alone | {3600 / prepare:.0f} |")
    print(f"| one reader and the model | {3600 / judge:.0f} |")
    print(f"| the service, {config.workers} at a time | {done:.0f} |")


if __name__ == "__main__":
    app.run(main, takes_arguments=True)
