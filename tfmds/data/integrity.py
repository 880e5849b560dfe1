"""Whether the shards of a data set are as they were written."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import tensorflow as tf
from etils import epath

from tfmds.common import files
from tfmds.common.errors import InputError
from tfmds.data import face_batches, input_pipeline
from tfmds.data.data_set import FACES, DataSet
from tfmds.spec import SPLITS

_WHAT_TO_DO = (
    "Copy the data set again, or delete it and make it again with"
    " python -m pipelines.preprocess; then run the same command again"
)


def verify(
    data_set: DataSet, splits: Sequence[str] = SPLITS
) -> Iterator[tuple[str, str]]:
    """Reads all of each shard; yields its name and what is wrong, empty for nothing.

    Sizes, numbers of records, checksums of records and of whole files are compared
    with what tfmds.json states.

    Args:
      data_set: The data set.
      splits: Its splits to read; those it lacks are passed over.
    """
    for split in data_set.splits:
        if split not in splits:
            continue
        for entry in data_set.info["splits"][split]["shards"]:
            path = data_set.path / entry["file"]
            yield entry["file"], _problem(path, entry, data_set)


def _problem(path: epath.Path, entry: dict[str, Any], data_set: DataSet) -> str:
    if not path.exists():
        return "is missing"
    size = path.stat().length
    if size != entry.get("bytes", size):
        return f"has {size} bytes, was written with {entry['bytes']}"
    count = 0
    try:
        for record in input_pipeline.read_records([os.fspath(path)]):
            if data_set.records == FACES:
                face_batches.parse(record)
            else:
                input_pipeline.parse_track(record, data_set.spec)
            count += 1
    except tf.errors.DataLossError:
        return f"is damaged after {count} whole records"
    except tf.errors.InvalidArgumentError:
        return f"its record {count} is none of {data_set.records}"
    if count != entry.get("records", count):
        return f"has {count} records, was written with {entry['records']}"
    if "sha256" in entry and files.sha256(path) != entry["sha256"]:
        return "its content was altered"
    return ""


def check(data_set: DataSet) -> int:
    """Reads all of each shard and returns how many there are.

    Raises:
      InputError: Some are not as they were written; all of them are named.
    """
    found = dict(verify(data_set))
    damaged = [f"{name} {problem}" for name, problem in found.items() if problem]
    if damaged:
        raise InputError(
            f"{data_set.path}: {len(damaged)} of {len(found)} shards are not as they"
            f" were written: {'; '.join(damaged)}. {_WHAT_TO_DO}"
        )
    return len(found)


@contextlib.contextmanager
def damage_is_named(
    data_set: DataSet, splits: Sequence[str], *more: DataSet
) -> Iterator[None]:
    """Says which shard it is, where one that is read turns out damaged.

    Args:
      data_set: What is read.
      splits: The splits that are; those the data set lacks are passed over.
      *more: Further data sets that are read with it.

    Raises:
      InputError: A shard is missing, truncated or altered.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.NotFoundError) as e:
        # TensorFlow tells the place in the file but not the file.
        damaged = [
            os.fspath(one.path / name)
            for one in (data_set, *more)
            for name, problem in verify(one, splits)
            if problem
        ]
        if not damaged and isinstance(e, tf.errors.NotFoundError):
            raise
        what = ", ".join(damaged) or f"a shard of {data_set.path}"
        raise InputError(
            f"{what} is damaged: missing, truncated or altered since it was written."
            f" {_WHAT_TO_DO}"
        ) from e
