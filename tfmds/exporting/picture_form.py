"""The network of single pictures as ONNX, for `picture_model`."""

import os
from typing import Any

import keras
import numpy as np
import onnx
from etils import epath
from keras import layers
from onnx import helper

from tfmds.common import files, json_files
from tfmds.common.errors import InputError
from tfmds.common.onnx_graphs import OnnxGraph
from tfmds.evaluation import thresholds
from tfmds.exporting.picture_model import GRAPH, INFO, INPUT, OUTPUT, PictureInfo
from tfmds.models import checkpoints
from tfmds.spec import FORMAT_VERSION


def export(
    run: os.PathLike | str,
    output_dir: os.PathLike | str,
    threshold_path: os.PathLike | str | None = None,
) -> epath.Path:
    """Writes the network of a run of pictures, its batch norms folded.

    Args:
      run: A run of tfmds.train with --network=picture; its best weights are taken.
      output_dir: Is replaced where it holds such an export.
      threshold_path: A threshold.json, whose value goes with it.

    Returns:
      The folder.

    Raises:
      InputError: The run or the threshold cannot be used, or the folder holds
        something else.
    """
    model, config = checkpoints.load_picture_model(run)
    model_id = checkpoints.model_id(run)
    threshold = None
    if threshold_path:
        chosen = thresholds.read(threshold_path)
        if chosen.model_id not in ("", model_id):
            raise InputError(
                f"{threshold_path}: the threshold was chosen with the model"
                f" {chosen.model_id}, {run} is {model_id}"
            )
        threshold = chosen.value
    info = PictureInfo(model_id, config.image_size, threshold=threshold)
    final = epath.Path(output_dir)
    if final.exists() and any(final.iterdir()) and not (final / INFO).exists():
        raise InputError(
            f"{final}: holds something else than an export of pictures; choose another"
            " --output_dir"
        )
    with files.making_folder(final) as folder:
        (folder / GRAPH).write_bytes(to_onnx(model))
        about = {json_files.VERSION: FORMAT_VERSION, **info.to_json()}
        files.write_json(folder / INFO, about)
    return final


def to_onnx(model: keras.Model) -> bytes:
    """The network from `faces` to `fake_probability` as a file of ONNX."""
    graph = _Graph(model)
    shape = ["n", *model.input["pictures"].shape[1:]]
    made = graph.to_model(
        [helper.make_tensor_value_info(INPUT, onnx.TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, ["n"])],
    )
    return made.SerializeToString(deterministic=True)


class _Graph(OnnxGraph):
    """The graph in the making; pictures stand as `[n, c, h, w]`."""

    def __init__(self, model: keras.Model):
        super().__init__(model.name)
        self._known: dict[int, str] = {}
        # Batch norms that are part of the convolution before them.
        self._folded: set[str] = set()
        for layer in model.layers:
            made = self._CONVERSIONS[type(layer).__name__](self, layer)
            self._known[id(layer.output)] = made
        both = self._known[id(model.output["picture_logits"])]
        both = self.node("Softmax", both, axis=1)
        fake = self.node("Gather", both, self.constant([0], np.int64), axis=1)
        self.node("Squeeze", fake, self.constant([1], np.int64), output=OUTPUT)

    def _of(self, layer: Any) -> str:
        return self._known[id(layer.input)]

    def _input(self, layer: Any) -> str:
        x = self.node("Cast", INPUT, to=onnx.TensorProto.FLOAT)
        return self.node("Transpose", x, perm=[0, 3, 1, 2])

    def _rescaling(self, layer: Any) -> str:
        x = self.node("Mul", self._of(layer), self.constant(layer.scale))
        return self.node("Add", x, self.constant(layer.offset))

    def _conv(self, layer: Any) -> str:
        (norm,) = (node.operation for node in layer._outbound_nodes)
        scale, offset = _constants(norm)
        self._folded.add(norm.name)
        depthwise = isinstance(layer, layers.DepthwiseConv2D)
        kernel = np.asarray(layer.kernel)
        order = (2, 3, 0, 1) if depthwise else (3, 2, 0, 1)
        weight = kernel.transpose(order) * scale[:, None, None, None]
        return self.node(
            "Conv",
            self._of(layer),
            self.constant(weight),
            self.constant(offset),
            group=weight.shape[0] if depthwise else 1,
            strides=list(layer.strides),
            # What Keras calls same.
            auto_pad="SAME_UPPER",
        )

    def _norm(self, layer: Any) -> str:
        if layer.name not in self._folded:
            raise NotImplementedError(f"{layer.name} stands behind no convolution")
        return self._of(layer)

    def _relu(self, layer: Any) -> str:
        if layer.max_value is None:
            return self.node("Relu", self._of(layer))
        ends = self.constant(0.0), self.constant(layer.max_value)
        return self.node("Clip", self._of(layer), *ends)

    def _add(self, layer: Any) -> str:
        return self.node("Add", *(self._known[id(x)] for x in layer.input))

    def _mean(self, layer: Any) -> str:
        return self.node("ReduceMean", self._of(layer), axes=[2, 3], keepdims=0)

    def _dense(self, layer: Any) -> str:
        x = self.node("MatMul", self._of(layer), self.constant(layer.kernel))
        return self.node("Add", x, self.constant(layer.bias))

    _CONVERSIONS = {
        layers.InputLayer.__name__: _input,
        layers.Rescaling.__name__: _rescaling,
        layers.Conv2D.__name__: _conv,
        layers.DepthwiseConv2D.__name__: _conv,
        layers.BatchNormalization.__name__: _norm,
        layers.ReLU.__name__: _relu,
        layers.Dropout.__name__: _of,
        layers.Add.__name__: _add,
        layers.GlobalAveragePooling2D.__name__: _mean,
        layers.Dense.__name__: _dense,
        layers.Activation.__name__: _of,
    }


def _constants(norm: Any) -> tuple[np.ndarray, np.ndarray]:
    """What a batch norm multiplies by and adds in use, `[c]` each."""
    gamma, beta, mean, variance = (
        np.asarray(w, np.float64) for w in norm.get_weights()
    )
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale, beta - mean * scale
