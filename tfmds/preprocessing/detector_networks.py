"""The three networks of MTCNN as ONNX graphs, from the weights of the package mtcnn.

Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks". The package itself runs them in TensorFlow, which takes seconds
to start; only its files with weights are read here.
"""

import importlib.util
import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any

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
_AS_THEY_ARE = slice(None)


def proposal_network() -> onnxruntime.InferenceSession:
    """P-Net: float32 pixels `[n, h, w, 3]` to `offsets` and `confidence`.

    A cell of 12 pixels a side stands at every second pixel. `offsets` is float32
    `[n, 4, h', w']`: left, top, right, bottom as shares of the cell; `confidence` is
    float32 `[n, 1, h', w']`.
    """
    net = _Network("pnet.lz4")
    x = net.node("Transpose", "pixels", perm=[0, 3, 1, 2])
    x = net.first_conv(x, pool=2)
    x = net.conv(net.conv(x))
    net.node("Identity", net.conv(x, has_prelu=False), output="offsets")
    net.keep_difference()
    net.node("Sigmoid", net.conv(x, has_prelu=False), output="confidence")
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
    x = net.first_conv(net.crops(24), pool=3)
    x = net.max_pool(net.conv(x), 3, padding="VALID")
    return _with_ends(net, net.conv(x))


def output_network() -> onnxruntime.InferenceSession:
    """O-Net: as R-Net, at 48 pixels."""
    net = _Network("onet.lz4")
    x = net.first_conv(net.crops(48), pool=3)
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
    net.keep_difference()
    net.node("Sigmoid", net.dense(x), output="confidence")
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
        # Of the channels that the layer before left.
        self._order: Any = _AS_THEY_ARE
        # To find the package is not to import it.
        found = importlib.util.find_spec("mtcnn")
        assert found is not None, "mtcnn is installed"
        (package,) = found.submodule_search_locations or [""]
        folder = os.path.join(package, "assets", "weights")
        self._weights: Iterator[np.ndarray] = iter(
            joblib.load(os.path.join(folder, weights_file))
        )

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

    def conv(self, x: str, has_prelu: bool = True) -> str:
        """A convolution without padding, and its activation."""
        kernel = next(self._weights).transpose(3, 2, 0, 1)[:, self._order]
        self._order = _AS_THEY_ARE
        constants = self.constant(kernel), self.constant(next(self._weights))
        x = self.node("Conv", x, *constants)
        return self.prelu(x, is_picture=True) if has_prelu else x

    def first_conv(self, x: str, pool: int) -> str:
        """The convolution of the pixels, its activation and the pooling after it.

        Where the slope of the activation is not negative the pooling may come first,
        which spares most of the time. Where it is, the largest of what it gives comes
        from the largest or from the smallest value: these channels stand first, and
        times their slope once more at the end.
        """
        kernel = next(self._weights).transpose(3, 2, 0, 1) / _SPREAD
        bias = next(self._weights) - _CENTRE * kernel.sum(axis=(1, 2, 3))
        slope = next(self._weights).ravel()
        self._order = np.argsort(slope >= 0, kind="stable")
        slope = slope[self._order]
        count, falling = len(slope), int((slope < 0).sum())
        channels = np.concatenate([self._order, self._order[:falling]])
        factor = np.concatenate([np.ones(count), slope[:falling]])
        kernel = kernel[channels] * factor[:, None, None, None]
        bias = bias[channels] * factor
        x = self.node("Conv", x, self.constant(kernel), self.constant(bias))
        x = self.max_pool(x, pool)
        largest = self._channels(x, 0, falling)
        smallest = self._channels(x, count, count + falling)
        others = self._channels(x, falling, count)
        return self.node(
            "Concat",
            self.node("Max", largest, smallest),
            self._sloped(others, slope[falling:, None, None]),
            axis=1,
        )

    def max_pool(self, x: str, side: int, padding: str = "SAME_UPPER") -> str:
        return self.node(
            "MaxPool",
            x,
            kernel_shape=[side, side],
            strides=[2, 2],
            auto_pad=padding,
        )

    def prelu(self, x: str, is_picture: bool = False) -> str:
        slope = next(self._weights).ravel()
        return self._sloped(x, slope[:, None, None] if is_picture else slope)

    def _sloped(self, x: str, slope: np.ndarray) -> str:
        if slope.max() > 1:
            return self.node("PRelu", x, self.constant(slope))
        # The same, and ONNX Runtime takes a fraction of the time.
        return self.node("Max", x, self.node("Mul", x, self.constant(slope)))

    def _channels(self, x: str, start: int, stop: int) -> str:
        ends = [self.constant([i], np.int64) for i in (start, stop, 1)]
        return self.node("Slice", x, *ends)

    def dense(self, x: str, output: str = "") -> str:
        kernel, bias = next(self._weights), next(self._weights)
        constants = self.constant(kernel), self.constant(bias)
        return self.node("Gemm", x, *constants, output=output)

    def keep_difference(self) -> None:
        """Makes one of the two classes that come next: how much surer a face is."""
        both = next(self._weights), next(self._weights)
        difference = [w[..., 1:] - w[..., :1] for w in both]
        self._weights = itertools.chain(difference, self._weights)

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
