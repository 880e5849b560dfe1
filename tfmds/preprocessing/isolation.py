"""Videos are read in processes of their own, which may crash or hang.

A file from elsewhere can make a decoder crash, hang or eat all memory. Here that
costs this one video: its process is replaced, and the summary tells why.
"""

import contextlib
import dataclasses
import errno
import gc
import os
import resource
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from typing import IO, Any

import av
import cv2
import numpy as np

from tfmds import spec
from tfmds.common import messages, remote_paths
from tfmds.data.records import TrackSegment
from tfmds.preprocessing import containers, processes
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.detector import shared_detector
from tfmds.preprocessing.processes import Died, ReaderProcess, TakesTooLong
from tfmds.preprocessing.tracks import Summary, TrackReader

# Bytes of tracks that wait in memory; more of them wait in a temporary file.
_HELD_BYTES = 20_000_000
# Characters of an error that are passed on.
_MOST_TEXT = 1000


@dataclasses.dataclass(frozen=True)
class Stated:
    """What a file says of itself, which may be a lie.

    Attributes:
      seconds: Its length, 0 where it is not stated.
      width: Of its largest picture, in pixels.
      height: Of its largest picture, in pixels.
    """

    seconds: float = 0.0
    width: int = 0
    height: int = 0


class IsolatedTrackReader:
    """As `tracks.TrackReader`, in a process that may crash or hang.

    The processes are kept for the next videos, one for each that is read at the
    same time. They use no GPU, and one thread for the detector, so that the tracks
    do not depend on the machine. `options` has the limits: a video that makes no
    headway for `video_timeout_seconds` is given up, a process has `max_memory_mb`.
    Iterating raises a StartError where no process can be started.

    Attributes:
      summary: What became of the video; stands when the first segment comes, or the
        iteration ends without one.
    """

    def __init__(
        self,
        path: os.PathLike | str,
        options: PreprocessingConfig | None = None,
        *,
        chunk_spec: spec.ChunkSpec | None = None,
        sound_path: os.PathLike | str | None = None,
        num_threads: int = 0,
        max_seconds: float | None = None,
        on_progress: Callable[[float], None] = lambda _: None,
        on_opened: Callable[[Stated], None] = lambda _: None,
    ):
        """Names the video; nothing is read before the iteration.

        Args:
          path: As `tracks.TrackReader`, and so are those that are not told here.
          options: How faces are found and stored, and the limits.
          chunk_spec: Rates and sizes of what is made.
          sound_path: A file with the sound.
          num_threads: Threads that decode pictures.
          max_seconds: The video is given up when its reading takes longer in all.
          on_progress: Is told how many seconds of the video were read.
          on_opened: Is told what the file states, before anything is decoded.
        """
        self._options = options or PreprocessingConfig()
        self._request = {
            "kind": "read",
            "path": os.fspath(path),
            "options": self._options.to_json(),
            "chunk_spec": (chunk_spec or spec.ChunkSpec()).to_json(),
            "sound_path": None if sound_path is None else os.fspath(sound_path),
            "num_threads": num_threads,
        }
        self._max_seconds = max_seconds
        self._on_progress = on_progress
        self._on_opened = on_opened
        self._process: ReaderProcess | None = None
        self._is_stopped = False
        self.summary = Summary(spec.DECODE_ERROR, "it was not read to its end")

    def __iter__(self) -> Iterator[TrackSegment]:
        # Until all of them are here none is passed on: a process that dies while it
        # hands them over has handed over none.
        with tempfile.SpooledTemporaryFile(_HELD_BYTES) as held:
            try:
                with processes.borrowed(self._options.max_memory_mb) as process:
                    self._process = process
                    lengths = self._read(process, held)
            except TakesTooLong as e:
                self.summary = Summary(spec.OVER_LIMIT, str(e))
                return
            except Died as e:
                reason = f"the process that read it {e}"
                self.summary = Summary(spec.DECODE_ERROR, reason)
                return
            finally:
                self._process = None
            held.seek(0)
            for length in lengths:
                yield TrackSegment.from_bytes(held.read(length))

    def stop(self) -> None:
        """Lets another thread end the reading; the iteration ends with no segment."""
        self._is_stopped = True
        if (process := self._process) is not None:
            process.kill()

    def _read(self, process: ReaderProcess, held: IO[bytes]) -> list[int]:
        """Fills `held` with the segments; returns their lengths."""
        timeout, end = self._options.video_timeout_seconds, None
        if self._max_seconds is not None:
            end = time.monotonic() + self._max_seconds
        process.is_idle = False
        if self._is_stopped:
            process.kill()
        process.send(self._request)
        lengths: list[int] = []
        while True:
            header, payload = process.receive(timeout, end)
            # What it sends may be anything, and make the parsers raise anything.
            try:
                if header["kind"] == "opened":
                    stated = Stated(**header["stated"])
                elif header["kind"] == "progress":
                    seconds = float(header["seconds"])
                elif header["kind"] == "segment":
                    TrackSegment.from_bytes(payload)
                elif header["kind"] == "summary":
                    self.summary = Summary.from_json(header["summary"])
            except Exception as e:
                raise Died("sent what nobody understands") from e
            if header["kind"] == "opened":
                self._on_opened(stated)
            elif header["kind"] == "progress":
                self._on_progress(seconds)
            elif header["kind"] == "segment":
                held.write(payload)
                lengths.append(len(payload))
            elif header["kind"] == "summary":
                process.is_idle = True
                return lengths
            elif header["kind"] == "no space":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            elif header["kind"] == "no memory":
                most = self._options.max_memory_mb
                reason = f"reading it takes more memory than {most} MB (max_memory_mb)"
                self.summary = Summary(spec.OVER_LIMIT, reason)
                return []
            else:
                # What else it broke in its process nobody knows: it is not kept.
                reason = f"reading stopped with {header.get('error')}"
                self.summary = Summary(spec.DECODE_ERROR, reason)
                return []


def serve() -> None:
    """Reads videos for the process that started this one, as long as that runs."""
    _restrict(int(sys.argv[1]))
    remote_paths.register()
    connection = messages.connection()
    # Loads it and tries it, which takes seconds; a video's time starts after that.
    shared_detector().detect([np.zeros((48, 48, 3), np.uint8)], 1.0)
    # What is there stays: the collections between videos need not look through it.
    gc.freeze()
    with contextlib.suppress(EOFError, ConnectionError):
        connection.sendall(messages.pack({"kind": "ready"}))
        while True:
            _serve_one(connection, messages.receive(connection)[0])


def _restrict(max_memory_mb: int) -> None:
    # Each crash would leave a file of all its memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if max_memory_mb:
        resource.setrlimit(resource.RLIMIT_DATA, (max_memory_mb << 20,) * 2)
    # Where memory runs out, the kernel should end this process and not its reader.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as f:
        f.write("500")


def _serve_one(connection: socket.socket, request: messages.Header) -> None:
    options = PreprocessingConfig(**request["options"])
    # Where this process hangs and its reader is gone, nobody else ends it.
    patience = options.video_timeout_seconds + 60

    def tell(kind: str, payload: bytes = b"", **fields: Any) -> None:
        signal.alarm(0)
        connection.sendall(messages.pack({"kind": kind, **fields}, payload))
        signal.alarm(patience)

    signal.alarm(patience)
    cv2.setNumThreads(request["num_threads"] or -1)
    reader = TrackReader(
        request["path"],
        options,
        chunk_spec=spec.ChunkSpec(**request["chunk_spec"]),
        sound_path=request["sound_path"],
        num_threads=request["num_threads"],
        on_progress=lambda seconds: tell("progress", seconds=seconds),
    )
    try:
        tell("opened", stated=dataclasses.asdict(_stated(request["path"])))
        for packed in reader.packed():
            tell("segment", packed)
        tell("summary", summary=reader.summary.to_json())
    except ConnectionError:
        raise
    # One video must not cost the run, whatever it makes the libraries do.
    except Exception as e:
        if isinstance(e, OSError) and e.errno == errno.ENOSPC:
            tell("no space")
        elif isinstance(e, MemoryError) and options.max_memory_mb:
            tell("no memory")
        else:
            traceback.print_exc()
            tell("failed", error=f"{type(e).__name__}: {e}"[:_MOST_TEXT])
    signal.alarm(0)
    # A frame that was asked how it is turned, and what PyAV answers with, refer to each
    # other; such frames hold megabytes of their decoder until they are collected, which
    # Python by itself does after hundreds of videos.
    gc.collect()


def _stated(path: str) -> Stated:
    # What goes wrong here gets its status later; what lies in an archive or far away
    # is not fetched for this.
    with contextlib.suppress(Exception), containers.open_container(path) as container:
        largest = max(
            ((s.width * s.height, s.width, s.height) for s in container.streams.video),
            default=(0, 0, 0),
        )
        return Stated((container.duration or 0) / av.time_base, *largest[1:])
    return Stated()
