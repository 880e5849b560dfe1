"""Forged pictures: another face over the own, or a mouth that says something else.

A swapped voice needs nothing here: it is the other sound under an untouched picture.
"""

import cv2
import numpy as np

from pipelines.synthesis.articulation import Articulation
from pipelines.synthesis.head import Canvas, Expression, Head
from tfmds import spec

FACE_SWAP = "face_swap"
AUDIO_SWAP = "audio_swap"
LIP_SYNC = "lip_sync"
# Rows and columns of a picture.
Box = tuple[slice, slice]

MANIPULATIONS = (FACE_SWAP, AUDIO_SWAP, LIP_SYNC)
# Which stream each of them forges.
FORGED = {FACE_SWAP: spec.PICTURE, AUDIO_SWAP: spec.SOUND, LIP_SYNC: spec.PICTURE}


class FaceSwap:
    """Lays another head's face over a head, with the faults of such swaps.

    The faults (Rossler et al. 2019 and others name them): colours that do not quite
    match, a soft edge, fewer details, a patch that trembles against the head, and lips
    that follow the own ones late, since such tools smooth what they track over time.
    How strong each is differs from clip to clip, so that none alone tells.
    """

    def __init__(
        self, rng: np.random.Generator, head: Head, donor: Head, num_frames: int
    ):
        self._delay = rng.uniform(0.08, 0.16)
        self._smoothing = rng.uniform(0.03, 0.07)
        self._donor = donor
        self._canvas = canvas = head.canvas
        self._box, self._mask = _oval(
            canvas,
            (0, 0.27),
            (rng.uniform(0.5, 0.58), rng.uniform(0.66, 0.72)),
            rng.uniform(0.03, 0.09),
        )
        match = rng.uniform(0.75, 1.0)
        gain = (head.skin_colour() / donor.skin_colour()) ** match
        self._gain = gain * (1 + rng.choice([-1, 1], 3) * rng.uniform(0.03, 0.1, 3))
        self._flicker = 1 + rng.uniform(0.015, 0.04) * rng.standard_normal(num_frames)
        self._shift = (
            canvas.unit
            * rng.uniform(0.01, 0.022)
            * (rng.standard_normal((num_frames, 2)))
        )
        self._coarse = rng.uniform(1.3, 2.6)

    def speech(self, own: Articulation) -> Articulation:
        """What the other face is made to say where the head says `own`."""
        return own.followed(self._delay, self._smoothing)

    def paint(
        self, image: np.ndarray, expression: Expression, frame: int, weight: float
    ) -> np.ndarray:
        """Answers `image` with the other face at `weight` 0 to 1."""
        other = self._donor.draw(expression)
        other = np.ascontiguousarray(other[self._box])
        size = other.shape[1::-1]
        small = cv2.resize(
            other,
            None,
            fx=1 / self._coarse,
            fy=1 / self._coarse,
            interpolation=cv2.INTER_AREA,
        )
        across, along = self._shift[frame]
        matrix = np.array(
            [
                [size[0] / small.shape[1], 0, across],
                [0, size[1] / small.shape[0], along],
            ]
        )
        other = cv2.warpAffine(
            small, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        other = other * (self._gain * self._flicker[frame]).astype(np.float32)
        return _blend(image, other, self._box, self._mask * np.float32(weight))


class LipSync:
    """Redraws the region of the mouth with another opening and width."""

    def __init__(self, rng: np.random.Generator, head: Head, num_frames: int):
        self._head = head
        canvas = head.canvas
        mouth = head.face.mouth_height + 0.08
        self._box, self._mask = _oval(
            canvas, (0, mouth), (rng.uniform(0.36, 0.44), rng.uniform(0.28, 0.34)), 0.05
        )
        self._blur = canvas.unit * rng.uniform(0.006, 0.02)
        self._gain = 1 + rng.normal(0, 0.015, 3)
        self._flicker = 1 + rng.uniform(0.002, 0.012) * rng.standard_normal(num_frames)

    def paint(
        self, image: np.ndarray, expression: Expression, frame: int, weight: float
    ) -> np.ndarray:
        """Answers `image` with the mouth of `expression` at `weight` 0 to 1."""
        other = self._head.draw(expression)[self._box]
        other = cv2.GaussianBlur(other, (0, 0), self._blur)
        other = other * (self._gain * self._flicker[frame]).astype(np.float32)
        return _blend(image, other, self._box, self._mask * np.float32(weight))


def _oval(
    canvas: Canvas,
    centre: tuple[float, float],
    radii: tuple[float, float],
    feather: float,
) -> tuple[Box, np.ndarray]:
    """A soft oval: the slices that hold it, and float32 `[rows, columns, 1]`."""
    distance = np.hypot(
        (canvas.x - centre[0]) / radii[0], (canvas.y - centre[1]) / radii[1]
    )
    mask = canvas.soften((distance < 1).astype(np.float32), feather)
    rows, columns = np.nonzero(mask.max(1) > 1e-3)[0], np.nonzero(mask.max(0) > 1e-3)[0]
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return box, mask[box][..., np.newaxis]


def _blend(
    image: np.ndarray, other: np.ndarray, box: Box, weight: np.ndarray
) -> np.ndarray:
    """Lays `other` over a part of `image`."""
    part = image[box]
    mixed = part + weight * (other - part)
    image[box] = np.clip(mixed, 0, 255).astype(np.uint8)
    return image
