"""A run on disk: its configuration and its checkpoints.

    RUN/config.json                   the whole configuration
    RUN/checkpoints/00000123/         one checkpoint, named by its training step
        model.weights.h5              weights and optimizer
        state.json                    step, epoch, validation figures, best step
    RUN/validation/epoch-0001.csv     scores of the validation videos after an epoch
    RUN/logs/                         for TensorBoard

A checkpoint appears under its name only when it is whole.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence

import keras
from etils import epath

from tfmds.common import files, json_files
from tfmds.common.errors import InputError
from tfmds.models import run_config
from tfmds.models.config import PictureConfig, TwoStreamConfig
from tfmds.models.picture_network import picture_network
from tfmds.models.two_stream import two_stream
from tfmds.spec import PICTURE_NETWORK, TWO_STREAM, ChunkSpec

PathLike = os.PathLike | str

_CHECKPOINTS = "checkpoints"
_WEIGHTS = "model.weights.h5"
_STATE = "state.json"


@dataclasses.dataclass(frozen=True)
class State:
    """Where a run stands.

    Attributes:
      step: Batches trained.
      epoch: Whole epochs trained.
      metrics: Figures of the last validation by name.
      best_step: Step of the best checkpoint so far, by `best_value`.
      best_value: Its figure, higher is better.
      loss_sum: Sum of the losses of the begun epoch's steps.
      kept_steps: Steps of the ends of earlier epochs whose checkpoints stay.
    """

    step: int = 0
    epoch: int = 0
    metrics: dict[str, float] = dataclasses.field(default_factory=dict)
    best_step: int | None = None
    best_value: float | None = None
    loss_sum: float = 0.0
    kept_steps: Sequence[int] = ()


@contextlib.contextmanager
def room_on_disk(path: PathLike) -> Iterator[None]:
    """Turns whatever a full disk raises in this block into an InputError."""
    try:
        yield
    # HDF5 and TensorFlow pack the system's message into errors of their own.
    except Exception as e:
        if "No space left on device" not in str(e) or isinstance(e, InputError):
            raise
        raise InputError(
            f"{path}: no space is left on the disk. Make room and run the same command"
            " again: training goes on at the last checkpoint"
        ) from e


def save(workdir: PathLike, model: keras.Model, state: State) -> None:
    """Writes a checkpoint, then removes those neither last nor best nor kept.

    Raises:
      InputError: There is no room for it; the last checkpoint is still there.
    """
    root = epath.Path(workdir) / _CHECKPOINTS
    final = root / _name(state.step)
    with room_on_disk(final), files.making_folder(final) as folder:
        model.save_weights(os.fspath(folder / _WEIGHTS))
        (folder / _STATE).write_text(json.dumps(dataclasses.asdict(state)))
    keep = {final.name, *(_name(x) for x in (state.best_step, *state.kept_steps) if x)}
    for old in root.iterdir():
        if old.name.isdigit() and old.name not in keep:
            files.remove_folder(old)


def clear_interrupted(workdir: PathLike) -> None:
    """Puts in order what a run that was killed left; for who writes it alone."""
    files.clear_removed(epath.Path(workdir) / _CHECKPOINTS)


def latest_state(workdir: PathLike) -> State | None:
    """Where the run stands, None before its first checkpoint."""
    return next(reversed(states(workdir)), None)


def states(workdir: PathLike) -> list[State]:
    """The states of the checkpoints that are there, in order of steps."""
    root = epath.Path(workdir) / _CHECKPOINTS
    names = [p.name for p in root.iterdir()] if root.is_dir() else []
    return [_state(root / name) for name in sorted(names) if name.isdigit()]


def _state(folder: epath.Path) -> State:
    what, hint = "the state of a checkpoint", f"Delete {folder} to do without it."
    path = folder / _STATE
    fields = json_files.read(path, what, hint)
    return json_files.convert(fields, State, str(path), what, hint)


def epoch_ends(workdir: PathLike) -> dict[int, int]:
    """Step of each epoch's end whose checkpoint is there, by epoch from 1."""
    # Within an epoch there is a sum of the losses so far.
    return {x.epoch: x.step for x in states(workdir) if not x.loss_sum}


def restore(workdir: PathLike, model: keras.Model, state: State) -> None:
    """Loads weights and optimizer of the checkpoint that `state` belongs to."""
    model.load_weights(os.fspath(_weights(workdir, state.step)))


def load_model(
    workdir: PathLike, step: int | None = None
) -> tuple[keras.Model, TwoStreamConfig, ChunkSpec]:
    """The network of a run with its best weights, or those of a step.

    Raises:
      InputError: The directory holds no run, or none with a checkpoint.
    """
    model_config, spec = network_of_run(workdir)
    model = two_stream(model_config, spec)
    weights = _best_weights(workdir) if step is None else _weights(workdir, step)
    model.load_weights(os.fspath(weights))
    return model, model_config, spec


def network_of_run(workdir: PathLike) -> tuple[TwoStreamConfig, ChunkSpec]:
    """The network of a run without its weights; raises as `load_model`."""
    config = run_config.of_run(workdir, TWO_STREAM)
    spec = ChunkSpec.from_json(config["spec"], str(workdir))
    return TwoStreamConfig(**config["model"]), spec


def load_picture_model(
    workdir: PathLike, step: int | None = None
) -> tuple[keras.Model, PictureConfig]:
    """The network of pictures of a run with its best weights, or those of a step.

    Raises:
      InputError: The directory holds no such run, or none with a checkpoint.
    """
    config = run_config.of_run(workdir, PICTURE_NETWORK)
    model_config = PictureConfig(**config["model"])
    model = picture_network(*model_config.built_of)
    weights = _best_weights(workdir) if step is None else _weights(workdir, step)
    model.load_weights(os.fspath(weights))
    return model, model_config


def model_id(workdir: PathLike) -> str:
    """Digest of the best weights: tells which model made a score."""
    run_config.of_run(workdir)
    return hashlib.sha256(_best_weights(workdir).read_bytes()).hexdigest()[:16]


def _best_weights(workdir: PathLike) -> epath.Path:
    state = latest_state(workdir)
    if state is None:
        raise InputError(
            f"{workdir}: this run has no checkpoint yet; let tfmds.train finish an"
            " epoch"
        )
    return _weights(workdir, state.best_step or state.step)


def _weights(workdir: PathLike, step: int) -> epath.Path:
    return epath.Path(workdir) / _CHECKPOINTS / _name(step) / _WEIGHTS


def _name(step: int) -> str:
    return f"{step:08d}"
