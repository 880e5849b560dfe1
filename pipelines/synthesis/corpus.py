"""Makes all clips of a demo data set, on all cores, and goes on where it stopped."""

import concurrent.futures
import dataclasses
import multiprocessing
import os

from etils import epath

from pipelines.synthesis import clips
from pipelines.synthesis.config import SynthesisConfig
from tfmds.common import files, json_files, progress
from tfmds.common.errors import InputError

# The name DFDC uses; written last, so that it is there only when all clips are.
METADATA = "metadata.json"
# What was asked for; written first, so that a second run knows its own.
SETTINGS = "synthesize.json"

# Raised when the same settings give other clips than before.
_VERSION = 1


def make(
    output_dir: os.PathLike | str, settings: SynthesisConfig, num_workers: int = 0
) -> epath.Path:
    """Makes the data set, or what is missing of it.

    Args:
      output_dir: Where to; made where it does not exist.
      settings: What to make.
      num_workers: Processes; 0 is one a core. The bytes do not depend on it.

    Returns:
      The path of the metadata, in the layout of DFDC.

    Raises:
      InputError: The folder holds something else, or a data set with other settings.
    """
    output_dir = epath.Path(output_dir)
    _claim(output_dir, settings)
    planned = clips.plan(settings)
    missing = [c for c in planned if not (output_dir / c.name).exists()]
    workers = min(num_workers or _cores(), max(1, len(missing)))
    with (
        _pool(workers) as pool,
        progress.bar(
            total=len(planned), initial=len(planned) - len(missing), unit="clip"
        ) as bar,
    ):
        jobs = [
            pool.submit(_make_clip, settings, clip, os.fspath(output_dir))
            for clip in missing
        ]
        try:
            for job in concurrent.futures.as_completed(jobs):
                job.result()
                bar.update()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    metadata = {clip.name: clip.metadata() for clip in planned}
    files.write_json(output_dir / METADATA, metadata)
    return output_dir / METADATA


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _pool(workers: int) -> concurrent.futures.Executor:
    if workers == 1:
        # Another process would but import everything anew.
        return concurrent.futures.ThreadPoolExecutor(1)
    return concurrent.futures.ProcessPoolExecutor(
        workers,
        # A fork of a process with threads can hang.
        mp_context=multiprocessing.get_context("spawn"),
        initializer=clips.use_one_thread,
    )


def _make_clip(settings: SynthesisConfig, clip: clips.Clip, output_dir: str) -> None:
    final = os.path.join(output_dir, clip.name)
    partial = os.path.join(output_dir, f".{clip.name}.partial")
    clips.make(settings, clip, partial)
    os.replace(partial, final)


def _claim(output_dir: epath.Path, settings: SynthesisConfig) -> None:
    """Checks that the folder is empty or ours, and marks it as ours."""
    asked = {"version": _VERSION, **dataclasses.asdict(settings)}
    if output_dir.exists() and not output_dir.is_dir():
        raise InputError(f"{output_dir} is a file; --output_dir must be a folder")
    mark = output_dir / SETTINGS
    if mark.exists():
        hint = "Use the same flags to go on, or another --output_dir."
        json_files.check_same(mark, asked, output_dir, "a demo data set", hint)
        return
    if output_dir.exists() and any(output_dir.iterdir()):
        raise InputError(
            f"{output_dir} is not empty and holds no demo data set ({SETTINGS} is"
            " missing); expected a new or an empty folder as --output_dir"
        )
    output_dir.mkdir(parents=True, exist_ok=True)
    files.write_json(mark, asked)
