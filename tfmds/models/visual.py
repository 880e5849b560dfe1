"""The visual stream: a "2D3D" ResNet over the face crops of a chunk (section 3.2)."""

from collections.abc import Callable

import keras
from keras import KerasTensor, initializers, layers, ops

# Residual blocks of each stage by name; bottleneck blocks from 50 on.
BACKBONES = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
    "resnet200": (3, 24, 36, 3),
}
BOTTLENECKS = ("resnet50", "resnet101", "resnet152", "resnet200")
_EXPANSION = 4

# Channels of the stages; the last is 256 where an ordinary ResNet has 512.
STAGE_CHANNELS = (64, 128, 256, 256)
# The first two stages look at each frame alone, the last two across time.
_STAGE_KERNELS = ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3))
_STAGE_STRIDES = ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))

# PyTorch's epsilon, and its momentum 0.1 as Keras counts it.
BATCH_NORM = {"epsilon": 1e-5, "momentum": 0.9}

Triple = tuple[int, int, int]
Norm = Callable[[KerasTensor, str], KerasTensor]


def kaiming_normal() -> initializers.Initializer:
    """He et al. 2015, normal over the fan out: every convolution's start."""
    return initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


def visual_features(
    frames: KerasTensor,
    backbone: str = "resnet18",
    width: float = 1.0,
    batch_statistics: bool = False,
    keep_time: bool = False,
) -> KerasTensor:
    """Convolutions of the visual stream, averaged over time.

    Args:
      frames: float `[n, t, h, w, 3]`, normalised pictures.
      backbone: A name in `BACKBONES`.
      width: Factor on all channel counts; 1 is the paper's.
      batch_statistics: Whether the batch norms always take the statistics of their
        batch, see `BatchStatisticsNormalization`.
      keep_time: Whether the time steps are kept, not averaged.

    Returns:
      float `[n, h / 32 * w / 32 * channels]` (rounded up), 12,544 at 224 pixels and
      width 1; with `keep_time` `[n, t / 4, ...]`, 8 steps of a second.
    """
    block = _bottleneck_block if backbone in BOTTLENECKS else _basic_block
    norm = _batch_statistics_norm if batch_statistics else _batch_norm
    x = _conv(frames, round(64 * width), (1, 7, 7), (1, 2, 2), "visual_stem_conv")
    x = norm(x, "visual_stem_bn")
    x = layers.ReLU(name="visual_stem_relu")(x)
    # Zeros are as good as minus infinity behind a ReLU.
    x = layers.ZeroPadding3D((0, 1, 1), name="visual_stem_pool_pad")(x)
    x = layers.MaxPooling3D((1, 3, 3), (1, 2, 2), name="visual_stem_pool")(x)
    num_blocks = BACKBONES[backbone]
    for stage, channels in enumerate(STAGE_CHANNELS):
        for index in range(num_blocks[stage]):
            x = block(
                x,
                round(channels * width),
                kernel=_STAGE_KERNELS[stage],
                stride=_STAGE_STRIDES[stage] if index == 0 else (1, 1, 1),
                name=f"visual_stage{stage + 1}_block{index + 1}",
                final_relu=(stage, index) != (3, num_blocks[3] - 1),
                norm=norm,
            )
    x = layers.Reshape((x.shape[1], -1), name="visual_flatten")(x)
    if keep_time:
        return x
    return layers.GlobalAveragePooling1D(name="visual_time_average")(x)


@keras.saving.register_keras_serializable("tfmds")
class BatchStatisticsNormalization(layers.Layer):
    """Batch norm that keeps no running statistics, as in the paper's public code.

    Mean and variance are those of the batch at hand, in training and afterwards, so
    an answer depends on what else is in the batch.
    """

    def __init__(self, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape):
        """Scale and offset by channel; there is nothing else to remember."""
        self.gamma = self.add_weight(
            shape=input_shape[-1:], initializer="ones", name="gamma"
        )
        self.beta = self.add_weight(
            shape=input_shape[-1:], initializer="zeros", name="beta"
        )

    def call(self, inputs):
        """Takes float `[..., c]`, answers the same shape."""
        # Statistics of half precision numbers would be too coarse.
        dtype = keras.backend.result_type(self.compute_dtype, "float32")
        x = ops.cast(inputs, dtype)
        axes = tuple(range(len(x.shape) - 1))
        x = x - ops.mean(x, axes, keepdims=True)
        variance = ops.mean(ops.square(x), axes, keepdims=True)
        scale = ops.cast(self.gamma, dtype) * ops.rsqrt(variance + self.epsilon)
        x = x * scale + ops.cast(self.beta, dtype)
        return ops.cast(x, self.compute_dtype)

    def get_config(self):
        """The arguments of the constructor."""
        return {**super().get_config(), "epsilon": self.epsilon}


def _basic_block(
    x: KerasTensor,
    channels: int,
    *,
    kernel: Triple,
    stride: Triple,
    name: str,
    final_relu: bool,
    norm: Norm,
) -> KerasTensor:
    y = _conv(x, channels, kernel, stride, f"{name}_conv1")
    y = layers.ReLU(name=f"{name}_relu1")(norm(y, f"{name}_bn1"))
    y = _conv(y, channels, kernel, (1, 1, 1), f"{name}_conv2")
    y = norm(y, f"{name}_bn2")
    return _join(x, y, stride, name, final_relu, norm)


def _bottleneck_block(
    x: KerasTensor,
    channels: int,
    *,
    kernel: Triple,
    stride: Triple,
    name: str,
    final_relu: bool,
    norm: Norm,
) -> KerasTensor:
    y = _conv(x, channels, (1, 1, 1), (1, 1, 1), f"{name}_conv1")
    y = layers.ReLU(name=f"{name}_relu1")(norm(y, f"{name}_bn1"))
    y = _conv(y, channels, kernel, stride, f"{name}_conv2")
    y = layers.ReLU(name=f"{name}_relu2")(norm(y, f"{name}_bn2"))
    y = _conv(y, channels * _EXPANSION, (1, 1, 1), (1, 1, 1), f"{name}_conv3")
    y = norm(y, f"{name}_bn3")
    return _join(x, y, stride, name, final_relu, norm)


def _join(
    x: KerasTensor,
    y: KerasTensor,
    stride: Triple,
    name: str,
    final_relu: bool,
    norm: Norm,
) -> KerasTensor:
    if stride != (1, 1, 1) or x.shape[-1] != y.shape[-1]:
        x = _conv(x, y.shape[-1], (1, 1, 1), stride, f"{name}_shortcut_conv")
        x = norm(x, f"{name}_shortcut_bn")
    y = layers.Add(name=f"{name}_add")([x, y])
    return layers.ReLU(name=f"{name}_relu")(y) if final_relu else y


def _conv(
    x: KerasTensor,
    channels: int,
    kernel: Triple,
    stride: Triple,
    name: str,
) -> KerasTensor:
    # Keras "same" pads unevenly where it strides; PyTorch, and so the paper, evenly.
    pad = tuple(size // 2 for size in kernel)
    if stride == (1, 1, 1):
        padding = "same"
    else:
        padding = "valid"
        if any(pad):
            x = layers.ZeroPadding3D(pad, name=f"{name}_pad")(x)
    return layers.Conv3D(
        channels,
        kernel,
        stride,
        padding,
        use_bias=False,
        kernel_initializer=kaiming_normal(),
        name=name,
    )(x)


def _batch_norm(x: KerasTensor, name: str) -> KerasTensor:
    return layers.BatchNormalization(**BATCH_NORM, name=name)(x)


def _batch_statistics_norm(x: KerasTensor, name: str) -> KerasTensor:
    return BatchStatisticsNormalization(BATCH_NORM["epsilon"], name=name)(x)
