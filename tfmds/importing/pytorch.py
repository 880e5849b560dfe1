"""Checkpoints of the paper's public PyTorch code, as a run of tfmds.

That code saves a dict whose `state_dict` has keys such as
`module.netcnnlip.layer3.0.conv1.weight`; numbers count the layers of a sequence,
activations and pools included.
"""

import dataclasses
import math
import os
import pickle
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import numpy as np

from tfmds.common.errors import InputError
from tfmds.models import checkpoints, run_config
from tfmds.models.config import TwoStreamConfig
from tfmds.models.resnet import ResNet2d3d
from tfmds.models.two_stream import two_stream
from tfmds.models.visual import BACKBONES
from tfmds.spec import ChunkSpec

# Those of the public code.
_RESNETS = {
    name: backbone
    for name, backbone in BACKBONES.items()
    if isinstance(backbone, ResNet2d3d)
}

# Layers with weights of each sequence, by their number.
_AUDIO_CONVS = {0: "conv1", 4: "conv2", 8: "conv3", 11: "conv4", 14: "conv5"}
_AUDIO_CONVS |= {18: "conv6"}
_DENSES = {0: "dense", 1: "dense_bn", 3: "embedding"}
_STREAMS = {"lip": "visual", "aud": "audio"}

# PyTorch's name of a weight by Keras' name of it.
_WEIGHT_NAMES = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
# Counts batches; nothing depends on it.
_IGNORED = "num_batches_tracked"
# What a number of NumPy's float64 is made of in a file, where NumPy 1 and 2 have it.
_FLOAT64: list[Any] = [
    *(
        (np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar")
        for core in ("core", "_core")
    ),
    np.dtype,
    np.dtypes.Float64DType,
]
# Names in one message.
_MOST_NAMED = 8


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a file of the public code holds.

    Attributes:
      path: The file.
      weights: Arrays by key, without the leading `module.`.
      epoch: Epochs it was trained for, 0 where it does not say.
    """

    path: str
    weights: Mapping[str, np.ndarray]
    epoch: int


def read(path: os.PathLike | str) -> Checkpoint:
    """Reads a checkpoint in PyTorch's zip format or the older one.

    Nothing in the file is run: only tensors, plain values and NumPy's float64, in which
    the public code keeps its lowest loss, are accepted.

    Raises:
      InputError: PyTorch is missing, the file is no checkpoint, would run code, or
        has no `state_dict` of tensors.
    """
    try:
        # Of the extra `torch`.
        import torch
    except ImportError as e:
        raise InputError(
            "reading a PyTorch checkpoint needs PyTorch, which is not installed; run"
            " pip install -e '.[torch]'"
        ) from e
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise InputError(f"{path}: there is no such file; expected a .pth.tar")
    try:
        with torch.serialization.safe_globals(_FLOAT64):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as e:
        raise InputError(
            f"{path}: holds more than tensors and plain values, or is no checkpoint,"
            " and loading it could run code, so it is refused. If you trust it, load"
            " it with PyTorch where it was made and save"
            " {'state_dict': model.state_dict()} alone"
        ) from e
    # A file that is damaged on purpose makes PyTorch raise anything.
    except Exception as e:
        raise InputError(
            f"{path}: cannot be read as a PyTorch checkpoint ({e}); is the file whole?"
        ) from e
    state = content.get("state_dict") if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(
        isinstance(value, torch.Tensor) for value in state.values()
    ):
        raise InputError(
            f"{path}: has no state_dict of tensors, expected a checkpoint as the"
            " paper's train.py saves it: a dict with state_dict"
        )
    weights = {
        str(key).removeprefix("module."): value.detach().float().numpy()
        for key, value in state.items()
    }
    epoch = content.get("epoch")
    return Checkpoint(path, weights, epoch if isinstance(epoch, int) else 0)


def config_of(checkpoint: Checkpoint, image_size: int | None = None) -> TwoStreamConfig:
    """The network a checkpoint belongs to, its visual norms on batch statistics.

    Args:
      checkpoint: What `read` answered.
      image_size: Side of the pictures it was trained on, in pixels. The weights tell
        it to the next multiple of 32 only, which is taken by default.

    Raises:
      InputError: The blocks are those of no backbone, or `image_size` does not fit.
    """
    backbone = _backbone(checkpoint)
    places = _places(checkpoint, _RESNETS[backbone].channels)
    if image_size is None:
        image_size = 32 * places
    elif math.ceil(image_size / 32) != places:
        raise InputError(
            f"{checkpoint.path}: was trained on pictures of {32 * places - 31} to"
            f" {32 * places} pixels, image_size is {image_size}; leave it out, or name"
            " the right one"
        )
    return TwoStreamConfig(
        backbone=backbone, image_size=image_size, visual_batch_statistics=True
    )


def network(
    checkpoint: Checkpoint, image_size: int | None = None
) -> tuple[keras.Model, TwoStreamConfig]:
    """The network of a checkpoint with its weights; see `config_of`, `load_weights`."""
    config = config_of(checkpoint, image_size)
    model = two_stream(config)
    load_weights(model, checkpoint)
    return model, config


def load_weights(model: keras.Model, checkpoint: Checkpoint) -> None:
    """Gives a network of `two_stream` the weights of a checkpoint.

    Where its visual batch norms keep running statistics these stay as they are: the
    checkpoint has none.

    Raises:
      InputError: A weight is missing, has another shape, or has no place in the
        network; names them.
    """
    targets = {target.key: target for target in _targets(model)}
    weights = checkpoint.weights
    wrong = [
        f"{key} has the shape {list(weights[key].shape)}, expected {list(target.shape)}"
        for key, target in targets.items()
        if key in weights and weights[key].shape != target.shape
    ]
    missing = [key for key in targets if key not in weights]
    surplus = [
        key for key in weights if key not in targets and not key.endswith(_IGNORED)
    ]
    problems = [
        f"{what}: {', '.join(names[:_MOST_NAMED])}"
        + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
        for what, names in (
            ("missing", missing),
            ("surplus", surplus),
            ("misshapen", wrong),
        )
        if names
    ]
    if problems:
        raise InputError(
            f"{checkpoint.path}: its weights are not those of the paper's network."
            f" {'; '.join(problems)}. Expected a checkpoint of the public code,"
            " unchanged"
        )
    for key, target in targets.items():
        target.variable.assign(target.to_keras(weights[key]))


def write_run(
    workdir: os.PathLike | str,
    model: keras.Model,
    config: TwoStreamConfig,
    checkpoint: Checkpoint,
) -> None:
    """Writes a network as a run that tfmds.evaluate and tfmds.export read."""
    # The configuration comes last: with it the run is whole.
    checkpoints.save(workdir, model, checkpoints.State(epoch=checkpoint.epoch))
    run_config.write(
        workdir,
        {
            "model": config.to_json(),
            "spec": ChunkSpec().to_json(),
            "imported_from": os.path.basename(checkpoint.path),
        },
    )


def check_free(workdir: os.PathLike | str) -> None:
    """Raises InputError where `workdir` holds a run already."""
    if run_config.read(workdir) is not None:
        raise InputError(f"{workdir}: holds a run already; name another directory")


def _backbone(checkpoint: Checkpoint) -> str:
    blocks = [0, 0, 0, 0]
    for key in checkpoint.weights:
        if match := re.match(r"netcnnlip\.layer([1-4])\.(\d+)\.", key):
            stage = int(match[1]) - 1
            blocks[stage] = max(blocks[stage], int(match[2]) + 1)
    bottleneck = any(
        re.match(r"netcnnlip\.layer\d\.\d+\.conv3\.", key) for key in checkpoint.weights
    )
    for name, resnet in _RESNETS.items():
        if resnet == ResNet2d3d(tuple(blocks), bottleneck):
            return name
    kind = "bottleneck" if bottleneck else "basic"
    raise InputError(
        f"{checkpoint.path}: netcnnlip has {blocks} {kind} blocks in its stages layer1"
        f" to layer4, which is none of {', '.join(_RESNETS)}"
    )


def _places(checkpoint: Checkpoint, channels: int) -> int:
    """Rows of the feature map before the first visual dense layer."""
    key = "netfclip.0.weight"
    if key not in checkpoint.weights:
        # Reported among all that is missing.
        return 7
    shape = checkpoint.weights[key].shape
    places = math.isqrt(shape[-1] // channels) if len(shape) == 2 else 0
    if not places or channels * places**2 != shape[-1]:
        raise InputError(
            f"{checkpoint.path}: {key} has the shape {list(shape)}, expected"
            f" [4096, {channels} x n x n] for a square feature map"
        )
    return places


@dataclasses.dataclass(frozen=True)
class _Target:
    """A weight of the network and where it comes from."""

    key: str
    variable: keras.Variable
    # Of the PyTorch weight.
    shape: tuple[int, ...]
    to_keras: Callable[[np.ndarray], np.ndarray]


def _targets(model: keras.Model) -> Iterator[_Target]:
    # What the dense layers see before it is flattened, [..., h, w, c].
    maps = {
        f"{stream}_dense": model.get_layer(f"{stream}_flatten").input.shape[-3:]
        for stream in _STREAMS.values()
    }
    for module, name in _layers(model):
        layer = model.get_layer(name)
        for variable in layer.weights:
            kind = variable.name
            if module.startswith("netcnnlip") and kind.startswith("moving_"):
                continue
            key = f"{module}.{_WEIGHT_NAMES[kind]}"
            shape = tuple(variable.shape)
            if kind != "kernel":
                yield _Target(key, variable, shape, lambda x: x)
            elif name in maps:
                yield _Target(key, variable, shape[::-1], _flattened(maps[name]))
            else:
                outer_first = (shape[-1], shape[-2], *shape[:-2])
                yield _Target(key, variable, outer_first, _outer_last)


def _outer_last(kernel: np.ndarray) -> np.ndarray:
    """`[out, in, ...]`, as PyTorch has it, to `[..., in, out]`."""
    return np.moveaxis(kernel, (0, 1), (-1, -2))


def _flattened(shape: tuple[int, int, int]) -> Callable[[np.ndarray], np.ndarray]:
    """PyTorch flattens a map as c, h, w, Keras as h, w, c."""
    h, w, c = shape

    def to_keras(kernel: np.ndarray) -> np.ndarray:
        kernel = kernel.reshape(-1, c, h, w)
        return kernel.transpose(2, 3, 1, 0).reshape(h * w * c, -1)

    return to_keras


def _layers(model: keras.Model) -> Iterator[tuple[str, str]]:
    """PyTorch's module and Keras' layer, by name, of all that have weights."""
    for number, name in _AUDIO_CONVS.items():
        yield f"netcnnaud.{number}", f"audio_{name}"
        yield f"netcnnaud.{number + 1}", f"audio_{name}_bn"
    for layer in model.layers:
        if layer.weights and (module := _visual_module(layer.name)):
            yield module, layer.name
    for short, stream in _STREAMS.items():
        for number, name in _DENSES.items():
            yield f"netfc{short}.{number}", f"{stream}_{name}"
        yield f"final_bn_{short}", f"{stream}_head_bn"
        # Dropout comes first.
        yield f"final_fc_{short}.1", f"{stream}_head"


def _visual_module(name: str) -> str | None:
    if match := re.fullmatch(r"visual_stem_(conv|bn)", name):
        return f"netcnnlip.{match[1]}1"
    match = re.fullmatch(r"visual_stage(\d)_block(\d+)_(\w+)", name)
    if not match:
        return None
    part = {"shortcut_conv": "downsample.0", "shortcut_bn": "downsample.1"}.get(
        match[3], match[3]
    )
    return f"netcnnlip.layer{match[1]}.{int(match[2]) - 1}.{part}"
