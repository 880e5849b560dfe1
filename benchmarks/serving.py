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
from absl import flags

from benchmarks import services
from tfmds.common import app
from tfmds.common.errors import InputError

_MODEL = flags.DEFINE_string("model", None, "An exported model.", required=True)
_SECONDS = flags.DEFINE_float("seconds", 10, "Time of each measurement.")
_CLIENTS = flags.DEFINE_multi_integer("clients", [1, 4, 16], "Requests at once.")
_VIDEOS = flags.DEFINE_integer("videos", 12, "Uploads to be judged.")
_WORKERS = flags.DEFINE_integer("workers", 1, "As of tfmds.serve.")
_OTHER = flags.DEFINE_string("other", None, "Another tree, to be compared with this.")
_ROUNDS = flags.DEFINE_integer("rounds", 2, "How often each tree is measured.")


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
def service(model: str, tree: str = "."):
    with tempfile.TemporaryDirectory() as folder:
        words = [f"--model={model}", f"--data_dir={folder}"]
        words += [f"--workers={_WORKERS.value}", "--uploads_per_minute=1000"]
        with services.running(*words, tree=tree) as (client, process):
            memory = Memory(process.pid)
            memory.start()
            services.wait_until_ready(client)
            yield client, memory


def predict(client: httpx.Client, body: bytes, num_clients: int) -> list[float]:
    """Seconds of each request that was answered in the time."""
    end = time.monotonic() + _SECONDS.value

    def ask(_) -> list[float]:
        taken = []
        while (start := time.monotonic()) < end:
            answer = client.post("/v1/models/mds:predict", content=body)
            assert answer.status_code == 200, answer.text
            taken.append(time.monotonic() - start)
        return taken

    with concurrent.futures.ThreadPoolExecutor(num_clients) as pool:
        return sum(pool.map(ask, range(num_clients)), [])


def videos_per_hour(client: httpx.Client, content: bytes) -> float:
    start = time.monotonic()
    ids = [
        client.post("/v1/videos", content=content).json()["id"]
        for _ in range(_VIDEOS.value)
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


def compare(path: str) -> None:
    """Prints a row for each run of a service."""
    content = pathlib.Path(path).read_bytes()
    print("| tree | ready after, s | videos an hour | peak PSS, MB |")
    print("| --- | --- | --- | --- |")
    for _ in range(_ROUNDS.value):
        for tree in (os.getcwd(), _OTHER.value):
            began = time.monotonic()
            with service(os.path.abspath(_MODEL.value), tree) as (client, memory):
                ready = time.monotonic() - began
                done = videos_per_hour(client, content)
                peak = memory.peak / 1e6
            print(f"| {tree} | {ready:.1f} | {done:.0f} | {peak:.0f} |", flush=True)


def main() -> None:
    if len(app.arguments()) != 1:
        raise InputError("expected one video: python -m benchmarks.serving ... VIDEO")
    path = app.arguments()[0]
    if _OTHER.value:
        compare(path)
        return
    import tensorflow as tf

    from tfmds.data import records
    from tfmds.data.manifest import Video
    from tfmds.detection import judging
    from tfmds.exporting import loading
    from tfmds.preprocessing.tracks import read_tracks

    model = loading.load(_MODEL.value)
    spec = model.spec
    segment = next(iter(read_tracks(path, chunk_spec=spec)))
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
            lambda s=signature, i=inputs: model.signatures[s](**i), _SECONDS.value / 3
        )
        for name, (signature, inputs) in tensors.items()
    }
    prepare = mean_seconds(
        lambda: list(read_tracks(path, chunk_spec=spec)), _SECONDS.value
    )
    judge = mean_seconds(lambda: judging.judge(model, path), _SECONDS.value)
    with service(_MODEL.value) as (client, _):
        print("| one chunk a request | MB | at once | requests/s | 95th percentile |")
        print("| --- | --- | --- | --- | --- |")
        for name, body in bodies.items():
            content = json.dumps(body).encode()
            print(
                f"| {name} | {len(content) / 1e6:.2f} | the model alone |"
                f" {1 / alone[name]:.1f} | |"
            )
            # Numbers as text take the time of a second core to read.
            many = _CLIENTS.value if len(content) < 1e6 else _CLIENTS.value[:2]
            for num_clients in many:
                taken = predict(client, content, num_clients)
                late = np.percentile(taken, 95)
                print(
                    f"| | | {num_clients} | {len(taken) / _SECONDS.value:.1f} |"
                    f" {1000 * late:.0f} ms |"
                )
        done = videos_per_hour(client, pathlib.Path(path).read_bytes())
    print("\n| videos | an hour |\n| --- | --- |")
    print(f"| preprocessing alone | {3600 / prepare:.0f} |")
    print(f"| one reader and the model | {3600 / judge:.0f} |")
    print(f"| the service, {_WORKERS.value} at a time | {done:.0f} |")


if __name__ == "__main__":
    app.run(main, takes_arguments=True)
