"""One shard of a data set: its videos become one file of track records."""

import contextlib
import dataclasses
import json
import os
import uuid
from collections.abc import Iterator, Sequence

import tensorflow as tf
from etils import epath

from tfmds import spec
from tfmds.common import files
from tfmds.data import data_set, face_records, manifest, records
from tfmds.data.records import TrackSegment
from tfmds.preprocessing import isolation, stills
from tfmds.preprocessing.config import PreprocessingConfig


@dataclasses.dataclass(frozen=True)
class Job:
    """What all shards of a data set share.

    Attributes:
      name: Name of the data set.
      output_dir: Where the data set is made.
      root: What the paths of the videos are relative to.
      options: How faces are found and stored.
      chunk_spec: Rates and sizes of the records.
      num_threads: Threads of a worker, 0 for one a core.
    """

    name: str
    output_dir: str
    root: str
    options: PreprocessingConfig = PreprocessingConfig()
    chunk_spec: spec.ChunkSpec = spec.ChunkSpec()
    num_threads: int = 0


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of a split, and the videos that go into it."""

    split: str
    index: int
    count: int
    videos: tuple[manifest.Video, ...]


def plan(videos: Sequence[manifest.Video], num_shards: int) -> list[Shard]:
    """Deals the videos of each split out to its shards, in turn.

    Args:
      videos: The rows of the manifest.
      num_shards: Shards of a split, 0 to let the number of its videos decide.
    """
    shards = []
    for split in spec.SPLITS:
        chosen = [video for video in videos if video.split == split]
        count = min(num_shards or default_num_shards(len(chosen)), len(chosen))
        shards += [
            Shard(split, i, count, tuple(chosen[i::count])) for i in range(count)
        ]
    return shards


def default_num_shards(num_videos: int) -> int:
    """Small shards for small sets, so that many workers share them; at most 64 videos.

    A killed run makes the videos of its unfinished shards again.
    """
    return -(-num_videos // min(64, max(4, num_videos // 16)))


def is_finished(job: Job, shard: Shard) -> bool:
    """Whether a shard was made before."""
    return _final(job, shard).exists() and _rows_file(job, shard).exists()


class Progress:
    """How many videos of a plan are done, also in shards that are being made."""

    def __init__(self, job: Job, plan: Sequence[Shard]):
        self._work = epath.Path(job.output_dir) / data_set.WORK_DIR
        self._videos = {_final(job, shard).name: len(shard.videos) for shard in plan}

    def count(self) -> int:
        """Videos that are done now."""
        done: dict[str, int] = {}
        # One listing, where asking for each shard would be thousands of requests.
        for path in self._work.iterdir():
            shard, _, kind = path.name.rpartition(".")
            if shard not in self._videos:
                continue
            if kind == "json":
                done.setdefault(shard, self._videos[shard])
            elif kind == "progress":
                # It goes when its shard is finished.
                with contextlib.suppress(OSError, ValueError):
                    done[shard] = int(path.read_text())
        return sum(done.values())


def read_result(job: Job, shard: Shard) -> tuple[list[data_set.VideoRow], dict]:
    """The rows of a finished shard, and its entry in tfmds.json."""
    result = json.loads(_rows_file(job, shard).read_text())
    rows = [
        data_set.VideoRow(
            video=video, **row | {"media": data_set.MediaFacts(**row["media"])}
        )
        for video, row in zip(shard.videos, result["rows"], strict=True)
    ]
    return rows, result["shard"]


def write(shard: Shard, job: Job) -> None:
    """Makes a shard, unless it is finished; it has its name only when it is whole."""
    if is_finished(job, shard):
        return
    final = _final(job, shard)
    rows_file = _rows_file(job, shard)
    partial = _partial(rows_file.with_name(final.name))
    try:
        rows, num_records = _write_records(shard, job, partial)
        entry = {
            "file": final.name,
            "videos": len(rows),
            "records": num_records,
            "bytes": partial.stat().length,
            "sha256": files.sha256(partial),
        }
        partial_rows = _partial(rows_file)
        partial_rows.write_text(json.dumps({"rows": rows, "shard": entry}, indent=1))
        partial_rows.replace(rows_file)
        partial.replace(final)
    except BaseException:
        # Where the disk is full, it should not stay so.
        partial.unlink(missing_ok=True)
        raise
    _progress_file(job, shard).unlink(missing_ok=True)


def _write_records(shard: Shard, job: Job, path: epath.Path) -> tuple[list[dict], int]:
    """Writes the records of a shard; returns a row for each video, and their number."""
    rows = []
    num_records = 0
    with tf.io.TFRecordWriter(os.fspath(path)) as writer:
        for done, video in enumerate(shard.videos):
            _progress_file(job, shard).write_text(str(done))
            reader = isolation.IsolatedTrackReader(
                epath.Path(job.root) / video.path,
                job.options,
                chunk_spec=job.chunk_spec,
                num_threads=job.num_threads,
            )
            made = 0
            for segment in reader:
                for record in _records(segment, video, job):
                    writer.write(record)
                    made += 1
            num_records += made
            row = reader.summary.to_json()
            if job.options.pictures:
                row["chunks"] = made
            names = (*data_set.RESULT_COLUMNS, "media")
            rows.append({name: row[name] for name in names})
    return rows, num_records


def _records(segment: TrackSegment, video: manifest.Video, job: Job) -> Iterator[bytes]:
    rate = job.chunk_spec.frame_rate
    if not job.options.pictures:
        yield records.encode(segment, video, len(segment.frames) / rate)
        return
    if stills.is_still(video.path):
        yield face_records.encode(stills.face(segment), video)
        return
    for k in face_records.spread(len(segment.frames), job.options.pictures):
        seconds = segment.start_seconds + k / rate
        face = face_records.Face(
            segment.frames[k], face_records.IN_TRACK, seconds, segment.track
        )
        yield face_records.encode(face, video)


def _final(job: Job, shard: Shard) -> epath.Path:
    name = data_set.shard_name(job.name, shard.split, shard.index, shard.count)
    return epath.Path(job.output_dir) / name


def _rows_file(job: Job, shard: Shard) -> epath.Path:
    work = epath.Path(job.output_dir) / data_set.WORK_DIR
    return work / f"{_final(job, shard).name}.json"


def _progress_file(job: Job, shard: Shard) -> epath.Path:
    work = epath.Path(job.output_dir) / data_set.WORK_DIR
    return work / f"{_final(job, shard).name}.progress"


def _partial(path: epath.Path) -> epath.Path:
    # In containers, workers on different machines have the same process number.
    return path.with_name(f"{path.name}.{uuid.uuid4().hex[:12]}")
