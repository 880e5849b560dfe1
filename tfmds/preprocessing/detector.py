"""The face detector: MTCNN, made faster without changing what it finds."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import tensorflow as tf
from mtcnn import MTCNN
from mtcnn.stages import StageONet, StagePNet, StageRNet
from mtcnn.utils import bboxes as boxes_lib
from mtcnn.utils import images as images_lib

# Pixels that go through the detector together, at most.
_BATCH_PIXELS = 700_000


def _compiled(network: Callable, size: int | None) -> tf.types.experimental.Callable:
    # Called as Keras models, the small networks of the detector cost more in Python
    # than in arithmetic.
    images = tf.TensorSpec([None, size, size, 3], tf.float32)
    return tf.function(network, input_signature=[images])


class _ProposalStage(StagePNet):
    """The detector's first stage with its pyramid made by OpenCV.

    TensorFlow's area resize, which mtcnn calls, takes as long as the network.
    """

    _model: Any

    def __init__(self) -> None:
        super().__init__()
        self._model = _compiled(self._model, None)

    def __call__(
        self,
        images_normalized: np.ndarray,
        images_oshapes: np.ndarray,
        bboxes_batch: np.ndarray | None = None,
    ) -> np.ndarray:
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
    _model: Any

    def __init__(self) -> None:
        super().__init__()
        self._model = _compiled(self._model, 24)

    def __call__(self, bboxes_batch: np.ndarray, **kwargs: Any) -> np.ndarray:
        # On nothing the networks raise, which mtcnn takes for an empty answer.
        if not len(bboxes_batch):
            return bboxes_batch
        return super().__call__(bboxes_batch=bboxes_batch, **kwargs)


class _OutputStage(StageONet):
    _model: Any

    def __init__(self) -> None:
        super().__init__()
        self._model = _compiled(self._model, 48)

    def __call__(self, bboxes_batch: np.ndarray, **kwargs: Any) -> np.ndarray:
        if not len(bboxes_batch):
            return np.empty((0, 16))
        return super().__call__(bboxes_batch=bboxes_batch, **kwargs)


class Detector:
    """MTCNN for lists of images of one size."""

    def __init__(self) -> None:
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
