"""The audio stream: 2-D convolutions over the MFCC of a chunk (section 3.2)."""

from keras import KerasTensor, layers

from tfmds.models import batch_norm
from tfmds.models.resnet import kaiming_normal


def audio_features(
    mfcc: KerasTensor, width: float = 1.0, time_steps: int = 0
) -> KerasTensor:
    """Convolutions of the audio stream.

    Args:
      mfcc: float `[n, 13, 99, 1]`.
      width: Factor on all channel counts; 1 is the paper's.
      time_steps: 0 lays the 21 steps of a second side by side, as the paper does; any
        other number averages them to so many, evenly over the second.

    Returns:
      float `[n, 21 * round(512 * width)]`, or `[n, time_steps, round(512 * width)]`.
    """
    x = _conv(mfcc, round(64 * width), "audio_conv1")
    x = _conv(x, round(192 * width), "audio_conv2")
    x = layers.MaxPooling2D((3, 3), (1, 2), name="audio_pool2")(x)
    x = _conv(x, round(384 * width), "audio_conv3")
    x = _conv(x, round(256 * width), "audio_conv4")
    x = _conv(x, round(256 * width), "audio_conv5")
    x = layers.MaxPooling2D((3, 3), (2, 2), name="audio_pool5")(x)
    x = _conv(x, round(512 * width), "audio_conv6", kernel=(5, 4), padding="valid")
    if not time_steps:
        return layers.Flatten(name="audio_flatten")(x)
    x = layers.Reshape((x.shape[2], x.shape[3]), name="audio_steps")(x)
    pool = -(-x.shape[1] // time_steps)
    pad = pool * time_steps - x.shape[1]
    x = layers.ZeroPadding1D((pad - pad // 2, pad // 2), name="audio_pad")(x)
    return layers.AveragePooling1D(pool, name="audio_time_average")(x)


def _conv(
    x: KerasTensor,
    channels: int,
    name: str,
    kernel: tuple[int, int] = (3, 3),
    padding: str = "same",
) -> KerasTensor:
    x = layers.Conv2D(
        channels,
        kernel,
        padding=padding,
        kernel_initializer=kaiming_normal(),
        name=name,
    )(x)
    x = batch_norm.running(x, f"{name}_bn")
    return layers.ReLU(name=f"{name}_relu")(x)
