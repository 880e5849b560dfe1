"""The three networks of MTCNN as ONNX graphs, from the weights of the package mtcnn.

Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks". The package itself runs them in TensorFlow, which takes seconds
to start; only its files with weights are read here.
"""

import importlib.util
import os
from collections.abc import Sequence

import joblib
import numpy as np
import onnx
import onnxruntime
from onnx import helper

from tfmds.common.onnx_graphs import OnnxGraph

# The networks want pixels as (x - 127.5) / 128.
_CENTRE, _SPREAD = 127.5, 128.0
# Who has `CropAndResize`.
_MICROSOFT = "com.microsoft"


def proposal_network() -> onnxruntime.InferenceSession:
    """P-Net: float32 pixels `[n, h, w, 3]` to `offsets` and `confidence`.

    A cell of 12 pixels a side stands at every second pixel. `offsets` is float32
    `[n, 4, h', w']`: left, top, right, bottom as shares of the cell; `confidence` is
    float32 `[n, 1, h', w']`.
    """
    net = _Network("pnet.lz4")
    x = net.node("Transpose", "pixels", perm=[0, 3, 1, 2])
    x = net.max_pool(net.conv(x, is_first=True), 2)
    x = net.conv(net.conv(x))
    net.node("Identity", net.conv(x, has_prelu=False), output="offsets")
    net.confidence(net.conv(x, has_prelu=False))
    pixels = _value("pixels", ["n", "h", "w", 3])
    return net.session([pixels], ["offsets", "confidence"])


def refine_network() -> onnxruntime.InferenceSession:
    """R-Net: cuts boxes out of float32 pixels `[n, h, w, 3]` and looks at 24 pixels.

    `boxes` is float32 `[k, 4]` as `CropAndResize` takes them: top, left, bottom, right
    as shares of the picture; `pictures` int32 `[k]` says of which. Gives `offsets`
    float32 `[k, 4]` (left, top, right, bottom as shares of the box) and `confidence`
    float32 `[k, 1]`.
    """
    net = _Network("rnet.lz4")
    x = net.max_pool(net.conv(net.crops(24), is_first=True), 3)
    x = net.max_pool(net.conv(x), 3, padding="VALID")
    return _with_ends(net, net.conv(x))


def output_network() -> onnxruntime.InferenceSession:
    """O-Net: as R-Net, at 48 pixels."""
    net = _Network("onet.lz4")
    x = net.max_pool(net.conv(net.crops(48), is_first=True), 3)
    x = net.max_pool(net.conv(x), 3, padding="VALID")
    x = net.max_pool(net.conv(x), 2)
    return _with_ends(net, net.conv(x), num_landmarks=10)


def _with_ends(
    net: "_Network", x: str, num_landmarks: int = 0
) -> onnxruntime.InferenceSession:
    """Adds what follows the convolutions: columns first, as they were trained."""
    x = net.node("Flatten", net.node("Transpose", x, perm=[0, 3, 2, 1]))
    x = net.prelu(net.dense(x))
    net.dense(x, output="offsets")
    if num_landmarks:
        # Eyes, nose and corners of the mouth, of which nobody asks.
        net.skip(2)
    net.confidence(net.dense(x))
    inputs = [
        _value("pixels", ["n", "h", "w", 3]),
        _value("boxes", ["k", 4]),
        _value("pictures", ["k"], onnx.TensorProto.INT32),
    ]
    return net.session(inputs, ["offsets", "confidence"])


def _value(
    name: str, shape: Sequence[int | str], kind: int = onnx.TensorProto.FLOAT
) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


class _Network(OnnxGraph):
    """A graph whose weights come in the order of its layers."""

    def __init__(self, weights_file: str):
        super().__init__(weights_file)
        # To find the package is not to import it.
        found = importlib.util.find_spec("mtcnn")
        assert found is not None, "mtcnn is installed"
        (package,) = found.submodule_search_locations or [""]
        folder = os.path.join(package, "assets", "weights")
        self._weights = iter(joblib.load(os.path.join(folder, weights_file)))

    def skip(self, count: int) -> None:
        for _ in range(count):
            next(self._weights)

    def crops(self, side: int) -> str:
        """The boxes, scaled by bilinear interpolation; grey beyond the border."""
        return self.node(
            "CropAndResize",
            self.node("Transpose", "pixels", perm=[0, 3, 1, 2]),
            "boxes",
            "pictures",
            self.constant([side, side], np.int32),
            domain=_MICROSOFT,
            extrapolation_value=_CENTRE,
        )

    def conv(self, x: str, is_first: bool = False, has_prelu: bool = True) -> str:
        """A convolution without padding, and its activation."""
        kernel = next(self._weights).transpose(3, 2, 0, 1)
        bias = next(self._weights)
        if is_first:
            kernel = kernel / _SPREAD
            bias = bias - _CENTRE * kernel.sum(axis=(1, 2, 3))
        x = self.node("Conv", x, self.constant(kernel), self.constant(bias))
        return self.prelu(x, is_picture=True) if has_prelu else x

    def prelu(self, x: str, is_picture: bool = False) -> str:
        slope = next(self._weights)
        slope = slope.reshape(-1, 1, 1) if is_picture else slope
        return self.node("PRelu", x, self.constant(slope))

    def max_pool(self, x: str, side: int, padding: str = "SAME_UPPER") -> str:
        return self.node(
            "MaxPool",
            x,
            kernel_shape=[side, side],
            strides=[2, 2],
            auto_pad=padding,
        )

    def dense(self, x: str, output: str = "") -> str:
        kernel, bias = next(self._weights), next(self._weights)
        constants = self.constant(kernel), self.constant(bias)
        return self.node("Gemm", x, *constants, output=output)

    def confidence(self, x: str) -> None:
        """The second of two classes: a face."""
        x = self.node("Softmax", x, axis=1)
        ends = [self.constant([i], np.int64) for i in (1, 2, 1)]
        self.node("Slice", x, *ends, output="confidence")

    def session(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[str]
    ) -> onnxruntime.InferenceSession:
        assert next(self._weights, None) is None, "all weights have their place"
        model = self.to_model(
            inputs, [onnx.ValueInfoProto(name=name) for name in outputs], _MICROSOFT
        )
        options = onnxruntime.SessionOptions()
        # Sums, and with them boxes, depend on the number of threads.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, ["CPUExecutionProvider"]
        )
