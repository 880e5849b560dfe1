"""From face records to batches of faces, in tf.data for training, else without it."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf

from tfmds import spec
from tfmds.data import augmentation, face_records, input_pipeline, self_blending
from tfmds.data.config import BatchConfig
from tfmds.data.data_set import DataSet
from tfmds.data.input_pipeline import Tensors

# How much of a face is shown in training, as a multiple of its square, and its largest
# move as a share of it.
_SCALE = (0.9, 1.4)
_SHIFT = 0.08
# Share of the faces with noise, and its largest standard deviation in levels.
_NOISY = 0.25
_NOISE = 8.0
# Share of the faces that pass JPEG in the end, and the lowest quality.
_COMPRESSED = 0.5
_QUALITY = 40


def counts(data_set: DataSet, split: str) -> dict[int, int]:
    """Records of a split by their label."""
    found: dict[int, int] = {}
    for row in data_set.videos():
        if row.video.split == split:
            label = face_records.picture_label(row.video)
            found[label] = found.get(label, 0) + row.chunks
    return found


def parse(serialized: tf.Tensor) -> Tensors:
    """Reads one face record (scalar string) without decoding its picture."""
    face = tf.io.parse_single_example(
        serialized,
        {
            "picture": tf.io.FixedLenFeature([], tf.string),
            "box": tf.io.FixedLenFeature([4], tf.float32),
            "label": tf.io.FixedLenFeature([], tf.int64),
        },
    )
    return face


def shown(face: Tensors, size: int, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A face framed anew, somewhat otherwise each time.

    Args:
      face: As `parse` gives it.
      size: Side of the result in pixels.
      seed: int `[2]`.

    Returns:
      float32 `[size, size, 3]` from 0 to 255, and where in it the face's square is:
      left, top, right, bottom as shares, float32 `[4]`.
    """
    draw = tf.random.stateless_uniform([4], seed)
    picture = tf.io.decode_jpeg(face["picture"], channels=3)
    sides = tf.cast(tf.shape(picture)[1::-1], tf.float32)
    corners = tf.reshape(face["box"], [2, 2]) * sides
    square = tf.reduce_max(corners[1] - corners[0])
    scale = _SCALE[0] + (_SCALE[1] - _SCALE[0]) * draw[0]
    side = tf.minimum(scale * square, tf.reduce_min(sides))
    middle = tf.reduce_mean(corners, 0) + _SHIFT * square * (2 * draw[1:3] - 1)
    first = tf.clip_by_value(middle - side / 2, 0.0, sides - side)
    window = tf.cast(tf.round([first[1], first[0], side, side]), tf.int32)
    left, top = tf.cast(window[1], tf.float32), tf.cast(window[0], tf.float32)
    part = picture[
        window[0] : window[0] + window[2], window[1] : window[1] + window[3]
    ][None]
    # Whoever made a still scaled it in a way of their own.
    part = tf.cond(
        draw[3] < 0.5,
        lambda: tf.image.resize(part, [size, size], antialias=True),
        lambda: tf.image.resize(part, [size, size], "bicubic", antialias=True),
    )
    box = (face["box"] * tf.tile(sides, [2]) - [left, top, left, top]) / side
    return tf.ensure_shape(part[0], [size, size, 3]), box


def varied(picture: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Other light, blur, noise, compression: uint8 `[s, s, 3]` to the same."""
    seeds = tf.random.experimental.stateless_split(seed, 3)
    draw = tf.random.stateless_uniform([3], seeds[0])
    frames = augmentation.vary_frames(picture[None], seeds[1])

    def noisy() -> tf.Tensor:
        noise = tf.random.stateless_normal(frames.shape, seeds[2])
        level = _NOISE * draw[0] / _NOISY
        changed = tf.cast(frames, tf.float32) + level * noise
        return tf.cast(tf.clip_by_value(tf.round(changed), 0, 255), tf.uint8)

    frames = tf.cond(draw[0] < _NOISY, noisy, lambda: frames)
    quality = _QUALITY + (98 - _QUALITY) * draw[2]
    frames = tf.cond(
        draw[1] < _COMPRESSED,
        lambda: augmentation.compress(frames, quality),
        lambda: frames,
    )
    return frames[0]


@tf.autograph.experimental.do_not_convert
def training_dataset(
    data_sets: Sequence[DataSet],
    size: int,
    batch: BatchConfig,
    seed: int,
    epoch: int = 0,
    first_step: int = 0,
    context: tf.distribute.InputContext | None = None,
) -> tf.data.Dataset:
    """Endless batches of one epoch, the same for the same seed and epoch.

    Reals and fakes come as `batch.fake_share` says, and of each as many from each of
    the data sets that have them; a share of the reals is blended over itself and is
    fake then.

    Args:
      data_sets: Of face records.
      size: Side of the pictures in pixels.
      batch: How they are drawn.
      seed: Of order and variation.
      epoch: Which epoch.
      first_step: Batches of the epoch to leave out, where a run goes on.
      context: Of how many replicas this is one.

    Yields:
      `pictures` uint8 `[b, s, s, 3]` and `label` int64 `[b]`.
    """
    context = context or tf.distribute.InputContext()
    seed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])
    streams, weights = [], []
    for label, share in (
        (spec.REAL, 1 - batch.fake_share),
        (spec.FAKE, batch.fake_share),
    ):
        having = [s for s in data_sets if counts(s, "train").get(label)]
        for data_set in having:
            shards = data_set.shard_files("train")
            streams.append(_of_label(shards, label, batch.shuffle_buffer, seed))
            weights.append(share / len(having))

    def show(index: tf.Tensor, face: Tensors) -> Tensors:
        seed_pair = tf.stack([tf.constant(seed, tf.int64), index])
        seeds = tf.random.experimental.stateless_split(seed_pair, 4)
        picture, box = shown(face, size, seeds[0])
        picture = tf.cast(tf.clip_by_value(tf.round(picture), 0, 255), tf.uint8)
        label = face["label"]
        if batch.self_blend:
            draw = tf.random.stateless_uniform([], seeds[1])
            chosen = (label == spec.REAL) & (draw < batch.self_blend)
            place = self_blending.Place.of(box)
            picture = tf.cond(
                chosen,
                lambda: self_blending.blend(picture[None], seeds[2], place)[0],
                lambda: picture,
            )
            label = tf.where(chosen, tf.constant(spec.FAKE, tf.int64), label)
        if batch.augment:
            picture = varied(picture, seeds[3])
        return {"pictures": picture, "label": label}

    dataset = tf.data.Dataset.sample_from_datasets(streams, weights, seed)
    dataset = dataset.skip(first_step * batch.size)
    dataset = dataset.enumerate(tf.constant(first_step * batch.size, tf.int64))
    if context.num_input_pipelines > 1:
        dataset = dataset.shard(context.num_input_pipelines, context.input_pipeline_id)
    dataset = dataset.map(show, num_parallel_calls=tf.data.AUTOTUNE).batch(
        batch.size // context.num_replicas_in_sync, drop_remainder=True
    )
    return dataset.with_options(input_pipeline.options()).prefetch(4)


def _of_label(
    shards: Sequence[str], label: int, buffer: int, seed: int
) -> tf.data.Dataset:
    """Faces of one label from these shards, again and again."""
    return (
        tf.data.Dataset.from_tensor_slices(list(shards))
        .shuffle(len(shards), seed=seed, reshuffle_each_iteration=True)
        .interleave(tf.data.TFRecordDataset, cycle_length=4)
        .map(parse)
        .filter(lambda face: face["label"] == label)
        .shuffle(buffer, seed=seed, reshuffle_each_iteration=True)
        .repeat()
    )


def scoring_batches(
    shards: Sequence[str], size: int, batch_size: int = 64
) -> Iterator[tuple[np.ndarray, list[face_records.Stored]]]:
    """Every face of every record as it is scored, in the order of the shards.

    Yields:
      uint8 `[b, size, size, 3]`, and the records they are from.
    """
    records = input_pipeline.read_records(shards)
    for serialized in records.batch(batch_size).as_numpy_iterator():
        stored = [face_records.decode(record) for record in serialized]
        faces = [face_records.view(one.face.jpeg, one.face.box, size) for one in stored]
        yield np.stack(faces), stored
