"""Where the faces are: the detector, and on which pictures it looks.

A whole picture is searched now and then. Between two searches that agree, the
detector looks only where a face must be, in small windows, which costs a tenth. A
face that only one of them found is looked for in the other in such a window too;
what still differs then is searched for between them.
"""

import functools
import itertools
from collections.abc import Callable, Collection, Sequence

import cv2
import numpy as np
import tensorflow as tf
from mtcnn import MTCNN
from mtcnn.stages import StageONet, StagePNet, StageRNet
from mtcnn.utils import bboxes as boxes_lib
from mtcnn.utils import images as images_lib

from tfmds.preprocessing import faces
from tfmds.preprocessing.config import Options
from tfmds.preprocessing.faces import Box
from tfmds.preprocessing.picture import Picture, Window

# Pixels that go through the detector together, at most.
_BATCH_PIXELS = 700_000
# A window around a face that was followed: its side, and the face's part of it.
_WINDOW_SIZE = 96
_FACE_OF_WINDOW = 0.42
# Faces of this part of the smallest wanted size are worth a closer look.
_NEARLY_WANTED = 0.8


def _compiled(network: Callable, size: int | None) -> tf.types.experimental.Callable:
    # Called as Keras models, the small networks of the detector cost more in Python
    # than in arithmetic.
    images = tf.TensorSpec([None, size, size, 3], tf.float32)
    return tf.function(network, input_signature=[images])


class _ProposalStage(StagePNet):
    """The detector's first stage with its pyramid made by OpenCV.

    TensorFlow's area resize, which mtcnn calls, takes as long as the network.
    """

    def __init__(self):
        super().__init__()
        self._model = _compiled(self._model, None)

    def __call__(self, images_normalized, images_oshapes, bboxes_batch=None):
        height, width = images_oshapes[0][:2]
        # Its min_face_size stays 20: with more it silently finds nothing.
        scales = images_lib.build_scale_pyramid(
            width, height, min_face_size=20, scale_factor=0.709
        )
        images = images_normalized.astype(np.float32)
        proposals = [np.empty((0, 6))]
        for scale in scales:
            size = (int(width * scale), int(height * scale))
            level = np.stack(
                [cv2.resize(i, size, interpolation=cv2.INTER_AREA) for i in images]
            )
            offsets, classes = self._model(level)
            found = boxes_lib.generate_bounding_box(offsets, classes, 0.6)
            found = boxes_lib.upscale_bboxes(found, np.full(len(images), scale))
            proposals.append(
                boxes_lib.smart_nms_from_bboxes(found, 0.5, initial_sort=False)
            )
        found = np.concatenate(proposals)
        found = boxes_lib.smart_nms_from_bboxes(found, 0.7)
        return boxes_lib.resize_to_square(found)


class _RefineStage(StageRNet):
    def __init__(self):
        super().__init__()
        self._model = _compiled(self._model, 24)

    def __call__(self, bboxes_batch, **kwargs):
        # On nothing the networks raise, which mtcnn takes for an empty answer.
        if not len(bboxes_batch):
            return bboxes_batch
        return super().__call__(bboxes_batch=bboxes_batch, **kwargs)


class _OutputStage(StageONet):
    def __init__(self):
        super().__init__()
        self._model = _compiled(self._model, 48)

    def __call__(self, bboxes_batch, **kwargs):
        if not len(bboxes_batch):
            return np.empty((0, 16))
        return super().__call__(bboxes_batch=bboxes_batch, **kwargs)


class Detector:
    """MTCNN for lists of images of one size."""

    def __init__(self):
        self._mtcnn = MTCNN(stages=[_ProposalStage, _RefineStage, _OutputStage])

    def detect(
        self, images: Sequence[np.ndarray], min_confidence: float
    ) -> list[np.ndarray]:
        """Finds faces from 20 pixels on.

        Args:
          images: RGB, uint8 `[h, w, 3]`, all of one size.
          min_confidence: What is less sure is no face.

        Returns:
          For each image `[n, 4]`: left, top, right, bottom, the surest first.
        """
        if not images:
            return []
        size = max(1, _BATCH_PIXELS // (images[0].shape[0] * images[0].shape[1]))
        found = []
        for i in range(0, len(images), size):
            found += self._detect_list(list(images[i : i + size]), min_confidence)
        return found

    def _detect_list(
        self, images: list[np.ndarray], min_confidence: float
    ) -> list[np.ndarray]:
        found = self._find(images)
        if not len(found) and len(images) > 1:
            # An error inside mtcnn empties the whole list.
            for i, image in enumerate(images):
                one = self._find([image])
                one[:, 0] = i
                found = np.concatenate([found, one])
        found = found[found[:, 5] >= min_confidence]
        found = found[np.argsort(-found[:, 5], kind="stable")]
        return [found[found[:, 0] == i, 1:5] for i in range(len(images))]

    def _find(self, images: list[np.ndarray]) -> np.ndarray:
        # Rows of image, left, top, right, bottom, confidence. The other output
        # format rounds to whole pixels of the scaled picture.
        found = self._mtcnn.detect_faces(
            images, output_type="numpy", box_format="xyxy", fit_to_image=False
        )
        return found[:, :6]


@functools.cache
def shared_detector() -> Detector:
    """The detector of this process; loading one takes seconds."""
    return Detector()


class Search:
    """Finds the faces of a video, batch by batch of its pictures."""

    def __init__(self, detector: Detector, options: Options):
        self._detector = detector
        self._options = options
        # Faces on the last picture of the batch before.
        self._before: list[Box] | None = None

    def find(
        self, start: int, pictures: Sequence[Picture], cuts: Collection[int]
    ) -> dict[int, list[Box]]:
        """Looks for faces on some pictures of a batch, its last among them.

        Args:
          start: Frame of the first picture.
          pictures: The batch, which follows on the one before.
          cuts: Frames that begin a shot.

        Returns:
          The boxes by frame. Frames that were not looked at are missing.
        """
        stop = start + len(pictures)
        wanted = {i for i in range(start, stop) if self._is_due(i, "search_every")}
        wanted |= {stop - 1} | set(cuts) | {i - 1 for i in cuts if i > start}
        if start == 0:
            wanted.add(0)
        found: dict[int, list[Box]] = {}
        if self._before is not None:
            found[start - 1] = self._before
        gaps: list[tuple[int, int]] = []
        while wanted:
            found |= self._whole(sorted(wanted), start, pictures)
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
                and (self._alone(found[a], found[b]) or self._alone(found[b], found[a]))
            }
        self._before = found[stop - 1]
        found |= self._between(gaps, found, start, pictures)
        found.pop(start - 1, None)
        return found

    def _is_due(self, frame: int, option: str) -> bool:
        return (frame + 1) % getattr(self._options, option) == 0

    def _whole(
        self, frames: Sequence[int], start: int, pictures: Sequence[Picture]
    ) -> dict[int, list[Box]]:
        """Searches whole pictures, scaled down to what the smallest face needs."""
        scale = min(1.0, self._options.search_face_size / self._options.min_face_size)
        by_size: dict[tuple[int, int], list[int]] = {}
        for i in frames:
            picture = pictures[i - start]
            by_size.setdefault((picture.width, picture.height), []).append(i)
        found = {}
        for (width, height), some in by_size.items():
            images = [pictures[i - start].scaled(scale) for i in some]
            x, y = width / images[0].shape[1], height / images[0].shape[0]
            boxes = self._detector.detect(images, self._options.min_confidence)
            for i, of_picture in zip(some, boxes, strict=True):
                found[i] = faces.without_doubles(of_picture * [x, y, x, y])
        return found

    def _alone(self, boxes: list[Box], others: list[Box]) -> list[Box]:
        """The faces of one frame that cannot be linked to another."""
        least = _NEARLY_WANTED * self._options.min_face_size
        return [
            box
            for box in boxes
            if faces.size_of(box) >= least
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
        windows = [_window_around(box) for _, box in looks]
        images = [
            pictures[i - start].crop(window, _WINDOW_SIZE)
            for (i, _), window in zip(looks, windows, strict=True)
        ]
        boxes = self._detector.detect(images, self._options.min_confidence)
        seen: dict[int, list[Box]] = {i: [] for i, _ in looks}
        for (i, expected), window, of_image in zip(looks, windows, boxes, strict=True):
            left, top = window.left, window.top
            back = of_image * window.side / _WINDOW_SIZE + [left, top, left, top]
            best = max(back, key=lambda b: faces.overlap(b, expected), default=None)
            if best is not None and faces.overlap(best, expected) > 0:
                seen[i].append(best)
        return {i: faces.without_doubles(boxes) for i, boxes in seen.items()}

    def _linked(self, a: list[Box], b: list[Box]) -> list[tuple[Box, Box]]:
        pairs = [
            (box, max(b, key=functools.partial(faces.overlap, box))) for box in a if b
        ]
        return [pair for pair in pairs if faces.overlap(*pair) >= self._options.min_iou]


def _window_around(box: Box) -> Window:
    side = faces.size_of(box) / _FACE_OF_WINDOW
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return Window(x - side / 2, y - side / 2, side)
