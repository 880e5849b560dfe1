import itertools

import cv2
import numpy as np
import pytest
import simplejpeg
import tensorflow as tf

from tests import tracks
from tfmds.data import augmentation, decode, input_pipeline
from tfmds.data.config import BatchConfig
from tfmds.spec import ViewConfig

VIEW = ViewConfig(image_size=56, region="mouth")


@pytest.fixture
def shards(tmp_path):
    """Two files, four tracks of 4 s; brightness and MFCC start at 0, 10, 20, 30."""
    paths = []
    for shard in range(2):
        paths.append(str(tmp_path / f"x-{shard}"))
        with tf.io.TFRecordWriter(paths[-1]) as writer:
            for i in (2 * shard, 2 * shard + 1):
                video = tracks.video(f"v{i}", "fake" if i % 2 else "real")
                writer.write(tracks.record(video, num_frames=120, seed=10 * i))
    return paths


def take(dataset, count):
    return [
        [np.asarray(batch[name]) for name in ("frames", "mfcc", "label")]
        for batch in itertools.islice(iter(dataset), count)
    ]


def test_scoring_takes_whole_seconds_in_order_and_drops_a_partial_one(tmp_path):
    path = str(tmp_path / "x")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(
            tracks.record(tracks.video(), num_frames=100, start_seconds=2.5, track=3)
        )
    (batch,) = input_pipeline.scoring_dataset([path], tracks.SPEC, VIEW)
    assert batch["start_seconds"].numpy().tolist() == [2.5, 3.5, 4.5]
    assert batch["track"].numpy().tolist() == [3, 3, 3]
    assert batch["frames"].shape == (3, 30, 56, 56, 3)
    assert batch["mfcc"].shape == (3, 13, 99)
    brightness = batch["frames"].numpy().mean(axis=(2, 3, 4))
    np.testing.assert_allclose(brightness[1], np.arange(30, 60), atol=1)
    np.testing.assert_array_equal(batch["mfcc"][2, 0], np.arange(200, 299))


@pytest.mark.parametrize("sampling", ["grid", "random"])
def test_picture_and_sound_of_a_training_chunk_are_of_one_time(shards, sampling):
    batch = BatchConfig(tracks=2, chunks_per_track=2, sampling=sampling)
    if sampling == "grid":
        batch = BatchConfig(tracks=4, sampling=sampling)
    dataset = input_pipeline.training_dataset(shards, tracks.SPEC, VIEW, batch, 7)
    starts = set()
    for frames, mfcc, _ in take(dataset, 12):
        for pictures, sound in zip(frames, mfcc, strict=True):
            brightness = pictures.mean(axis=(1, 2, 3))
            assert np.abs(np.diff(brightness) - 1).max() < 1
            # 3 frames last as long as 10 MFCC frames, from the track's own offset.
            offsets = 10 * np.arange(4)
            steps = (brightness[0] - offsets) / 3 - (sound[0, 0] - offsets) / 10
            assert np.abs(steps).min() < 0.5
            starts.add(float(sound[0, 0]))
    assert len(starts) > (8 if sampling == "random" else 4)


def test_an_epoch_on_the_grid_has_every_chunk_once(shards):
    dataset = input_pipeline.training_dataset(
        shards, tracks.SPEC, VIEW, BatchConfig(tracks=4), 7
    )
    epoch = take(dataset, 4)
    sounds = sorted(float(m[0, 0]) for _, mfcc, _ in epoch for m in mfcc)
    expected = sorted(10.0 * v + 100 * c for v in range(4) for c in range(4))
    assert sounds == expected


def test_same_seed_same_batches_and_a_later_start_is_the_same_stream(shards):
    batch = BatchConfig(tracks=2, chunks_per_track=2, sampling="random", augment=True)

    def batches(seed, epoch=0, first_step=0, count=3):
        return take(
            input_pipeline.training_dataset(
                shards, tracks.SPEC, VIEW, batch, seed, epoch, first_step
            ),
            count,
        )

    whole = batches(1, count=5)
    for a, b in zip(whole, batches(1, count=5), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    for a, b in zip(whole[3:], batches(1, first_step=3, count=2), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert not np.array_equal(whole[0][0], batches(2)[0][0])
    assert not np.array_equal(whole[0][0], batches(1, epoch=1)[0][0])


@pytest.mark.parametrize("sampling", ["grid", "random"])
def test_parts_of_several_workers_make_up_the_batch_of_one(shards, sampling):
    batch = BatchConfig(tracks=2, chunks_per_track=2, sampling=sampling, augment=True)

    def batches(**context):
        made = input_pipeline.training_dataset(
            shards,
            tracks.SPEC,
            VIEW,
            batch,
            seed=3,
            first_step=1,
            context=tf.distribute.InputContext(**context),
        )
        return take(made, 2 * context.get("num_replicas_in_sync", 1))

    whole = [np.concatenate(parts) for parts in zip(*batches(), strict=True)]
    # Two workers with two replicas each.
    workers = [
        batches(num_input_pipelines=2, input_pipeline_id=i, num_replicas_in_sync=4)
        for i in range(2)
    ]
    # Per step: two batches of one chunk from each worker.
    dealt = [
        part
        for step in range(2)
        for worker in workers
        for part in worker[2 * step : 2 * step + 2]
    ]
    for a, b in zip(whole, zip(*dealt, strict=True), strict=True):
        np.testing.assert_array_equal(a, np.concatenate(b))


def test_a_data_service_makes_the_same_batches(shards):
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    address = dispatcher.target.split("://")[1]
    worker = service.WorkerServer(service.WorkerConfig(dispatcher_address=address))
    batch = BatchConfig(tracks=2, chunks_per_track=2, sampling="random", augment=True)

    def batches(**where):
        dataset = input_pipeline.training_dataset(
            shards, tracks.SPEC, VIEW, batch, seed=3, epoch=1, first_step=2, **where
        )
        return take(dataset, 3)

    served = batches(service_address=dispatcher.target)
    for a, b in zip(batches(), served, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    del worker, dispatcher


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        (((0.0, 1.0),), [0, 1, 1]),
        (((0.9, 2.1),), [1, 0, 1]),
        (((0.5, 1.5),), [0, 0, 1]),
        ((), [0, 0, 0]),
    ],
)
def test_label_of_a_chunk_follows_the_fake_periods(tmp_path, periods, expected):
    path = str(tmp_path / "x")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(tracks.record(tracks.video(label="fake", fake_periods=periods)))
    (batch,) = input_pipeline.scoring_dataset([path], tracks.SPEC, VIEW)
    assert batch["label"].numpy().tolist() == expected


def test_decoded_crops_are_seen_as_jpegs_are(shards):
    record = next(iter(tf.data.TFRecordDataset(shards)))
    jpegs = input_pipeline.parse_track(record, tracks.SPEC)["frames"][:30]
    jpegs = tf.ensure_shape(jpegs, [30])
    whole = decode.decode_window(jpegs, [0, 0, 224, 224], 224)
    for view in (VIEW, ViewConfig(112, "face"), ViewConfig(224, "face")):
        np.testing.assert_allclose(
            decode.crop_frames(whole[None], view)[0],
            decode.decode_frames(jpegs, tracks.SPEC, view),
            atol=1,
        )


@pytest.mark.parametrize("subsampling", ["420", "444"])
def test_a_part_of_a_crop_is_decoded_as_the_whole_is(subsampling):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (28, 28, 3), dtype=np.uint8)
    crop = cv2.resize(coarse, (112, 112), interpolation=cv2.INTER_CUBIC)
    jpeg = simplejpeg.encode_jpeg(crop, 92, colorsubsampling=subsampling)
    whole = simplejpeg.decode_jpeg(jpeg, "RGB", fastdct=True)
    for _ in range(20):
        height, width = rng.integers(8, 113, 2)
        top, left = rng.integers(0, [113 - height, 113 - width])
        box = [int(side) for side in (top, left, height, width)]
        part = decode.decode_window(tf.constant([jpeg]), box, 112)[0]
        expected = whole[top : top + height, left : left + width]
        np.testing.assert_array_equal(part, expected)


def test_augmentation_treats_all_frames_alike():
    rng = np.random.default_rng(0)
    frame = cv2.resize(rng.integers(60, 180, (7, 7, 3), dtype=np.uint8), (56, 56))
    frames = tf.constant(np.repeat(frame[None], 30, axis=0))
    for seed in range(12):
        varied = augmentation.vary_frames(frames, tf.constant([seed, 4])).numpy()
        assert varied.shape == (30, 56, 56, 3)
        assert varied.dtype == np.uint8
        # The squares of JPEG lie a little differently in each frame.
        assert np.abs(varied - varied.mean(0)).mean() < 3
        assert np.abs(varied[0].astype(int) - frame).mean() > 1


def test_augmentation_masks_times_and_coefficients_and_keeps_the_rest():
    mfcc = np.random.default_rng(0).normal(size=(13, 99)).astype(np.float32)
    rates = []
    for seed in range(20):
        varied = augmentation.vary_mfcc(tf.constant(mfcc), tf.constant([seed, 1]))
        assert varied.shape == (13, 99)
        constant = np.isclose(varied, varied.numpy()[:, :1]).all(1)
        assert constant.sum() <= 2
        kept = [
            np.corrcoef(a, b)[0, 1] for a, b in zip(mfcc[1:], varied[1:], strict=True)
        ]
        rates.append(np.nanmedian(kept))
    assert min(rates) > 0.8
    assert len(set(rates)) == 20


@pytest.mark.parametrize("late", [0.0, 0.05, 0.1, -0.04, -0.15, 0.37])
def test_what_a_sound_is_late_is_taken_out(shards, late):
    dataset = input_pipeline.training_dataset(
        shards[:1],
        tracks.SPEC,
        VIEW,
        BatchConfig(tracks=2, chunks_per_track=2, sampling="random"),
        7,
        offsets={"v0": late, "v1": late},
    )
    for frames, mfcc, _ in take(dataset, 8):
        for pictures, sound in zip(frames, mfcc, strict=True):
            # Brightness and MFCC of the two videos begin at 0 and 10 and rise by 1.
            steps = [round((pictures[0].mean() - begin) / 3) for begin in (0, 10)]
            expected = [
                begin + 10 * step + round(100 * late)
                for begin, step in zip((0, 10), steps, strict=True)
            ]
            assert sound[0, 0] in expected


def test_jitter_moves_the_sound_by_no_more_than_it_may(shards):
    def offsets(jitter):
        batch = BatchConfig(
            tracks=2, chunks_per_track=2, sampling="random", offset_jitter=jitter
        )
        dataset = input_pipeline.training_dataset(shards, tracks.SPEC, VIEW, batch, 7)
        return [sound[0, 0] for _, mfcc, _ in take(dataset, 12) for sound in mfcc]

    moved = np.subtract(offsets(0.03), offsets(0.0))
    assert set(np.abs(moved)) <= {0, 1, 2, 3}
    assert len(set(moved)) > 3
