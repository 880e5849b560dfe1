"""Self-blended faces: forged pictures made of real ones (Shiohara and Yamasaki 2022).

"Detecting Deepfakes with Self-Blended Images", CVPR 2022. A face is laid over itself,
a little moved, scaled and recoloured, softer or sharper, under a soft mask. What such a
picture shows is what every swap leaves, whoever's face it brings: an edge of blending,
two sources that do not match. Where the face is follows from how crops are cut
(`preprocessing.crops.crop_window`); records carry no landmarks, so the mask is an oval
that is dented at random instead of their hull.

The same in all frames of a chunk but for a tremble. Stateless: the same seed gives the
same pictures.
"""

import dataclasses
import math

import tensorflow as tf

from tfmds.common.errors import InputError
from tfmds.data import augmentation
from tfmds.data.face_records import IN_TRACK
from tfmds.spec import ChunkSpec, ViewConfig

# The least side of a picture in which an edge of blending can be seen.
MIN_SIZE = 112

# Centre (row, column) and radii of the face as shares of the crop: the detected box
# reaches from the crop's upper edge down 2 / 2.8 of it, and is narrower than high.
_CENTRE = (0.37, 0.5)
_RADII = (0.32, 0.25)
# Share of the chunks of which only the lower face is laid over, as lip-sync tools do.
_LOWER = 0.25
_LOWER_CENTRE = (0.53, 0.5)
_LOWER_RADII = (0.17, 0.2)
# Largest change of the radii, of the centre, and depth of the dents.
_RESIZED = 0.2
_MOVED_MASK = 0.04
_DENT = 0.06
# Width of the mask's edge, as a share of the radius.
_EDGE = (0.12, 0.4)
# How much of the face is laid over.
_OPACITY = (0.6, 1.0)
# Largest move of the face, as a share of the crop's side, and change of its size.
_MOVED = 0.03
_SCALED = 0.05
# Standard deviation of the tremble from frame to frame, as a share of the side.
_TREMBLE = 0.004
# Largest change of each colour, of all, and of the distance from grey.
_TINT = 0.08
_BRIGHTNESS = 0.12
_CONTRAST = 0.12
_SATURATION = 0.3
# Softened to what share of the pixels at least, sharpened by how much at most.
_SOFTENED = 0.35
_SHARPENED = 1.5
# Lowest JPEG quality of the face, and of what comes out, blended or not.
_FACE_QUALITY = 30
_QUALITY = 50


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the crop of a track would lie on a picture, whose shares are those above.

    Attributes:
      top: Of its upper edge, as a share of the picture's side.
      left: The same of its left edge.
      side: The same of its side.
    """

    top: tf.Tensor | float = 0.0
    left: tf.Tensor | float = 0.0
    side: tf.Tensor | float = 1.0

    @classmethod
    def of(cls, box: tf.Tensor) -> "Place":
        """Around a face's square: left, top, right, bottom as shares, float `[4]`."""
        side = (box[2] - box[0]) / (IN_TRACK[2] - IN_TRACK[0])
        return cls(box[1] - IN_TRACK[1] * side, box[0] - IN_TRACK[0] * side, side)


def check(spec: ChunkSpec, view: ViewConfig) -> None:
    """Makes sure that faces can be blended where the network would see it.

    Raises:
      InputError: It sees another region than the face, or too few pixels of it.
    """
    if view.region != "face" or min(view.image_size, spec.crop_size) < MIN_SIZE:
        raise InputError(
            f"self_blend needs faces of at least {MIN_SIZE} pixels, and the network"
            f" sees the region {view.region} at {view.image_size} pixels of crops of"
            f" {spec.crop_size}. Choose --region=face and --image_size={MIN_SIZE} or"
            " more, and preprocess with as large a --crop_size; or leave out"
            " --self_blend"
        )


def maybe_blend(
    frames: tf.Tensor, is_real: tf.Tensor, share: float, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Blends a share of the real chunks.

    All chunks pass JPEG once more, so that not that tells which were blended.

    Args:
      frames: uint8 `[t, s, s, 3]`, whole face crops.
      is_real: bool `[]`; fakes are never blended.
      share: Of the real chunks.
      seed: int `[2]`.

    Returns:
      The same shape and dtype, and bool `[]`, whether it was blended.
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)
    draw = tf.random.stateless_uniform([2], seeds[0])
    chosen = is_real & (draw[0] < share)
    frames = tf.cond(chosen, lambda: blend(frames, seeds[1]), lambda: frames)
    quality = _QUALITY + (100 - _QUALITY) * draw[1]
    return augmentation.compress(frames, quality), chosen


def blend(frames: tf.Tensor, seed: tf.Tensor, place: Place | None = None) -> tf.Tensor:
    """Lays each face over itself.

    Args:
      frames: uint8 `[t, s, s, 3]`.
      seed: int `[2]`.
      place: Where the face is, where these are not crops of a track.

    Returns:
      The same shape and dtype.
    """
    place = place or Place()
    seeds = tf.random.experimental.stateless_split(seed, 4)
    draw = tf.random.stateless_uniform([3], seeds[0])
    count, side = frames.shape[0], frames.shape[1]
    pictures = tf.cast(frames, tf.float32)
    changed = _restyle(pictures, seeds[1])
    # Either the face that is laid over differs from the picture, or the picture does.
    face, ground = tf.cond(
        draw[0] < 0.5, lambda: (changed, pictures), lambda: (pictures, changed)
    )
    face = _move(face, _moves(count, side, seeds[2]), place)
    weight = face_mask(side, seeds[3], place) * _between(_OPACITY, draw[1])
    mixed = ground + weight[None, ..., None] * (face - ground)
    return tf.cast(tf.clip_by_value(tf.round(mixed), 0, 255), tf.uint8)


def face_mask(side: int, seed: tf.Tensor, where: Place | None = None) -> tf.Tensor:
    """A soft, dented oval over the face or its lower half, float32 `[s, s]` 0 to 1."""
    where = where or Place()
    draw = tf.random.stateless_uniform([12], seed)
    sign = 2 * draw - 1
    lower = draw[0] < _LOWER
    centre = tf.where(lower, _LOWER_CENTRE, _CENTRE) + _MOVED_MASK * sign[1:3]
    radii = tf.where(lower, _LOWER_RADII, _RADII) * (1 + _RESIZED * sign[3:5])
    place = (tf.range(side, dtype=tf.float32) + 0.5) / side
    row, column = ((place - x) / where.side for x in (where.top, where.left))
    down = (row[:, None] - centre[0]) / radii[0]
    across = (column[None] - centre[1]) / radii[1]
    angle = tf.atan2(down, across)
    rim = 1.0 + tf.add_n(
        [
            _DENT * sign[4 + k] * tf.cos(k * angle + math.pi * sign[7 + k])
            for k in (2, 3, 4)
        ]
    )
    inside = (1 - tf.sqrt(down**2 + across**2) / rim) / _between(_EDGE, draw[5])
    inside = tf.clip_by_value(inside, 0, 1)
    # Level at both ends, so that the edge itself has no edge.
    return inside**2 * (3 - 2 * inside)


def _restyle(pictures: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Other colours, and softer, sharper or compressed: float32 `[t, s, s, 3]`."""
    draw = tf.random.stateless_uniform([9], seed)
    sign = 2 * draw - 1
    grey = tf.fill([3, 3], 1 / 3)
    colour = grey + (tf.eye(3) - grey) * (1 + _SATURATION * sign[0])
    contrast = 1 + _CONTRAST * sign[1]
    tint = 1 + _TINT * sign[2:5] + _BRIGHTNESS * sign[5]
    offset = (1 - contrast) * tf.reduce_mean(pictures)
    flat = (tf.reshape(pictures, [-1, 3]) @ (colour * contrast) + offset) * tint
    restyled = tf.reshape(flat, pictures.shape)
    share = _between((_SOFTENED, 0.9), draw[6])

    def sharpened() -> tf.Tensor:
        soft = augmentation.soften(restyled, 0.6)
        return restyled + _SHARPENED * draw[6] * (restyled - soft)

    def compressed() -> tf.Tensor:
        whole = tf.cast(tf.clip_by_value(restyled, 0, 255), tf.uint8)
        quality = _between((_FACE_QUALITY, 80), draw[6])
        return tf.cast(augmentation.compress(whole, quality), tf.float32)

    way = tf.cast(draw[7] * 4, tf.int32)
    restyled = tf.switch_case(
        tf.minimum(way, 3),
        [
            lambda: augmentation.soften(restyled, share),
            sharpened,
            compressed,
            lambda: restyled,
        ],
    )
    return tf.clip_by_value(restyled, 0, 255)


def _moves(count: int, side: int, seed: tf.Tensor) -> tf.Tensor:
    """Scale and move in pixels (along x, y) of the face in each frame, `[t, 3]`."""
    seeds = tf.random.experimental.stateless_split(seed, 2)
    sign = tf.random.stateless_uniform([4], seeds[0], -1.0, 1.0)
    tremble = tf.random.stateless_normal([count, 2], seeds[1])
    move = side * (_MOVED * sign[1:3] + _TREMBLE * tf.abs(sign[3]) * tremble)
    return tf.concat([tf.fill([count, 1], 1 + _SCALED * sign[0]), move], 1)


def _move(pictures: tf.Tensor, moves: tf.Tensor, place: Place) -> tf.Tensor:
    """Scales each picture about the face's centre and moves it."""
    side = pictures.shape[1]
    scale, right, down = tf.unstack(moves * [1.0, place.side, place.side], axis=1)
    row = (place.top + _CENTRE[0] * place.side) * (side - 1)
    column = (place.left + _CENTRE[1] * place.side) * (side - 1)
    zero = tf.zeros_like(scale)
    # From a place in the output to that in the input.
    matrices = tf.stack(
        [
            *(1 / scale, zero, column - (column + right) / scale),
            *(zero, 1 / scale, row - (row + down) / scale),
            *(zero, zero),
        ],
        axis=1,
    )
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=matrices,
        output_shape=pictures.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _between(ends: tuple[float, float], share: tf.Tensor) -> tf.Tensor:
    return ends[0] + (ends[1] - ends[0]) * share
