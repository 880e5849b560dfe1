"""The paper's contrastive loss (section 3.3), and a loss on mismatched voices."""

from typing import Any

import keras
from keras import KerasTensor, ops


def distance(visual: KerasTensor, audio: KerasTensor) -> KerasTensor:
    """L2 distance of two embeddings along the last axis (equation 2).

    The square root is taken a hair above zero, so that its gradient is finite where
    the embeddings are equal.

    Args:
      visual: float `[..., d]`.
      audio: float `[..., d]`.

    Returns:
      float `[...]`.
    """
    return ops.sqrt(ops.sum(ops.square(visual - audio), axis=-1) + 1e-12)


def contrastive_loss(
    label: KerasTensor, distance: KerasTensor, margin: float = 0.99
) -> KerasTensor:
    """Pulls mouth and voice of real chunks together, pushes those of fakes apart.

    Equation 1 of the paper: `y d^2 + (1 - y) max(margin - d, 0)^2`.

    Args:
      label: `[n]`, 1 real, 0 fake.
      distance: float `[n]`.
      margin: Distance beyond which a fake costs nothing.

    Returns:
      float `[n]`, the loss of each chunk.
    """
    label = ops.cast(label, distance.dtype)
    real = label * ops.square(distance)
    fake = (1 - label) * ops.square(ops.maximum(margin - distance, 0))
    return real + fake


def mismatch_softmax(
    label: KerasTensor,
    pairwise_distance: KerasTensor,
    temperature: float = 0.1,
) -> KerasTensor:
    """Cross-entropy of finding a mouth's voice among the batch, and the reverse.

    Every other chunk's voice in the batch is a mismatch, so real footage alone
    teaches how mouth and voice move together. Not in the paper.

    Args:
      label: `[n]`, 1 real, 0 fake; a fake's own pair proves nothing and is left out,
        its mouth and its voice still serve as mismatches.
      pairwise_distance: float `[n, n]`, row i the distances of mouth i to all voices.
      temperature: How sharply the nearest mismatches count.

    Returns:
      float `[n]`, the loss of each chunk, 0 for fakes.
    """
    # For embeddings of length 1 this is the cosine up to a constant.
    similarity = -0.5 * ops.square(pairwise_distance) / temperature
    matched = ops.diagonal(similarity)
    voices = ops.logsumexp(similarity, axis=1) - matched
    mouths = ops.logsumexp(similarity, axis=0) - matched
    return ops.cast(label, similarity.dtype) * 0.5 * (voices + mouths)


def mismatch_contrastive(
    label: KerasTensor,
    pairwise_distance: KerasTensor,
    margin: float = 0.99,
) -> KerasTensor:
    """`contrastive_loss` over all pairs of the batch, an own pair against the others.

    The paper's loss with each other chunk's voice for a fake; own pairs and
    mismatches weigh the same in sum.

    Args:
      label: `[n]`, 1 real, 0 fake, which `mismatch_softmax` treats the same.
      pairwise_distance: float `[n, n]`, row i the distances of mouth i to all voices.
      margin: Distance beyond which a mismatch costs nothing.

    Returns:
      float `[n]`, the loss of each chunk, 0 for fakes.
    """
    dtype = pairwise_distance.dtype
    own = ops.eye(ops.shape(pairwise_distance)[0], dtype=dtype)
    pair = contrastive_loss(own, pairwise_distance, margin)
    others = pair * (1 - own) / ops.maximum(ops.sum(1 - own, axis=1), 1)
    mismatched = 0.5 * (ops.sum(others, axis=1) + ops.sum(others, axis=0))
    return ops.cast(label, dtype) * (ops.diagonal(pair) + mismatched)


@keras.saving.register_keras_serializable("tfmds")
class ContrastiveLoss(keras.losses.Loss):
    """`contrastive_loss` for `compile`, on the output `distance`."""

    def __init__(self, margin: float = 0.99, name: str = "contrastive", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
        """See `contrastive_loss`."""
        return contrastive_loss(y_true, y_pred, self.margin)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "margin": self.margin}


@keras.saving.register_keras_serializable("tfmds")
class MismatchSoftmax(keras.losses.Loss):
    """`mismatch_softmax` for `compile`, on the output `pairwise_distance`."""

    def __init__(self, temperature: float = 0.1, name: str = "mismatch", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.temperature = temperature

    def call(self, y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
        """See `mismatch_softmax`."""
        return mismatch_softmax(y_true, y_pred, self.temperature)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "temperature": self.temperature}


@keras.saving.register_keras_serializable("tfmds")
class MismatchContrastive(keras.losses.Loss):
    """`mismatch_contrastive` for `compile`, on the output `pairwise_distance`."""

    def __init__(self, margin: float = 0.99, name: str = "mismatch", **kwargs: Any):
        super().__init__(name=name, **kwargs)
        self.margin = margin

    def call(self, y_true: KerasTensor, y_pred: KerasTensor) -> KerasTensor:
        """See `mismatch_contrastive`."""
        return mismatch_contrastive(y_true, y_pred, self.margin)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "margin": self.margin}
