"""The visual stream over the face crops of a chunk, and its backbones (section 3.2)."""

from collections.abc import Callable

from keras import KerasTensor, layers

from tfmds.models import batch_norm
from tfmds.models.batch_norm import Norm
from tfmds.models.resnet import ResNet2d3d

# From normalised pictures float `[n, t, h, w, 3]`, a factor on all channels and the
# norm to use, to features float `[n, t', h', w', c]`. The names of its layers begin
# with `visual_`.
Backbone = Callable[[KerasTensor, float, Norm], KerasTensor]

# Another family is a file with its builder, and a line here.
BACKBONES: dict[str, Backbone] = {
    "resnet18": ResNet2d3d((2, 2, 2, 2)),
    "resnet34": ResNet2d3d((3, 4, 6, 3)),
    "resnet50": ResNet2d3d((3, 4, 6, 3), bottleneck=True),
    "resnet101": ResNet2d3d((3, 4, 23, 3), bottleneck=True),
    "resnet152": ResNet2d3d((3, 8, 36, 3), bottleneck=True),
    "resnet200": ResNet2d3d((3, 24, 36, 3), bottleneck=True),
}


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
      float `[n, h' * w' * c]`, for the paper's backbones `h / 32 * w / 32 * channels`
      (rounded up): 12,544 at 224 pixels and width 1. With `keep_time`
      `[n, t', ...]`, for these `t / 4`, 8 steps of a second.
    """
    norm = batch_norm.batch_statistics if batch_statistics else batch_norm.running
    x = BACKBONES[backbone](frames, width, norm)
    x = layers.Reshape((x.shape[1], -1), name="visual_flatten")(x)
    if keep_time:
        return x
    return layers.GlobalAveragePooling1D(name="visual_time_average")(x)
