"""Face crops: JPEG to pixels, the region that a model sees, its size.

One decode function serves training, evaluation and the exported model.
"""

from collections.abc import Sequence

import tensorflow as tf

from tfmds.spec import REGIONS, ChunkSpec, ViewConfig, region_window


def decode_frames(jpegs: tf.Tensor, spec: ChunkSpec, view: ViewConfig) -> tf.Tensor:
    """Decodes string `[30]` to uint8 `[30, s, s, 3]`: only the region, then scaled."""
    box = region_window(spec.crop_size, view.region)
    return resize(decode_window(jpegs, box, spec.crop_size), view)


def decode_window(
    jpegs: tf.Tensor, box: tf.Tensor | Sequence[int], side: int
) -> tf.Tensor:
    """Cuts the box (top, left, height, width) out of face crops.

    Args:
      jpegs: Face crops, string `[t]`.
      box: In pixels.
      side: Of the face crops, in pixels.

    Returns:
      uint8 `[t, height, width, 3]`, to the bit what decoding whole crops gives.
    """
    top, left, height, width = tf.unstack(tf.convert_to_tensor(box))
    # The decoder smooths colour, which JPEG keeps for pairs of pixels, within what it
    # decodes: the outermost columns need their neighbours.
    first = tf.maximum(left - 2, 0)
    last = tf.minimum(left + width + 2, side)
    wide = tf.stack([top, first, height, last - first])
    # Spelled out rather than mapped: a loop costs as much as a small picture.
    frames = tf.stack(
        [
            tf.io.decode_and_crop_jpeg(jpegs[t], wide, channels=3)
            for t in range(jpegs.shape[0])
        ]
    )
    return frames[:, :, left - first : left - first + width]


def crop_frames(frames: tf.Tensor, view: ViewConfig) -> tf.Tensor:
    """The region of face crops uint8 `[..., h, w, 3]`, scaled to `[..., s, s, 3]`.

    What `decode_frames` does for JPEG, for pictures that are decoded already.
    """
    shape = tf.shape(frames)
    sides = tf.cast(shape[-3:-1], tf.float32)
    top, left, height, width = REGIONS[view.region]
    first = tf.cast(tf.round(sides * [top, left]), tf.int32)
    size = tf.cast(tf.round(sides * [height, width]), tf.int32)
    cut = frames[
        ...,
        first[0] : first[0] + size[0],
        first[1] : first[1] + size[1],
        :,
    ]
    flat = tf.reshape(cut, tf.concat([[-1], size, [3]], 0))
    flat = resize(flat, view)
    return tf.reshape(flat, tf.concat([shape[:-3], tf.shape(flat)[1:]], 0))


def resize(frames: tf.Tensor, view: ViewConfig) -> tf.Tensor:
    """Scales uint8 `[t, h, w, 3]` to `[t, s, s, 3]`, each pixel the mean it covers."""
    size = view.image_size
    if frames.shape[1:3].as_list() == [size, size]:
        return frames
    scaled = tf.image.resize(frames, [size, size], method="area")
    return tf.cast(tf.round(scaled), tf.uint8)
