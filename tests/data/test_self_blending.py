import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests import tracks
from tfmds.common.errors import InputError
from tfmds.data import input_pipeline, self_blending
from tfmds.data.config import BatchConfig
from tfmds.spec import ChunkSpec, ViewConfig


def faces(seed: int = 0) -> np.ndarray:
    """Thirty smooth pictures; the brightness of each tells its number."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(60, 120, (7, 7, 3)).astype(np.float32)
    picture = tf.image.resize(coarse, [112, 112], "bicubic").numpy()
    return np.stack([picture + 3 * t for t in range(30)]).astype(np.uint8)


def test_a_blended_face_keeps_its_order_and_differs_inside_the_mask_alone():
    frames = faces()
    inside, beyond, order = [], [], []
    for seed in range(12):
        blended = self_blending.blend(tf.constant(frames), [seed, 0]).numpy()
        assert (blended.shape, blended.dtype) == (frames.shape, np.uint8)
        again = self_blending.blend(tf.constant(frames), [seed, 0]).numpy()
        np.testing.assert_array_equal(blended, again)
        change = blended.astype(float) - frames
        # Where the picture itself was recoloured, all of it changes.
        if np.abs(change[:, :, :2]).max() == 0:
            beyond.append(np.abs(change[:, -14:]).max())
            inside.append(np.abs(change[:, 30:70, 40:72]).mean())
        order.append(np.diff(blended.mean((1, 2, 3))).min())
    assert inside
    assert min(inside) > 0.5
    assert max(beyond) == 0
    assert min(order) > 0


def test_masks_are_soft_and_lie_on_the_face():
    masks = np.stack([self_blending.face_mask(112, [s, 1]) for s in range(20)])
    assert masks.min() == 0
    assert masks.max() <= 1
    assert np.abs(np.diff(masks, axis=1)).max() < 0.6
    # The mouth lies below the middle of the crop (spec.REGIONS).
    assert (masks[:, 58, 56] > 0.5).mean() > 0.9
    assert masks[:, :, :11].max() == 0
    assert masks[:, -11:].max() == 0


@pytest.fixture
def shard(tmp_path):
    path = str(tmp_path / "x")
    with tf.io.TFRecordWriter(path) as writer:
        for i, (label, forged) in enumerate(
            [("real", ""), ("real", ""), ("real", ""), ("fake", "sound")]
        ):
            video = tracks.video(f"v{i}", label, forged=forged)
            writer.write(tracks.record(video, num_frames=60))
    return path


@pytest.mark.parametrize("augment", [False, True])
def test_a_share_of_the_reals_becomes_forged_for_the_visual_head_alone(shard, augment):
    batch = BatchConfig(tracks=16, self_blend=0.5, augment=augment)
    view = ViewConfig(image_size=112)
    made = input_pipeline.training_dataset([shard], tracks.SPEC, view, batch, 1)
    batches = list(itertools.islice(iter(made), 4))
    visual, audio, label = (
        np.concatenate([b[name] for b in batches])
        for name in ("visual_label", "audio_label", "label")
    )
    assert batches[0]["frames"].shape == (16, 30, 112, 112, 3)
    np.testing.assert_array_equal(audio, label)
    assert (visual[label == 0] == 1).all()
    assert 0.25 < (visual[label == 1] == 0).mean() < 0.75


@pytest.mark.parametrize(
    ("view", "crop_size"),
    [
        (ViewConfig(112, "mouth"), 224),
        (ViewConfig(96, "face"), 224),
        (ViewConfig(112, "face"), 96),
    ],
)
def test_mouths_and_small_faces_are_refused(view, crop_size):
    with pytest.raises(InputError, match="faces of at least 112 pixels"):
        self_blending.check(ChunkSpec(crop_size=crop_size), view)
