"""On which pictures of a video the detector looks, and where in them.

A whole picture is searched now and then. Between two searches that agree, the
detector looks only where a face must be, in small windows, which costs a tenth. A
face that only one of them found is looked for in the other in such a window too;
what still differs then is searched for between them.
"""

import functools
import itertools
from collections.abc import Collection, Sequence

import numpy as np

from tfmds.preprocessing import faces
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.detector import Detector
from tfmds.preprocessing.faces import Box
from tfmds.preprocessing.picture import Picture, Window

# A window around a face that was followed: its side, and the face's part of it.
WINDOW_SIZE = 96
_FACE_OF_WINDOW = 0.42
# Pixels that it has there at least, should it have become smaller.
_LEAST_IN_WINDOW = 28
# Faces of a picture that are taken note of, the largest, as a multiple of those that
# are followed at a time.
_CROWD = 2
# Faces of this part of the smallest wanted size are worth a closer look.
_NEARLY_WANTED = 0.8


class Search:
    """Finds the faces of a video, batch by batch of its pictures."""

    def __init__(self, detector: Detector, options: PreprocessingConfig):
        self._detector = detector
        self._options = options

    def find(
        self,
        start: int,
        pictures: Sequence[Picture],
        cuts: Collection[int],
        before: list[Box] | None,
    ) -> dict[int, list[Box]]:
        """Looks for faces on some pictures of a batch, its last among them.

        Args:
          start: Frame of the first picture.
          pictures: The batch, which follows on the one before.
          cuts: Frames that begin a shot.
          before: Faces on the last picture of the batch before, None for the first.

        Returns:
          The boxes by frame, each `[5]`, with its confidence. Frames that were not
          looked at are missing.
        """
        stop = start + len(pictures)
        wanted = {i for i in range(start, stop) if self._is_due(i, "search_every")}
        wanted |= {stop - 1} | set(cuts) | {i - 1 for i in cuts if i > start}
        if start == 0:
            wanted.add(0)
        found: dict[int, list[Box]] = {}
        if before is not None:
            found[start - 1] = before
        gaps: list[tuple[int, int]] = []
        while wanted:
            found |= self.whole(sorted(wanted), start, pictures)
            gaps = [
                (a, b)
                for a, b in itertools.pairwise(sorted(found))
                if not any(a < i <= b for i in cuts)
            ]
            self._look_again(gaps, found, start, pictures)
            wanted = {
                (a + b) // 2
                for a, b in gaps
                if b - a > 1
                and not self._is_crowd(found[a], found[b])
                and (self._alone(found[a], found[b]) or self._alone(found[b], found[a]))
            }
        found |= self._between(gaps, found, start, pictures)
        found.pop(start - 1, None)
        return found

    def whole(
        self, frames: Sequence[int], start: int, pictures: Sequence[Picture]
    ) -> dict[int, list[Box]]:
        """Searches whole pictures, scaled down to what the smallest face needs."""
        scale = min(1.0, self._options.search_face_size / self._options.min_face_size)
        most = _CROWD * self._options.max_tracks
        by_size: dict[tuple[int, int], list[int]] = {}
        for i in frames:
            picture = pictures[i - start]
            by_size.setdefault((picture.width, picture.height), []).append(i)
        found = {}
        for (width, height), some in by_size.items():
            images = [pictures[i - start].scaled(scale) for i in some]
            x, y = width / images[0].shape[1], height / images[0].shape[0]
            boxes = self._detector.detect(
                images,
                self._options.min_confidence,
                scale * self._options.min_face_size,
            )
            for i, of_picture in zip(some, boxes, strict=True):
                if len(of_picture) > most:
                    largest = sorted(of_picture, key=faces.size_of, reverse=True)
                    of_picture = np.stack(largest[:most])
                found[i] = faces.without_doubles(of_picture * [x, y, x, y, 1])
        return found

    def in_windows(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Faces in windows that were cut out around them, as `Detector.detect`."""
        return self._detector.detect(
            images, self._options.min_confidence, _LEAST_IN_WINDOW
        )

    def is_wanted(self, box: Box) -> bool:
        """Whether a face is about as large as the smallest that is wanted."""
        return faces.size_of(box) >= _NEARLY_WANTED * self._options.min_face_size

    def _is_due(self, frame: int, option: str) -> bool:
        return (frame + 1) % getattr(self._options, option) == 0

    def _is_crowd(self, *frames: list[Box]) -> bool:
        """Whether more faces are there than are followed: which of them varies."""
        return max(map(len, frames)) > self._options.max_tracks

    def _alone(self, boxes: list[Box], others: list[Box]) -> list[Box]:
        """The faces of one frame that cannot be linked to another."""
        return [
            box
            for box in boxes
            if self.is_wanted(box)
            and all(faces.overlap(box, o) < self._options.min_iou for o in others)
        ]

    def _look_again(
        self,
        gaps: Sequence[tuple[int, int]],
        found: dict[int, list[Box]],
        start: int,
        pictures: Sequence[Picture],
    ) -> None:
        """Adds to searches the faces that they missed and their neighbours found."""
        asked: set[tuple[int, bytes]] = set()
        while True:
            looks = [
                (there, box)
                for a, b in gaps
                for here, there in ((a, b), (b, a))
                for box in self._alone(found[here], found[there])
                if there >= start and (there, box.tobytes()) not in asked
            ]
            if not looks:
                return
            asked |= {(there, box.tobytes()) for there, box in looks}
            for i, boxes in self._look(looks, start, pictures).items():
                found[i] = faces.without_doubles([*found[i], *boxes])

    def _between(
        self,
        gaps: Sequence[tuple[int, int]],
        found: dict[int, list[Box]],
        start: int,
        pictures: Sequence[Picture],
    ) -> dict[int, list[Box]]:
        """Looks for the faces of two searches on the frames between them."""
        looks = []
        for a, b in gaps:
            for before, after in self._linked(found[a], found[b]):
                for i in range(a + 1, b):
                    if self._is_due(i, "detect_every"):
                        box = before + (after - before) * (i - a) / (b - a)
                        looks.append((i, box))
        return self._look(looks, start, pictures)

    def _look(
        self,
        looks: Sequence[tuple[int, Box]],
        start: int,
        pictures: Sequence[Picture],
    ) -> dict[int, list[Box]]:
        """Looks for a face where it is expected; every frame gets an entry."""
        windows = [window_around(box) for _, box in looks]
        boxes = self.in_windows(
            [
                pictures[i - start].crop(window, WINDOW_SIZE)
                for (i, _), window in zip(looks, windows, strict=True)
            ]
        )
        seen: dict[int, list[Box]] = {i: [] for i, _ in looks}
        for (i, expected), window, of_image in zip(looks, windows, boxes, strict=True):
            left, top = window.left, window.top
            back = of_image.copy()
            back[:, :4] *= window.side
            back[:, :4] /= WINDOW_SIZE
            back[:, :4] += [left, top, left, top]
            best = max(back, key=lambda b: faces.overlap(b, expected), default=None)
            if best is not None and faces.overlap(best, expected) > 0:
                seen[i].append(best)
        return {i: faces.without_doubles(boxes) for i, boxes in seen.items()}

    def _linked(self, a: list[Box], b: list[Box]) -> list[tuple[Box, Box]]:
        pairs = [
            (box, max(b, key=functools.partial(faces.overlap, box))) for box in a if b
        ]
        return [pair for pair in pairs if faces.overlap(*pair) >= self._options.min_iou]


def window_around(box: Box) -> Window:
    """Where a face that was at `box` is looked for."""
    side = faces.size_of(box) / _FACE_OF_WINDOW
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return Window(x - side / 2, y - side / 2, side)
