"""Weights that a run begins with: those of a run or of an export."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import keras

from tfmds.common import flags
from tfmds.common.errors import InputError
from tfmds.exporting import networks
from tfmds.models import checkpoints
from tfmds.models.config import TwoStreamConfig
from tfmds.models.folding import unfold_batch_norm
from tfmds.spec import ChunkSpec

# What of a network may be another: it has no part in its weights.
_FREE = ("dropout", "dense_init")


def check(name: str, config: TwoStreamConfig, spec: ChunkSpec) -> str:
    """Makes sure that a network can begin with the weights of a model.

    Args:
      name: A run, an export, or `starter`.
      config: The network.
      spec: Of its data set.

    Returns:
      The model's id.

    Raises:
      InputError: There is no such model, or it is another network.
    """
    known = networks.describe(name)
    known.spec.check_same(spec, f"the model {name}", "the data set")
    theirs, mine = (
        dataclasses.asdict(c) | dict.fromkeys(_FREE) for c in (known.config, config)
    )
    flag_of = flags.names(TwoStreamConfig)
    differing = [
        f"--{flag_of.get(field, field)} is {theirs[field]} there and {mine[field]} here"
        for field in theirs
        if theirs[field] != mine[field]
    ]
    if differing:
        raise InputError(
            f"--start_from={name}: it is another network: {'; '.join(differing)}. Give"
            " these flags as they are there, or start from a model of this network"
        )
    return known.model_id


def load_weights(model: keras.Model, name: str, batches: Iterable[Any]) -> None:
    """Gives a network the weights of a model that `check` let pass.

    Those of a run are its best; in an export batch norms are folded away, and get their
    statistics anew. Heads that an export does not keep begin at random.

    Args:
      model: The network as it is trained.
      name: As for `check`.
      batches: Some `frames` and `mfcc` of the data set.
    """
    known = networks.describe(name)
    if known.threshold is None:
        trained, *_ = checkpoints.load_model(known.path)
        for layer in trained.layers:
            model.get_layer(layer.name).set_weights(layer.get_weights())
    else:
        folded, _ = networks.load(name)
        unfold_batch_norm(folded, model, batches)
