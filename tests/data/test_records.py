import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from tfmds import spec
from tfmds.data import input_pipeline, records
from tfmds.data.manifest import Video

FAKE = Video("v", "v.mp4", "fake", "train", "p", "lip_sync", ((1.0, 2.5), (8.0, 9.0)))


def segment(start=0.0, track=0):
    return records.TrackSegment(
        frames=[b"first", b"second"],
        mfcc=np.arange(26, dtype=np.float32).reshape(2, 13),
        start_seconds=start,
        track=track,
        boxes=np.zeros((2, 4), np.float32),
    )


def features_of(record):
    features = tf.train.Example.FromString(record).features.feature
    return {
        name: list(getattr(value, value.WhichOneof("kind")).value)
        for name, value in features.items()
        if value.WhichOneof("kind")
    }


def test_holds_what_the_track_and_its_video_are():
    found = features_of(records.encode(segment(2.0, track=3), FAKE, 1.0))
    assert found["frames"] == [b"first", b"second"]
    np.testing.assert_array_equal(np.reshape(found["mfcc"], (2, 13)), segment().mfcc)
    assert found["start_seconds"] == [2.0]
    assert found["track"] == [3]
    assert found["video_id"] == [b"v"]
    assert found["group"] == [b"p"]
    assert found["manipulation"] == [b"lip_sync"]


@pytest.mark.parametrize(
    ("start", "seconds", "label", "periods"),
    [
        (0.0, 10.0, spec.FAKE, [1.0, 2.5, 8.0, 9.0]),
        (2.0, 2.0, spec.FAKE, [2.0, 2.5]),
        (3.0, 5.0, spec.REAL, []),
    ],
)
def test_label_is_that_of_the_stretch(start, seconds, label, periods):
    found = features_of(records.encode(segment(start), FAKE, seconds))
    assert found["label"] == [label]
    assert found["video_label"] == [spec.FAKE]
    assert found.get("fake_periods", []) == periods


def test_fake_without_periods_is_fake_throughout():
    video = Video("v", "v.mp4", "fake", "train")
    found = features_of(records.encode(segment(4.0), video, 3.0))
    assert found["label"] == [spec.FAKE]
    assert found["fake_periods"] == [4.0, 7.0]


@pytest.mark.parametrize(("label", "number"), [("real", 1), ("fake", 0), ("", -1)])
def test_labels_as_numbers(label, number):
    video = Video("v", "v.mp4", label, "train")
    found = features_of(records.encode(segment(), video, 1.0))
    assert found["label"] == found["video_label"] == [number]


def test_equal_segments_give_equal_bytes():
    encoded = {records.encode(segment(), FAKE, 2.0) for _ in range(5)}
    assert len(encoded) == 1


@pytest.mark.parametrize("forged", ["", *spec.FORGED])
def test_holds_which_stream_is_forged_and_older_records_lack_it(forged):
    video = dataclasses.replace(FAKE, forged=forged)
    record = records.encode(segment(), video, 2.0)
    assert features_of(record)["forged"] == [forged.encode()]
    parse = input_pipeline.parse_track
    assert parse(tf.constant(record), spec.ChunkSpec())["forged"] == forged
    older = tf.train.Example.FromString(record)
    del older.features.feature["forged"]
    serialized = tf.constant(older.SerializeToString())
    assert parse(serialized, spec.ChunkSpec())["forged"] == ""
