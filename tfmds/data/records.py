"""Track records: one face's sequence as one `tf.train.Example`."""

import dataclasses
import io
import itertools
from collections.abc import Sequence

import numpy as np

from tfmds import spec
from tfmds.data import manifest
from tfmds.data.example_proto import Example


@dataclasses.dataclass(frozen=True)
class TrackSegment:
    """A stretch of one track, as preprocessing makes it.

    Attributes:
      frames: `T` face crops as JPEG, at the spec's frame rate.
      mfcc: float32 `[spec.mfcc_frames_in(T), num_coefficients]` of the same time.
      start_seconds: When the first frame is shown, on the video's clock.
      track: Number of the track in its video, from 0.
      boxes: float32 `[T, 4]`, smoothed face box of each frame in pixels of the
        picture as players show it (left, top, right, bottom). Not stored in records.
    """

    frames: Sequence[bytes]
    mfcc: np.ndarray
    start_seconds: float
    track: int
    boxes: np.ndarray

    def to_bytes(self) -> bytes:
        """For a file or another process; not the format of records."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            jpegs=np.frombuffer(b"".join(self.frames), np.uint8),
            ends=np.cumsum([len(jpeg) for jpeg in self.frames]),
            mfcc=self.mfcc,
            start_seconds=self.start_seconds,
            track=self.track,
            boxes=self.boxes,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "TrackSegment":
        """Reads what `to_bytes` wrote."""
        with np.load(io.BytesIO(data), allow_pickle=False) as fields:
            jpegs, ends = fields["jpegs"].tobytes(), fields["ends"].tolist()
            return cls(
                frames=[jpegs[a:b] for a, b in itertools.pairwise([0, *ends])],
                mfcc=fields["mfcc"],
                start_seconds=fields["start_seconds"].item(),
                track=fields["track"].item(),
                boxes=fields["boxes"],
            )


def encode(segment: TrackSegment, video: manifest.Video, seconds: float) -> bytes:
    """Serializes a segment of a video as a track record.

    Args:
      segment: Crops and MFCC, `seconds` long.
      video: The manifest row; an empty label is stored as unknown.
      seconds: Length of the segment.
    """
    label = spec.LABELS.get(video.label, spec.UNKNOWN)
    start, end = segment.start_seconds, segment.start_seconds + seconds
    periods = video.fake_periods
    if label == spec.FAKE and not periods:
        periods = ((start, end),)
    clipped = [
        (max(s, start), min(e, end)) for s, e in periods if s < end and e > start
    ]
    video_label = label
    if label == spec.FAKE and not clipped:
        label = spec.REAL
    example = Example()
    feature = example.features.feature
    texts: dict[str, Sequence[bytes]] = {
        "frames": segment.frames,
        "video_id": [video.video_id.encode()],
        "group": [video.group.encode()],
        "manipulation": [video.manipulation.encode()],
        "forged": [video.forged.encode()],
    }
    floats = {
        "mfcc": segment.mfcc.astype(np.float32).ravel(),
        "start_seconds": [start],
        "fake_periods": [x for period in clipped for x in period],
    }
    numbers = {"label": label, "video_label": video_label, "track": segment.track}
    for name, texts_of in texts.items():
        feature[name].bytes_list.value.extend(texts_of)
    for name, values in floats.items():
        # Also where it is empty it is a list of floats.
        feature[name].float_list.SetInParent()
        feature[name].float_list.value.extend(values)
    for name, value in numbers.items():
        feature[name].int64_list.value.append(value)
    # Maps have no order of their own: without this, equal records differ in bytes.
    return example.SerializeToString(deterministic=True)
