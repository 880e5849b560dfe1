import json

import pytest
import tensorflow as tf

from tests import tracks
from tfmds.common.errors import InputError
from tfmds.data import input_pipeline, integrity
from tfmds.data.data_set import DataSet
from tfmds.spec import ViewConfig

NAME = "tiny-train.tfrecord-00000-of-00001"


@pytest.fixture
def path(tmp_path):
    return tracks.data_set_dir(tmp_path / "data", {"train": 3, "test": 1})


def problems(path):
    found = dict(integrity.verify(DataSet.load(path)))
    return {name: problem for name, problem in found.items() if problem}


def cut(path, share):
    content = (path / NAME).read_bytes()
    (path / NAME).write_bytes(content[: int(len(content) * share)])


def flip(path):
    content = bytearray((path / NAME).read_bytes())
    content[len(content) // 2] ^= 1
    (path / NAME).write_bytes(content)


def forget(path, *fields):
    file = path / "tfmds.json"
    info = json.loads(file.read_text())
    for split in info["splits"].values():
        for shard in split["shards"]:
            for field in fields:
                del shard[field]
    file.write_text(json.dumps(info))


def test_nothing_is_wrong_with_what_was_written(path):
    assert list(integrity.verify(DataSet.load(path))) == [
        (NAME, ""),
        ("tiny-test.tfrecord-00000-of-00001", ""),
    ]


def test_all_that_is_damaged_is_said_at_once(path):
    assert integrity.check(DataSet.load(path)) == 2
    flip(path)
    (path / "tiny-test.tfrecord-00000-of-00001").unlink()
    with pytest.raises(InputError, match=f"2 of 2 .*{NAME} is damaged.*is missing"):
        integrity.check(DataSet.load(path))


def test_a_missing_shard_is_named(path):
    (path / NAME).unlink()
    assert problems(path) == {NAME: "is missing"}


def test_a_shard_cut_short_is_named_before_it_is_read(path):
    cut(path, 0.5)
    assert "bytes, was written with" in problems(path)[NAME]
    with pytest.raises(InputError, match=f"{NAME}.*was written with"):
        DataSet.load(path).shards("train")


def test_a_flipped_bit_is_found_by_the_checksum_of_its_record(path):
    flip(path)
    assert problems(path) == {NAME: "is damaged after 1 whole records"}


def test_a_shard_cut_between_records_is_found(path):
    whole = [r.numpy() for r in tf.data.TFRecordDataset(str(path / NAME))]
    with tf.io.TFRecordWriter(str(path / NAME)) as writer:
        writer.write(whole[0])
    forget(path, "bytes")
    assert "has 1 records, was written with 3" in problems(path)[NAME]


def test_records_in_another_order_are_an_altered_shard(path):
    whole = [r.numpy() for r in tf.data.TFRecordDataset(str(path / NAME))]
    with tf.io.TFRecordWriter(str(path / NAME)) as writer:
        for record in reversed(whole):
            writer.write(record)
    assert problems(path) == {NAME: "its content was altered"}


def test_records_of_something_else_are_named(path):
    with tf.io.TFRecordWriter(str(path / NAME)) as writer:
        writer.write(b"something else")
    forget(path, "bytes")
    assert problems(path) == {NAME: "its record 0 is none of tracks"}


def test_a_data_set_from_before_the_digests_is_read(path):
    forget(path, "bytes", "records", "sha256")
    assert not problems(path)
    flip(path)
    assert problems(path)


@pytest.mark.parametrize("damage", [flip, lambda path: cut(path, 0.5)])
def test_a_damaged_shard_is_named_when_the_pipeline_reads_it(path, damage):
    damage(path)
    forget(path, "bytes")
    data_set = DataSet.load(path)
    shards = [str(p) for s in data_set.splits for p in data_set.shards(s)]
    dataset = input_pipeline.scoring_dataset(shards, data_set.spec, ViewConfig(56))
    with (
        pytest.raises(InputError, match=f"{NAME} is damaged"),
        integrity.damage_is_named(data_set, data_set.splits),
    ):
        list(dataset)
