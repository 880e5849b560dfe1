"""The streams of a network as ONNX, beside their SavedModel and with its weights.

ONNX Runtime starts in a tenth of a second, and TensorFlow in several. It is slow at
convolutions in three dimensions: here each is one of two dimensions over the pictures
that it sees, side by side as channels. Weights are not stored again: the graphs name
their places in the SavedModel's file.
"""

from typing import Any

import keras
import numpy as np
import onnx
from etils import epath
from keras import layers
from onnx import helper

from tfmds.common.onnx_graphs import OnnxGraph
from tfmds.exporting.export_info import LIGHT_FILES, WEIGHTS_FILE
from tfmds.models.two_stream import (
    StandardizeMotion,
    StandardizeTime,
    single_streams,
)

# Constants of fewer bytes are stored in the graph.
_LEAST_SHARED = 256


class _NoLightFormError(Exception):
    """A layer that is not known here; such a model is judged by its SavedModel."""


def write(model: keras.Model, model_id: str, folder: epath.Path) -> bool:
    """Writes both streams of a folded network into the folder of its SavedModel.

    Args:
      model: As the SavedModel has it.
      model_id: Is stored with the graphs, to be compared with that of the export.
      folder: The SavedModel.

    Returns:
      Whether they were written: a network with layers that are not known here, as
      `BatchStatisticsNormalization`, has no such form.
    """
    weights = (folder / WEIGHTS_FILE).read_bytes()
    try:
        graphs = [_Graph(stream, weights) for stream in single_streams(model)]
    except _NoLightFormError:
        return False
    for graph, name in zip(graphs, LIGHT_FILES, strict=True):
        (folder / name).write_bytes(graph.to_bytes(model_id))
    return True


class _Graph(OnnxGraph):
    """A stream in the making.

    A Keras tensor `[n, t, h, w, c]` or `[n, h, w, c]` stands here as pictures
    `[n * t, c, h, w]`; those of fewer dimensions stand as they are.
    """

    def __init__(self, stream: keras.Model, weights: bytes):
        super().__init__(stream.name)
        self._weights = weights
        self._known: dict[int, str] = {}
        # Zeros around a tensor in time, height and width that are yet to be added.
        self._pads: dict[int, tuple[int, int, int]] = {}
        (self._input,) = stream.inputs
        (self._output,) = stream.outputs
        for operation in stream.operations:
            convert = _CONVERSIONS.get(type(operation).__name__)
            if convert is None:
                raise _NoLightFormError(type(operation).__name__)
            self._known[id(operation.output)] = convert(self, operation)

    def to_bytes(self, model_id: str) -> bytes:
        """The graph as a file."""
        is_pictures = len(self._input.shape) == 5
        kind = onnx.TensorProto.UINT8 if is_pictures else onnx.TensorProto.FLOAT
        shape = ["n", *self._input.shape[1:]]
        self.node("Identity", self._known[id(self._output)], output="embedding")
        model = self.to_model(
            [helper.make_tensor_value_info("input", kind, shape)],
            [helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, None)],
        )
        helper.set_model_props(model, {"model_id": model_id})
        return model.SerializeToString(deterministic=True)

    def _weight(self, variable: Any) -> str:
        """A variable in its own layout, from the SavedModel's file."""
        array = np.ascontiguousarray(variable, np.float32)
        data = array.astype("<f4").tobytes()
        offset = self._weights.find(data) if len(data) >= _LEAST_SHARED else -1
        if offset < 0:
            return self.constant(array)
        tensor = onnx.TensorProto(
            dims=array.shape,
            data_type=onnx.TensorProto.FLOAT,
            data_location=onnx.TensorProto.EXTERNAL,
        )
        place = {"location": WEIGHTS_FILE, "offset": offset, "length": len(data)}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        return self.tensor(tensor)

    def _of(self, tensor: Any) -> str:
        """What stands for a tensor, with its zeros around it."""
        name = self._known[id(tensor)]
        if id(tensor) not in self._pads:
            return name
        time, height, width = self._pads[id(tensor)]
        if time:
            raise _NoLightFormError("zeros in time")
        pads = [0, 0, height, width] * 2
        return self.node("Pad", name, self.constant(pads, np.int64))

    def _reshape(self, x: str, *shape: int) -> str:
        return self.node("Reshape", x, self.constant(shape, np.int64))

    def input(self, layer: Any) -> str:
        if len(layer.output.shape) != 5:
            return "input"
        x = self.node("Cast", "input", to=onnx.TensorProto.FLOAT)
        x = self._reshape(x, -1, *layer.output.shape[2:])
        return self.node("Transpose", x, perm=[0, 3, 1, 2])

    def rescaling(self, layer: Any) -> str:
        scale, offset = (
            self.constant(np.reshape(value, (-1, 1, 1)))
            for value in (layer.scale, layer.offset)
        )
        return self.node("Add", self.node("Mul", self._of(layer.input), scale), offset)

    def standardize_motion(self, layer: Any) -> str:
        _, time, height, width, channels = layer.input.shape
        x = self._reshape(self._of(layer.input), -1, time, channels * height * width)
        x = self.node("Sub", x, self.node("ReduceMean", x, axes=[1]))
        power = self.node("ReduceMean", self.node("Mul", x, x), axes=[1, 2])
        deviation = self.node("Sqrt", power)
        x = self.node("Div", x, self.node("Add", deviation, self.constant(1e-2)))
        return self._reshape(x, -1, channels, height, width)

    def standardize_time(self, layer: Any) -> str:
        x = self._of(layer.input)
        x = self.node("Sub", x, self.node("ReduceMean", x, axes=[2]))
        power = self.node("ReduceMean", self.node("Mul", x, x), axes=[2])
        deviation = self.node("Sqrt", power)
        return self.node("Div", x, self.node("Add", deviation, self.constant(1e-3)))

    def zero_padding_3d(self, layer: Any) -> str:
        if any(before != after for before, after in layer.padding):
            raise _NoLightFormError("uneven zeros")
        self._pads[id(layer.output)] = tuple(before for before, _ in layer.padding)
        return self._known[id(layer.input)]

    def zero_padding_1d(self, layer: Any) -> str:
        before, after = layer.padding
        pads = [0, before, 0, 0, after, 0]
        return self.node("Pad", self._of(layer.input), self.constant(pads, np.int64))

    def conv(self, layer: Any) -> str:
        self._check_plain(layer)
        is_pictures = len(layer.kernel.shape) == 5
        kernel = layer.kernel if is_pictures else np.asarray(layer.kernel)[None]
        depth, height, width, channels, filters = kernel.shape
        strides = layer.strides if is_pictures else (1, *layer.strides)
        pads = self._pads.get(id(layer.input), (0, 0, 0))
        if layer.padding == "same":
            if strides != (1, 1, 1) or not all(n % 2 for n in kernel.shape[:3]):
                raise _NoLightFormError("uneven zeros")
            pads = (depth // 2, height // 2, width // 2)
        x = self._known[id(layer.input)]
        if is_pictures:
            x = self._side_by_side(x, layer, depth, strides[0], pads[0])
        weight = self._weight(layer.kernel)
        if is_pictures:
            weight = self.node("Transpose", weight, perm=[4, 0, 3, 1, 2])
            weight = self._reshape(weight, filters, depth * channels, height, width)
        else:
            weight = self.node("Transpose", weight, perm=[3, 2, 0, 1])
        bias = [self._weight(layer.bias)] if layer.use_bias else []
        return self.node(
            "Conv",
            x,
            weight,
            *bias,
            kernel_shape=[height, width],
            strides=strides[1:],
            pads=[*pads[1:], *pads[1:]],
        )

    def _check_plain(self, layer: Any) -> None:
        is_plain = (
            layer.groups == 1
            and set(layer.dilation_rate) == {1}
            and layer.data_format == "channels_last"
            and layer.activation is keras.activations.linear
        )
        if not is_plain:
            raise _NoLightFormError(layer.name)

    def _side_by_side(
        self, x: str, layer: Any, depth: int, stride: int, pad: int
    ) -> str:
        """The pictures that a convolution in time sees together, as channels."""
        if depth == stride == 1:
            return x
        _, time, height, width, channels = layer.input.shape
        around = self._pads.get(id(layer.input), (0, 0, 0))
        time, height, width = (
            size - 2 * zeros
            for size, zeros in zip((time, height, width), around, strict=True)
        )
        x = self._reshape(x, -1, time, channels, height, width)
        if pad:
            pads = [0, pad, 0, 0, 0] * 2
            x = self.node("Pad", x, self.constant(pads, np.int64))
        count = (time + 2 * pad - depth) // stride + 1
        steps = [
            self.node(
                "Slice",
                x,
                *(
                    self.constant([n], np.int64)
                    for n in (first, first + (count - 1) * stride + 1, 1, stride)
                ),
            )
            for first in range(depth)
        ]
        x = self.node("Concat", *steps, axis=2) if depth > 1 else steps[0]
        return self._reshape(x, -1, depth * channels, height, width)

    def max_pool(self, layer: Any) -> str:
        if layer.padding != "valid":
            raise _NoLightFormError("uneven zeros")
        return self.node(
            "MaxPool",
            self._of(layer.input),
            kernel_shape=layer.pool_size,
            strides=layer.strides,
        )

    def average_pool_1d(self, layer: Any) -> str:
        (size,) = layer.pool_size
        _, time, channels = layer.input.shape
        if layer.strides != layer.pool_size or time % size:
            raise _NoLightFormError("overlapping means")
        x = self._reshape(self._of(layer.input), -1, time // size, size, channels)
        return self.node("ReduceMean", x, axes=[2], keepdims=0)

    def mean_over_time(self, layer: Any) -> str:
        return self.node("ReduceMean", self._of(layer.input), axes=[1], keepdims=0)

    def relu(self, layer: Any) -> str:
        if layer.max_value is not None or layer.negative_slope or layer.threshold:
            raise _NoLightFormError(layer.name)
        return self.node("Relu", self._of(layer.input))

    def add(self, layer: Any) -> str:
        return self.node("Add", *map(self._of, layer.input))

    def dense(self, layer: Any) -> str:
        if layer.activation is not keras.activations.linear:
            raise _NoLightFormError(layer.name)
        x = self.node("MatMul", self._of(layer.input), self._weight(layer.kernel))
        return self.node("Add", x, self._weight(layer.bias))

    def reshape(self, layer: Any) -> str:
        before, after = layer.input.shape, layer.output.shape
        x = self._of(layer.input)
        if min(len(before), len(after)) >= 4:
            # Pictures of one chunk or of all: they stand in a row anyway.
            if before[-3:] != after[-3:]:
                raise _NoLightFormError("pictures of another shape")
            return x
        if len(after) >= 4:
            if after[-1] != 1 or len(after) != 4:
                raise _NoLightFormError("pictures of another shape")
            return self.node("Unsqueeze", x, self.constant([1], np.int64))
        if len(before) >= 4:
            x = self.node("Transpose", x, perm=[0, 2, 3, 1])
        return self._reshape(x, -1, *after[1:])

    def normalize(self, operation: Any) -> str:
        if operation.axis not in (-1, 1) or operation.order != 2:
            raise _NoLightFormError("another norm")
        x = self._of(operation.input)
        power = self.node(
            "ReduceSum", self.node("Mul", x, x), self.constant([1], np.int64)
        )
        least = self.constant((operation.epsilon or keras.config.epsilon()) ** 2)
        norm = self.node("Sqrt", self.node("Max", power, least))
        return self.node("Div", x, norm)


_CONVERSIONS = {
    layers.InputLayer.__name__: _Graph.input,
    layers.Rescaling.__name__: _Graph.rescaling,
    StandardizeMotion.__name__: _Graph.standardize_motion,
    StandardizeTime.__name__: _Graph.standardize_time,
    layers.ZeroPadding3D.__name__: _Graph.zero_padding_3d,
    layers.ZeroPadding1D.__name__: _Graph.zero_padding_1d,
    layers.Conv3D.__name__: _Graph.conv,
    layers.Conv2D.__name__: _Graph.conv,
    layers.MaxPooling2D.__name__: _Graph.max_pool,
    "MaxPool": _Graph.max_pool,
    layers.AveragePooling1D.__name__: _Graph.average_pool_1d,
    layers.GlobalAveragePooling1D.__name__: _Graph.mean_over_time,
    layers.ReLU.__name__: _Graph.relu,
    layers.Add.__name__: _Graph.add,
    layers.Dense.__name__: _Graph.dense,
    layers.Reshape.__name__: _Graph.reshape,
    layers.Flatten.__name__: _Graph.reshape,
    "Normalize": _Graph.normalize,
}
