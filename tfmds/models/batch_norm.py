"""Batch norms as PyTorch, and so the paper's code, computes them."""

from collections.abc import Callable
from typing import Any

import keras
from keras import KerasTensor, layers, ops

# PyTorch's epsilon, and its momentum 0.1 as Keras counts it.
EPSILON, MOMENTUM = 1e-5, 0.9

# A batch norm of a tensor, under a name.
Norm = Callable[[KerasTensor, str], KerasTensor]


def moments(x: KerasTensor) -> tuple[KerasTensor, KerasTensor]:
    """Mean and variance over all axes but the last, in float32.

    A single sum over all pixels of all frames of a batch loses too many digits: the
    mean of each picture is taken first, then the mean of these.

    Args:
      x: float `[..., c]`.

    Returns:
      Both float32 `[1, ..., 1, c]`; the variance is that of the batch, not of a
      population it is a sample of.
    """
    # Half precision numbers would be too coarse.
    x = ops.cast(x, keras.backend.result_type(x.dtype, "float32"))
    mean = _mean(x)
    return mean, _mean(ops.square(x - mean))


def _mean(x: KerasTensor) -> KerasTensor:
    batch, *places, _ = range(len(x.shape))
    for axes in (places[1:], (batch, *places[:1])):
        x = ops.mean(x, tuple(axes), keepdims=True) if axes else x
    return x


@keras.saving.register_keras_serializable("tfmds")
class BatchNormalization(layers.BatchNormalization):
    """Batch norm whose running variance is an estimate from a sample, as in PyTorch.

    PyTorch multiplies a batch's variance by `n / (n - 1)` before it is averaged; Keras
    does not, which matters where a batch is all there is: at 8 chunks by 1/7. It has
    the name of Keras' class, which stands in the files of checkpoints.

    Attributes:
      replicas: Among how many a batch is dealt, where it is synchronized.
    """

    def __init__(
        self, momentum: float = MOMENTUM, epsilon: float = EPSILON, **kwargs: Any
    ):
        super().__init__(momentum=momentum, epsilon=epsilon, **kwargs)
        self.replicas = 1

    def call(
        self,
        inputs: KerasTensor,
        training: bool | None = None,
        mask: KerasTensor | None = None,
    ) -> KerasTensor:
        """Takes float `[..., c]`, returns the same shape."""
        if not (training and self.trainable):
            return super().call(inputs, training=False, mask=mask)
        kept = ops.convert_to_tensor(self.moving_variance) * self.momentum
        outputs = super().call(inputs, training=True, mask=mask)
        count = ops.cast(ops.size(inputs) // inputs.shape[-1], kept.dtype)
        count *= self.replicas
        added = self.moving_variance - kept
        self.moving_variance.assign(kept + added * count / ops.maximum(count - 1, 1))
        return outputs


@keras.saving.register_keras_serializable("tfmds")
class BatchStatisticsNormalization(layers.Layer):
    """Batch norm that keeps no running statistics, as in the paper's public code.

    Mean and variance are those of the batch at hand, in training and afterwards, so
    a score depends on what else is in the batch.
    """

    def __init__(self, epsilon: float = EPSILON, **kwargs: Any):
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Scale and offset by channel; there is nothing else to remember."""
        self.gamma = self.add_weight(
            shape=input_shape[-1:], initializer="ones", name="gamma"
        )
        self.beta = self.add_weight(
            shape=input_shape[-1:], initializer="zeros", name="beta"
        )

    def call(self, inputs: KerasTensor) -> KerasTensor:
        """Takes float `[..., c]`, returns the same shape."""
        mean, variance = moments(inputs)
        scale = ops.cast(self.gamma, mean.dtype) * ops.rsqrt(variance + self.epsilon)
        x = (ops.cast(inputs, mean.dtype) - mean) * scale
        return ops.cast(x + ops.cast(self.beta, mean.dtype), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "epsilon": self.epsilon}


def running(x: KerasTensor, name: str) -> KerasTensor:
    """Normalises by the batch in training, by running statistics afterwards."""
    return BatchNormalization(name=name)(x)


def batch_statistics(x: KerasTensor, name: str) -> KerasTensor:
    """Normalises by the batch at hand, always."""
    return BatchStatisticsNormalization(name=name)(x)
