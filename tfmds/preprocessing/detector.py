"""The face detector: MTCNN in ONNX Runtime.

Three networks in a row: the first proposes boxes at every scale of a picture, the
others refine them. Scales, thresholds and what becomes of boxes that overlap are those
of the package mtcnn, which has the weights.
"""

import functools
from collections.abc import Sequence

import cv2
import numpy as np
from onnxruntime import InferenceSession

from tfmds.preprocessing import detector_networks

# Pixels that go through the detector together, at most.
_BATCH_PIXELS = 700_000
# Boxes that are looked at together, at most: each takes some 300 kB meanwhile.
_MOST_BOXES = 128
# The first network looks at cells of so many pixels, one at every second pixel.
_CELL, _STRIDE = 12, 2
# Faces of so many pixels fill a cell at the package's first scale; each next one is
# smaller.
_LEAST_FACE = 20
_SCALE_FACTOR = 0.709
# Least confidence of each network.
_PROPOSED, _REFINED, _FINAL = 0.6, 0.7, 0.8
# Overlap (IoU) above which the less sure of two boxes is dropped: at one scale, and
# after each network; after the last it is the intersection over the smaller box.
_OVERLAP_AT_SCALE, _OVERLAP = 0.5, 0.7
# Boxes that are compared with all others at a time.
_BLOCK = 256

# Rows of picture, left, top, right, bottom, confidence; float64 `[n, 6]`.
Found = np.ndarray


class Detector:
    """MTCNN for lists of images of one size."""

    def __init__(self) -> None:
        self._propose = detector_networks.proposal_network()
        self._refine = detector_networks.refine_network()
        self._output = detector_networks.output_network()

    def detect(
        self,
        images: Sequence[np.ndarray],
        min_confidence: float,
        min_face_size: float = _LEAST_FACE,
    ) -> list[np.ndarray]:
        """Finds faces from 20 pixels on.

        Args:
          images: RGB, uint8 `[h, w, 3]`, all of one size.
          min_confidence: What is less sure is no face.
          min_face_size: Smaller faces need not be found, which spares the largest
            scales.

        Returns:
          For each image `[n, 5]`: left, top, right, bottom, confidence, the surest
          first.
        """
        if not images:
            return []
        size = max(1, _BATCH_PIXELS // (images[0].shape[0] * images[0].shape[1]))
        boxes: list[np.ndarray] = []
        for i in range(0, len(images), size):
            batch = images[i : i + size]
            found = self._find(np.stack(batch).astype(np.float32), min_face_size)
            found = found[found[:, 5] >= min_confidence]
            found = found[np.argsort(-found[:, 5], kind="stable")]
            boxes += [found[found[:, 0] == k, 1:] for k in range(len(batch))]
        return boxes

    def _find(self, pixels: np.ndarray, min_face_size: float) -> Found:
        found = _squared(self._proposals(pixels, min_face_size))
        found = self._look_closer(self._refine, pixels, found)
        found = _squared(_without_overlaps(found[found[:, 5] > _REFINED], _OVERLAP))
        found = self._look_closer(self._output, pixels, found)
        found = found[found[:, 5] > _FINAL]
        return _without_overlaps(found, _OVERLAP, of_smaller=True)

    def _proposals(self, pixels: np.ndarray, min_face_size: float) -> Found:
        height, width = pixels.shape[1:3]
        proposals = [np.empty((0, 6))]
        for scale in _scales(min(height, width), min_face_size):
            size = (int(width * scale), int(height * scale))
            # From the whole picture: scaled step by step, some faces were missed.
            level = np.stack(
                [cv2.resize(i, size, interpolation=cv2.INTER_AREA) for i in pixels]
            )
            offsets, confidence = self._propose.run(None, {"pixels": level})
            image, _, row, column = np.nonzero(confidence > _PROPOSED)
            corner = np.stack([column, row, column, row], axis=1) * _STRIDE
            # The last pixel of a cell counts at its upper left end only.
            cell = corner + [1, 1, _CELL, _CELL]
            moved = offsets[image, :, row, column].astype(np.float64)
            found = np.column_stack(
                [
                    image,
                    (cell + moved * (_CELL - 1)) / scale,
                    confidence[image, 0, row, column],
                ]
            )
            proposals.append(_without_overlaps(found, _OVERLAP_AT_SCALE))
        return _without_overlaps(np.concatenate(proposals), _OVERLAP)

    def _look_closer(
        self, network: InferenceSession, pixels: np.ndarray, found: Found
    ) -> Found:
        if not len(found):
            return found
        height, width = pixels.shape[1:3]
        shares = found[:, [2, 1, 4, 3]] / [height, width, height, width]
        answers = [
            network.run(
                None,
                {
                    "pixels": pixels,
                    "boxes": shares[i : i + _MOST_BOXES].astype(np.float32),
                    "pictures": found[i : i + _MOST_BOXES, 0].astype(np.int32),
                },
            )
            for i in range(0, len(found), _MOST_BOXES)
        ]
        offsets, confidence = map(np.concatenate, zip(*answers, strict=True))
        sides = np.tile(found[:, 3:5] - found[:, 1:3] + 1, 2)
        boxes = found[:, 1:5] + offsets * sides
        return np.column_stack([found[:, 0], boxes, confidence])


def _scales(side: int, min_face_size: float) -> np.ndarray:
    """The scales at which pictures with this smaller side are looked at.

    The first is the one whose faces are nearest to the smallest wanted.
    """
    count = round(-(np.log(side / _CELL) / np.log(_SCALE_FACTOR) + 1))
    scales = _CELL / _LEAST_FACE * _SCALE_FACTOR ** np.arange(count)
    return scales[_CELL / scales >= min_face_size * _SCALE_FACTOR**0.5]


def _squared(found: Found) -> Found:
    """Makes boxes as long as they are wide around their centres."""
    sides = found[:, 3:5] - found[:, 1:3]
    side = sides.max(axis=1, keepdims=True)
    low = found[:, 1:3] + (sides - side) / 2
    return np.column_stack([found[:, 0], low, low + side, found[:, 5]])


def _without_overlaps(found: Found, most: float, of_smaller: bool = False) -> Found:
    """Drops what overlaps with anything surer of its picture, dropped or not."""
    if len(found) < 2:
        return found
    # Of equally sure ones the package takes whichever comes first here.
    found = found[np.argsort(found[:, 5])[::-1]]
    kept = [np.empty((0, 6))]
    for image in np.unique(found[:, 0]):
        mine = found[found[:, 0] == image]
        if len(mine) == 1:
            kept.append(mine)
            continue
        left, top, right, bottom = mine[:, 1:5].T
        area = (right - left) * (bottom - top)
        keep = np.ones(len(mine), bool)
        for first in range(0, len(mine), _BLOCK):
            some = slice(first, first + _BLOCK)
            surer = slice(0, first + _BLOCK)
            width = np.minimum(right[surer, None], right[some])
            width -= np.maximum(left[surer, None], left[some])
            height = np.minimum(bottom[surer, None], bottom[some])
            height -= np.maximum(top[surer, None], top[some])
            common = np.maximum(width, 0) * np.maximum(height, 0)
            if of_smaller:
                whole = np.minimum(area[surer, None], area[some])
            else:
                whole = area[surer, None] + area[some] - common
            overlaps = common > most * whole
            keep[some] = ~np.triu(overlaps, 1 - first).any(axis=0)
        kept.append(mine[keep])
    return np.concatenate(kept)


@functools.cache
def shared_detector() -> Detector:
    """The detector of this process; loading one takes a while."""
    return Detector()
