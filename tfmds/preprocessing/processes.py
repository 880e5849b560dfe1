"""Processes that read videos: started, borrowed for a video, killed, replaced.

A file from elsewhere can make a decoder crash, hang or eat all memory. These are the
only processes that touch one, and `isolation` is what they say and are told. Nothing
heavy is imported here: they start while whoever needs them loads what it needs itself.
"""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

from tfmds.common import messages

# What a process is started with; Python's own multiprocessing would run the main
# module of a Beam or Dask worker once more, and is refused in daemons.
_PROGRAM = "from tfmds.preprocessing import isolation; isolation.serve()"
# Ctrl-C is for the parent, which ends them; from the first moment on.
_FIRST = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
# Seconds until a new process must have loaded the detector.
_START_SECONDS = 600
# Processes that may fail to start for one video.
_START_ATTEMPTS = 3


class StartError(RuntimeError):
    """A process did not come so far that it could be given a video."""


class Died(Exception):
    """A process ended, or sent what is no message; the text tells how."""


class TakesTooLong(Exception):
    """A process said nothing in time; the text tells what it was to do."""


class ReaderProcess:
    """The parent's side of a process that reads one video after another.

    Attributes:
      max_memory_mb: What it may allocate, 0 for no limit.
      is_idle: Whether it waits for the next video.
    """

    def __init__(self, max_memory_mb: int):
        self.max_memory_mb = max_memory_mb
        self._socket, theirs = socket.socketpair()
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            # Threads of the decoder would each keep freed pictures.
            "MALLOC_ARENA_MAX": "2",
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _FIRST + _PROGRAM, str(max_memory_mb)],
                env=environment,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )
        self._is_ready = False
        self.is_idle = False

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Waits until it can be given a video.

        Raises:
          StartError: It ended before, or takes too long.
        """
        if self._is_ready:
            return
        try:
            self.receive(_START_SECONDS, None)
        except (Died, TakesTooLong) as e:
            raise StartError(
                f"a process that reads videos did not start: it {e}"
            ) from e
        self._is_ready = True

    def send(self, header: messages.Header) -> None:
        """Sends a message; whether the process has ended shows at the answer."""
        self._socket.settimeout(None)
        with contextlib.suppress(ConnectionError):
            self._socket.sendall(messages.pack(header))

    def receive(
        self, timeout: float, end: float | None
    ) -> tuple[messages.Header, bytes]:
        """The next message.

        Args:
          timeout: Seconds without a message that are too long.
          end: When it must have come at the latest (`time.monotonic`), None for any.

        Raises:
          Died: The process ended, or sent what is no message.
          TakesTooLong: No message came in time.
        """
        deadline = time.monotonic() + timeout
        is_last = end is not None and end < deadline
        try:
            return messages.receive(self._socket, end if is_last else deadline)
        except TimeoutError as e:
            if is_last:
                raise TakesTooLong("reading it took longer than it may") from e
            raise TakesTooLong(
                f"reading it made no headway for {timeout:g} s (video_timeout_seconds)"
            ) from e
        except EOFError as e:
            raise Died(_how_it_ended(self._exit_code())) from e
        except ValueError as e:
            raise Died("sent what nobody understands") from e

    def _exit_code(self) -> int:
        # It may have closed the connection and live on.
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(10)
        self._process.kill()
        return self._process.wait()

    def kill(self) -> None:
        """Ends it now, for another thread that waits for a message of it."""
        self._process.kill()

    def close(self) -> None:
        """Ends it, and lets go of what belongs to it."""
        self._process.kill()
        self._process.wait()
        self._socket.close()


def _how_it_ended(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit code {exit_code}"
    if -exit_code == signal.SIGKILL:
        return "was killed (SIGKILL), as happens where memory runs out"
    try:
        return f"crashed ({signal.Signals(-exit_code).name})"
    except ValueError:
        return f"crashed (signal {-exit_code})"


_idle: list[ReaderProcess] = []
_busy: set[ReaderProcess] = set()
_lock = threading.Lock()


def start(count: int, max_memory_mb: int) -> None:
    """Lets so many processes start, while the caller does something else."""
    with _lock:
        fitting = [p for p in _idle if p.max_memory_mb == max_memory_mb]
        _idle.extend(ReaderProcess(max_memory_mb) for _ in range(count - len(fitting)))


@contextlib.contextmanager
def borrowed(max_memory_mb: int) -> Iterator[ReaderProcess]:
    """A process for one video; kept for the next one where nothing went wrong.

    Raises:
      StartError: No process can be started.
    """
    process = _started(max_memory_mb)
    try:
        yield process
    finally:
        with _lock:
            _busy.discard(process)
            if process.is_idle:
                _idle.append(process)
        if not process.is_idle:
            process.close()


def _started(max_memory_mb: int) -> ReaderProcess:
    """A process that can be given a video, among those that are busy."""
    failures = 0
    while True:
        with _lock:
            fitting = [p for p in _idle if p.max_memory_mb == max_memory_mb]
            if fitting:
                _idle.remove(fitting[-1])
            process = fitting[-1] if fitting else ReaderProcess(max_memory_mb)
            _busy.add(process)
        try:
            process.wait_until_ready()
        except BaseException as e:
            with _lock:
                _busy.discard(process)
            process.close()
            failures += 1
            # Something else may have ended one of them, and not the next.
            if not isinstance(e, StartError) or failures == _START_ATTEMPTS:
                raise
        else:
            if process.is_alive():
                return process
            with _lock:
                _busy.discard(process)
            process.close()


@atexit.register
def close_all() -> None:
    """Ends all processes; who waits for one learns that it died."""
    with _lock:
        idle, _idle[:] = list(_idle), []
        for process in _busy:
            process.kill()
    for process in idle:
        process.close()
