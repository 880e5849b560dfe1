"""A trained network without its batch norms: the same outputs from fewer operations.

In use a batch norm multiplies and adds constants, which the weights of a neighbouring
layer can hold (Jacob et al. 2018, section 3.2).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from tfmds.models.batch_norm import moments

_LINEAR = (layers.Conv2D, layers.Conv3D, layers.Dense)
# What does nothing outside of training.
_TRAINING_ONLY = (layers.Dropout,)


def fold_batch_norm(model: keras.Model) -> keras.Model:
    """The network with each batch norm folded into the layer before or behind it.

    Layers that matter in training only are left out, and what other runtimes lack is
    said in other words. A batch norm that has no linear layer to itself stays, and so
    does `BatchStatisticsNormalization`, whose numbers are not known before its batch.

    Args:
      model: A functional model; is not changed.
    """
    before = _folded_into_layer_before(model)
    behind = _folded_into_layer_behind(model, taken=before)
    gone = {norm.name for norm in (*before.values(), *behind.values())}

    def clone(layer: layers.Layer) -> layers.Layer:
        config = layer.get_config()
        if isinstance(layer, layers.Normalization):
            return _rescaling(layer)
        if layer.name in before or layer.name in behind:
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(layer: layers.Layer, x: Any, *args: Any, **kwargs: Any) -> Any:
        if layer.name in gone or isinstance(layer, _TRAINING_ONLY):
            return x
        if isinstance(layer, layers.MaxPooling3D) and layer.pool_size[0] == 1:
            return _pool_pictures(layer, x)
        return layer(x, *args, **kwargs)

    folded = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in folded.layers:
        if not layer.weights:
            continue
        weights = model.get_layer(layer.name).get_weights()
        if layer.name in before:
            weights = _scaled_outputs(weights, *_constants(before[layer.name]))
        if layer.name in behind:
            weights = _scaled_inputs(weights, *_constants(behind[layer.name]))
        layer.set_weights(weights)
    return folded


def unfold_batch_norm(
    folded: keras.Model, model: keras.Model, batches: Iterable[Mapping[str, Any]]
) -> None:
    """Gives a network with batch norms the function of one where they are folded.

    Their statistics are those of some batches, so that the function is the same in
    training, where a batch has its own.

    Args:
      folded: What `fold_batch_norm` made of such a network.
      model: The network; its weights are set.
      batches: Inputs of the network.
    """
    before = _folded_into_layer_before(model)
    behind = _folded_into_layer_behind(model, taken=before)
    norms = [*before.values(), *behind.values()]
    names = {norm.name for norm in norms}
    for layer in model.layers:
        if not layer.weights or layer.name in names:
            continue
        weights = folded.get_layer(layer.name).get_weights()
        if norm := before.get(layer.name):
            kernel, shift = weights
            weights = [kernel, np.zeros_like(shift)][: len(layer.weights)]
            _set(norm, shift, np.zeros_like(shift), np.ones_like(shift))
        layer.set_weights(weights)
    for norm in behind.values():
        zeros = np.zeros(norm.input.shape[-1], np.float32)
        _set(norm, zeros, zeros, zeros + 1)
    inputs = keras.Model(model.input, [norm.input for norm in norms])
    found = [
        [[np.ravel(x) for x in moments(x)] for x in inputs(batch, training=False)]
        for batch in batches
    ]
    for at, norm in enumerate(norms):
        means, variances = zip(*(of_batch[at] for of_batch in found), strict=True)
        mean = np.mean(means, axis=0)
        # Within the batches and between them.
        variance = np.mean(variances, axis=0) + np.var(means, axis=0)
        shift = np.asarray(norm.beta)
        _set(norm, shift, mean, variance)


def _set(
    norm: layers.BatchNormalization,
    shift: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
) -> None:
    """Makes a batch norm of these statistics add `shift`, and nothing else."""
    norm.set_weights([np.sqrt(variance + norm.epsilon), shift + mean, mean, variance])


def _folded_into_layer_before(model: keras.Model) -> dict[str, layers.Layer]:
    """Batch norms by the name of the linear layer whose only reader they are."""
    found = {}
    for layer in model.layers:
        readers = _readers(model, layer)
        if isinstance(layer, _LINEAR) and len(readers) == 1:
            (norm,) = readers
            if isinstance(norm, layers.BatchNormalization):
                found[layer.name] = norm
    return found


def _folded_into_layer_behind(
    model: keras.Model, taken: dict[str, layers.Layer]
) -> dict[str, layers.Layer]:
    """The other batch norms by the name of the dense layer that alone reads them."""
    found = {}
    for norm in model.layers:
        if not isinstance(norm, layers.BatchNormalization) or norm in taken.values():
            continue
        readers = _readers(model, norm)
        while len(readers) == 1 and isinstance(readers[0], _TRAINING_ONLY):
            readers = _readers(model, readers[0])
        # A convolution pads with zeros behind the norm: only a dense layer will do.
        if len(readers) == 1 and isinstance(readers[0], layers.Dense):
            found[readers[0].name] = norm
    return found


def _rescaling(norm: layers.Normalization) -> layers.Rescaling:
    # Its numbers are tensors from outside of the graph, which an export to ONNX takes
    # for inputs.
    scale = 1 / np.sqrt(np.ravel(norm.input_variance))
    offset = -np.ravel(norm.input_mean) * scale
    return layers.Rescaling(scale.tolist(), offset.tolist(), name=norm.name)


def _pool_pictures(
    pool: layers.MaxPooling3D, x: keras.KerasTensor
) -> keras.KerasTensor:
    # LiteRT knows no pooling in three dimensions.
    _, *shape = x.shape
    x = ops.reshape(x, (-1, *shape[1:]))
    x = ops.max_pool(x, pool.pool_size[1:], pool.strides[1:], pool.padding)
    return ops.reshape(x, (-1, shape[0], *x.shape[1:]))


def _readers(model: keras.Model, layer: layers.Layer) -> list[layers.Layer]:
    return [
        other
        for other in model.layers
        if other is not layer
        and any(x is layer.output for x in keras.tree.flatten(other.input))
    ]


def _constants(norm: layers.BatchNormalization) -> tuple[np.ndarray, np.ndarray]:
    """What a batch norm multiplies by and then adds, float64 `[c]` each."""
    gamma, beta, mean, variance = (w.astype(np.float64) for w in norm.get_weights())
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale, beta - mean * scale


def _scaled_outputs(
    weights: Sequence[np.ndarray], scale: np.ndarray, shift: np.ndarray
) -> list[np.ndarray]:
    kernel, *bias = weights
    return [kernel * scale, (bias[0] if bias else 0) * scale + shift]


def _scaled_inputs(
    weights: Sequence[np.ndarray], scale: np.ndarray, shift: np.ndarray
) -> list[np.ndarray]:
    kernel, *bias = weights
    return [kernel * scale[:, None], shift @ kernel + (bias[0] if bias else 0)]
