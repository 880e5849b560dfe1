"""The process that does the work: holds the model, answers the service's messages.

    python -m tfmds.serving.worker '{"model": "EXPORT", ...}'

The service starts it and replaces it when it dies. It reads messages from standard
input: `predict` with the body of a request, `judge` with the folder of an upload.
"""

import contextlib
import dataclasses
import json
import math
import os
import pathlib
import queue
import resource
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from typing import Any, BinaryIO

from tfmds.common import remote_paths
from tfmds.common.errors import InputError
from tfmds.serving import messages

_Item = tuple[messages.Header, Any]


class Worker:
    """Reads messages in a thread, works in the main one."""

    def __init__(self, settings: dict[str, Any], source: BinaryIO, sink: BinaryIO):
        self._settings = settings
        self._source = source
        self._sink = sink
        self._lock = threading.Lock()
        self._items: queue.Queue[_Item] = queue.Queue()

    def run(self) -> None:
        """Loads the model and works until the service is gone."""
        from tfmds.exporting import saved_model
        from tfmds.serving import predict

        try:
            self._model = saved_model.load(self._settings["model"])
        except InputError as e:
            self._say({"kind": "failed", "error": str(e)})
            return
        path, version = _find_saved_model(self._settings["model"])
        self._signatures, said = predict.read_signatures(path)
        self._warm_up()
        threading.Thread(target=self._read, daemon=True).start()
        self._say(
            {
                "kind": "ready",
                "version": version,
                "model_id": self._model.model_id,
                "signature_def": said,
            }
        )
        waiting: list[_Item] = []
        while True:
            header, content = waiting.pop(0) if waiting else self._items.get()
            if header["kind"] == "judge":
                self._judge(header)
                continue
            batch, waiting = self._gather((header, content), waiting)
            answers = predict.run(
                self._model,
                [request for _, request in batch],
                self._settings["batch_size"],
            )
            for (asked, _), answer in zip(batch, answers, strict=True):
                self._answer(asked, answer, len(batch))

    def _warm_up(self) -> None:
        """First calls are slow; nobody should wait for them."""
        import numpy as np
        import tensorflow as tf

        chunk_spec = self._model.spec
        if self._settings["judges"]:
            from tfmds.preprocessing.detector import shared_detector
            from tfmds.preprocessing.mfcc import mfcc

            shared_detector().detect([np.zeros((270, 480, 3), np.uint8)] * 2, 0.9)
            mfcc(np.zeros(chunk_spec.sample_rate), chunk_spec)
        side = chunk_spec.crop_size
        shape = [1, chunk_spec.num_frames, side, side, 3]
        self._model.signatures["serving_default"](
            frames=tf.zeros(shape, tf.uint8),
            mfcc=tf.zeros([1, chunk_spec.num_coefficients, chunk_spec.num_mfcc_frames]),
        )

    def _read(self) -> None:
        """Parses while the model works on what came before."""
        from tfmds.serving import predict

        while True:
            try:
                header, body = messages.read(self._source)
            except EOFError:
                # The service is gone: nobody waits for what is being done.
                os._exit(0)
            if header["kind"] == "judge":
                self._items.put((header, None))
                continue
            try:
                request = predict.parse(body, self._signatures, self._model.spec)
            except predict.RequestError as e:
                self._answer(header, e, 0)
            except Exception:
                traceback.print_exc()
                # Without this thread the process would only look alive.
                os._exit(1)
            else:
                self._items.put((header, request))

    def _gather(
        self, first: _Item, waiting: list[_Item]
    ) -> tuple[list[_Item], list[_Item]]:
        """What fits the first request and comes within the batching window."""
        batch, others = [first], []
        size = first[1].size
        end = time.monotonic() + self._settings["batch_window_ms"] / 1000
        while size < self._settings["batch_size"]:
            try:
                item = (
                    waiting.pop(0)
                    if waiting
                    else self._items.get(timeout=max(0, end - time.monotonic()))
                )
            except queue.Empty:
                break
            if item[1].fits(first[1]):
                batch.append(item)
                size += item[1].size
            else:
                others.append(item)
        return batch, others + waiting

    def _judge(self, asked: messages.Header) -> None:
        """Writes what is said of a video beside it."""
        from tfmds.common import files
        from tfmds.detection import judging
        from tfmds.preprocessing.config import PreprocessingConfig
        from tfmds.reporting import video_page
        from tfmds.serving import jobs

        options = PreprocessingConfig(
            max_pixels=int(self._settings["max_megapixels"] * 1e6),
            max_duration_seconds=math.ceil(self._settings["max_video_seconds"]) + 1,
        )
        self._say({"kind": "progress", "id": asked["id"], "progress": 0.0})
        folder = pathlib.Path(asked["folder"])
        path = str(folder / jobs.UPLOAD_FILE)
        try:
            with _limited_memory(self._settings["max_job_mb"]):
                seconds = self._check(path)
                judgement = judging.judge(
                    self._model,
                    path,
                    options,
                    on_progress=lambda read: self._tell(asked, read, seconds),
                )
                # The place on this machine is nobody's business.
                judgement = dataclasses.replace(judgement, path=asked["name"])
                provenance = {"file": f"sha256:{asked['digest']}"}
                page = video_page.video_page(judgement, provenance)
                files.write_text(folder / jobs.REPORT_FILE, page)
                details = json.dumps(video_page.details(judgement), allow_nan=False)
                files.write_text(folder / jobs.DETAILS_FILE, details)
                files.write_json(folder / jobs.RESULT_FILE, judgement.to_json())
        except InputError as e:
            self._answer(asked, e, 0)
        except Exception:
            traceback.print_exc()
            reason = (
                "the analysis failed on this video; its file may be damaged, or need"
                " more memory than it may take"
            )
            # What else is broken in here nobody knows: the service ends this process.
            self._say(
                {"kind": "answer", "id": asked["id"], "error": reason, "broken": True}
            )
        else:
            self._answer(asked, b"", 0)

    def _check(self, path: str) -> float:
        """Looks at what the file states, before anything is decoded.

        Returns:
          Its length in seconds, 0 where it is not stated.

        Raises:
          InputError: It is too long, or its pictures are too large.
        """
        import av

        # What cannot be read gets its status later.
        with contextlib.suppress(av.FFmpegError, OSError), av.open(path) as file:
            most = self._settings["max_megapixels"] * 1e6
            for stream in file.streams.video:
                if stream.width * stream.height > most:
                    raise InputError(
                        f"its picture has {stream.width} x {stream.height} pixels,"
                        f" more than {most / 1e6:g} million are not looked at"
                    )
            seconds = (file.duration or 0) / av.time_base
            self._check_length(seconds)
            return seconds
        return 0.0

    def _check_length(self, seconds: float) -> None:
        most = self._settings["max_video_seconds"]
        if seconds > most:
            raise InputError(
                f"the video is longer than {most:g} seconds; cut out the part that"
                " matters"
            )

    def _tell(self, asked: messages.Header, read: float, seconds: float) -> None:
        """How far a video is; the length that a file states may be a lie."""
        self._check_length(read)
        # A video that states no length comes ever closer to its end.
        share = read / seconds if seconds else read / (read + 30)
        progress = round(min(share, 0.99), 3)
        self._say({"kind": "progress", "id": asked["id"], "progress": progress})

    def _answer(self, asked: messages.Header, answer: Any, batched: int) -> None:
        reply = {"kind": "answer", "id": asked["id"], "batched": batched}
        if isinstance(answer, Exception):
            self._say({**reply, "error": str(answer)})
        else:
            self._say(reply, answer)

    def _say(self, header: messages.Header, payload: bytes = b"") -> None:
        with self._lock:
            self._sink.write(messages.pack(header, payload))
            self._sink.flush()


@contextlib.contextmanager
def _limited_memory(megabytes: int) -> Iterator[None]:
    """So much more than the process has now may be allocated meanwhile."""
    status = pathlib.Path("/proc/self/status")
    if not megabytes or not status.exists():
        yield
        return
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    now = int(lines["VmData"].split()[0]) * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (now + megabytes * 1_000_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))


def _find_saved_model(export_dir: str) -> tuple[bytes, int]:
    """The graph of an export and its version: a folder of that number, else 1."""
    from tfmds.exporting import export_info

    path = export_info.find(export_dir)
    version = int(path.name) if path.name.isdecimal() else 1
    return (path / export_info.SAVED_MODEL).read_bytes(), version


def main() -> None:
    """Takes the two pipes for itself; whatever prints, prints to standard error."""
    # A crash would leave a file of all its memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, sink = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    remote_paths.register()
    settings = json.loads(sys.argv[1])
    # Who asks the service something waits; who uploaded a video waits anyway.
    os.nice(5 if settings["judges"] else 0)
    Worker(settings, source, sink).run()


if __name__ == "__main__":
    main()
