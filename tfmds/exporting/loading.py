"""Exports, loaded."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from etils import epath

from tfmds.common.errors import InputError
from tfmds.exporting import export_info
from tfmds.exporting.export_info import DistancesByLag, ExportInfo, split_lags


@dataclasses.dataclass(frozen=True)
class ExportedModel(ExportInfo):
    """A loaded export.

    Attributes:
      signatures: Functions by name: `serving_default`, `examples`, `about`, and `lags`
        where it `has_lags`.
    """

    signatures: dict[str, Any]

    def score(self, examples: Sequence[bytes]) -> dict[str, np.ndarray]:
        """Of track records of one chunk each, see `export_info.chunk_scores`."""
        answer = self.signatures["examples"](examples=tf.constant(examples))
        found = {name: value.numpy() for name, value in answer.items()}
        return export_info.chunk_scores(found, self.asked_heads)

    def lags(self, examples: Sequence[bytes]) -> list[DistancesByLag]:
        """Distances by lag of each track record; the export must have them."""
        answer = self.signatures["lags"](examples=tf.constant(examples))
        return split_lags({k: v.numpy() for k, v in answer.items()}, len(examples))


def load(export_dir: os.PathLike | str | None) -> ExportedModel:
    """Loads what `saved_model.export` wrote, the newest version.

    Args:
      export_dir: The export or one of its versions; None for the weights that come
        with the package.

    Raises:
      InputError: The directory holds no export, or one of another version.
    """
    path = export_info.find(export_dir)
    info = export_info.read_info(path)
    module = load_module(path)
    signatures = dict(module.signatures)
    # A signature outlives its module only as long as something holds the module.
    signatures["examples"].module = module
    return ExportedModel(**vars(info), signatures=signatures)


def load_module(path: epath.Path) -> Any:
    """The SavedModel in a folder; raises InputError where it cannot be loaded."""
    try:
        module = tf.saved_model.load(str(path))
    except (OSError, ValueError, tf.errors.OpError) as e:
        first = str(e).split("\n")[0]
        raise InputError(
            f"{path}: the SavedModel is damaged ({first}); export the model again"
        ) from e
    return module
