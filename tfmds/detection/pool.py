"""Many videos, judged by one model while processes of their own read them."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from tfmds import spec
from tfmds.common.errors import InputError
from tfmds.detection.track_choice import TrackChoice
from tfmds.judgement.judgement import VideoJudgement
from tfmds.judgement.seen import JudgedChunk
from tfmds.preprocessing import processes
from tfmds.preprocessing.config import PreprocessingConfig

if TYPE_CHECKING:
    from tfmds.detection.judging import Model

# Is told the video, how many seconds of it were read, how many it states (0: none), and
# the mean distance so far (None: none yet).
OnProgress = Callable[[str, float, float, float | None], None]


def judge_all(
    paths: Iterable[str],
    load: Callable[[], "Model"],
    num_workers: int,
    on_progress: OnProgress = lambda *_: None,
    *,
    hop_seconds: float = 1.0,
    tracks: TrackChoice | None = None,
    num_threads: int = 0,
    options: PreprocessingConfig | None = None,
) -> Iterator[VideoJudgement]:
    """Judges videos, several at a time; yields as they are done, in any order.

    Each is read by a process of its own (`preprocessing.isolation`): one that dies, or
    makes no headway for long, costs its video, which gets the status `decode_error` or
    `over_limit`.

    Args:
      paths: The videos; taken one by one.
      load: Loads the model, while the processes start.
      num_workers: Videos that are read at a time.
      on_progress: Is told how far a video is.
      hop_seconds: As in `judging.judge`.
      tracks: Which faces are scored, all without it.
      num_threads: Threads that decode the pictures of a video, 0 for one a core.
      options: How faces are found, and the limits.

    Raises:
      InputError: The model cannot be used, or no process can be started.
    """
    options = options or PreprocessingConfig()
    # First of all: what is imported here takes as long as they do.
    processes.start(num_workers, options.max_memory_mb)
    # See above.
    from tfmds.detection import judging
    from tfmds.preprocessing import isolation

    model = judging.SharedModel(load())
    said: queue.SimpleQueue = queue.SimpleQueue()

    readers: set[isolation.IsolatedTrackReader] = set()
    is_stopped = threading.Event()

    def judge(path: str) -> VideoJudgement:
        read, total = 0.0, 0.0
        distances: list[float] = []

        def tell() -> None:
            mean = sum(distances) / len(distances) if distances else None
            said.put((path, read, total, mean))

        def on_opened(stated: isolation.Stated) -> None:
            nonlocal total
            total = stated.seconds

        def on_progress(seconds: float) -> None:
            nonlocal read
            read = seconds
            tell()

        def on_chunk(chunk: JudgedChunk) -> None:
            distances.append(chunk.distance)
            tell()

        reader = isolation.IsolatedTrackReader(
            path,
            options,
            chunk_spec=model.spec,
            num_threads=num_threads,
            on_progress=on_progress,
            on_opened=on_opened,
        )
        readers.add(reader)
        if is_stopped.is_set():
            reader.stop()
        try:
            return judging.judge_tracks(
                model,
                path,
                reader,
                on_chunk=on_chunk,
                hop_seconds=hop_seconds,
                tracks=tracks,
            )
        finally:
            readers.discard(reader)

    def work(path: str) -> None:
        try:
            said.put(judge(path))
        except (InputError, processes.StartError) as e:
            said.put(e)
        except Exception as e:
            # One video among many must not end the rest.
            reason = f"the program failed at it ({type(e).__name__}: {e})"
            said.put(
                VideoJudgement(path, spec.DECODE_ERROR, model.threshold, reason[:500])
            )

    waiting = iter(paths)
    num_open = 0
    with ThreadPoolExecutor(num_workers) as threads:
        try:
            while True:
                while num_open < num_workers and (path := next(waiting, None)):
                    threads.submit(work, path)
                    num_open += 1
                if not num_open:
                    return
                found = said.get()
                if isinstance(found, tuple):
                    on_progress(*found)
                elif isinstance(found, VideoJudgement):
                    num_open -= 1
                    yield found
                elif isinstance(found, processes.StartError):
                    raise InputError(
                        f"{found}; is there enough memory for --num_workers of them?"
                    )
                else:
                    raise found
        finally:
            # Only where not all were judged are there any.
            is_stopped.set()
            for reader in list(readers):
                reader.stop()
