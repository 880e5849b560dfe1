"""The process that does the work: holds the model, answers the service's messages.

    python -m tfmds.serving.worker '{"model": "EXPORT", ...}'

The service starts it and replaces it when it dies. On the socket that is its standard
input it is asked to `predict`, with the body of a request, to `judge`, with the folder
of an upload, and to `stop` that. It decodes no upload itself: processes of their own
read them (`preprocessing.isolation`).
"""

import json
import math
import os
import pathlib
import queue
import resource
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from tfmds.common import files, messages, remote_paths
from tfmds.common.errors import InputError
from tfmds.preprocessing import processes
from tfmds.preprocessing.config import PreprocessingConfig

if TYPE_CHECKING:
    from tfmds.preprocessing.isolation import IsolatedTrackReader, Stated

# What a process that reads videos takes before it has one, in MB.
_READER_MB = 300
# Who asks the service something waits; who uploaded a video waits anyway.
_NICENESS = 5

_Item = tuple[messages.Header, Any]


class _Stopped(Exception):
    """Nobody waits any more for what was asked."""


class Worker:
    """Reads messages in a thread, predicts in the main one, judges in others."""

    def __init__(self, settings: dict[str, Any], connection: socket.socket):
        self._settings = settings
        self._connection = connection
        self._lock = threading.Lock()
        self._items: queue.Queue[_Item] = queue.Queue()
        most = settings["max_job_mb"]
        self._options = PreprocessingConfig(
            max_pixels=settings["max_pixels"],
            max_duration_seconds=math.ceil(settings["max_video_seconds"]) + 1,
            max_memory_mb=most and most + _READER_MB,
        )
        # A thread's niceness is that of the processes it starts, and not the model's.
        self._judges = ThreadPoolExecutor(
            settings["workers"], initializer=os.nice, initargs=(_NICENESS,)
        )
        # Readers of the videos that are judged, by the number of the message.
        self._readers: dict[int, IsolatedTrackReader] = {}
        self._stopped: set[int] = set()

    def run(self) -> None:
        """Loads the model and works until the service is gone."""
        self._judges.submit(
            processes.start, self._settings["workers"], self._options.max_memory_mb
        )
        # While the readers start: what is imported here takes as long as they do.
        from tfmds.detection.judging import SharedModel
        from tfmds.exporting import loading
        from tfmds.serving import predict

        try:
            self._model = loading.load(self._settings["model"])
        except InputError as e:
            self._say({"kind": "failed", "error": str(e)})
            return
        self._judging_model = SharedModel(self._model)
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
        # As in `run`.
        import tensorflow as tf

        chunk_spec = self._model.spec
        side = chunk_spec.crop_size
        shape = [1, chunk_spec.num_frames, side, side, 3]
        self._model.signatures["serving_default"](
            frames=tf.zeros(shape, tf.uint8),
            mfcc=tf.zeros([1, chunk_spec.num_coefficients, chunk_spec.num_mfcc_frames]),
        )

    def _read(self) -> None:
        """Parses while the model works on what came before."""
        # As in `run`.
        from tfmds.serving import predict

        while True:
            try:
                header, body = messages.receive(self._connection)
            except EOFError:
                # The service is gone: nobody waits for what is being done.
                os._exit(0)
            if header["kind"] == "judge":
                self._judges.submit(self._judge, header)
                continue
            if header["kind"] == "stop":
                self._stop(header["id"])
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
        try:
            self._write_judgement(asked)
        except (InputError, _Stopped) as e:
            self._answer(asked, e, 0)
        except Exception:
            traceback.print_exc()
            reason = "the service failed at this video; its log tells the operator why"
            self._answer(asked, RuntimeError(reason), 0)
        else:
            self._answer(asked, b"", 0)
        self._stopped.discard(asked["id"])

    def _write_judgement(self, asked: messages.Header) -> None:
        # As in `run`; these are for videos only.
        from tfmds.detection import judgement_json, judging
        from tfmds.preprocessing import isolation
        from tfmds.reporting import video_page
        from tfmds.serving import jobs

        self._say({"kind": "progress", "id": asked["id"], "progress": 0.0})
        folder = pathlib.Path(asked["folder"])
        length = 0.0

        def on_opened(stated: "Stated") -> None:
            nonlocal length
            length = stated.seconds
            self._check(stated)

        def check(*_: object) -> None:
            if asked["id"] in self._stopped:
                raise _Stopped

        reader = isolation.IsolatedTrackReader(
            folder / jobs.UPLOAD_FILE,
            self._options,
            chunk_spec=self._model.spec,
            on_progress=lambda read: self._tell(asked, read, length),
            on_opened=on_opened,
        )
        self._readers[asked["id"]] = reader
        try:
            check()
            # The place on this machine is nobody's business.
            judgement = judging.judge_tracks(
                self._judging_model, asked["name"], reader, on_chunk=check
            )
            check()
        finally:
            del self._readers[asked["id"]]
        result = judgement_json.write(judgement)
        provenance = {"file": f"sha256:{asked['digest']}"}
        page = video_page.video_page(judgement, provenance)
        files.write_text(folder / jobs.REPORT_FILE, page)
        details = json.dumps(
            {"result": result, **video_page.details(judgement)}, allow_nan=False
        )
        files.write_text(folder / jobs.DETAILS_FILE, details)
        files.write_json(folder / jobs.RESULT_FILE, result)

    def _stop(self, number: int) -> None:
        self._stopped.add(number)
        if (reader := self._readers.get(number)) is not None:
            reader.stop()

    def _check(self, stated: "Stated") -> None:
        """Looks at what a file states, before anything is decoded.

        Raises:
          InputError: It is too long, or its pictures are too large.
        """
        most = self._settings["max_pixels"]
        if stated.width * stated.height > most:
            raise InputError(
                f"its picture has {stated.width} x {stated.height} pixels, more than"
                f" {most / 1e6:g} million are not looked at"
            )
        self._check_length(stated.seconds)

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
            self._connection.sendall(messages.pack(header, payload))


def _find_saved_model(export_dir: str) -> tuple[bytes, int]:
    """The graph of an export and its version: a folder of that number, else 1."""
    # As in `run`.
    from tfmds.exporting import export_info

    path = export_info.find(export_dir)
    version = int(path.name) if path.name.isdecimal() else 1
    return (path / export_info.SAVED_MODEL).read_bytes(), version


def main() -> None:
    """Takes the socket for itself; whatever prints, prints to standard error."""
    # A crash would leave a file of all its memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    connection = messages.connection()
    remote_paths.register()
    Worker(json.loads(sys.argv[1]), connection).run()


if __name__ == "__main__":
    main()
