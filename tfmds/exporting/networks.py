"""A model that a user names: a run of tfmds.train, an export, or the package's own."""

import dataclasses
import os
from collections.abc import Mapping

import keras
from etils import epath

from tfmds.common.errors import InputError
from tfmds.evaluation.thresholds import Threshold
from tfmds.exporting import export_info
from tfmds.exporting.loading import load_module
from tfmds.models import checkpoints, run_config
from tfmds.models.config import TwoStreamConfig
from tfmds.models.folding import fold_batch_norm
from tfmds.models.two_stream import two_stream
from tfmds.spec import STREAMS, ChunkSpec


@dataclasses.dataclass(frozen=True)
class NetworkInfo:
    """What is known of a model before its weights are read.

    Attributes:
      path: The run, or the folder of the export's version.
      model_id: Digest of its weights.
      spec: Chunk spec it was trained with.
      config: The network.
      heads: By stream, by whose truth its head was trained, as `ExportInfo.heads`.
      knows_heads: Whether it says which heads were trained; imported networks, and
        exports of earlier versions, do not.
      judged_by: Score by which its best checkpoint was chosen, or that of the export's
        threshold.
      trains_distance: Whether it learned the distance of mouth and voice, and not heads
        alone; exports do not say, and are taken for such.
      threshold: That of the export; None of a run.
    """

    path: epath.Path
    model_id: str
    spec: ChunkSpec
    config: TwoStreamConfig
    heads: Mapping[str, str]
    knows_heads: bool
    judged_by: str
    trains_distance: bool = True
    threshold: Threshold | None = None

    @property
    def answering_heads(self) -> tuple[str, ...]:
        """Streams whose heads may say something: not those that never learned."""
        return tuple(s for s in STREAMS if not self.knows_heads or s in self.heads)


def describe(name: os.PathLike | str | None) -> NetworkInfo:
    """What is known of a model.

    Args:
      name: A run, an export or one of its versions, or `starter`; None is that too.

    Raises:
      InputError: There is no such model.
    """
    if name is None or export_info.is_export(name):
        folder = export_info.find(name)
        about = export_info.read_about(folder)
        info = export_info.ExportInfo.from_json(about, str(folder))
        return NetworkInfo(
            folder,
            info.model_id,
            info.spec,
            TwoStreamConfig(**about["model"]),
            info.heads,
            export_info.HEADS in about,
            info.threshold.score,
            threshold=info.threshold,
        )
    if run_config.read(name) is None:
        raise InputError(
            f"{name}: not a model. Expected the --workdir of tfmds.train, a folder that"
            f" tfmds.export wrote, or {export_info.STARTER}, that of the package"
        )
    config, spec = checkpoints.network_of_run(name)
    return NetworkInfo(
        epath.Path(name),
        checkpoints.model_id(name),
        spec,
        config,
        run_config.trained_heads(name),
        run_config.knows_heads(name),
        run_config.judged_by(name),
        run_config.trains_distance(name),
    )


def load(
    name: os.PathLike | str | None, step: int | None = None
) -> tuple[keras.Model, NetworkInfo]:
    """The network as it is exported: batch norms folded into their neighbours.

    Args:
      name: As for `describe`.
      step: Of a run's checkpoint; the best one without.

    Raises:
      InputError: There is no such model, or its weights are not those of this version.
    """
    known = describe(name)
    if known.threshold is None:
        model, _, _ = checkpoints.load_model(known.path, step)
        return fold_batch_norm(model), known
    model = fold_batch_norm(two_stream(known.config, known.spec))
    # Its variables live as long as it is held.
    module = load_module(known.path)
    saved = module.signatures["serving_default"].variables
    values = {variable.name.split(":")[0]: variable for variable in saved}
    # What is not answered is not kept.
    silent = tuple(f"{s}_head" for s in STREAMS if s not in known.answering_heads)
    kept = [v for v in model.variables if v.path in values or not _is_of(v, silent)]
    if set(values) != {variable.path for variable in kept}:
        raise InputError(
            f"{known.path}: its network has other weights than this version of tfmds"
            " would give it; export it from its run"
        )
    for variable in kept:
        variable.assign(values[variable.path].numpy())
    return model, known


def _is_of(variable: keras.Variable, layers: tuple[str, ...]) -> bool:
    return bool(layers) and variable.path.startswith(layers)
