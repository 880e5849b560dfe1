"""Batch norms of convolutions in training, by one TensorFlow operation each.

Keras spells a batch norm out in many passes over its input, which on a CPU take three
to six times as long.
"""

import keras
import tensorflow as tf
from keras import layers, tree

from tfmds.models.batch_norm import BatchNormalization


def with_fused_batch_norm(model: keras.Model) -> keras.Model:
    """The same network, weights shared, whose norms of convolutions are fused."""

    def clone(layer: layers.Layer) -> layers.Layer:
        pictures = [len(x.shape) in (4, 5) for x in tree.flatten(layer.input)]
        if isinstance(layer, BatchNormalization) and all(pictures):
            return _Fused(layer)
        return layer

    return keras.models.clone_model(model, clone_function=clone)


class _Fused(layers.Layer):
    """What `norm` does in training to float `[..., h, w, c]`, to its own weights."""

    def __init__(self, norm: BatchNormalization):
        super().__init__(name=norm.name, dtype=norm.dtype_policy)
        self.norm = norm

    def call(
        self,
        inputs: tf.Tensor,
        training: bool | None = None,
        mask: tf.Tensor | None = None,
    ) -> tf.Tensor:
        norm = self.norm
        if not training:
            return norm(inputs, training=False)
        shape = tf.shape(inputs)
        # The operation takes pictures; over which axes is the same to it.
        flat = tf.reshape(inputs, [-1, shape[-3], shape[-2], inputs.shape[-1]])
        outputs, mean, variance = tf.compat.v1.nn.fused_batch_norm(
            flat, norm.gamma, norm.beta, epsilon=norm.epsilon, is_training=True
        )
        # The variance is that of a sample, as `BatchNormalization` keeps it.
        for kept, found in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
            kept.assign(kept * norm.momentum + found * (1 - norm.momentum))
        return tf.reshape(outputs, shape)
