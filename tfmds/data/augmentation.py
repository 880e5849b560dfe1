"""Variation of training chunks, alike for all frames of a chunk; stateless."""

from collections.abc import Sequence

import tensorflow as tf

# Largest move of the window, as a share of its side, and largest change of its size.
_SHIFT = 0.12
_ZOOM = 0.2
# Largest turn in radians.
_TURN = 0.15
# Share of chunks a part of whose pictures is covered, and its largest side as a share.
_COVERED = 0.2
_COVER = 0.4
_BRIGHTNESS = 0.2
_CONTRAST = 0.2
_SATURATION = 0.5
# Share of chunks whose pictures are blurred, and to what share of the pixels at most.
_BLURRED = 0.3
_BLUR = 0.4
# Share of chunks whose pictures pass JPEG once more, and the lowest quality.
_COMPRESSED = 0.2
_QUALITY = 20
# Standard deviation of the noise on MFCC frames, as a share of each coefficient's own.
_MFCC_NOISE = 0.2
# Largest gain in nepers on the first coefficient, which is a log energy.
_GAIN = 1.0
# Longest masks on the MFCC, in frames and in coefficients (SpecAugment, Park 2019).
_TIME_MASK = 12
_COEFFICIENT_MASK = 2


def shifted_window(box: Sequence[int], side: int, seed: tf.Tensor) -> tf.Tensor:
    """Moves and scales a window (top, left, height, width) inside the face crop.

    Args:
      box: Where it stands by rights, in pixels.
      side: Side of the face crop in pixels.
      seed: int `[2]`.

    Returns:
      int32 `[4]`.
    """
    top, left, height, width = box
    move = tf.random.stateless_uniform([3], seed, -1.0, 1.0)
    zoom = 1 + _ZOOM * move[0]
    size = tf.minimum(tf.stack([height * zoom, width * zoom]), float(side))
    centre = tf.stack([top + height / 2, left + width / 2])
    first = centre - size / 2 + _SHIFT * size * move[1:]
    first = tf.clip_by_value(first, 0.0, side - size)
    return tf.cast(tf.concat([first, size], 0), tf.int32)


def vary(
    frames: tf.Tensor, mfcc: tf.Tensor, seed: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Varies a chunk's pictures and sound.

    Args:
      frames: uint8 `[t, s, s, 3]`.
      mfcc: float32 `[13, 99]`.
      seed: int `[2]`.

    Returns:
      The same shapes and dtypes.
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)
    return vary_frames(frames, seeds[0]), vary_mfcc(mfcc, seeds[1])


def vary_frames(frames: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors, turns, relights, blurs, compresses, covers uint8 `[t, s, s, 3]`."""
    draw = tf.random.stateless_uniform([14], seed)
    sign = 2 * draw - 1
    frames = tf.cond(draw[0] < 0.5, lambda: tf.reverse(frames, [2]), lambda: frames)
    pictures = _turn(tf.cast(frames, tf.float32), _TURN * sign[9])
    # One matrix on the colours: towards or from grey, away from the mean, tinted.
    grey = tf.fill([3, 3], 1 / 3)
    colour = grey + (tf.eye(3) - grey) * (1 + _SATURATION * sign[6])
    contrast = 1 + _CONTRAST * sign[5]
    tint = 1 + _BRIGHTNESS * (0.7 * sign[1] + 0.3 * sign[2:5])
    offset = (1 - contrast) * tf.reduce_mean(pictures) * tint
    flat = tf.reshape(pictures, [-1, 3]) @ (colour * contrast * tint) + offset
    pictures = tf.reshape(flat, frames.shape)
    share = _BLUR + (1 - _BLUR) * draw[7] / _BLURRED
    pictures = tf.cond(
        draw[7] < _BLURRED, lambda: soften(pictures, share), lambda: pictures
    )
    pictures = tf.cond(
        draw[10] < _COVERED, lambda: _cover(pictures, draw[11:14]), lambda: pictures
    )
    frames = tf.cast(tf.clip_by_value(pictures, 0, 255), tf.uint8)
    quality = _QUALITY + (100 - _QUALITY) * draw[8] / _COMPRESSED
    return tf.cond(
        draw[8] < _COMPRESSED, lambda: compress(frames, quality), lambda: frames
    )


def vary_mfcc(mfcc: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Adds gain and noise to MFCC float32 `[13, 99]`, and masks times and coefficients.

    What is masked becomes the coefficient's mean over the chunk.
    """
    seeds = tf.random.experimental.stateless_split(seed, 2)
    draw = tf.random.stateless_uniform([5], seeds[0])
    mean = tf.reduce_mean(mfcc, 1, keepdims=True)
    spread = tf.math.reduce_std(mfcc, axis=1, keepdims=True)
    noise = tf.random.stateless_normal(tf.shape(mfcc), seeds[1])
    gain = tf.pad([[_GAIN * (2 * draw[0] - 1)]], [[0, mfcc.shape[0] - 1], [0, 0]])
    varied = mfcc + _MFCC_NOISE * spread * noise
    times = _mask(mfcc.shape[1], _TIME_MASK, draw[1:3])
    coefficients = _mask(mfcc.shape[0], _COEFFICIENT_MASK, draw[3:5])
    return tf.where(times[None] | coefficients[:, None], mean, varied) + gain


def _turn(pictures: tf.Tensor, angle: tf.Tensor) -> tf.Tensor:
    """Turns pictures about their middle; what comes in at the corners is repeated."""
    cos, sin = tf.cos(angle), tf.sin(angle)
    middle = (pictures.shape[1] - 1) / 2
    moved = middle * (1 - cos), middle * sin
    matrix = [cos, -sin, moved[0] + moved[1], sin, cos, moved[0] - moved[1], 0.0, 0.0]
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=tf.stack([matrix]),
        output_shape=pictures.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _cover(pictures: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
    """Lays the mean of the pictures over a square that stands still."""
    side = pictures.shape[1]
    length = _COVER * (0.5 + 0.5 * draw[0])
    first = draw[1:3] * (1 - length) * side
    place = tf.range(side, dtype=tf.float32)
    rows, columns = (
        (place >= first[i]) & (place < first[i] + length * side) for i in range(2)
    )
    covered = (rows[:, None] & columns[None])[None, ..., None]
    return tf.where(covered, tf.reduce_mean(pictures), pictures)


def soften(pictures: tf.Tensor, share: tf.Tensor | float) -> tf.Tensor:
    """Blurs float32 `[t, s, s, 3]`: scales it to a share of its side, and back."""
    size = pictures.shape[1:3]
    few = tf.cast(tf.cast(size, tf.float32) * share, tf.int32)
    return tf.image.resize(tf.image.resize(pictures, few, antialias=True), size)


def compress(frames: tf.Tensor, quality: tf.Tensor) -> tf.Tensor:
    """Takes uint8 `[t, s, s, 3]` through JPEG of a quality up to 100."""
    # One tall picture: a call for each frame would cost more than the compression.
    tall = tf.reshape(frames, [-1, *frames.shape[2:]])
    tall = tf.image.adjust_jpeg_quality(tall, tf.cast(quality, tf.int32))
    return tf.reshape(tall, frames.shape)


def _mask(length: int, longest: int, draw: tf.Tensor) -> tf.Tensor:
    """Bool `[length]`, true in one stretch of at most `longest`."""
    width = tf.floor(draw[0] * (longest + 1))
    first = tf.floor(draw[1] * (length - width + 1))
    place = tf.range(length, dtype=tf.float32)
    return (place >= first) & (place < first + width)
