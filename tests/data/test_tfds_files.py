import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

from tests import tracks
from tfmds.data import data_set, tfds_files

tfds = pytest.importorskip("tensorflow_datasets")


@pytest.fixture(scope="module", params=["tiny", "my-set.v2"])
def path(request, tmp_path_factory):
    """Two shards of train, the second of them empty, and one of validation."""
    path = tmp_path_factory.mktemp("data")
    fake = tracks.video("v1", "fake", fake_periods=((0.5, 1.5),), manipulation="swap")
    contents = {
        "train": [[tracks.video("v0"), fake], []],
        "validation": [[dataclasses.replace(tracks.video("v2"), split="validation")]],
    }
    splits = {}
    for split, shards in contents.items():
        splits[split] = {"shards": []}
        for i, videos in enumerate(shards):
            name = data_set.shard_name(request.param, split, i, len(shards))
            with tf.io.TFRecordWriter(str(path / name)) as writer:
                for video in videos:
                    writer.write(tracks.record(video))
            size = (path / name).stat().st_size
            entry = {"file": name, "records": len(videos), "bytes": size}
            splits[split]["shards"].append(entry)
    for name, content in (
        (tfds_files.FEATURES_FILE, tfds_files.features(tracks.SPEC)),
        (tfds_files.INFO_FILE, tfds_files.info(request.param, splits)),
    ):
        (path / name).write_text(json.dumps(content))
    return path


def test_tensorflow_datasets_reads_the_records(path):
    builder = tfds.builder_from_directory(path)
    assert {s: i.num_examples for s, i in builder.info.splits.items()} == {
        "train": 2,
        "validation": 1,
    }
    real, fake = builder.as_dataset(split="train", shuffle_files=False)
    assert real["frames"].shape == (90, 224, 224, 3)
    assert real["mfcc"].shape == (tracks.SPEC.mfcc_frames_in(90), 13)
    assert (int(real["label"]), int(fake["label"])) == (1, 0)
    np.testing.assert_array_equal(fake["fake_periods"], [[0.5, 1.5]])
    assert real["fake_periods"].shape == (0, 2)
    assert fake["video_id"].numpy() == b"v1"
    assert fake["manipulation"].numpy() == b"swap"


def test_frames_can_be_left_encoded(path):
    builder = tfds.builder_from_directory(path)
    (record,) = builder.as_dataset(
        split="validation", decoders={"frames": tfds.decode.SkipDecoding()}
    )
    assert record["frames"].dtype == tf.string
    assert record["frames"].shape == (90,)
