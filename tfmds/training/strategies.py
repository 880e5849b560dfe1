"""On what devices to train, and what the replicas of a batch tell each other."""

import json
import os
import pathlib

import tensorflow as tf

from tfmds.common.errors import InputError
from tfmds.training.config import MIRRORED, MULTI_WORKER

# Flags of Linux' list of processors that can calculate in a type of 16 bits.
_HALF_FLAGS = {
    "mixed_bfloat16": ("avx512_bf16", "amx_bf16", "bf16"),
    "mixed_float16": ("avx512_fp16", "amx_fp16", "asimdhp"),
}


def make(name: str) -> tf.distribute.Strategy:
    """The strategy of that name; several workers wait here for each other.

    Must come before anything else that TensorFlow does.

    Args:
      name: `single` for one device, `mirrored` for all GPUs of this machine (where it
        has none, all its logical CPU devices), `multi_worker` for the machines that
        the environment variable `TF_CONFIG` names.

    Raises:
      InputError: `TF_CONFIG` does not say who the workers are.
    """
    if name == MIRRORED:
        devices = tf.config.list_logical_devices
        found = devices("GPU") or devices("CPU")
        return tf.distribute.MirroredStrategy([device.name for device in found])
    if name == MULTI_WORKER:
        _check_tf_config()
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def why_slow(
    precision: str, processors: os.PathLike | str = "/proc/cpuinfo"
) -> str | None:
    """Why training in this precision is slow here, None where it is not known to be.

    Args:
      precision: One of `config.PRECISIONS`.
      processors: Linux' list of processors; elsewhere there is none.
    """
    needed = _HALF_FLAGS.get(precision)
    if needed is None or tf.config.list_physical_devices("GPU"):
        return None
    try:
        found = set(pathlib.Path(processors).read_text().split())
    except OSError:
        return None
    if found.intersection(needed):
        return None
    return (
        f"this processor cannot calculate in --precision={precision} ({needed[0]} is"
        " missing) and imitates it, which is some ten times slower than float32"
    )


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes."""
    resolver = strategy.cluster_resolver
    if resolver is None or resolver.task_type is None:
        return True
    if "chief" in resolver.cluster_spec().jobs:
        return resolver.task_type == "chief"
    return resolver.task_id == 0


def gather(rows: tf.Tensor) -> tf.Tensor:
    """The rows of all replicas, in their order; gradients flow back to their owner.

    Args:
      rows: `[n, ...]` of this replica.

    Returns:
      `[n * replicas, ...]`, the same on each replica.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    if replicas == 1:
        return rows
    # A sum of what stands in different rows: `all_gather` does not work in a function
    # that runs on several workers.
    place = context.replica_id_in_sync_group
    count = tf.shape(rows)[0]
    pads = [[place * count, (replicas - 1 - place) * count]]
    pads += [[0, 0]] * (rows.shape.rank - 1)
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.pad(rows, pads))


def _check_tf_config() -> None:
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        task = config["task"]
        address = config["cluster"][task["type"]][int(task["index"])]
    except (ValueError, KeyError, TypeError, IndexError) as e:
        raise InputError(
            "the strategy multi_worker needs the environment variable TF_CONFIG to"
            f" name all workers and which of them this is; it is {text!r}. Expected"
            ' something like {"cluster": {"worker": ["host1:2222", "host2:2222"]},'
            ' "task": {"type": "worker", "index": 0}}'
        ) from e
    if not isinstance(address, str):
        raise InputError(f"TF_CONFIG: {address!r} is not an address like host1:2222")
