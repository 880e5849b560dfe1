"""The room a person sits in, and the camera that films it."""

import cv2
import numpy as np
from numpy.typing import ArrayLike

from pipelines.synthesis.face import Face
from pipelines.synthesis.head import Head, Light, jaw_drop
from pipelines.synthesis.motion import Motion

# Pixels of a head's canvas for one in the picture.
OVERSAMPLING = 1.7

# Frames take their noise from random places of a few large tiles.
_NOISE_TILES = 4
_NOISE_MARGIN = 48


class Scene:
    """One shot: room, clothes, light, framing and motion, without the face."""

    def __init__(
        self,
        rng: np.random.Generator,
        face: Face,
        size: tuple[int, int],
        times: np.ndarray,
    ) -> None:
        width, height = size
        self.size = size
        self.light = Light(
            x=rng.uniform(-0.65, 0.65),
            y=rng.uniform(-0.6, 0.1),
            ambient=(ambient := rng.uniform(0.3, 0.55)),
            diffuse=rng.uniform(0.86, 1.02) - ambient,
        )
        self.motion = Motion.draw(rng, times)
        # A face of 1.75 units from the forehead to the chin.
        self.unit = rng.uniform(0.28, 0.54) * min(width, height) / 1.75
        self._centre = np.array(
            [
                width * rng.uniform(0.36, 0.64),
                rng.uniform(
                    1.3 * self.unit, max(1.31, height / self.unit - 1.35) * self.unit
                ),
            ]
        )
        room = _body(rng, _room(rng, size), face, self.light, self._centre, self.unit)
        self._exposure = 1 + 0.03 * np.sin(
            rng.uniform(0, 6.3) + 2 * np.pi * rng.uniform(0.05, 0.4) * times
        )
        tint = rng.uniform(0.95, 1.05, 3)
        self._tint = np.append(tint / tint.mean(), 0.0)
        self._backdrop = cv2.multiply(room, self._tint, dtype=cv2.CV_8U)
        self._defocus = rng.uniform(0, 0.9)

    def film(
        self, head: Head, image: np.ndarray, opening: float, frame: int
    ) -> np.ndarray:
        """Turns and places a drawn head; returns the picture, uint8 RGB.

        Args:
          head: Whose head it is.
          image: The face as drawn, uint8 `[height, width, 3]` of the head's canvas.
          opening: How far the mouth is open, for the jaw.
          frame: Number of the frame.
        """
        layer = cv2.merge([image, head.alpha])
        across, down = self._turn(head, opening, frame)
        turned = cv2.remap(layer, across, down, cv2.INTER_LINEAR)
        motion, canvas = self.motion, head.canvas
        shrink = self.unit / canvas.unit
        cos, sin = np.cos(motion.roll[frame]), np.sin(motion.roll[frame])
        matrix = shrink * np.array([[cos, -sin], [sin, cos]])
        # The head leans about the neck.
        pivot = np.array([0.0, 0.9])
        at = self._centre + self.unit * (pivot + [motion.x[frame], motion.y[frame]])
        origin = (pivot - [canvas.x[0, 0], canvas.y[0, 0]]) * canvas.unit
        shift = at - matrix @ origin
        corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * canvas.size
        corners = corners @ matrix.T + shift
        left, top = np.clip(np.floor(corners.min(0)).astype(int), 0, self.size)
        right, bottom = np.clip(np.ceil(corners.max(0)).astype(int) + 1, 0, self.size)
        placed = cv2.warpAffine(
            turned,
            np.column_stack([matrix, shift - [left, top]]),
            (int(right - left), int(bottom - top)),
            flags=cv2.INTER_LINEAR,
        )
        picture = self._backdrop.copy()
        part = picture[top:bottom, left:right]
        # The head's colours are already multiplied by its alpha.
        clear = 255 - cv2.extractChannel(placed, 3)
        part[:] = cv2.add(
            cv2.multiply(part, cv2.merge([clear, clear, clear]), scale=1 / 255),
            cv2.multiply(cv2.cvtColor(placed, cv2.COLOR_RGBA2RGB), self._tint),
        )
        if self._defocus > 0.3:
            picture = cv2.GaussianBlur(picture, (0, 0), self._defocus)
        return cv2.convertScaleAbs(picture, alpha=self._exposure[frame])

    def _turn(
        self, head: Head, opening: float, frame: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Maps for `cv2.remap`: parallax of a turned head, and the dropped jaw."""
        canvas = head.canvas
        depth = head.depth - 0.35
        columns = np.arange(canvas.size[0], dtype=np.float32)[None, :]
        rows = np.arange(canvas.size[1], dtype=np.float32)[:, None]
        drop = np.float32(jaw_drop(head.face, opening)) * head.jaw_weight
        across = 0.22 * self.motion.yaw[frame] * canvas.unit
        along = 0.16 * self.motion.pitch[frame] * canvas.unit
        return (
            columns - np.float32(across) * depth,
            rows - np.float32(along) * depth - np.float32(canvas.unit) * drop,
        )


class Camera:
    """What a camera adds to each take: noise of its own."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]):
        width, height = size
        self._size = size
        strength = rng.uniform(0.6, 3.2)
        shape = (height + _NOISE_MARGIN, width + _NOISE_MARGIN)
        self._tiles = []
        for _ in range(_NOISE_TILES):
            noise = strength * rng.standard_normal(shape, np.float32)
            # OpenCV adds bytes to bytes several times faster than signed numbers.
            self._tiles.append(
                tuple(
                    cv2.merge([np.round(np.maximum(n, 0)).astype(np.uint8)] * 3)
                    for n in (noise, -noise)
                )
            )
        self._rng = rng

    def expose(self, picture: np.ndarray) -> np.ndarray:
        """Adds the noise of one frame to uint8 RGB."""
        width, height = self._size
        lighter, darker = self._tiles[self._rng.integers(_NOISE_TILES)]
        top, left = self._rng.integers(0, _NOISE_MARGIN, 2)
        here = np.s_[top : top + height, left : left + width]
        return cv2.subtract(cv2.add(picture, lighter[here]), darker[here])


def _room(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A wall with blurred things before it: float32 RGB."""
    width, height = size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    wall = rng.uniform(50, 200, 3) * 0.5 + rng.uniform(25, 105)
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * (x / width - 0.5) + np.sin(angle) * (y / height - 0.5)
    room = wall * (1 + rng.uniform(0.1, 0.7) * slope[..., None])
    room = np.clip(room, 0, 255).astype(np.float32)
    for _ in range(rng.integers(2, 12)):
        colour = tuple(float(c) for c in np.clip(wall + rng.normal(0, 45, 3), 5, 250))
        left, top = rng.integers(-60, width), rng.integers(-60, height)
        wide, high = rng.integers(15, width // 2), rng.integers(15, height)
        if rng.uniform() < 0.75:
            cv2.rectangle(
                room,
                (int(left), int(top)),
                (int(left + wide), int(top + high)),
                colour,
                -1,
            )
        else:
            cv2.circle(room, (int(left), int(top)), int(wide // 4), colour, -1)
    return cv2.GaussianBlur(room, (0, 0), rng.uniform(1.5, 9.0))


def _body(
    rng: np.random.Generator,
    room: np.ndarray,
    face: Face,
    light: Light,
    centre: np.ndarray,
    unit: float,
) -> np.ndarray:
    """Neck, shoulders and clothes in front of the room: float32 RGB."""
    height, width = room.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    x, y = (x - centre[0]) / unit, (y - centre[1]) / unit

    def paint(points: ArrayLike, colour: np.ndarray, blur: float = 0.0) -> None:
        mask = np.zeros((height, width), np.uint8)
        pixels = np.round((np.array(points) * unit + centre) * 32).astype(np.int32)
        cv2.fillPoly(mask, [pixels], 255, lineType=cv2.LINE_AA, shift=5)
        weight: np.ndarray = mask.astype(np.float32)[..., None] / 255
        if blur:
            weight = cv2.GaussianBlur(weight, (0, 0), blur * unit)[..., None]
        room[:] += weight * (colour - room)

    def lit(colour: ArrayLike, softness: float) -> np.ndarray:
        across = 1 - 0.5 * (x / softness) ** 2 * 0.6 + 0.35 * light.x * x / softness
        shade = light.ambient + light.diffuse * np.clip(across, 0.2, 1.2)
        return np.array(colour, np.float32) * shade[..., None]

    cloth = rng.uniform(15, 215, 3)
    shoulder = rng.uniform(1.55, 1.95)
    slope = rng.uniform(0.25, 0.45)
    neck = rng.uniform(0.36, 0.46)
    s = np.linspace(0, 1, 20)
    right = np.stack([0.3 + (shoulder - 0.3) * s, 1.22 + slope * s**1.6 + 0.1 * s], 1)
    sleeve = [[shoulder + 0.15, 2.2], [shoulder + 0.2, 6.0]]
    left = (right * [-1, 1])[::-1]
    other = [[-shoulder - 0.2, 6.0], [-shoulder - 0.15, 2.2]]
    torso = np.concatenate([right, sleeve, other, left])
    folds = cv2.GaussianBlur(
        rng.normal(0, 1, (height, width)).astype(np.float32), (0, 0), 0.12 * unit
    )
    folds = 1 + 0.06 * folds[..., None] / (folds.std() + 1e-6)
    skin = lit(face.skin, 0.75) * 0.9
    shadow = 0.62 + 0.38 * np.clip((y - 0.95) / 0.35, 0, 1)
    paint(torso, lit(cloth, 2.2) * folds)
    collar = rng.uniform(1.3, 1.75)
    paint([[-0.5, 1.2], [0.5, 1.2], [0.12, collar], [-0.12, collar]], skin)
    paint(
        [
            [-neck, 0.3],
            [neck, 0.3],
            [neck + 0.02, 1.1],
            [neck + 0.24, 1.34],
            [-neck - 0.24, 1.34],
            [-neck - 0.02, 1.1],
        ],
        skin * shadow[..., None],
    )
    if rng.uniform() < 0.5:
        for side in (-1, 1):
            flap = [
                [side * (neck + 0.05), 1.12],
                [side * (neck + 0.22), 1.24],
                [side * 0.2, collar + 0.12],
                [side * 0.08, collar],
            ]
            paint(flap, lit(np.clip(cloth * 1.15 + 8, 0, 240), 2.2))
    return np.clip(room, 0, 255)
