"""What makes a clip hard without forging it, as the test videos of DFDC have it.

Dolhansky et al. 2020, "The DeepFake Detection Challenge (DFDC) Dataset": faces, words
and shapes fly over the picture, or all of it is flipped, turned, blurred, darker or
shown at fewer pictures a second.
"""

import dataclasses

import cv2
import numpy as np

from pipelines.synthesis.face import draw_face
from pipelines.synthesis.head import Expression, Head, Light

_FACE, _WORDS, _SHAPE = "face", "words", "shape"
_FLIP, _TURN, _BLUR, _BRIGHTNESS, _RATE = "flip", "turn", "blur", "brightness", "rate"
_WORDS_SHOWN = ("BREAKING", "subscribe", "LIVE", "12:45", "real or fake?")


class Distractors:
    """The distractors of one clip: one to four that fly, and perhaps one of the whole.

    Attributes:
      size: (width, height) of the pictures that come out.
    """

    def __init__(self, rng: np.random.Generator, size: tuple[int, int], count: int):
        """Draws them.

        Args:
          rng: Where chance comes from.
          size: (width, height) of the clip's pictures.
          count: How many there are.
        """
        self._flying = []
        self._shares = np.linspace(0, 1, max(2, count))
        for _ in range(rng.integers(1, 5)):
            name = str(rng.choice([_FACE, _WORDS, _SHAPE]))
            self._flying.append(_Flying.draw(rng, _SPRITES[name](rng, size), size))
        self._whole = str(rng.choice(["", _FLIP, _TURN, _BLUR, _BRIGHTNESS, _RATE]))
        self._quarters = int(rng.integers(1, 4))
        self._strength = float(rng.uniform(0.5, 1))
        self._held: np.ndarray | None = None
        is_lying = self._whole == _TURN and self._quarters % 2
        self.size = size[::-1] if is_lying else size

    def put_on(self, picture: np.ndarray, frame: int) -> np.ndarray:
        """The picture with its distractors.

        Args:
          picture: uint8 RGB `[height, width, 3]`.
          frame: Its number; pictures come in order.
        """
        for flying in self._flying:
            picture = flying.put_on(picture, self._shares[frame])
        if self._whole == _RATE:
            # Every other picture, or two of three, are the one before.
            if self._held is None or frame % (2 + (self._strength > 0.75)) == 0:
                self._held = picture
            return self._held
        if self._whole == _FLIP:
            return np.ascontiguousarray(picture[:, ::-1])
        if self._whole == _TURN:
            return np.ascontiguousarray(np.rot90(picture, -self._quarters))
        if self._whole == _BLUR:
            return cv2.GaussianBlur(picture, (0, 0), 2.5 * self._strength)
        if self._whole == _BRIGHTNESS:
            return cv2.convertScaleAbs(picture, alpha=0.4 + 0.5 * self._strength)
        return picture


@dataclasses.dataclass(frozen=True)
class _Flying:
    """Something that crosses the picture on a straight line, and turns meanwhile."""

    # uint8 RGBA `[h, w, 4]`, colours multiplied by alpha.
    sprite: np.ndarray
    # Its centre in pixels at the beginning and at the end of the clip.
    start: np.ndarray
    end: np.ndarray
    # In radians.
    angle: float
    turning: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, sprite: np.ndarray, size: tuple[int, int]
    ) -> "_Flying":
        return cls(
            sprite,
            rng.uniform(-0.1, 1.1, 2) * size,
            rng.uniform(-0.1, 1.1, 2) * size,
            angle=rng.uniform(-0.6, 0.6),
            turning=rng.uniform(-3, 3) * float(rng.uniform() < 0.5),
        )

    def put_on(self, picture: np.ndarray, share: float) -> np.ndarray:
        height, width = picture.shape[:2]
        centre = self.start + share * (self.end - self.start)
        angle = self.angle + share * self.turning
        turn = np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        middle = np.array(self.sprite.shape[1::-1]) / 2
        matrix = np.column_stack([turn, centre - turn @ middle])
        placed = cv2.warpAffine(self.sprite, matrix, (width, height))
        clear = 255 - cv2.extractChannel(placed, 3)
        behind = cv2.multiply(picture, cv2.merge([clear] * 3), scale=1 / 255)
        return cv2.add(behind, cv2.cvtColor(placed, cv2.COLOR_RGBA2RGB))


def _face(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A painting of a face in its frame."""
    unit = rng.uniform(0.2, 0.4) * min(size) / 1.75
    light = Light(x=rng.uniform(-0.5, 0.5), y=-0.3, ambient=0.45, diffuse=0.5)
    head = Head(draw_face(rng), light, unit)
    painted = head.draw(Expression(rng.uniform(0, 0.6), 0.0, 1.0, 0.0, 0.0, 0.0))
    clear = 255 - head.alpha
    wall = np.full_like(painted, 0) + rng.integers(40, 220, 3).astype(np.uint8)
    behind = cv2.multiply(wall, cv2.merge([clear] * 3), scale=1 / 255)
    painting = cv2.add(behind, painted)
    edge = max(2, round(0.1 * unit))
    framed = cv2.merge([painting, np.full_like(clear, 255)])
    return cv2.copyMakeBorder(
        framed, edge, edge, edge, edge, cv2.BORDER_CONSTANT, value=(70, 45, 20, 255)
    )


def _words(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    words = str(rng.choice(_WORDS_SHOWN))
    font, scale = cv2.FONT_HERSHEY_DUPLEX, min(size) / rng.uniform(150, 300)
    thickness = max(1, round(2 * scale))
    (width, height), below = cv2.getTextSize(words, font, scale, thickness)
    sprite = np.zeros((height + below + 8, width + 8, 4), np.uint8)
    colour = (*rng.integers(0, 256, 3).tolist(), 255)
    cv2.putText(sprite, words, (4, height + 4), font, scale, colour, thickness)
    return sprite


def _shape(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """A polygon of three to eight corners, some of them seen through."""
    side = int(rng.uniform(0.1, 0.35) * min(size))
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 9)))
    points = side / 2 * (1 + 0.9 * np.stack([np.cos(angles), np.sin(angles)], axis=1))
    sprite = np.zeros((side, side, 4), np.uint8)
    opacity = rng.uniform(0.5, 1)
    colour = opacity * np.append(rng.uniform(0, 255, 3), 255)
    cv2.fillPoly(sprite, [points.round().astype(np.int32)], colour.tolist())
    return sprite


_SPRITES = {_FACE: _face, _WORDS: _words, _SHAPE: _shape}
