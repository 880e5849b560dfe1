"""Videos are read in processes of their own, which may crash or hang.

A file from elsewhere can make a decoder crash, hang or eat all memory. Here that
costs this one video: its process is replaced, and the summary tells why.
"""

import atexit
import contextlib
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection

import cv2
import numpy as np

from tfmds import spec
from tfmds.common import remote_paths
from tfmds.data.records import TrackSegment
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.detector import shared_detector
from tfmds.preprocessing.tracks import Summary, TrackReader

# What a process is started with; Python's own multiprocessing would run the main
# module of a Beam or Dask worker once more, and is refused in daemons.
_PROGRAM = "from tfmds.preprocessing import isolation; isolation.serve()"
# Seconds until a new process must have loaded the detector.
_START_SECONDS = 600
# Kinds of messages, their first byte.
_READY, _PROGRESS, _SEGMENT, _SUMMARY = b"r", b"p", b"t", b"s"
_FAILED, _NO_SPACE = b"f", b"n"
# A longer message is none of ours.
_MOST_BYTES = 2**31 - 1


class IsolatedTrackReader:
    """As `tracks.TrackReader`, of a video that another process reads.

    Attributes:
      summary: What became of the video; stands when the iteration has ended.
    """

    def __init__(
        self,
        path: os.PathLike | str,
        options: PreprocessingConfig,
        chunk_spec: spec.ChunkSpec,
        sound_path: os.PathLike | str | None,
        num_threads: int,
        max_seconds: float | None,
        on_progress: Callable[[float], None],
    ):
        self._options = options
        self._request = {
            "path": os.fspath(path),
            "options": options.to_json(),
            "chunk_spec": chunk_spec.to_json(),
            "sound_path": None if sound_path is None else os.fspath(sound_path),
            "num_threads": num_threads,
        }
        self._max_seconds = max_seconds
        self._on_progress = on_progress
        self.summary = Summary(spec.DECODE_ERROR, "it was not read to its end")

    def __iter__(self) -> Iterator[TrackSegment]:
        with _borrowed(self._options.max_memory_mb) as process:
            try:
                yield from self._read(process)
            except _TakesTooLong as e:
                self.summary = Summary(spec.DECODE_ERROR, str(e))
            except _Died as e:
                self.summary = Summary(
                    spec.DECODE_ERROR, f"the process that read it {e}"
                )

    def _read(self, process: "_Process") -> Iterator[TrackSegment]:
        timeout, end = self._options.video_timeout_seconds, None
        if self._max_seconds is not None:
            end = time.monotonic() + self._max_seconds
        process.is_idle = False
        process.send(json.dumps(self._request).encode())
        has_answered = False
        while True:
            try:
                kind, content = process.receive(timeout, end)
            except (_Died, _TakesTooLong) as e:
                if has_answered:
                    raise RuntimeError(
                        f"{self._request['path']}: its reader failed while it handed"
                        f" the tracks over: {e}"
                    ) from e
                raise
            if kind == _SEGMENT:
                # How long the tracks are worked on is not the video's fault.
                has_answered, end = True, None
                yield TrackSegment.from_bytes(content)
            elif kind == _PROGRESS:
                self._on_progress(float(content))
            elif kind == _SUMMARY:
                self.summary = Summary.from_json(json.loads(content))
                process.is_idle = True
                return
            elif kind == _FAILED:
                # What else it broke in its process nobody knows: it is not kept.
                reason = f"reading stopped with {content.decode(errors='replace')}"
                self.summary = Summary(spec.DECODE_ERROR, reason)
                return
            else:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_tracks(
    path: os.PathLike | str,
    options: PreprocessingConfig | None = None,
    *,
    chunk_spec: spec.ChunkSpec | None = None,
    sound_path: os.PathLike | str | None = None,
    num_threads: int = 0,
    max_seconds: float | None = None,
    on_progress: Callable[[float], None] = lambda _: None,
) -> IsolatedTrackReader:
    """As `tracks.read_tracks`, in a process that may crash or hang.

    The processes are kept for the next videos, one for each that is read at the
    same time. They use no GPU, and one thread for the detector, so that the tracks
    do not depend on the machine. `options` has the limits: a video that makes no
    headway for `video_timeout_seconds` is given up, a process has `max_memory_mb`.

    Args:
      path: The video.
      options: How faces are found and stored, and the limits.
      chunk_spec: Rates and sizes of what is made.
      sound_path: A file with the sound, where it is not in the video.
      num_threads: Threads that decode pictures, 0 for one a core.
      max_seconds: The video is given up when its reading takes longer in all.
      on_progress: Is told how many seconds of the video were read, now and then.

    Returns:
      An iterable over `TrackSegment` with a `summary` after its end.

    Raises:
      RuntimeError: While iterating, where no process can be started.
    """
    return IsolatedTrackReader(
        path,
        options or PreprocessingConfig(),
        chunk_spec or spec.ChunkSpec(),
        sound_path,
        num_threads,
        max_seconds,
        on_progress,
    )


class _TakesTooLong(Exception):
    pass


class _Died(Exception):
    """A process ended; the text tells how."""


class _Process:
    """The side of the reader: a process that reads one video after another."""

    def __init__(self, max_memory_mb: int):
        self.max_memory_mb = max_memory_mb
        self._connection, theirs = Pipe()
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            # Sums, and with them boxes, depend on the number of threads.
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "-1",
            # Threads of the decoder would each keep freed pictures.
            "MALLOC_ARENA_MAX": "2",
        }
        fd = theirs.fileno()
        arguments = [sys.executable, "-c", _PROGRAM, str(fd), str(max_memory_mb)]
        self._process = subprocess.Popen(
            arguments,
            env=environment,
            pass_fds=[fd],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        theirs.close()
        self._is_ready = False
        # Whether it waits for the next video.
        self.is_idle = False

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        if self._is_ready:
            return
        try:
            self.receive(_START_SECONDS, None)
        except (_Died, _TakesTooLong) as e:
            raise RuntimeError(
                f"a process that reads videos did not start: it {e}"
            ) from e
        self._is_ready = True

    def send(self, request: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            self._connection.send_bytes(request)

    def receive(self, timeout: float, end: float | None) -> tuple[bytes, bytes]:
        """The next message, as its kind and its content."""
        left = timeout if end is None else max(0, min(timeout, end - time.monotonic()))
        try:
            if not self._connection.poll(left):
                if left < timeout:
                    raise _TakesTooLong("reading it took longer than it may")
                raise _TakesTooLong(f"reading it made no headway for {timeout:g} s")
            message = self._connection.recv_bytes(_MOST_BYTES)
        except (EOFError, ConnectionError) as e:
            raise _Died(_how_it_ended(self._exit_code())) from e
        return message[:1], message[1:]

    def _exit_code(self) -> int:
        # It may have closed the connection and live on.
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(10)
        self._process.kill()
        return self._process.wait()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._connection.close()


def _how_it_ended(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    if -exit_code == signal.SIGKILL:
        return "was killed (SIGKILL), as happens where memory runs out"
    try:
        return f"crashed ({signal.Signals(-exit_code).name})"
    except ValueError:
        return f"crashed (signal {-exit_code})"


_idle: list[_Process] = []
_lock = threading.Lock()


@contextlib.contextmanager
def _borrowed(max_memory_mb: int) -> Iterator[_Process]:
    """A process for one video; kept for the next one where nothing went wrong."""
    with _lock:
        fitting = [p for p in _idle if p.max_memory_mb == max_memory_mb]
        process = fitting[-1] if fitting else None
        if process:
            _idle.remove(process)
    if process and not process.is_alive():
        process.close()
        process = None
    process = process or _Process(max_memory_mb)
    try:
        process.wait_until_ready()
        yield process
    finally:
        if process.is_idle:
            with _lock:
                _idle.append(process)
        else:
            process.close()


@atexit.register
def close_idle() -> None:
    """Ends the processes that wait for a video."""
    while _idle:
        _idle.pop().close()


def serve() -> None:
    """Reads videos for the process that started this one, as long as that runs."""
    # Ctrl-C is for the other process, which ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    fd, max_memory_mb = map(int, sys.argv[1:])
    _restrict(max_memory_mb)
    remote_paths.register()
    connection = Connection(fd)
    # Loads it and tries it, which takes seconds; a video's time starts after that.
    shared_detector().detect([np.zeros((48, 48, 3), np.uint8)], 1.0)
    with contextlib.suppress(EOFError, ConnectionError):
        connection.send_bytes(_READY)
        while True:
            _serve_one(connection, json.loads(connection.recv_bytes()))


def _restrict(max_memory_mb: int) -> None:
    # Each crash would leave a file of all its memory.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if max_memory_mb:
        resource.setrlimit(resource.RLIMIT_DATA, (max_memory_mb << 20,) * 2)
    # Where memory runs out, the kernel should end this process and not its reader.
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as f:
        f.write("500")


def _serve_one(connection: Connection, request: dict) -> None:
    options = PreprocessingConfig(**request["options"])
    # Where this process hangs and its reader is gone, nobody else ends it.
    patience = options.video_timeout_seconds + 60

    def tell(message: bytes) -> None:
        signal.alarm(0)
        connection.send_bytes(message)
        signal.alarm(patience)

    signal.alarm(patience)
    cv2.setNumThreads(request["num_threads"] or -1)
    reader = TrackReader(
        request["path"],
        options,
        spec.ChunkSpec(**request["chunk_spec"]),
        request["sound_path"],
        request["num_threads"],
        lambda seconds: tell(_PROGRESS + str(seconds).encode()),
    )
    try:
        for segment in reader:
            tell(_SEGMENT + segment.to_bytes())
        tell(_SUMMARY + json.dumps(reader.summary.to_json()).encode())
    except ConnectionError:
        raise
    # One video must not cost the run, whatever it makes the libraries do.
    except Exception as e:
        if isinstance(e, OSError) and e.errno == errno.ENOSPC:
            tell(_NO_SPACE)
        else:
            traceback.print_exc()
            tell(_FAILED + f"{type(e).__name__}: {e}".encode(errors="replace"))
    signal.alarm(0)
