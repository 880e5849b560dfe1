"""EfficientNet-Lite0: a small network of single pictures.

Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", in the form for small devices of Google's TPU repository: without squeeze and
excitation, and with ReLU6 in the place of swish.
"""

import dataclasses

from keras import KerasTensor, layers

from tfmds.models.batch_norm import BatchNormalization
from tfmds.models.resnet import kaiming_normal

# Of the published weights.
_EPSILON, _MOMENTUM = 1e-3, 0.99


@dataclasses.dataclass(frozen=True)
class Stage:
    """Blocks of one kind.

    Attributes:
      blocks: How many, of which the first strides and changes the channels.
      kernel: Side of the depthwise convolution.
      stride: Of the first block.
      expansion: Factor on the channels within a block.
      channels: Of what comes out.
    """

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
_STEM, _HEAD = 32, 1280
# Of all blocks; how often one is left out in training grows up to it with depth.
_DROPPED = 0.2


def efficientnet_lite0(x: KerasTensor) -> KerasTensor:
    """Features `[n, h / 32, w / 32, 1280]` of pictures `[n, h, w, 3]`, -1 to 1."""
    x = _conv(x, _STEM, 3, "stem", stride=2)
    total = sum(stage.blocks for stage in STAGES)
    number = 0
    for stage in STAGES:
        for index in range(stage.blocks):
            x = _block(x, stage, index == 0, f"block{number}", number / total)
            number += 1
    return _conv(x, _HEAD, 1, "head")


def _block(
    x: KerasTensor, stage: Stage, first: bool, name: str, depth: float
) -> KerasTensor:
    y = x
    if stage.expansion != 1:
        y = _conv(y, x.shape[-1] * stage.expansion, 1, f"{name}_expand")
    y = layers.DepthwiseConv2D(
        stage.kernel,
        stage.stride if first else 1,
        "same",
        use_bias=False,
        depthwise_initializer=kaiming_normal(),
        name=f"{name}_depthwise",
    )(y)
    y = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(_norm(y, f"{name}_depthwise"))
    y = _conv(y, stage.channels, 1, f"{name}_project", relu=False)
    if first:
        return y
    y = layers.Dropout(
        _DROPPED * depth, noise_shape=(None, 1, 1, 1), name=f"{name}_drop"
    )(y)
    return layers.Add(name=f"{name}_add")([x, y])


def _conv(
    x: KerasTensor,
    channels: int,
    kernel: int,
    name: str,
    stride: int = 1,
    relu: bool = True,
) -> KerasTensor:
    x = layers.Conv2D(
        channels,
        kernel,
        stride,
        "same",
        use_bias=False,
        kernel_initializer=kaiming_normal(),
        name=name,
    )(x)
    x = _norm(x, name)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if relu else x


def _norm(x: KerasTensor, name: str) -> KerasTensor:
    return BatchNormalization(_MOMENTUM, _EPSILON, name=f"{name}_bn")(x)
