"""From track records to batches of chunks, in tf.data.

One parse function and one decode function serve training, evaluation and the
exported model.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from tfmds import spec as words
from tfmds.data import augmentation, decode, self_blending
from tfmds.data.config import BatchConfig
from tfmds.spec import ChunkSpec, ViewConfig

Tensors = dict[str, tf.Tensor]

# Records read at once from different shards, so that a batch mixes videos.
_INTERLEAVED_SHARDS = 4
# Share of a chunk that must be forged for the chunk to count as fake.
_MIN_FAKE_SHARE = 0.25
# What training sees of a chunk.
_SHOWN = ("frames", "mfcc", "label", "visual_label", "audio_label")


def read_records(shards: Sequence[str]) -> tf.data.Dataset:
    """The records of some shards in their order, scalar strings."""
    return tf.data.TFRecordDataset(list(shards)).with_options(options())


def options() -> tf.data.Options:
    """Those of every pipeline."""
    options = tf.data.Options()
    # As many calls at once as there are cores. Who would tune their number sleeps up to
    # a minute between two looks, and the end of an iterator waits until it wakes.
    options.autotune.enabled = False
    return options


def parse_track(serialized: tf.Tensor, spec: ChunkSpec) -> Tensors:
    """Reads one track record (scalar string) without decoding its frames."""
    scalar = lambda dtype: tf.io.FixedLenFeature([], dtype)  # noqa: E731
    sequence = lambda dtype: tf.io.FixedLenSequenceFeature(  # noqa: E731
        [], dtype, allow_missing=True
    )
    track = tf.io.parse_single_example(
        serialized,
        {
            "frames": sequence(tf.string),
            "mfcc": sequence(tf.float32),
            "start_seconds": scalar(tf.float32),
            "label": scalar(tf.int64),
            "fake_periods": sequence(tf.float32),
            "video_label": scalar(tf.int64),
            "video_id": scalar(tf.string),
            "group": scalar(tf.string),
            "manipulation": scalar(tf.string),
            # Records from before it have none.
            "forged": tf.io.FixedLenFeature([], tf.string, default_value=""),
            "track": scalar(tf.int64),
        },
    )
    track["mfcc"] = tf.reshape(track["mfcc"], [-1, spec.num_coefficients])
    track["fake_periods"] = tf.reshape(track["fake_periods"], [-1, 2])
    return track


def grid_starts(track: Tensors, spec: ChunkSpec, hop_frames: int) -> tf.Tensor:
    """First frames of the chunks at every `hop_frames`, int32 `[c]`."""
    last = tf.shape(track["frames"])[0] - spec.num_frames
    return tf.range(0, last + 1, hop_frames)


def random_starts(
    track: Tensors, spec: ChunkSpec, count: int, seed: tf.Tensor
) -> tf.Tensor:
    """First frames of `count` chunks, spread over the track, int32 `[count]`.

    Times are multiples of 0.1 s, where frames and MFCC both have a step. Each chunk
    is drawn from a stretch of its own, so that chunks of one track differ.
    """
    step = spec.frames_per_step
    last = (tf.shape(track["frames"])[0] - spec.num_frames) // step
    places = tf.cast(last + 1, tf.float32)
    share = tf.random.stateless_uniform([count], seed)
    position = (tf.range(count, dtype=tf.float32) + share) / count * places
    return tf.minimum(tf.cast(position, tf.int32), last) * step


def in_step(track: Tensors, offset_seconds: tf.Tensor, spec: ChunkSpec) -> Tensors:
    """The track with its sound moved by the video's offset, and its ends cut.

    Args:
      track: As `parse_track` gives it.
      offset_seconds: float `[]`, how late the sound is; early where it is negative.
      spec: Its chunk spec.

    Returns:
      The track whose picture and sound belong together; the same track where less
      than a chunk would be left.
    """
    late = tf.cast(tf.round(offset_seconds * spec.mfcc_rate), tf.int32)
    # Pictures are cut where frames and MFCC have a step together.
    step = spec.frames_per_step * spec.mfcc_rate // spec.frame_rate
    steps = tf.maximum(-late + step - 1, 0) // step
    first_frame, first_mfcc = steps * spec.frames_per_step, steps * step + late
    count = tf.minimum(
        tf.shape(track["frames"])[0] - first_frame,
        # A chunk's last window ends with it, so one frame of MFCC less is enough.
        (tf.shape(track["mfcc"])[0] - first_mfcc + 1)
        * spec.frame_rate
        // spec.mfcc_rate,
    )
    moved = {
        **track,
        "frames": track["frames"][first_frame : first_frame + count],
        "mfcc": track["mfcc"][first_mfcc:],
        "start_seconds": track["start_seconds"]
        + tf.cast(first_frame, tf.float32) / spec.frame_rate,
    }
    enough = count >= spec.num_frames
    return tf.cond(enough, lambda: moved, lambda: track)


def cut_chunk(
    track: Tensors, start: tf.Tensor, spec: ChunkSpec, late: tf.Tensor | int = 0
) -> Tensors:
    """The chunk that begins at frame `start`, its frames still JPEG.

    Its sound begins `late` frames of MFCC later, as far as the track reaches.

    Returns:
      `frames` string `[30]`, `mfcc` float32 `[13, 99]`, `label` int64, 0 where more
      than `_MIN_FAKE_SHARE` of the chunk lies in fake periods, `visual_label` and
      `audio_label` int64, the same of one stream, -1 where it is not known,
      `start_seconds`, and the scalars of the track.
    """
    first = start * spec.mfcc_rate // spec.frame_rate + late
    last = tf.shape(track["mfcc"])[0] - spec.num_mfcc_frames
    first = tf.clip_by_value(first, 0, last)
    mfcc = tf.transpose(track["mfcc"][first : first + spec.num_mfcc_frames])
    begin = track["start_seconds"] + tf.cast(start, tf.float32) / spec.frame_rate
    end = begin + spec.seconds
    starts, ends = track["fake_periods"][:, 0], track["fake_periods"][:, 1]
    overlap = tf.maximum(tf.minimum(ends, end) - tf.maximum(starts, begin), 0)
    forged = tf.reduce_sum(overlap) > _MIN_FAKE_SHARE * spec.seconds
    label = tf.where(forged, tf.constant(words.FAKE, tf.int64), words.REAL)
    unknown = track["video_label"] == words.UNKNOWN
    label = tf.where(unknown, track["video_label"], label)
    frames = track["frames"][start : start + spec.num_frames]
    return {
        "frames": tf.ensure_shape(frames, [spec.num_frames]),
        "mfcc": tf.ensure_shape(mfcc, [spec.num_coefficients, spec.num_mfcc_frames]),
        "label": label,
        **{
            f"{stream}_label": _stream_label(label, track["forged"], part)
            for stream, part in words.STREAMS.items()
        },
        "start_seconds": begin,
        "video_id": track["video_id"],
        "track": track["track"],
    }


def _stream_label(label: tf.Tensor, forged: tf.Tensor, part: str) -> tf.Tensor:
    """The label of one stream of a chunk; -1 for a fake that does not tell."""
    in_it = (forged == part) | (forged == words.BOTH)
    of_fake = tf.where(in_it, tf.constant(words.FAKE, tf.int64), words.REAL)
    of_fake = tf.where(forged == "", tf.constant(words.UNKNOWN, tf.int64), of_fake)
    return tf.where(label == words.FAKE, of_fake, label)


# Nothing within them is Python that TensorFlow would have to read anew, which takes
# seconds.
@tf.autograph.experimental.do_not_convert
def scoring_dataset(
    shards: Sequence[str],
    spec: ChunkSpec,
    view: ViewConfig,
    batch_size: int = 32,
    hop_frames: int | None = None,
) -> tf.data.Dataset:
    """Every chunk of every record, in the order of the shards.

    Yields batches of `frames` uint8 `[b, 30, s, s, 3]`, `mfcc` float32
    `[b, 13, 99]`, and the scalars of `cut_chunk`, each `[b]`.
    """
    dataset = read_records(shards).flat_map(
        lambda serialized: _grid_chunks(serialized, spec, hop_frames or spec.num_frames)
    )
    return (
        dataset.map(
            lambda chunk: {
                **chunk,
                "frames": decode.decode_frames(chunk["frames"], spec, view),
            },
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .batch(batch_size)
        .prefetch(2)
    )


@tf.autograph.experimental.do_not_convert
def training_dataset(
    shards: Sequence[str],
    spec: ChunkSpec,
    view: ViewConfig,
    batch: BatchConfig,
    seed: int,
    epoch: int = 0,
    first_step: int = 0,
    context: tf.distribute.InputContext | None = None,
    service_address: str = "",
    offsets: Mapping[str, float] | None = None,
) -> tf.data.Dataset:
    """Endless batches of one epoch, the same for the same seed and epoch.

    An epoch begins with an order of its own and begins anew where it takes more than
    the shards hold, so its batches are known without those of earlier epochs.

    Args:
      shards: Files of track records.
      spec: Their chunk spec.
      view: How chunks are shown.
      batch: How they are drawn.
      seed: Of order, times and augmentation.
      epoch: Which epoch.
      first_step: Batches of the epoch to leave out, where a run goes on. They are
        read, not decoded.
      context: Which part of each batch to make, and of how many rows, where several
        replicas share the batches. The parts make up the batch of one process.
      service_address: Of a tf.data service that makes the batches, such as
        `grpc://host:5000`. Its workers must see the shards under the same paths. One
        of them makes the same batches as this process would; several deal the shards
        among themselves, and their batches come in no certain order.
      offsets: By video_id how many seconds its sound is late, which is taken out.

    Yields:
      `frames` uint8 `[b, 30, s, s, 3]`, `mfcc` float32 `[b, 13, 99]`, `label`,
      `visual_label` and `audio_label` int64 `[b]`; with several chunks a track, those
      of one track are neighbours.
    """
    context = context or tf.distribute.InputContext()
    # Random times take a record as often as its chunks fill, the grid each chunk once.
    random = batch.sampling == "random"
    seed = int(np.random.SeedSequence([seed, epoch]).generate_state(1)[0])

    if offsets:
        table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(
                list(offsets), tf.constant(list(offsets.values()), tf.float32)
            ),
            0.0,
        )

    def show(index: tf.Tensor, chunk: Tensors) -> Tensors:
        chunk = {name: chunk[name] for name in _SHOWN}
        seed_pair = tf.stack([tf.constant(seed, tf.int64), index])
        seeds = tf.random.experimental.stateless_split(seed_pair, 2)
        box = words.region_window(spec.crop_size, view.region)
        if batch.augment:
            box = augmentation.shifted_window(box, spec.crop_size, seeds[0])
        if batch.self_blend:
            whole = decode.decode_window(
                chunk["frames"],
                words.region_window(spec.crop_size, "face"),
                spec.crop_size,
            )
            own_seed = tf.random.experimental.stateless_fold_in(seed_pair, 1)
            frames, blended = self_blending.maybe_blend(
                whole, chunk["label"] == words.REAL, batch.self_blend, own_seed
            )
            chunk["visual_label"] = tf.where(
                blended, tf.constant(words.FAKE, tf.int64), chunk["visual_label"]
            )
            frames = tf.image.crop_to_bounding_box(frames, *tf.unstack(box))
        else:
            frames = decode.decode_window(chunk["frames"], box, spec.crop_size)
        frames = decode.resize(frames, view)
        frames.set_shape([spec.num_frames, view.image_size, view.image_size, 3])
        if batch.augment:
            frames, chunk["mfcc"] = augmentation.vary(frames, chunk["mfcc"], seeds[1])
        return {**chunk, "frames": frames}

    def cut(index: tf.Tensor, serialized: tf.Tensor) -> tf.data.Dataset:
        track = parse_track(serialized, spec)
        if offsets:
            track = in_step(track, table.lookup(track["video_id"]), spec)
        seed_pair = tf.stack([tf.constant(seed, tf.int64), index])
        starts = random_starts(track, spec, batch.chunks_per_track, seed_pair)
        most = round(batch.offset_jitter * spec.mfcc_rate)
        late = tf.random.stateless_uniform(
            [batch.chunks_per_track], seed_pair + 1, -most, most + 1, tf.int32
        )
        return _chunks(track, starts, spec, late)

    def is_in_part(index: tf.Tensor, _: Tensors) -> tf.Tensor:
        row = index % batch.size
        part = row * context.num_input_pipelines // batch.size
        return part == context.input_pipeline_id

    dataset = (
        tf.data.Dataset.from_tensor_slices(list(shards))
        .shuffle(len(shards), seed=seed, reshuffle_each_iteration=True)
        .interleave(tf.data.TFRecordDataset, cycle_length=_INTERLEAVED_SHARDS)
    )
    if not random:
        dataset = dataset.flat_map(
            lambda record: _grid_chunks(record, spec, spec.num_frames)
        )
    dataset = dataset.shuffle(
        batch.shuffle_buffer, seed=seed, reshuffle_each_iteration=True
    ).repeat()
    if random:
        dataset = dataset.enumerate().skip(first_step * batch.tracks).flat_map(cut)
    else:
        dataset = dataset.skip(first_step * batch.size)
    dataset = dataset.enumerate(tf.constant(first_step * batch.size, tf.int64))
    if context.num_input_pipelines > 1:
        dataset = dataset.filter(is_in_part)
    dataset = dataset.map(show, num_parallel_calls=tf.data.AUTOTUNE).batch(
        batch.size // context.num_replicas_in_sync, drop_remainder=True
    )
    dataset = dataset.with_options(options())
    if service_address:
        service = tf.data.experimental.service
        dataset = dataset.apply(
            service.distribute(service.ShardingPolicy.DYNAMIC, service_address)
        )
    return dataset.prefetch(4)


def _grid_chunks(
    serialized: tf.Tensor, spec: ChunkSpec, hop_frames: int
) -> tf.data.Dataset:
    track = parse_track(serialized, spec)
    starts = grid_starts(track, spec, hop_frames)
    return _chunks(track, starts, spec, tf.zeros_like(starts))


def _chunks(
    track: Tensors, starts: tf.Tensor, spec: ChunkSpec, late: tf.Tensor
) -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices((starts, late)).map(
        lambda start, late: cut_chunk(track, start, spec, late)
    )
