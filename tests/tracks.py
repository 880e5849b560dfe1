"""Track records for tests, whose frames and MFCC tell their own time."""

import dataclasses
import json
import pathlib
from collections.abc import Sequence

import cv2
import numpy as np
import tensorflow as tf

from tfmds.common import files
from tfmds.data import data_set, manifest, records
from tfmds.spec import FORMAT_VERSION, ChunkSpec

SPEC = ChunkSpec()


def segment(
    num_frames: int = 90, start_seconds: float = 0.0, track: int = 0, seed: int = 0
) -> records.TrackSegment:
    """Frame `i` is a flat picture of brightness `i`, MFCC frame `j` holds `j`."""
    frames = [
        cv2.imencode(".jpg", np.full((224, 224, 3), (i + seed) % 256, np.uint8))[
            1
        ].tobytes()
        for i in range(num_frames)
    ]
    count = SPEC.mfcc_frames_in(num_frames)
    mfcc = np.repeat(np.arange(count, dtype=np.float32)[:, None] + seed, 13, axis=1)
    boxes = np.zeros((num_frames, 4), np.float32)
    return records.TrackSegment(frames, mfcc, start_seconds, track, boxes)


def record(video: manifest.Video, **kwargs) -> bytes:
    """A serialized track record of a video."""
    made = segment(**kwargs)
    return records.encode(made, video, len(made.frames) / SPEC.frame_rate)


def video(name: str = "v", label: str = "real", **kwargs) -> manifest.Video:
    """A manifest row of the training split."""
    return manifest.Video(name, f"{name}.mp4", label, "train", name, **kwargs)


def data_set_dir(
    path: pathlib.Path,
    splits: dict[str, int],
    seconds: int = 3,
    labels: Sequence[str] = ("real", "fake"),
    forged: Sequence[str] = ("",),
    **info,
) -> pathlib.Path:
    """A whole data set of flat pictures: so many videos in each split, by turns.

    `forged` are the streams of its fakes, by turns.
    """
    path.mkdir(parents=True, exist_ok=True)
    rows, described = [], {}
    for split, count in splits.items():
        name = data_set.shard_name("tiny", split, 0, 1)
        with tf.io.TFRecordWriter(str(path / name)) as writer:
            for i in range(count):
                label = labels[i % len(labels)]
                kind = forged[i // len(labels) % len(forged)] * (label == "fake")
                row = dataclasses.replace(
                    video(f"{split}{i}", label, forged=kind), split=split
                )
                writer.write(record(row, num_frames=30 * seconds, seed=50 * i))
                rows.append(data_set.VideoRow(row, "ok", "", 1, seconds, seconds))
        shard = {
            "file": name,
            "records": count,
            "bytes": (path / name).stat().st_size,
            "sha256": files.sha256(path / name),
        }
        described[split] = {"shards": [shard]}
    data_set.write_videos(path / data_set.VIDEOS_FILE, rows)
    (path / data_set.INFO_FILE).write_text(
        json.dumps(
            {
                "format_version": FORMAT_VERSION,
                "name": "tiny",
                "chunk_spec": SPEC.to_json(),
                "splits": described,
                **info,
            }
        )
    )
    return path
