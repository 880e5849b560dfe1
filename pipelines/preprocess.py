r"""Makes a data set of track records from the videos of a manifest.

python -m pipelines.preprocess --manifest=manifest.csv --output_dir=OUT --name=demo

Run the same command again to go on after it was stopped. Options of Apache Beam,
such as --runner and --direct_num_workers, are passed on to it.
"""

import contextlib
import dataclasses
import errno
import hashlib
import importlib.metadata
import json
import logging
import os
import re
import sys
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

import apache_beam as beam
from absl import flags
from apache_beam.options.pipeline_options import (
    DirectOptions,
    PipelineOptions,
    StandardOptions,
)
from etils import epath
from tqdm import tqdm

from pipelines import shards
from tfmds import spec
from tfmds.common import app, files, remote_paths
from tfmds.common.errors import InputError
from tfmds.data import data_set, manifest, tfds_files
from tfmds.preprocessing import sources
from tfmds.preprocessing.config import TRACKS, PreprocessingConfig

_MANIFEST = flags.DEFINE_string("manifest", None, "The table of videos.", required=True)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "Where the data set is made.", required=True
)
_NAME = flags.DEFINE_string("name", "videos", "Name that the files begin with.")
_NUM_SHARDS = flags.DEFINE_integer(
    "num_shards", 0, "Files of each split; 0: by its number of videos.", lower_bound=0
)
_CROP_SIZE = flags.DEFINE_integer(
    "crop_size",
    spec.ChunkSpec.crop_size,
    "Side of the stored face crops in pixels. For a network that sees less, 112 takes"
    " less room and is read faster; a model fits data of its own size only.",
    lower_bound=32,
)


def _define_option(name: str, meaning: str) -> flags.FlagHolder:
    """A flag for a field of `PreprocessingConfig`, with its default."""
    default = getattr(PreprocessingConfig(), name)
    if name == "tracks":
        return flags.DEFINE_enum(name, default, TRACKS, meaning)
    define = flags.DEFINE_float if type(default) is float else flags.DEFINE_integer
    return define(name, default, meaning)


_OPTIONS = {
    name: _define_option(name, meaning)
    for name, meaning in {
        "max_record_seconds": "Longer tracks are cut into records of this length.",
        "detect_every": "Look for faces on each k-th frame.",
        "min_face_size": "Least mean size of a face in pixels.",
        "min_confidence": "Least confidence of the detector.",
        "jpeg_quality": "Quality of the stored crops.",
        "skip_leading_ms": "Milliseconds left out at the beginning of each video.",
        "tracks": "Which faces of a video are kept: all; the one that is largest in"
        " the mean; the one in view for longest.",
        "max_pixels": "Videos with larger pictures are not decoded.",
        "max_duration_seconds": "Longer videos are not decoded.",
        "max_video_bytes": "Larger files are not decoded.",
        "max_tracks": "Videos with more faces at the same time are given up.",
        "video_timeout_seconds": "A video that makes no headway for this long is"
        " given up.",
        "max_memory_mb": "What the process that reads a video may allocate; 0: no"
        " limit.",
    }.items()
}

# Beam's default runner would first look for a server program on the internet.
_LOCAL_RUNNER = "FnApiRunner"
# PreprocessingConfig of Dask, either of which says how the shards are dealt out.
_DASK_SIZES = ("partition_size", "npartitions")
# PreprocessingConfig of Beam that are not on the command line of this program.
_beam_arguments: list[str] = []


def preprocess(
    manifest_path: os.PathLike | str,
    output_dir: os.PathLike | str,
    name: str,
    num_shards: int = 0,
    options: PreprocessingConfig | None = None,
    beam_arguments: Sequence[str] = (),
    chunk_spec: spec.ChunkSpec | None = None,
) -> list[data_set.VideoRow]:
    """Makes a data set, or finishes one that was begun.

    Args:
      manifest_path: The table of videos.
      output_dir: Where the data set is made.
      name: Name that its files begin with.
      num_shards: Files of each split, 0 to let the number of its videos decide.
      options: How faces are found and stored.
      beam_arguments: Command line options of Apache Beam.
      chunk_spec: Shape of what is stored; the paper's by default.

    Returns:
      What became of each video, in the order of the manifest.

    Raises:
      InputError: The manifest cannot be used, or the directory holds a data set
        that was made otherwise.
    """
    options = options or PreprocessingConfig()
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise InputError(
            f"--name={name}: expected a name of letters, digits, '_', '-' and '.'"
        )
    videos = manifest.read_manifest(manifest_path)
    _check_files(manifest_path, videos)
    root = epath.Path(manifest_path).parent
    chunk_spec = chunk_spec or spec.ChunkSpec()
    plan = shards.plan(videos, num_shards)
    run = {
        "name": name,
        "manifest_sha256": _digest(manifest_path),
        "num_shards": {shard.split: shard.count for shard in plan},
        "chunk_spec": chunk_spec.to_json(),
        "options": options.to_json(),
    }
    out = epath.Path(output_dir)
    work = out / data_set.WORK_DIR
    files.clear_removed(out, data_set.WORK_DIR)
    if _check_same_run(out, run):
        files.remove_folder(work)
        return data_set.DataSet.load(out).videos()
    job = shards.Job(name, os.fspath(out), os.fspath(root), options, chunk_spec)
    with _clear_where_full(out):
        work.mkdir(parents=True, exist_ok=True)
        files.write_json(work / "run.json", run)
        todo = [shard for shard in plan if not shards.is_finished(job, shard)]
        if todo:
            with _quiet_workers() as terminal, _progress(job, plan, terminal):
                _run(todo, job, beam_arguments)
        return _finish(out, run, job, plan, videos)


@contextlib.contextmanager
def _clear_where_full(out: epath.Path) -> Iterator[None]:
    try:
        yield
    # TensorFlow and each runner of Beam wrap the error into one of their own.
    except Exception as e:
        if os.strerror(errno.ENOSPC) not in str(e):
            raise
        raise InputError(
            f"{out}: there is no space left on its disk, or where temporary files are"
            " kept. The finished shards are kept: make room and run the same command"
            " again."
        ) from e


def _check_files(
    manifest_path: os.PathLike | str, videos: Sequence[manifest.Video]
) -> None:
    some = [manifest.resolve(manifest_path, video) for video in videos[:100]]
    if not any(sources.exists(path) for path in some):
        raise InputError(
            f"{manifest_path}: none of its videos exists, the first would be"
            f" {some[0]}. Paths in a manifest are relative to its folder."
        )


def _digest(path: os.PathLike | str) -> str:
    return hashlib.sha256(epath.Path(path).read_bytes()).hexdigest()


def _check_same_run(out: epath.Path, run: dict) -> bool:
    """Whether the data set is whole already; raises where it is another one."""
    info = out / data_set.INFO_FILE
    begun = out / data_set.WORK_DIR / "run.json"
    if info.exists():
        before = data_set.DataSet.load(out).info.get("run", {})
    elif begun.exists():
        before = json.loads(begun.read_text())
    else:
        return False
    differing = [
        f"{key} was {_short(before.get(key), run[key])}, now is"
        f" {_short(run[key], before.get(key))}"
        for key in run
        if before.get(key) != run[key]
    ]
    if differing:
        raise InputError(
            f"{out} holds a data set that was made otherwise: {'; '.join(differing)}."
            " Nothing was changed. Choose another --output_dir, or delete this one."
        )
    return info.exists()


def _short(value: Any, other: Any) -> str:
    if isinstance(value, dict) and isinstance(other, dict):
        value = {k: v for k, v in value.items() if v != other.get(k)}
        return ", ".join(f"{k}={v}" for k, v in value.items()) or "without it"
    return str(value)[:12] if isinstance(value, str) else str(value)


def _run(
    todo: Sequence[shards.Shard], job: shards.Job, beam_arguments: Sequence[str]
) -> None:
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
        from apache_beam.runners.dask.dask_runner import DaskOptions, DaskRunner
    except ImportError as e:
        raise InputError(
            f"--runner=DaskRunner: {e}. Install it with pip install 'tfmds[dask]'."
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
def _quiet_workers() -> Iterator[TextIO]:
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


@contextlib.contextmanager
def _progress(
    job: shards.Job, plan: Sequence[shards.Shard], terminal: TextIO
) -> Iterator[None]:
    """Shows how many videos are done, which the workers leave in small files."""
    total = sum(len(shard.videos) for shard in plan)
    stop = threading.Event()

    def count() -> int:
        return sum(shards.count_finished(job, shard) for shard in plan)

    # Shows nothing where the output is no terminal.
    done = count()
    with tqdm(
        total=total, initial=done, unit="video", file=terminal, disable=None
    ) as bar:

        def show() -> None:
            while not stop.wait(1.0):
                bar.update(max(0, count() - bar.n))

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            bar.update(max(0, count() - bar.n))


def _finish(
    out: epath.Path,
    run: dict,
    job: shards.Job,
    plan: Sequence[shards.Shard],
    videos: Sequence[manifest.Video],
) -> list[data_set.VideoRow]:
    """Writes videos.csv and tfmds.json, which makes the data set a whole one."""
    rows: dict[str, data_set.VideoRow] = {}
    splits: dict[str, dict] = {}
    for shard in plan:
        of_shard, entry = shards.read_result(job, shard)
        rows |= {row.video.video_id: row for row in of_shard}
        split = splits.setdefault(
            shard.split, {"videos": 0, "usable": 0, "chunks": 0, "shards": []}
        )
        split["videos"] += len(of_shard)
        split["usable"] += sum(row.status == spec.OK for row in of_shard)
        split["chunks"] += sum(row.chunks for row in of_shard)
        split["shards"].append(entry)
    in_order = [rows[video.video_id] for video in videos]
    data_set.write_videos(out / data_set.VIDEOS_FILE, in_order)
    packages = ("tfmds", "tensorflow", "mtcnn", "av", "librosa", "numpy")
    info = {
        "format_version": spec.FORMAT_VERSION,
        "name": job.name,
        "chunk_spec": job.chunk_spec.to_json(),
        "splits": splits,
        "run": run,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
    files.write_json(
        out / tfds_files.FEATURES_FILE, tfds_files.features(job.chunk_spec)
    )
    files.write_json(out / tfds_files.INFO_FILE, tfds_files.info(job.name, splits))
    files.write_json(out / data_set.INFO_FILE, info)
    files.remove_folder(out / data_set.WORK_DIR)
    return in_order


def describe(rows: Sequence[data_set.VideoRow], most: int = 20) -> str:
    """A table of what became of the videos, and why some cannot be used.

    Args:
      rows: What became of each video.
      most: Reasons that are listed, at most.
    """
    videos = Counter((row.video.split, row.status) for row in rows)
    chunks: Counter[str] = Counter()
    for row in rows:
        chunks[row.video.split] += row.chunks
    head = ["split", "videos", *spec.STATUSES, "chunks"]
    lines = [head]
    for split in spec.SPLITS:
        counts = [videos[split, status] for status in spec.STATUSES]
        if sum(counts):
            numbers = [sum(counts), *counts, chunks[split]]
            lines.append([split, *map(str, numbers)])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    text = [
        "  ".join(cell.rjust(w) for cell, w in zip(line, widths, strict=True))
        for line in lines
    ]
    unusable = [row for row in rows if row.status != spec.OK]
    if unusable:
        text.append("not usable:")
    text += [
        f"  {row.video.video_id}: {row.status}, {row.reason}" for row in unusable[:most]
    ]
    if len(unusable) > most:
        text.append(f"  and {len(unusable) - most} more, see {data_set.VIDEOS_FILE}")
    return "\n".join(text)


def main() -> None:
    """Reads the flags and makes the data set."""
    options = PreprocessingConfig(
        **{name: flag.value for name, flag in _OPTIONS.items()}
    )
    rows = preprocess(
        _MANIFEST.value,
        _OUTPUT_DIR.value,
        _NAME.value,
        _NUM_SHARDS.value,
        options,
        _beam_arguments,
        spec.ChunkSpec(crop_size=_CROP_SIZE.value),
    )
    print(describe(rows))
    if not any(row.status == spec.OK for row in rows):
        raise InputError(
            f"{_OUTPUT_DIR.value}: none of the {len(rows)} videos can be used, for"
            " the reasons above"
        )
    print(f"The data set is in {_OUTPUT_DIR.value}")


def _split_arguments(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Parts the flags of this program from those of Beam."""
    try:
        rest = flags.FLAGS(list(argv), known_only=True)[1:]
    except flags.Error:
        # A wrong value: absl says so when it reads them all.
        return list(argv), []
    flags.FLAGS.unparse_flags()
    if not any(a.startswith("--runner") for a in rest):
        # A runner may have options that Beam itself does not know; without one
        # what Beam does not know is a mistyped flag, and absl says so.
        known = set(PipelineOptions([]).get_all_options())
        rest = [a for a in rest if a.lstrip("-").split("=")[0] in known]
    return [a for a in argv if a not in rest], rest


if __name__ == "__main__":
    sys.argv, _beam_arguments = _split_arguments(sys.argv)
    app.run(main)
