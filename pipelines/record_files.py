"""Videos of a manifest become a data set of track records."""

import contextlib
import errno
import hashlib
import importlib.metadata
import os
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TextIO

from etils import epath

from pipelines import beam_runner, shards
from tfmds import spec
from tfmds.common import files, json_files
from tfmds.common import progress as bars
from tfmds.common.errors import InputError
from tfmds.data import data_set, manifest, tfds_files
from tfmds.preprocessing import sources
from tfmds.preprocessing.config import PreprocessingConfig

# In the folder of a data set that was begun: how it is made.
_BEGUN = f"{data_set.WORK_DIR}/run.json"
# Where there is no bar, lines so far apart tell how many videos are read.
_LOG_SECONDS = 600.0


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
    # Said at once where there is nothing to wait for.
    with contextlib.suppress(FileNotFoundError):
        _check_same_run(out, run)
    _check_folder(out)
    job = shards.Job(name, os.fspath(out), os.fspath(root), options, chunk_spec)
    with _clear_where_full(out), files.locked(out, lambda: _say_waiting(out)):
        work = out / data_set.WORK_DIR
        files.clear_removed(out, data_set.WORK_DIR)
        if _check_same_run(out, run):
            files.remove_folder(work)
            print(
                f"{out}: made already; no video was read again. Another --output_dir"
                " makes it anew.",
                file=sys.stderr,
            )
            return data_set.DataSet.load(out, None).videos()
        work.mkdir(parents=True, exist_ok=True)
        files.write_json(out / _BEGUN, run)
        todo = [shard for shard in plan if not shards.is_finished(job, shard)]
        if todo:
            with (
                beam_runner.quiet_workers() as terminal,
                _progress(job, plan, terminal),
            ):
                beam_runner.run(todo, job, beam_arguments)
        return _finish(out, run, job, plan, videos)


def _say_waiting(out: epath.Path) -> None:
    print(
        f"{out}: another preprocess is at work here; waiting until it ends",
        file=sys.stderr,
        flush=True,
    )


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
    paths = [manifest.resolve(manifest_path, video) for video in videos]
    if not any(map(sources.exists, paths)):
        raise InputError(
            f"{manifest_path}: none of its videos exists, the first would be"
            f" {paths[0]}. Paths in a manifest are relative to its folder."
        )


def _check_folder(out: epath.Path) -> None:
    """Refuses a folder where files would be overwritten that are no data set's."""
    # In this order: who finishes writes the second before the first goes.
    if (out / _BEGUN).exists() or (out / data_set.INFO_FILE).exists():
        return
    for name in (data_set.VIDEOS_FILE, tfds_files.FEATURES_FILE, tfds_files.INFO_FILE):
        if (out / name).exists():
            raise InputError(
                f"{out / name} is no part of a data set and would be overwritten;"
                " choose another --output_dir"
            )


def _digest(path: os.PathLike | str) -> str:
    return hashlib.sha256(epath.Path(path).read_bytes()).hexdigest()


def _check_same_run(out: epath.Path, run: dict) -> bool:
    """Whether the data set is whole already; raises where it is another one."""
    info = out / data_set.INFO_FILE
    begun = out / _BEGUN
    if info.exists():
        before = data_set.DataSet.load(out, None).info.get("run", {})
    elif begun.exists():
        before = json_files.read(
            begun, "the settings of a begun data set", "Delete it to begin anew."
        )
    else:
        return False
    # Sets of before a setting have its default.
    options = PreprocessingConfig().to_json() | before.get("options", {})
    if differing := json_files.differences(before | {"options": options}, run):
        raise InputError(
            f"{out} holds a data set that was made otherwise: {'; '.join(differing)}."
            " Nothing was changed. Choose another --output_dir."
        )
    return info.exists()


@contextlib.contextmanager
def _progress(
    job: shards.Job, plan: Sequence[shards.Shard], terminal: TextIO
) -> Iterator[None]:
    """Shows how many videos are done, which the workers leave in small files."""
    total = sum(len(shard.videos) for shard in plan)
    progress = shards.Progress(job, plan)
    stop = threading.Event()
    with bars.bar(total=total, initial=progress.count(), unit="video") as bar:

        def update() -> None:
            done = progress.count()
            if bar.disable:
                # A log has lines, and few of them.
                terminal.write(f"{done} of {total} videos are read\n")
            bar.update(max(0, done - bar.n))

        def show() -> None:
            while not stop.wait(_LOG_SECONDS if bar.disable else 1.0):
                update()

        thread = threading.Thread(target=show, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            if not bar.disable:
                update()


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
    packages = ("tfmds", "tensorflow", "mtcnn", "onnxruntime", "av", "numpy")
    info = {
        "format_version": spec.FORMAT_VERSION,
        "name": job.name,
        "chunk_spec": job.chunk_spec.to_json(),
        "records": data_set.FACES if job.options.pictures else data_set.TRACKS,
        "splits": splits,
        "run": run,
        "versions": {name: importlib.metadata.version(name) for name in packages},
    }
    if not job.options.pictures:
        features = tfds_files.features(job.chunk_spec)
        files.write_json(out / tfds_files.FEATURES_FILE, features)
        about = tfds_files.info(job.name, splits)
        files.write_json(out / tfds_files.INFO_FILE, about)
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
