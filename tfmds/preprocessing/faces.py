"""Faces as boxes, linked to tracks."""

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from tfmds.preprocessing.config import PreprocessingConfig

# A box is (left, top, right, bottom) in pixels of the upright picture; where the
# detector has just found it, its confidence comes fifth.
Box = np.ndarray

# Two detections that overlap by more than this part of the smaller are one face.
_SAME_FACE = 0.7


def overlap(a: Box, b: Box) -> float:
    """Intersection of two boxes over their union."""
    common = _intersection(a, b)
    return common / (_area(a) + _area(b) - common)


def without_doubles(boxes: Iterable[Box]) -> list[Box]:
    """Keeps the first of the boxes that lie on one face."""
    kept: list[Box] = []
    for box in boxes:
        if all(
            _intersection(box, other) <= _SAME_FACE * min(_area(box), _area(other))
            for other in kept
        ):
            kept.append(box)
    return kept


def _intersection(a: Box, b: Box) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def size_of(box: Box) -> float:
    """The larger side of a box in pixels."""
    return max(box[2] - box[0], box[3] - box[1])


@dataclasses.dataclass
class Track:
    """A face followed through a shot.

    Attributes:
      number: Counts the tracks of a video in the order they begin.
      frames: Where the face was detected, ascending.
      boxes: Its box on each of these.
      is_over: No more detections will be added.
    """

    number: int
    frames: list[int]
    boxes: list[Box]
    is_over: bool = False

    def boxes_between(self, start: int, stop: int) -> np.ndarray:
        """Boxes `[stop - start, 4]`, interpolated where there was no detection."""
        at = np.arange(start, stop)
        known = np.stack(self.boxes)
        return np.stack([np.interp(at, self.frames, x) for x in known.T], axis=1)


class Tracker:
    """Links detections to tracks (paper, section 4).

    Attributes:
      live: The tracks that go on.
      left_out: How many faces at a time were not followed, for there were too many.
      left_out_from: The first frame of that.
    """

    def __init__(self, options: PreprocessingConfig):
        self._options = options
        self._count = 0
        self.live: list[Track] = []
        self.left_out = self.left_out_from = 0

    def cut(self) -> None:
        """A new shot begins: no track goes on."""
        for track in self.live:
            track.is_over = True
        self.live = []

    def update(self, frame: int, boxes: Sequence[Box]) -> list[Track]:
        """Adds the detections of a frame; returns the tracks that begin with it.

        Of more than `max_tracks` at a time the largest and longest go on.
        """
        longest = self._options.max_missed_frames + 1
        for track in self.live:
            track.is_over = frame - track.frames[-1] > longest
        self.live = [track for track in self.live if not track.is_over]
        pairs = sorted(
            (
                (overlap(track.boxes[-1], box), t, b)
                for t, track in enumerate(self.live)
                for b, box in enumerate(boxes)
            ),
            key=lambda pair: -pair[0],
        )
        free_tracks = set(range(len(self.live)))
        free_boxes = set(range(len(boxes)))
        for iou, t, b in pairs:
            if iou < self._options.min_iou:
                break
            if t in free_tracks and b in free_boxes:
                self.live[t].frames.append(frame)
                self.live[t].boxes.append(boxes[b][:4])
                free_tracks.remove(t)
                free_boxes.remove(b)
        new = []
        for b in sorted(free_boxes):
            new.append(Track(self._count, [frame], [boxes[b][:4]]))
            self._count += 1
        self.live += new
        most = self._options.max_tracks
        if len(self.live) > most:
            by_weight = sorted(self.live, key=self._weight, reverse=True)
            if not self.left_out:
                self.left_out_from = frame
            self.left_out = max(self.left_out, len(self.live) - most)
            for track in by_weight[most:]:
                track.is_over = True
            self.live = [track for track in self.live if not track.is_over]
        return [track for track in new if not track.is_over]

    def _weight(self, track: Track) -> float:
        """Size of its face, twice that where it was followed as long as is needed."""
        known = track.frames[-1] - track.frames[0] + 1
        return size_of(track.boxes[-1]) * (
            1 + min(1.0, known / self._options.min_track_frames)
        )
