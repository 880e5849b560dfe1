"""Faces of videos from the track records of a data set, to be shown in a report."""

import base64
import dataclasses
import functools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence

import tensorflow as tf

from tfmds import spec
from tfmds.common.thumbnails import small
from tfmds.data import face_records, input_pipeline
from tfmds.data.data_set import FACES, DataSet
from tfmds.data.manifest import Video

# Shards of a split that a sample is taken from, at most.
_SAMPLED_SHARDS = 8


def read(
    data_dir: os.PathLike | str, splits: Sequence[str], video_ids: Collection[str]
) -> dict[str, dict[tuple[int, float], bytes]]:
    """Small faces of some videos.

    Args:
      data_dir: The data set.
      splits: Where to look; those the data set lacks are passed over.
      video_ids: The videos.

    Returns:
      For each video found the JPEG of the middle of each whole second of each track,
      by track and second.

    Raises:
      InputError: There is no whole data set.
    """
    data_set = DataSet.load(data_dir)
    frame_rate, num_frames = data_set.spec.frame_rate, data_set.spec.num_frames
    wanted = set(video_ids)
    faces: dict[str, dict[tuple[int, float], bytes]] = {}
    shards = [
        os.fspath(path)
        for split in splits
        if split in data_set.splits
        for path in data_set.shards(split)
    ]
    for serialized in input_pipeline.read_records(shards) if wanted and shards else ():
        track = input_pipeline.parse_track(serialized, data_set.spec)
        name = track["video_id"].numpy().decode()
        if name not in wanted:
            continue
        of_video = faces.setdefault(name, {})
        frames = track["frames"]
        for first in range(0, len(frames) - num_frames + 1, num_frames):
            start = float(track["start_seconds"]) + first / frame_rate
            jpeg = small(frames[first + num_frames // 2].numpy())
            of_video[int(track["track"]), round(start, 1)] = jpeg
    return faces


@dataclasses.dataclass(frozen=True)
class Face:
    """A face of some track, to be shown.

    Attributes:
      video_id: Its video.
      label: `real` or `fake`, of the video.
      manipulation: Of the video.
      seconds: When it is shown.
      jpeg: The picture.
    """

    video_id: str
    label: str
    manipulation: str
    seconds: float
    jpeg: bytes

    @property
    def source(self) -> str:
        """The picture as the address of an image in a page."""
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode()


def sample(data_dir: os.PathLike | str) -> Iterator[Face]:
    """A face of each record of some shards of each split; of a track the middle one.

    Raises:
      InputError: There is no whole data set.
    """
    data_set = DataSet.load(data_dir, None)
    show = _of_track
    if data_set.records == FACES:
        videos = {row.video.video_id: row.video for row in data_set.videos()}
        show = functools.partial(_of_face, videos)
    for split in data_set.splits:
        shards = data_set.shards(split)
        # An even sample: a large set would be read for hours.
        step = -(-len(shards) // _SAMPLED_SHARDS)
        for serialized in input_pipeline.read_records(
            [*map(os.fspath, shards[::step])]
        ):
            yield show(serialized, data_set.spec)


def _of_track(serialized: tf.Tensor, chunk_spec: spec.ChunkSpec) -> Face:
    track = input_pipeline.parse_track(serialized, chunk_spec)
    middle = len(track["frames"]) // 2
    seconds = float(track["start_seconds"]) + middle / chunk_spec.frame_rate
    return Face(
        video_id=track["video_id"].numpy().decode(),
        label=spec.LABEL_WORDS[int(track["video_label"])],
        manipulation=track["manipulation"].numpy().decode(),
        seconds=round(seconds, 1),
        jpeg=small(track["frames"][middle].numpy()),
    )


def _of_face(
    videos: Mapping[str, Video], serialized: tf.Tensor, chunk_spec: spec.ChunkSpec
) -> Face:
    stored = face_records.decode(serialized.numpy())
    video = videos[stored.video_id]
    return Face(
        video_id=stored.video_id,
        label=video.label,
        manipulation=video.manipulation,
        seconds=round(stored.face.seconds, 1),
        jpeg=small(stored.face.jpeg),
    )
