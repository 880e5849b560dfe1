"""Apache Beam, which spreads the shards of a data set over processes or machines."""

import contextlib
import dataclasses
import logging
import os
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TextIO

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    StandardOptions,
)

from pipelines import shards
from tfmds.common import remote_paths
from tfmds.common.errors import InputError

# Beam's default runner would first look for a server program on the internet.
_LOCAL_RUNNER = "FnApiRunner"
# Options of Dask, either of which says how the shards are dealt out.
_DASK_SIZES = ("partition_size", "npartitions")


def flags_of(words: list[str]) -> list[str]:
    """Those of the flags that are Beam's.

    Args:
      words: Words of a command line that are no flags of the program.
    """
    if any(word.startswith("--runner") for word in words):
        # A runner may have options that Beam itself does not know.
        return words
    # Without one, what Beam does not know is a mistyped flag.
    known = set(PipelineOptions([]).get_all_options())
    return [w for w in words if w.lstrip("-").split("=")[0] in known]


def run(
    todo: Sequence[shards.Shard], job: shards.Job, beam_arguments: Sequence[str]
) -> None:
    """Makes these shards of a data set, with command line options of Beam."""
    options = PipelineOptions(list(beam_arguments))
    # What goes wrong in a worker is raised here; the rest would hide the progress.
    logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
    own_process = True
    standard = options.view_as(StandardOptions)
    standard.runner = standard.runner or _LOCAL_RUNNER
    if standard.runner in (_LOCAL_RUNNER, "DirectRunner"):
        direct = options.view_as(DirectOptions)
        cores = len(os.sched_getaffinity(0))
        if not _is_given("direct_num_workers", beam_arguments):
            direct.direct_num_workers = min(cores, len(todo))
        if not _is_given("direct_running_mode", beam_arguments):
            direct.direct_running_mode = "multi_processing"
        own_process = direct.direct_running_mode == "multi_processing"
        workers = direct.direct_num_workers or cores
        job = dataclasses.replace(job, num_threads=max(1, cores // workers))
    else:
        # A cluster has a worker for each core.
        job = dataclasses.replace(job, num_threads=1)
    if standard.runner == "DaskRunner":
        options = _dask_options(beam_arguments)
    with beam.Pipeline(options=options) as pipeline:
        _ = (
            pipeline
            | beam.Create(todo)
            | beam.Reshuffle()
            | beam.ParDo(_WriteShard(job, own_process))
        )
    # Dask's client would look for its scheduler as long as this process lives.
    if client := getattr(pipeline.result, "client", None):
        client.close()


def _dask_options(beam_arguments: Sequence[str]) -> PipelineOptions:
    try:
        # Of the extra `dask`.
        from apache_beam.runners.dask.dask_runner import DaskOptions, DaskRunner
    except ImportError as e:
        raise InputError(
            f"--runner=DaskRunner: {e}. Install it with pip install -e '.[dask]'."
        ) from e
    options = PipelineOptions(list(beam_arguments))
    # Beam knows this one by its full name only.
    runner = f"{DaskRunner.__module__}.{DaskRunner.__qualname__}"
    options.view_as(StandardOptions).runner = runner
    if not any(_is_given(f"dask_{o}", beam_arguments) for o in _DASK_SIZES):
        # By default up to 128 shards would go to one worker.
        options.view_as(DaskOptions).partition_size = 1
    return options


class _WriteShard(beam.DoFn):
    def __init__(self, job: shards.Job, own_process: bool):
        self._job = job
        self._own_process = own_process

    def setup(self) -> None:
        remote_paths.register()
        if not self._own_process:
            return
        # Workers are started with Beam's own level, which tells of their every step.
        logging.getLogger().setLevel(logging.WARNING)

    def process(self, shard: shards.Shard) -> None:
        shards.write(shard, self._job)


def _is_given(option: str, arguments: Sequence[str]) -> bool:
    return any(a.split("=")[0] == f"--{option}" for a in arguments)


@contextlib.contextmanager
def quiet_workers() -> Iterator[TextIO]:
    """Keeps what workers and their libraries print off the terminal.

    Yields:
      The terminal. Where the work fails, it gets the last that was kept from it.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile("w+", errors="replace") as kept:
        terminal = os.fdopen(os.dup(2), "w", buffering=1)
        os.dup2(kept.fileno(), 2)
        try:
            yield terminal
        except (InputError, KeyboardInterrupt):
            raise
        except BaseException:
            kept.seek(0)
            terminal.writelines(deque(kept, maxlen=20))
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal.fileno(), 2)
            terminal.close()
