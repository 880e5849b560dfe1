"""Draws a head, seen from the front, with its eyes, brows and mouth as asked.

A head is drawn on a canvas in face units (`Canvas`), larger than it will be in the
picture, and is turned, moved and made smaller only afterwards.
"""

import dataclasses
import functools

import cv2
import numpy as np
from numpy.typing import ArrayLike

from pipelines.synthesis.face import Face

# The canvas reaches this far from the middle of the face, in face units.
_LEFT, _TOP, _RIGHT, _BOTTOM = -1.15, -1.5, 1.15, 1.5

# Sub-pixel bits of OpenCV's polygons.
_SHIFT = 5

_CIRCLE = np.stack([f(np.linspace(0, 2 * np.pi, 25)[:-1]) for f in (np.cos, np.sin)], 1)
_ACROSS_EYE, _ACROSS_BROW, _ACROSS_MOUTH = (np.linspace(-1, 1, n) for n in (15, 13, 25))


@dataclasses.dataclass(frozen=True)
class Light:
    """Where the light comes from and how strong it is."""

    x: float
    y: float
    ambient: float
    diffuse: float


@dataclasses.dataclass(frozen=True)
class Expression:
    """A face at one moment; see `Articulation` and `Motion` for the ranges."""

    opening: float
    width: float
    eyes: float
    gaze_x: float
    gaze_y: float
    brows: float


class Canvas:
    """Face units to pixels.

    Attributes:
      unit: Pixels of a face unit.
      size: (width, height) in pixels.
      x: `[1, width]`, face units of the columns.
      y: `[height, 1]`, face units of the rows.
    """

    def __init__(self, unit: float):
        self.unit = unit
        self.size = round((_RIGHT - _LEFT) * unit), round((_BOTTOM - _TOP) * unit)
        self.x = (np.arange(self.size[0], dtype=np.float32) / unit + _LEFT)[None, :]
        self.y = (np.arange(self.size[1], dtype=np.float32) / unit + _TOP)[:, None]

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Points `[n, 2]` in face units as OpenCV's fixed-point pixels."""
        scaled = (np.asarray(points) - (_LEFT, _TOP)) * self.unit * 2**_SHIFT
        return np.round(scaled).astype(np.int32)

    def box(
        self, left: float, top: float, right: float, bottom: float
    ) -> tuple[slice, slice]:
        """Slices (rows, columns) of a rectangle in face units."""
        return (
            slice(
                max(0, int((top - _TOP) * self.unit)), int((bottom - _TOP) * self.unit)
            ),
            slice(
                max(0, int((left - _LEFT) * self.unit)),
                int((right - _LEFT) * self.unit),
            ),
        )

    def fill(self, image: np.ndarray, points: np.ndarray, colour: ArrayLike) -> None:
        """Fills a polygon given in face units."""
        cv2.fillPoly(
            image,
            [self.pixels(points)],
            _scalar(colour),
            lineType=cv2.LINE_AA,
            shift=_SHIFT,
        )

    def line(
        self, image: np.ndarray, points: np.ndarray, colour: ArrayLike, thickness: float
    ) -> None:
        """Draws a line; `thickness` in face units."""
        cv2.polylines(
            image,
            [self.pixels(points)],
            False,
            _scalar(colour),
            thickness=max(1, round(thickness * self.unit)),
            lineType=cv2.LINE_AA,
            shift=_SHIFT,
        )

    def mask(self, points: np.ndarray, blur: float = 0.0) -> np.ndarray:
        """A polygon as float32 `[height, width]`, its edge `blur` units soft."""
        image = np.zeros(self.size[::-1], np.uint8)
        self.fill(image, points, 255)
        return self.soften(image.astype(np.float32) / 255, blur)

    def soften(self, image: np.ndarray, sigma: float) -> np.ndarray:
        """Gaussian blur by `sigma` face units."""
        if sigma <= 0:
            return image
        return cv2.GaussianBlur(image, (0, 0), sigma * self.unit)


class Head:
    """A face under a light, ready to be drawn in any expression."""

    def __init__(self, face: Face, light: Light, unit: float):
        self.face = face
        self.canvas = Canvas(unit)
        self._relief = _relief(face, self.canvas)
        self._shade = _shade(self._relief, light, self.canvas)
        self._still, alpha = self._draw_still()
        self.alpha = np.round(alpha * 255).astype(np.uint8)
        self._glasses = self._draw_glasses()
        self._eye_shade = self._shade_at(face.eye_distance, face.eye_height)
        self._mouth_shade = self._shade_at(0.0, face.mouth_height + 0.12)

    @property
    def depth(self) -> np.ndarray:
        """How far each point stands out, float32 `[height, width]`, face units."""
        return self._relief

    @functools.cached_property
    def jaw_weight(self) -> np.ndarray:
        """How much of the jaw's way each point goes, float32 `[height, width]`."""
        canvas, mouth = self.canvas, self.face.mouth_height
        weight = _step(canvas.y, mouth, mouth + 0.4) * np.exp(-((canvas.x / 0.75) ** 6))
        return weight.astype(np.float32)

    def draw(self, expression: Expression) -> np.ndarray:
        """The face without glasses: uint8 RGB `[height, width, 3]`."""
        image = self._still.copy()
        for side in (-1, 1):
            self._draw_eye(image, side, expression)
            self._draw_brow(image, side, expression)
        self._draw_mouth(image, expression)
        return image

    def put_on(self, image: np.ndarray) -> None:
        """Puts the glasses on a drawn face."""
        if self._glasses is None:
            return
        colour, alpha = self._glasses
        rows, columns = self._glasses_box
        part = image[rows, columns].astype(np.float32)
        part += alpha * (colour - part)
        image[rows, columns] = part.astype(np.uint8)

    def skin_colour(self) -> np.ndarray:
        """Mean colour of the lit skin in the middle of the face, float64 `[3]`."""
        rows, columns = self.canvas.box(-0.45, -0.05, 0.45, 0.75)
        return self._still[rows, columns].reshape(-1, 3).mean(axis=0)

    def _shade_at(self, x: float, y: float) -> float:
        rows, columns = self.canvas.box(x - 0.08, y - 0.05, x + 0.08, y + 0.05)
        return float(self._shade[rows, columns].mean())

    def _draw_still(self) -> tuple[np.ndarray, np.ndarray]:
        face, canvas = self.face, self.canvas
        rng = np.random.default_rng(face.texture)
        size = canvas.size[::-1]
        outline = canvas.mask(_outline(face))
        shade = self._shade[..., None]

        mottle = canvas.soften(rng.normal(0, 1, size).astype(np.float32), 0.05)
        mottle /= mottle.std() + 1e-6
        pores = canvas.soften(rng.normal(0, 1, size).astype(np.float32), 0.008)
        pores /= pores.std() + 1e-6
        red = sum(
            np.exp(
                -(((canvas.x - s * 0.4) / 0.2) ** 2) - ((canvas.y - 0.2) / 0.18) ** 2
            )
            for s in (-1, 1)
        ) + 0.7 * np.exp(-((canvas.x / 0.12) ** 2) - ((canvas.y - 0.2) / 0.14) ** 2)
        tone = np.array(face.skin, np.float32) * (
            1 + 0.025 * mottle[..., None] + 0.018 * pores[..., None]
        )
        # Skin is darker around the eyes and between eye and brow.
        sockets = [
            np.exp(
                -(((canvas.x - s * face.eye_distance) / 0.22) ** 2)
                - ((canvas.y - face.eye_height + 0.02) / 0.12) ** 2
            )
            for s in (-1, 1)
        ]
        tone *= 1 - 0.22 * (sockets[0] + sockets[1])[..., None] * np.array(
            [0.85, 1, 1], np.float32
        )
        tone *= 1 + red[..., None] * np.array([0.02, -0.04, -0.03], np.float32)

        # A beard hides the skin on cheeks, chin and lip alike.
        growth = canvas.soften(rng.uniform(0, 1, size).astype(np.float32), 0.006)
        growth = np.clip(
            (growth - growth.mean()) / (growth.std() + 1e-6) * 0.3 + 0.9, 0, 1
        )
        reach = 0.28 + 0.34 * np.exp(-((canvas.x / 0.34) ** 2))
        beard = _step(canvas.y, reach + 0.0, reach + 0.22) * face.beard
        moustache = face.moustache * np.exp(
            -((canvas.x / 0.26) ** 4)
            - ((canvas.y - face.mouth_height + 0.1) / 0.055) ** 4
        )
        hairy = (np.maximum(beard, moustache) * growth)[..., None]
        tone += hairy * (np.array(face.hair, np.float32) * 0.9 - tone)

        image = np.zeros((*size, 3), np.float32)
        alpha = np.zeros(size, np.float32)
        hair = self._hair_colour(rng)
        back = canvas.mask(_back_hair(face), 0.02)
        _over(image, alpha, hair * 0.72, back)
        for side in (-1, 1):
            ear = _ellipse(side * (face.cheek + 0.02), 0.02, 0.1, 0.22)
            inner = _ellipse(side * (face.cheek + 0.035), 0.02, 0.05, 0.14)
            _over(image, alpha, tone * shade * 0.86, canvas.mask(ear, 0.008))
            _over(image, alpha, tone * shade * 0.62, 0.6 * canvas.mask(inner, 0.02))
        _over(image, alpha, tone * shade, outline)
        self._draw_nostrils(image)
        fringe = canvas.mask(_front_hair(face), 0.012)
        # The hair's own shadow on the forehead.
        _over(
            image,
            alpha,
            image * 0.72,
            np.clip(canvas.soften(fringe, 0.05) - fringe, 0, 1) * alpha,
        )
        _over(image, alpha, hair, fringe)
        if face.hair_length > 0.2:
            locks = canvas.mask(_locks(face, -1), 0.015)
            locks = np.maximum(locks, canvas.mask(_locks(face, 1), 0.015))
            _over(image, alpha, hair * 0.9, locks)
        return np.clip(image, 0, 255).astype(np.uint8), alpha

    def _hair_colour(self, rng: np.random.Generator) -> np.ndarray:
        canvas = self.canvas
        strands: np.ndarray = rng.normal(0, 1, canvas.size[::-1]).astype(np.float32)
        strands = cv2.GaussianBlur(
            strands,
            (0, 0),
            sigmaX=0.012 * canvas.unit,
            sigmaY=0.12 * canvas.unit,
        )
        strands = strands / (strands.std() + 1e-6)
        gloss = np.exp(
            -(((np.hypot(canvas.x * 1.1, canvas.y + 0.1) - 0.88) / 0.1) ** 2)
        )
        light = 0.5 + 0.55 * self._shade + 0.12 * strands + 0.3 * gloss
        return (
            np.array(self.face.hair, np.float32) * light[..., None]
            + 10 * gloss[..., None]
        )

    def _draw_nostrils(self, image: np.ndarray) -> None:
        face, canvas = self.face, self.canvas
        tip = face.eye_height + 0.08 + face.nose_length + 0.05
        dark = np.zeros(canvas.size[::-1], np.float32)
        for side in (-1, 1):
            hole = _ellipse(side * face.nose_width * 0.5, tip + 0.035, 0.032, 0.018)
            dark = np.maximum(dark, 0.75 * canvas.mask(hole, 0.008))
            wing = _ellipse(side * face.nose_width * 1.02, tip - 0.01, 0.016, 0.05)
            dark = np.maximum(dark, 0.22 * canvas.mask(wing, 0.02))
        shadow = _ellipse(0.0, tip + 0.07, face.nose_width, 0.03)
        dark = np.maximum(dark, 0.25 * canvas.mask(shadow, 0.03))
        image *= 1 - dark[..., None] * np.array([0.75, 0.9, 0.9], np.float32)

    def _draw_glasses(self) -> tuple[np.ndarray, np.ndarray] | None:
        face, canvas = self.face, self.canvas
        if not face.glasses:
            return None
        rims = np.zeros(canvas.size[::-1], np.uint8)
        lenses = np.zeros(canvas.size[::-1], np.float32)
        wide, high, thick = 0.25, 0.2, face.glasses
        for side in (-1, 1):
            angle = np.linspace(0, 2 * np.pi, 49)
            power = face.glasses_round
            lens = np.stack(
                [
                    side * (face.eye_distance + 0.01)
                    + wide * np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power,
                    face.eye_height
                    + 0.04
                    + high * np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power,
                ],
                axis=1,
            )
            canvas.line(rims, lens, 255, thick)
            lenses = np.maximum(lenses, canvas.mask(lens))
            edge = face.eye_distance + wide
            arm = [[side * edge, face.eye_height], [side * face.cheek, -0.1]]
            canvas.line(rims, np.array(arm), 255, thick)
        bridge = face.eye_distance - wide
        canvas.line(
            rims,
            np.array([[-bridge, face.eye_height], [bridge, face.eye_height]]),
            255,
            thick,
        )
        rim = rims.astype(np.float32)[..., None] / 255
        glint = np.exp(-((((canvas.x - canvas.y * 0.5 + 0.1) % 0.6 - 0.3) / 0.06) ** 2))
        alpha = np.maximum(
            0.93 * rim, (0.05 + 0.09 * glint)[..., None] * lenses[..., None]
        )
        colour = np.array(face.glasses_colour, np.float32) * rim + 220 * (1 - rim)
        self._glasses_box = canvas.box(-0.95, face.eye_height - 0.3, 0.95, 0.3)
        rows, columns = self._glasses_box
        return colour[rows, columns], alpha[rows, columns]

    def _draw_eye(self, image: np.ndarray, side: int, expression: Expression) -> None:
        face, canvas = self.face, self.canvas
        x, y, half = side * face.eye_distance, face.eye_height, face.eye_width
        high = face.eye_opening * expression.eyes
        rows, columns = canvas.box(x - half - 0.06, y - 0.16, x + half + 0.06, y + 0.14)
        s = _ACROSS_EYE
        lift = 0.016 * s * side
        upper = np.stack([x + half * s, y - lift - high * (1 - s**2) ** 0.8], axis=1)
        lower = np.stack([x + half * s, y - lift + 0.5 * high * (1 - s**2)], axis=1)
        if high > 0.012:
            ball = np.zeros_like(image[rows, columns])
            light = self._eye_shade
            ball[:] = np.clip(np.array([226, 220, 214]) * light, 0, 255)
            offset = np.array([columns.start / canvas.unit, rows.start / canvas.unit])
            at = np.array(
                [x + 0.05 * expression.gaze_x, y - 0.012 + 0.03 * expression.gaze_y]
            )
            for radius, colour in (
                (0.078, np.array(face.iris) * 0.55 * light),
                (0.066, np.array(face.iris) * 1.1 * light),
                (0.034, np.array([12, 10, 10])),
            ):
                canvas.fill(ball, _CIRCLE * radius + (at - offset), colour)
            glint = at - offset + [-0.025, -0.028]
            canvas.fill(ball, _CIRCLE * 0.016 + glint, (245, 245, 245))
            mask = np.zeros(ball.shape[:2], np.uint8)
            canvas.fill(mask, np.concatenate([upper, lower[::-1]]) - offset, 255)
            weight = mask[..., None].astype(np.float32) / 255
            # The upper lid shades the ball.
            shade = 0.75 + 0.25 * _step(canvas.y[rows], y - high, y + 0.2 * high)
            skin = image[rows, columns]
            inside = skin + weight * (ball * shade[..., None] - skin)
            image[rows, columns] = inside.astype(np.uint8)
        skin = np.array(face.skin) * self._eye_shade
        canvas.line(image, lower, skin * 0.62, 0.012)
        canvas.line(image, upper, skin * 0.16, 0.034)
        crease = upper - [0, 0.03 + 0.35 * high]
        canvas.line(image, crease[2:-2], skin * 0.72, 0.012)
        image[rows, columns] = cv2.GaussianBlur(
            image[rows, columns], (0, 0), max(0.35, 0.006 * canvas.unit)
        )

    def _draw_brow(self, image: np.ndarray, side: int, expression: Expression) -> None:
        face, canvas = self.face, self.canvas
        y = face.eye_height - face.brow_height - 0.035 * expression.brows
        s = _ACROSS_BROW
        x = side * (face.eye_distance + 0.21 * s + 0.01)
        arch = y - 0.045 * (1 - s**2) + face.brow_slope * s
        thick = face.brow_thickness * (1.0 - 0.55 * np.clip(s, 0, 1)) * 0.6
        points = np.concatenate(
            [np.stack([x, arch - thick], 1), np.stack([x, arch + thick], 1)[::-1]]
        )
        rows, columns = canvas.box(
            points[:, 0].min() - 0.06, y - 0.16, points[:, 0].max() + 0.06, y + 0.14
        )
        part = image[rows, columns]
        mask = np.zeros(part.shape[:2], np.uint8)
        offset = np.array([columns.start / canvas.unit, rows.start / canvas.unit])
        canvas.fill(mask, points - offset, 255)
        weight = canvas.soften(mask.astype(np.float32) / 255, 0.014)[..., None] * 0.85
        brow = np.minimum(np.array(face.hair), np.array(face.skin) * 0.75)
        colour = brow * 0.6 * self._eye_shade
        image[rows, columns] = (part + weight * (colour - part)).astype(np.uint8)

    def _draw_mouth(self, image: np.ndarray, expression: Expression) -> None:
        face, canvas = self.face, self.canvas
        light = self._mouth_shade
        shape = mouth_shape(face, expression.opening, expression.width)
        y, half, up, down = shape
        s = _ACROSS_MOUTH
        dome = 1 - s**2
        rounding = 1.18 - 0.3 * expression.width
        bow = 1 - 0.28 * np.exp(-((s / 0.16) ** 2))
        inner_half = half * (0.93 - 0.12 * (up + down < 0.02))
        upper_in = np.stack([s * inner_half, y - up * dome**0.8], 1)
        lower_in = np.stack([s * inner_half, y + down * dome**0.7], 1)
        upper_out = np.stack(
            [
                s * half,
                y - up * dome - face.upper_lip * rounding * bow * dome**0.6,
            ],
            1,
        )
        lower_out = np.stack(
            [s * half, y + down * dome**0.8 + face.lower_lip * rounding * dome**0.6],
            1,
        )
        rows, columns = canvas.box(
            -half - 0.1, y - up - 0.2, half + 0.1, y + down + face.lower_lip + 0.14
        )
        part = image[rows, columns].copy()
        offset = np.array([columns.start / canvas.unit, rows.start / canvas.unit])
        lips = np.array(face.lips) * light

        def fill(points: np.ndarray, colour: ArrayLike) -> None:
            canvas.fill(part, points - offset, np.clip(colour, 0, 255))

        # The fold under the lower lip.
        canvas.line(
            part,
            lower_out[7:-7] + [0, 0.035] - offset,
            part[-2, part.shape[1] // 2] * 0.8,
            0.03,
        )
        part[:] = cv2.GaussianBlur(part, (0, 0), 0.02 * canvas.unit)
        fill(np.concatenate([upper_out, upper_in[::-1]]), lips * 0.84)
        fill(np.concatenate([lower_in, lower_out[::-1]]), lips)
        shine = lower_in[8:-8] + [0, face.lower_lip * 0.5]
        canvas.line(part, shine - offset, np.clip(lips * 1.2 + 8, 0, 255), 0.03)
        gap = up + down
        if gap > 0.012:
            opening = np.concatenate([upper_in, lower_in[::-1]])
            hole = np.zeros_like(part)
            hole[:] = np.array([46, 16, 16]) * light
            deep = np.array([y + down * 1.02])
            tongue = _ellipse(0, float(deep[0]), inner_half * 0.62, 0.42 * down)
            canvas.fill(hole, tongue - offset, np.array([158, 72, 72]) * light)
            teeth = upper_in.copy()
            teeth[:, 1] = y - up + 0.07 - 0.02 * s**2
            biting = np.concatenate([upper_in - [0, 0.02], teeth[::-1]])
            biting[:, 0] *= 0.86
            canvas.fill(hole, biting - offset, np.array([222, 214, 198]) * light)
            mask = np.zeros(part.shape[:2], np.uint8)
            canvas.fill(mask, opening - offset, 255)
            weight = mask[..., None].astype(np.float32) / 255
            part = (part + weight * (hole.astype(np.float32) - part)).astype(np.uint8)
        canvas.line(part, upper_in - offset, lips * 0.38, 0.014)
        image[rows, columns] = cv2.GaussianBlur(
            part, (0, 0), max(0.4, 0.009 * canvas.unit)
        )


def mouth_shape(face: Face, opening: float, width: float) -> tuple[float, ...]:
    """Height of the mouth's line, half its width, gap above and below the line."""
    gap = face.mouth_gap * float(np.clip(opening, 0, 1.1))
    half = face.mouth_width * (0.66 + 0.42 * width - 0.05 * opening)
    return face.mouth_height, half, 0.22 * gap, 0.78 * gap


def jaw_drop(face: Face, opening: float) -> float:
    """How far the chin goes down with the mouth, in face units."""
    return 0.42 * face.mouth_gap * opening


def _scalar(colour: ArrayLike) -> tuple[float, ...]:
    return tuple(float(c) for c in np.atleast_1d(colour))


def _over(
    image: np.ndarray, alpha: np.ndarray, colour: np.ndarray, mask: np.ndarray
) -> None:
    """Lays `colour` over a premultiplied picture in place."""
    image += mask[..., None] * (colour - image)
    alpha += mask * (1 - alpha)


def _step(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, smooth between."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


def _half_width(face: Face, y: np.ndarray) -> np.ndarray:
    """Half the width of the head at height `y`."""
    above = np.sqrt(np.clip(1 - (y / 1.15) ** 2, 0, 1))
    below = np.clip(1 - np.clip(y, 0, 1) ** face.jaw, 0, 1) ** 0.62
    return face.cheek * np.where(y < 0, above, below)


def _outline(face: Face) -> np.ndarray:
    y = 0.5 - 0.5 * np.cos(np.linspace(0, np.pi, 60))
    y = -1.15 + 2.15 * y
    half = _half_width(face, y)
    return np.concatenate([np.stack([half, y], 1), np.stack([-half, y], 1)[::-1]])


def _ellipse(x: float, y: float, a: float, b: float) -> np.ndarray:
    return _CIRCLE * (a, b) + (x, y)


def _back_hair(face: Face) -> np.ndarray:
    angle = np.linspace(np.pi, 2 * np.pi, 40)
    wide = face.cheek + 0.06 + face.hair_volume
    arc = np.stack([wide * np.cos(angle), (1.15 + face.hair_volume) * np.sin(angle)], 1)
    bottom = max(face.hair_length, 0.0)
    flare = 1.0 + 0.1 * (bottom > 0.5)
    foot = [[wide * flare, bottom * 0.8], [wide * 0.8, bottom + 0.05]]
    foot += [[-wide * 0.8, bottom + 0.05], [-wide * flare, bottom * 0.8]]
    return np.concatenate([arc, foot])


def _front_hair(face: Face) -> np.ndarray:
    angle = np.linspace(np.pi, 2 * np.pi, 40)
    volume = face.hair_volume
    arc = np.stack(
        [
            (face.cheek + 0.03 + 0.6 * volume) * np.cos(angle),
            (1.15 + volume) * np.sin(angle),
        ],
        1,
    )
    temple = min(face.hair_length, -0.1)
    x = np.linspace(1, -1, 31)
    line = face.hairline + 0.12 * np.abs(x - face.parting) ** 1.5
    line = line + (temple - line) * np.clip((np.abs(x) - 0.72) / 0.28, 0, 1) ** 1.2
    edge = np.stack([x * (face.cheek + 0.02), line], 1)
    return np.concatenate([arc, edge])


def _locks(face: Face, side: int) -> np.ndarray:
    outer = face.cheek + 0.05 + face.hair_volume
    points = [
        [face.cheek * 0.92, -0.5],
        [outer, -0.5],
        [outer * 1.06, 0.3],
        [outer * 1.04, face.hair_length],
        [outer * 0.9, face.hair_length + 0.08],
        [face.cheek * 0.97, face.hair_length * 0.9],
        [face.cheek * 1.01, 0.2],
    ]
    return np.array(points) * [side, 1]


def _relief(face: Face, canvas: Canvas) -> np.ndarray:
    """How far each point of the head stands out, float32, face units."""
    x, y = canvas.x, canvas.y
    half = np.maximum(_half_width(face, y), 1e-3)
    across = np.sqrt(np.clip(1 - (x / half) ** 2, 0, 1))
    along = np.sqrt(np.clip(1 - ((y + 0.05) / 1.12) ** 2, 0, 1))
    z = 0.72 * across * (0.35 + 0.65 * along)

    def bump(
        height: float, at_x: float, at_y: float, wide: float, high: float
    ) -> np.ndarray:
        return height * np.exp(-(((x - at_x) / wide) ** 2) - ((y - at_y) / high) ** 2)

    eye, top = face.eye_height, face.eye_height + 0.08
    tip = top + face.nose_length
    ridge = _step(y, eye - 0.05, tip) * (1 - _step(y, tip + 0.02, tip + 0.1))
    z = z + face.nose_height * ridge * np.exp(-((x / (0.55 * face.nose_width)) ** 2))
    z = z + bump(0.06, 0, tip, face.nose_width * 0.8, 0.06)
    for side in (-1, 1):
        z = z + bump(0.045, side * face.nose_width * 0.8, tip + 0.01, 0.05, 0.05)
        z = z + bump(-0.09, side * face.eye_distance, eye, 0.2, 0.11)
        z = z + bump(0.05, side * 0.3, eye - face.brow_height, 0.24, 0.07)
        z = z + bump(0.06, side * 0.42, 0.17, 0.2, 0.17)
    z = z + bump(0.05, 0, face.mouth_height, 0.3, 0.17)
    z = z + bump(0.06, 0, 0.86, 0.17, 0.12)
    return canvas.soften(z.astype(np.float32), 0.018)


def _shade(relief: np.ndarray, light: Light, canvas: Canvas) -> np.ndarray:
    """Brightness of each point under `light`, float32, about 1."""
    dy, dx = np.gradient(relief, 1 / canvas.unit)
    length = np.sqrt(dx**2 + dy**2 + 1)
    lz = np.sqrt(max(0.05, 1 - light.x**2 - light.y**2))
    lambert = (-dx * light.x - dy * light.y + lz) / length
    wrapped = np.clip((lambert + 0.25) / 1.25, 0, 1)
    # Half-way vector for a viewer in front.
    norm = np.sqrt(light.x**2 + light.y**2 + (lz + 1) ** 2)
    gloss = (-dx * light.x - dy * light.y + lz + 1) / length / norm
    shade = light.ambient + light.diffuse * wrapped + 0.16 * np.clip(gloss, 0, 1) ** 28
    return np.clip(canvas.soften(shade.astype(np.float32), 0.012), 0.05, 1.35)
