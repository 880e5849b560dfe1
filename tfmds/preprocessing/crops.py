"""The face crops of a track: where they lie (`crop_window`), and how they are cut out.

A crop is cut out as soon as it is known where the face is.
"""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np

from tfmds import spec
from tfmds.data.records import TrackSegment
from tfmds.preprocessing import faces
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.mfcc import mfcc
from tfmds.preprocessing.picture import Picture, Window
from tfmds.preprocessing.sound import Sound

# Kept pixels of a frame whose box is not known yet, as a multiple of a crop's.
_SPARE_RESOLUTION = 2.0


def crop_window(x: float, y: float, side: float) -> Window:
    """What is cut out around a face (paper's public code).

    With s half of `side` it spans 1.4 s to the left and right of the face's centre,
    and from s above to 1.8 s below it: more of the chin than of the forehead.
    """
    s = side / 2
    return Window(left=x - 1.4 * s, top=y - s, side=2.8 * s)


def window_until_next(box: faces.Box) -> Window:
    """What may be cut out of the coming frames, if the face is found again.

    A box that overlaps by half (IoU) lies within half a side of this one and is at
    most twice its size.
    """
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    s = faces.size_of(box) / 2
    return Window(left=x - 4 * s, top=y - 3.2 * s, side=8 * s)


def smooth(boxes: np.ndarray, start: int, stop: int, num_frames: int) -> np.ndarray:
    """Median of centre and size of a box over the frames around it.

    Args:
      boxes: `[n, 4]`, a box a frame.
      start: First row wanted.
      stop: The one after the last.
      num_frames: Odd width of the median; at the ends of `boxes` it has fewer.

    Returns:
      `[stop - start, 5]`: centre x and y, width, height, larger side.
    """
    width, height = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    values = np.stack(
        [
            (boxes[:, 0] + boxes[:, 2]) / 2,
            (boxes[:, 1] + boxes[:, 3]) / 2,
            width,
            height,
            np.maximum(width, height),
        ],
        axis=1,
    )
    half = num_frames // 2
    return np.stack(
        [
            np.median(values[max(0, i - half) : i + half + 1], axis=0)
            for i in range(start, stop)
        ]
    )


class TrackCrops:
    """Crops of one track, made as soon as its box on a frame is known.

    Attributes:
      track: The detections; grows.
      number: Number among the tracks that are kept, None before the first segment.
      start: First frame of the segment in the making.
    """

    def __init__(
        self,
        track: faces.Track,
        options: PreprocessingConfig,
        chunk_spec: spec.ChunkSpec,
    ):
        self.track = track
        self.number: int | None = None
        self._options = options
        self._spec = chunk_spec
        self._first = self.start = track.frames[0]
        # The pictures of the frames that are not cut out yet.
        self._pictures: list[Picture] = []
        self._jpegs: list[bytes] = []
        self._boxes: list[np.ndarray] = []
        self._sum_of_sizes = 0.0

    @property
    def num_known(self) -> int:
        """Frames from the first to the last detection."""
        return self.track.frames[-1] - self._first + 1

    @property
    def mean_size(self) -> float:
        """Mean size of the face on the frames that are cut out, in pixels."""
        return self._sum_of_sizes / max(1, self._next - self._first)

    @property
    def _next(self) -> int:
        return self.start + len(self._jpegs)

    def add(self, start: int, pictures: Sequence[Picture]) -> None:
        """Cuts out what can be cut out of a batch, and keeps what else may be needed.

        Args:
          start: Frame of the first picture.
          pictures: The whole batch.
        """
        at = self._next + len(self._pictures)
        self._pictures += pictures[max(0, at - start) :]
        last, over = self.track.frames[-1], self.track.is_over
        half = self._options.smoothing_frames // 2
        stop = last + 1 if over else max(self._next, last + 1 - half)
        self._cut_until(stop)
        if over:
            self._pictures = []
            return
        window = window_until_next(self.track.boxes[-1])
        pixels = _SPARE_RESOLUTION * self._spec.crop_size
        scale = pixels / (1.4 * faces.size_of(self.track.boxes[-1]))
        kept = self._next + len(self._pictures) - start
        for i in range(max(0, len(self._pictures) - kept), len(self._pictures)):
            self._pictures[i] = self._pictures[i].part(window, scale)

    def segments(self, sound: Sound) -> Iterator[TrackSegment]:
        """Yields what is long enough, with `track` left at -1 and nothing skipped."""
        if self.track.is_over:
            self._cut_until(self.track.frames[-1] + 1)
        if self.num_known < self._options.min_track_frames:
            return
        most = self._options.max_record_seconds * self._spec.frame_rate
        while len(self._jpegs) >= most:
            yield from self._segment(most, sound)
        if self.track.is_over and len(self._jpegs) >= self._spec.num_frames:
            yield from self._segment(len(self._jpegs), sound)

    def _segment(self, length: int, sound: Sound) -> Iterator[TrackSegment]:
        # The mean is that of the track so far, since an hour of crops would not
        # wait in memory for its end.
        if self.mean_size >= self._options.min_face_size:
            yield TrackSegment(
                frames=self._jpegs[:length],
                mfcc=self._mfcc(length, sound),
                start_seconds=self.start / self._spec.frame_rate,
                track=-1,
                boxes=np.stack(self._boxes[:length]).astype(np.float32),
            )
        self.start += length
        del self._jpegs[:length], self._boxes[:length]

    def _mfcc(self, length: int, sound: Sound) -> np.ndarray:
        start = self.start * self._spec.sample_rate // self._spec.frame_rate
        count = self._spec.mfcc_frames_in(length)
        samples = (count - 1) * self._spec.mfcc_hop + self._spec.mfcc_window
        if self.start == self._first:
            return mfcc(sound.read(start, start + samples), self._spec, None, count)
        heard = sound.read(start - 1, start + samples)
        return mfcc(heard[1:], self._spec, float(heard[0]), count)

    def _cut_until(self, stop: int) -> None:
        if stop <= self._next:
            return
        half = self._options.smoothing_frames // 2
        low = max(self._first, self._next - half)
        high = min(self.track.frames[-1] + 1, stop + half)
        known = self.track.boxes_between(low, high)
        paths = smooth(
            known, self._next - low, stop - low, self._options.smoothing_frames
        )
        for x, y, width, height, side in paths:
            picture = self._pictures.pop(0)
            crop = picture.crop(crop_window(x, y, side), self._spec.crop_size)
            self._jpegs.append(self._encode(crop))
            box = x - width / 2, y - height / 2, x + width / 2, y + height / 2
            self._boxes.append(picture.as_shown(np.array(box)))
            self._sum_of_sizes += side

    def _encode(self, crop: np.ndarray) -> bytes:
        crop = cv2.cvtColor(crop, cv2.COLOR_RGB2BGR)
        most = self._options.max_bytes_per_second / self._spec.frame_rate
        quality = self._options.jpeg_quality
        while True:
            _, data = cv2.imencode(".jpg", crop, [cv2.IMWRITE_JPEG_QUALITY, quality])
            if len(data) <= most or quality <= 10:
                return data.tobytes()
            quality -= 10
