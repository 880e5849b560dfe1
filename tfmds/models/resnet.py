"""The paper's "2D3D" ResNet: it looks at each frame alone, then across time."""

import dataclasses

from keras import KerasTensor, initializers, layers

from tfmds.models.batch_norm import Norm

_EXPANSION = 4

# Channels of the stages; the last is 256 where an ordinary ResNet has 512.
STAGE_CHANNELS = (64, 128, 256, 256)
# The first two stages look at each frame alone, the last two across time.
_STAGE_KERNELS = ((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3))
_STAGE_STRIDES = ((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2))

Triple = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class ResNet2d3d:
    """A builder of `visual.BACKBONES` (section 3.2).

    Attributes:
      blocks: Residual blocks of each stage.
      bottleneck: Whether they are bottleneck blocks.
    """

    blocks: tuple[int, ...]
    bottleneck: bool = False

    def __call__(self, frames: KerasTensor, width: float, norm: Norm) -> KerasTensor:
        """Features `[n, t / 4, h / 32, w / 32, c]` of float `[n, t, h, w, 3]`."""
        block = _bottleneck_block if self.bottleneck else _basic_block
        x = _conv(frames, round(64 * width), (1, 7, 7), (1, 2, 2), "visual_stem_conv")
        x = norm(x, "visual_stem_bn")
        x = layers.ReLU(name="visual_stem_relu")(x)
        # Zeros are as good as minus infinity behind a ReLU.
        x = layers.ZeroPadding3D((0, 1, 1), name="visual_stem_pool_pad")(x)
        x = layers.MaxPooling3D((1, 3, 3), (1, 2, 2), name="visual_stem_pool")(x)
        for stage, channels in enumerate(STAGE_CHANNELS):
            for index in range(self.blocks[stage]):
                x = block(
                    x,
                    round(channels * width),
                    kernel=_STAGE_KERNELS[stage],
                    stride=_STAGE_STRIDES[stage] if index == 0 else (1, 1, 1),
                    name=f"visual_stage{stage + 1}_block{index + 1}",
                    final_relu=(stage, index) != (3, self.blocks[3] - 1),
                    norm=norm,
                )
        return x

    @property
    def channels(self) -> int:
        """Channels of the features at width 1."""
        return STAGE_CHANNELS[-1] * (_EXPANSION if self.bottleneck else 1)


def kaiming_normal() -> initializers.Initializer:
    """He et al. 2015, normal over the fan out: every convolution's start."""
    return initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")


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
