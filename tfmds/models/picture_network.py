"""A network that tells from one picture of a face whether it is forged."""

from collections.abc import Callable

import keras
from keras import KerasTensor, layers

from tfmds.models.efficientnet_lite import efficientnet_lite0

# From pictures float `[n, h, w, 3]` within -1 to 1 to features float `[n, h', w', c]`.
Backbone = Callable[[KerasTensor], KerasTensor]

# Another family is a file with its builder, and a line here.
BACKBONES: dict[str, Backbone] = {"efficientnet_lite0": efficientnet_lite0}

# As the published weights of ImageNet were trained.
_MEAN, _SPREAD = 127.0, 128.0
_FEATURES = "picture_features"


def picture_network(
    backbone: str = "efficientnet_lite0", size: int = 160, dropout: float = 0.0
) -> keras.Model:
    """Builds the network.

    Input: `pictures` uint8 or float `[n, s, s, 3]`, RGB from 0 to 255, framed by
    `data.face_records.view`. Output, float32: `picture_logits` `[n, 2]`; logit 1 is
    real, 0 fake.

    Args:
      backbone: A name in `BACKBONES`.
      size: Side of the pictures in pixels.
      dropout: Rate before the head.
    """
    pictures = keras.Input((size, size, 3), name="pictures")
    x = layers.Rescaling(1 / _SPREAD, -_MEAN / _SPREAD, name="picture_range")(pictures)
    x = BACKBONES[backbone](x)
    x = layers.GlobalAveragePooling2D(name=_FEATURES)(x)
    x = layers.Dropout(dropout, name="picture_dropout")(x)
    x = layers.Dense(2, name="picture_head")(x)
    logits = layers.Activation("linear", dtype="float32", name="picture_logits")(x)
    outputs = {"picture_logits": logits}
    return keras.Model({"pictures": pictures}, outputs, name="picture")


def split_at_features(model: keras.Model) -> tuple[keras.Model, keras.Model]:
    """The network in two parts that share its weights: up to the features, the head."""
    features = [model.get_layer(_FEATURES).output]
    return (
        keras.Model(model.input, features, name="backbone"),
        keras.Model(features, model.output, name="head"),
    )
