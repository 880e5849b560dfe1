"""Processes that judge videos: on all cores, and a crash costs one video."""

import contextlib
import dataclasses
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait

from tfmds import spec
from tfmds.common import remote_paths
from tfmds.common.errors import InputError
from tfmds.detection.track_choice import TrackChoice
from tfmds.evaluation.judgement import VideoJudgement
from tfmds.evaluation.thresholds import Threshold
from tfmds.preprocessing.config import PreprocessingConfig

# Is told the video, how many seconds of it were read, how many it states (0: none), and
# the mean distance so far (None: none yet).
OnProgress = Callable[[str, float, float, float | None], None]


@dataclasses.dataclass(frozen=True)
class JudgingConfig:
    """What a process needs to judge videos.

    Attributes:
      model: Folder of an export; empty with `server`.
      server: Address of a model that is asked instead, see `remote.connect`.
      hop_seconds: As in `detection.judge`.
      tracks: Which faces are scored.
      num_threads: Threads of each process, 0 for one a core.
    """

    model: str = ""
    server: str = ""
    hop_seconds: float = 1.0
    tracks: TrackChoice = TrackChoice()
    num_threads: int = 0


def judge_all(
    paths: Iterable[str],
    setup: JudgingConfig,
    threshold: Threshold,
    num_workers: int,
    on_progress: OnProgress = lambda *_: None,
    max_idle_seconds: float = PreprocessingConfig.video_timeout_seconds,
) -> Iterator[VideoJudgement]:
    """Judges videos in processes of their own; yields as they are done, in any order.

    A process that dies, or makes no headway for long, costs its video, which gets the
    status `decode_error`, and is replaced.

    Args:
      paths: The videos; taken one by one.
      setup: What a process needs.
      threshold: That of the model, for videos that a process died of.
      num_workers: Processes at a time.
      on_progress: Is told how far a video is.
      max_idle_seconds: How long a process may make no headway.

    Raises:
      InputError: The model cannot be used, or a process does not start.
    """
    waiting = iter(paths)
    busy: dict[Connection, _Worker] = {}
    idle: list[_Worker] = []
    try:
        while True:
            while len(busy) < num_workers and (path := next(waiting, None)) is not None:
                idle = [worker for worker in idle if worker.process.is_alive()]
                worker = idle.pop() if idle else _Worker(setup)
                worker.give(path)
                busy[worker.connection] = worker
            if not busy:
                return
            for worker in busy.values():
                worker.end_if_idle(max_idle_seconds)
            for connection in wait(list(busy), min(1.0, max_idle_seconds)):
                worker = busy[connection]
                worker.spoke = time.monotonic()
                try:
                    said = connection.recv()
                except (EOFError, OSError):
                    del busy[connection]
                    yield worker.obituary(threshold)
                    continue
                if said is None:
                    worker.is_ready = True
                    continue
                if isinstance(said, InputError):
                    raise said
                if isinstance(said, VideoJudgement):
                    idle.append(busy.pop(connection))
                    yield said
                else:
                    on_progress(worker.path, *said)
    finally:
        for worker in (*busy.values(), *idle):
            worker.process.kill()


class _Worker:
    """A process and what it is at."""

    def __init__(self, setup: JudgingConfig):
        # A fork of a process with threads may hang.
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, setup), daemon=True)
        self.process.start()
        theirs.close()
        self.path = ""
        self.is_ready = False
        self.spoke = time.monotonic()
        self.has_hung = False

    def give(self, path: str) -> None:
        self.path = path
        self.spoke = time.monotonic()
        self.connection.send(path)

    def end_if_idle(self, max_seconds: float) -> None:
        # To start one takes as long as the machine is busy.
        if self.is_ready and time.monotonic() - self.spoke > max_seconds:
            self.has_hung = True
            self.process.kill()

    def obituary(self, threshold: Threshold) -> VideoJudgement:
        self.process.join()
        code = self.process.exitcode or 0
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        if not self.is_ready:
            # Then no video is to blame, and the next process would fare no better.
            raise InputError(
                f"a process for judging was ended {how} before it began; is there"
                " enough memory for --num_workers of them?"
            )
        reason = f"the process that read it was ended {how}"
        if self.has_hung:
            reason = "the process that read it made no headway and was ended"
        return VideoJudgement(self.path, spec.DECODE_ERROR, threshold, reason=reason)


def _work(connection: Connection, setup: JudgingConfig) -> None:
    # Ctrl-C is for the parent to answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if setup.num_threads:
        # TensorFlow reads them when it is first used.
        os.environ["TF_NUM_INTRAOP_THREADS"] = str(setup.num_threads)
        os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    try:
        import cv2

        if setup.num_threads:
            cv2.setNumThreads(setup.num_threads)
        remote_paths.register()
        model = _load(setup)
        connection.send(None)
        while True:
            path = connection.recv()
            try:
                judgement = _judge(model, path, setup, connection)
            except InputError:
                raise
            except Exception as e:
                # One video among many must not end the rest.
                reason = f"the program failed at it ({type(e).__name__}: {e})"
                judgement = VideoJudgement(
                    path, spec.DECODE_ERROR, model.threshold, reason[:500]
                )
            connection.send(judgement)
    except InputError as e:
        connection.send(e)
    except (EOFError, BrokenPipeError):
        # The parent is gone.
        return


def _judge(
    model, path: str, setup: JudgingConfig, connection: Connection
) -> VideoJudgement:
    from tfmds.detection import judging

    total = _stated_seconds(path)
    distances: list[float] = []

    def tell(seconds: float) -> None:
        mean = sum(distances) / len(distances) if distances else None
        connection.send((seconds, total, mean))

    return judging.judge(
        model,
        path,
        on_progress=tell,
        on_chunk=lambda chunk: distances.append(chunk.distance),
        hop_seconds=setup.hop_seconds,
        tracks=setup.tracks,
        num_threads=setup.num_threads,
    )


def _stated_seconds(path: str) -> float:
    import av

    with contextlib.suppress(av.FFmpegError, OSError), av.open(path) as container:
        return (container.duration or 0) / av.time_base
    return 0.0


def _load(setup: JudgingConfig):
    if setup.server:
        from tfmds.detection import remote

        return remote.connect(setup.server)
    from tfmds.exporting import saved_model

    return saved_model.load(setup.model)
