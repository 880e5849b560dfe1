"""The two-stream network: visual and audio embeddings, their distance, two heads."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import KerasTensor, initializers, layers, ops

from tfmds.models import batch_norm, losses
from tfmds.models.audio import audio_features
from tfmds.models.config import TwoStreamConfig
from tfmds.models.resnet import kaiming_normal
from tfmds.models.visual import visual_features
from tfmds.spec import ChunkSpec

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def two_stream(config: TwoStreamConfig, spec: ChunkSpec | None = None) -> keras.Model:
    """Builds the network of figure 2 of the paper.

    Inputs: `frames` uint8 or float `[n, 30, s, s, 3]`, RGB from 0 to 255, and `mfcc`
    float `[n, 13, 99]`. Outputs, all float32: `distance` `[n]`, `visual_logits`
    `[n, 2]`, `audio_logits` `[n, 2]`; logit 1 is real, 0 fake.
    """
    spec = spec or ChunkSpec()
    size = config.image_size
    frames = keras.Input((spec.num_frames, size, size, 3), name="frames")
    mfcc = keras.Input((spec.num_coefficients, spec.num_mfcc_frames), name="mfcc")
    seen = layers.Normalization(
        mean=[255 * x for x in _IMAGENET_MEAN],
        variance=[(255 * x) ** 2 for x in _IMAGENET_STD],
        name="imagenet_normalization",
    )(frames)
    if config.standardize_frames:
        seen = StandardizeMotion(name="frames_standard")(seen)
    heard = mfcc
    if config.standardize_mfcc:
        heard = StandardizeTime(name="mfcc_standard")(heard)
    heard = layers.Reshape((*mfcc.shape[1:], 1), name="mfcc_plane")(heard)
    seen = visual_features(
        seen,
        config.backbone,
        config.width,
        config.visual_batch_statistics,
        config.keep_time,
    )
    time_steps = seen.shape[1] if config.keep_time else 0
    heard = audio_features(heard, config.width, time_steps)
    seen = _embedding(seen, config, "visual")
    heard = _embedding(heard, config, "audio")
    outputs = {
        "distance": Distance(config.unit_embeddings, dtype="float32", name="distance")(
            [seen, heard]
        ),
        "visual_logits": _head(seen, config, "visual"),
        "audio_logits": _head(heard, config, "audio"),
    }
    return keras.Model({"frames": frames, "mfcc": mfcc}, outputs, name="two_stream")


def fake_probability(logits: KerasTensor) -> KerasTensor:
    """What a head says: the probability of fake, float `[n]` from logits `[n, 2]`."""
    return ops.softmax(logits)[:, 0]


def with_pairwise_distance(model: keras.Model) -> keras.Model:
    """The same network with one more output, for `MismatchLoss`.

    `pairwise_distance` is float32 `[n, n]`: the distance of each mouth in the batch
    to each voice. Weights are shared with `model`.
    """
    seen, heard = model.get_layer("distance").input
    pairwise = PairwiseDistance(
        model.get_layer("distance").unit_embeddings,
        dtype="float32",
        name="pairwise_distance",
    )([seen, heard])
    outputs = {**model.output, "pairwise_distance": pairwise}
    return keras.Model(model.input, outputs, name=model.name)


def with_embeddings(model: keras.Model) -> keras.Model:
    """The same network with two more outputs, as their distance is taken.

    `visual_embedding` and `audio_embedding` are float `[n, d]`. Weights are shared with
    `model`.
    """
    distance = model.get_layer("distance")
    seen, heard = distance.embeddings(distance.input)
    outputs = {**model.output, "visual_embedding": seen, "audio_embedding": heard}
    return keras.Model(model.input, outputs, name=model.name)


def single_streams(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The two streams, each with an input of its own and the weights of `model`.

    Returns:
      From `frames` and from `mfcc` to the embeddings as their distance is taken,
      float `[n, d]` each.
    """
    distance = model.get_layer("distance")
    seen, heard = distance.embeddings(distance.input)
    return (
        keras.Model(model.input["frames"], seen, name="visual_stream"),
        keras.Model(model.input["mfcc"], heard, name="audio_stream"),
    )


def split_at_embeddings(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The network in two parts that share its weights.

    Returns:
      The streams, from the inputs to visual and audio embeddings, each `[n, d]`; and
      the rest, from these to the outputs. Only the rest may mix the chunks of a batch
      other than by batch norms.
    """
    embeddings = model.get_layer("distance").input
    return (
        keras.Model(model.input, embeddings, name="streams"),
        keras.Model(embeddings, model.output, name="heads"),
    )


def count_parameters(model: keras.Model) -> dict[str, int]:
    """Trainable parameters by part: convolutions and dense layers by stream, heads."""
    counts = dict.fromkeys(
        ("visual_conv", "audio_conv", "visual_dense", "audio_dense", "heads"), 0
    )
    for layer in model.layers:
        stream = layer.name.split("_")[0]
        if "_head" in layer.name:
            part = "heads"
        elif "_dense" in layer.name or "_embedding" in layer.name:
            part = f"{stream}_dense"
        else:
            part = f"{stream}_conv"
        for weight in layer.trainable_weights:
            counts[part] += int(ops.prod(ops.shape(weight)))
    return counts


@keras.saving.register_keras_serializable("tfmds")
class StandardizeTime(layers.Layer):
    """Brings the last axis of float `[n, c, t]` to mean 0 and deviation 1."""

    def call(self, x: KerasTensor) -> KerasTensor:
        """Answers the same shape; a constant row becomes zeros."""
        deviation = ops.std(x, axis=-1, keepdims=True)
        return (x - ops.mean(x, axis=-1, keepdims=True)) / (deviation + 1e-3)


@keras.saving.register_keras_serializable("tfmds")
class StandardizeMotion(layers.Layer):
    """Takes the mean over time from pictures `[n, t, h, w, c]`, and scales the rest."""

    def call(self, x: KerasTensor) -> KerasTensor:
        """Answers the same shape; each chunk has deviation 1 over all its pixels."""
        x = x - ops.mean(x, axis=1, keepdims=True)
        power = ops.mean(ops.square(x), axis=(1, 2, 3, 4), keepdims=True)
        return x / (ops.sqrt(power) + 1e-2)


@keras.saving.register_keras_serializable("tfmds")
class Distance(layers.Layer):
    """Distance of each chunk's embeddings, see `losses.distance`."""

    def __init__(self, unit_embeddings: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.unit_embeddings = unit_embeddings

    def call(self, inputs: Sequence[KerasTensor]) -> KerasTensor:
        """Takes two float `[n, d]`, returns float `[n]`."""
        seen, heard = self.embeddings(inputs)
        return losses.distance(seen, heard)

    def embeddings(self, inputs: Sequence[KerasTensor]) -> Sequence[KerasTensor]:
        """The pair as its distance is taken."""
        if self.unit_embeddings:
            return [ops.normalize(x, axis=-1) for x in inputs]
        return inputs

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "unit_embeddings": self.unit_embeddings}


@keras.saving.register_keras_serializable("tfmds")
class PairwiseDistance(Distance):
    """Distance of each mouth in the batch to each voice."""

    def call(self, inputs: Sequence[KerasTensor]) -> KerasTensor:
        """Takes two float `[n, d]`, returns float `[n, n]`."""
        seen, heard = self.embeddings(inputs)
        return losses.distance(seen[:, None], heard[None])


def _embedding(x: KerasTensor, config: TwoStreamConfig, stream: str) -> KerasTensor:
    x = _dense(x, round(4096 * config.width), config, f"{stream}_dense")
    x = batch_norm.running(x, f"{stream}_dense_bn")
    x = layers.ReLU(name=f"{stream}_dense_relu")(x)
    x = _dense(x, round(1024 * config.width), config, f"{stream}_embedding")
    return layers.Flatten(name=f"{stream}_flat_embedding")(x) if config.keep_time else x


def _head(x: KerasTensor, config: TwoStreamConfig, stream: str) -> KerasTensor:
    x = batch_norm.running(x, f"{stream}_head_bn")
    x = layers.Dropout(config.dropout, name=f"{stream}_head_dropout")(x)
    x = _dense(x, 2, config, f"{stream}_head")
    return layers.Activation("linear", dtype="float32", name=f"{stream}_logits")(x)


def _dense(
    x: KerasTensor, units: int, config: TwoStreamConfig, name: str
) -> KerasTensor:
    if config.dense_init == "kaiming":
        kernel, bias = kaiming_normal(), initializers.Zeros()
    else:
        bound = x.shape[-1] ** -0.5
        kernel = initializers.RandomUniform(-bound, bound)
        bias = initializers.RandomUniform(-bound, bound)
    return layers.Dense(
        units, kernel_initializer=kernel, bias_initializer=bias, name=name
    )(x)
