import itertools

import numpy as np
import pytest
import tensorflow as tf

from tests import faces
from tfmds.data import face_batches, integrity, self_blending
from tfmds.data.config import BatchConfig
from tfmds.data.data_set import FACES, DataSet

BATCH = BatchConfig(tracks=8, fake_share=0.5, shuffle_buffer=8)


@pytest.fixture
def data_sets(tmp_path):
    """One dark set with reals and fakes, one bright with reals alone."""
    dark = faces.data_set_dir(tmp_path / "dark", {"train": 12, "test": 3})
    bright = faces.data_set_dir(
        tmp_path / "bright", {"train": 5}, name="bright", fake_share=0, level=180
    )
    return [DataSet.load(dark, FACES), DataSet.load(bright, FACES)]


def batches(data_sets, batch=BATCH, size=64, count=4, **kwargs):
    made = face_batches.training_dataset(data_sets, size, batch, 1, **kwargs)
    return list(itertools.islice(made.as_numpy_iterator(), count))


def together(found, name):
    return np.concatenate([batch[name] for batch in found])


def test_labels_and_sets_come_in_the_shares_asked_for(data_sets):
    batch = BatchConfig(tracks=8, fake_share=0.25, shuffle_buffer=8)
    found = batches(data_sets, batch, count=40)
    assert found[0]["pictures"].shape == (8, 64, 64, 3)
    label = together(found, "label")
    bright = together(found, "pictures").mean((1, 2, 3)) > 130
    assert (label == 0).mean() == pytest.approx(0.25, abs=0.08)
    # Fakes are in one set only, reals in both.
    assert not bright[label == 0].any()
    assert bright[label == 1].mean() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("augment", [False, True])
def test_an_epoch_is_the_same_from_any_step_on(data_sets, augment):
    batch = BatchConfig(tracks=4, self_blend=0.5, augment=augment, shuffle_buffer=8)
    whole = batches(data_sets, batch, size=112, epoch=2)
    later = batches(data_sets, batch, size=112, count=2, epoch=2, first_step=2)
    other = batches(data_sets, batch, size=112, epoch=3)
    for name in ("pictures", "label"):
        np.testing.assert_array_equal(together(whole[2:], name), together(later, name))
    assert (together(whole, "pictures") != together(other, "pictures")).any()


def test_a_share_of_the_reals_is_blended_and_fake_then(data_sets):
    batch = BatchConfig(tracks=16, fake_share=0, self_blend=0.4, shuffle_buffer=8)
    label = together(batches(data_sets, batch, size=112, count=8), "label")
    assert (label == 0).mean() == pytest.approx(0.4, abs=0.12)


def test_where_the_face_is_goes_with_the_picture():
    box = (120, 60, 220, 160)
    record = {
        "picture": tf.constant(faces.jpeg(faces.marked(300, 400, box))),
        "box": tf.constant(np.array(box) / [400, 300, 400, 300], tf.float32),
    }
    for seed in range(8):
        picture, place = face_batches.shown(record, 80, tf.constant([seed, 0]))
        rows, columns = np.nonzero(picture[..., 0].numpy() > 128)
        seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        expected = np.clip(place.numpy(), 0, 1) * 80
        np.testing.assert_allclose(seen, expected, atol=1.6)


def test_a_mask_lies_on_the_face_wherever_that_is():
    box = np.array([0.5, 0.4, 0.9, 0.8], np.float32)
    place = self_blending.Place.of(tf.constant(box))
    masks = np.stack(
        [self_blending.face_mask(200, [s, 1], place).numpy() for s in range(20)]
    )
    rows, columns = np.indices((200, 200)) / 200
    centre = (masks * [columns, rows][0]).sum() / masks.sum()
    assert centre == pytest.approx(0.7, abs=0.02)
    outside = (columns < 0.45) | (columns > 0.95) | (rows < 0.35) | (rows > 0.85)
    assert masks[:, outside].max() == 0
    # On the crop of a track it is what it was.
    of_track = self_blending.Place.of(tf.constant(self_blending.IN_TRACK))
    np.testing.assert_allclose(
        self_blending.face_mask(112, [3, 1], of_track),
        self_blending.face_mask(112, [3, 1]),
        atol=1e-5,
    )


def test_faces_are_scored_in_order_as_they_are_viewed(data_sets):
    shards = data_sets[0].shard_files("test")
    ((pictures, stored),) = face_batches.scoring_batches(shards, 48)
    assert pictures.shape == (3, 48, 48, 3)
    assert [one.video_id for one in stored] == ["test0", "test1", "test2"]
    assert [one.label for one in stored] == [0, 0, 1]


def test_damage_is_found_in_faces_too(data_sets):
    assert not any(problem for _, problem in integrity.verify(data_sets[0]))
    path = data_sets[0].shards("train")[0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    problems = dict(integrity.verify(data_sets[0]))
    assert "damaged" in problems[path.name]
