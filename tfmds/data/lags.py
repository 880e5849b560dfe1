"""A track record becomes distances of each mouth to the voice at each lag.

In TensorFlow; what they say, evaluation.alignment tells.
"""

from collections.abc import Callable

import tensorflow as tf

from tfmds import spec as words
from tfmds.data import decode, input_pipeline
from tfmds.spec import ChunkSpec, ViewConfig

# Stands for a distance that there is not: JSON knows no NaN.
NONE = -1.0
# Chunks that go through a stream together.
_MOUTHS_AT_ONCE = 8
_VOICES_AT_ONCE = 64

# From a batch of chunks to embeddings float `[n, d]`.
Embed = Callable[[tf.Tensor], tf.Tensor]


def embeddings(
    serialized: tf.Tensor,
    spec: ChunkSpec,
    view: ViewConfig,
    see: Embed,
    hear: Embed,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Embeddings of the mouths and of the voice of a track record.

    A mouth chunk begins every `spec.MOUTH_HOP`, a voice chunk every `spec.VOICE_HOP`,
    the first of both with the record. Memory grows with the record, whose ten seconds
    are the default for a reason.

    Args:
      serialized: The record, a scalar string.
      spec: Its chunk spec, one that `has_lags`.
      view: How the mouth is shown.
      see: The visual stream: takes uint8 `[n, 30, s, s, 3]`.
      hear: The audio stream: takes float32 `[n, 13, 99]`.

    Returns:
      Starts of the mouth chunks, float32 `[m]`, on the video's clock; embeddings of
      the mouths, float32 `[m, d]`, and of the voice, float32 `[v, d]`.
    """
    track = input_pipeline.parse_track(serialized, spec)
    hop_frames = round(words.MOUTH_HOP * spec.frame_rate)
    starts = input_pipeline.grid_starts(track, spec, hop_frames)
    seen = _in_batches(see, _mouths(track, starts, spec, view), _MOUTHS_AT_ONCE)
    voices = tf.signal.frame(
        track["mfcc"],
        spec.num_mfcc_frames,
        round(words.VOICE_HOP * spec.mfcc_rate),
        axis=0,
    )
    voices = tf.transpose(voices, [0, 2, 1])
    shape = [None, spec.num_coefficients, spec.num_mfcc_frames]
    heard = _in_batches(hear, tf.ensure_shape(voices, shape), _VOICES_AT_ONCE)
    seconds = tf.cast(starts, tf.float32) / spec.frame_rate
    return track["start_seconds"] + seconds, seen, heard


def distances_by_lag(
    serialized: tf.Tensor,
    spec: ChunkSpec,
    view: ViewConfig,
    see: Embed,
    hear: Embed,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Distances of the mouths of a track record to its voice.

    What evaluation.alignment.distances_by_lag makes of `embeddings`.

    Args:
      serialized: As of `embeddings`.
      spec: As of `embeddings`.
      view: As of `embeddings`.
      see: As of `embeddings`.
      hear: As of `embeddings`.

    Returns:
      Starts of the mouth chunks, float32 `[m]`; and float32 `[m, k]`, their distances
      at each lag from `-MAX_LAG` to `MAX_LAG`, `NONE` where the record has no voice.
    """
    starts, seen, heard = embeddings(serialized, spec, view, see, hear)
    num_voices = tf.shape(heard)[0]
    most = round(words.MAX_LAG / words.VOICE_HOP)
    per_mouth = round(words.MOUTH_HOP / words.VOICE_HOP)

    def to_voices(inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        mouth, number = inputs
        voice = number * per_mouth + tf.range(-most, most + 1)
        near = tf.gather(heard, tf.clip_by_value(voice, 0, num_voices - 1))
        distance = tf.sqrt(tf.reduce_sum(tf.square(mouth - near), axis=-1) + 1e-12)
        known = (voice >= 0) & (voice < num_voices)
        return tf.where(known, distance, NONE)

    distances = tf.map_fn(
        to_voices,
        (seen, tf.range(tf.shape(starts)[0])),
        fn_output_signature=tf.TensorSpec([2 * most + 1], tf.float32),
    )
    return starts, distances


def _mouths(
    track: input_pipeline.Tensors, starts: tf.Tensor, spec: ChunkSpec, view: ViewConfig
) -> tf.Tensor:
    """The pictures of the chunks at these starts, uint8 `[m, 30, s, s, 3]`."""
    box = words.region_window(spec.crop_size, view.region)
    size = view.image_size
    # Chunks overlap: each picture is decoded once.
    frames = tf.map_fn(
        lambda jpeg: decode.resize(
            decode.decode_window(jpeg, box, spec.crop_size), view
        )[0],
        track["frames"][:, None],
        fn_output_signature=tf.TensorSpec([size, size, 3], tf.uint8),
    )
    return tf.gather(frames, starts[:, None] + tf.range(spec.num_frames))


def _in_batches(embed: Embed, chunks: tf.Tensor, size: int) -> tf.Tensor:
    count = tf.shape(chunks)[0]
    missing = -count % size
    padded = tf.concat([chunks, tf.repeat(chunks[-1:], missing, axis=0)], 0)
    batches = tf.reshape(padded, [-1, size, *chunks.shape[1:]])
    parts = tf.map_fn(
        # A network that computes in bfloat16 gives that.
        lambda batch: tf.cast(embed(batch), tf.float32),
        batches,
        fn_output_signature=tf.float32,
        parallel_iterations=1,
    )
    return tf.reshape(parts, [-1, tf.shape(parts)[-1]])[:count]
