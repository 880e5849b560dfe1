"""MesoNet with its published weights, a yardstick for networks of single faces.

Afchar, Nozick, Yamagishi and Echizen 2018, "MesoNet: a Compact Facial Video Forgery
Detection Network"; weights from https://github.com/DariusAf/MesoNet (Apache 2.0).
"""

import os

import keras
import numpy as np
from keras import layers

SIZE = 256
# Kernel, channels and pool of each convolution.
_CONVOLUTIONS = ((3, 8, 2), (5, 8, 2), (5, 16, 2), (5, 16, 4))


def network() -> keras.Model:
    """Meso-4: from pictures `[n, 256, 256, 3]`, 0 to 1, to the probability of real."""
    x = inputs = keras.Input((SIZE, SIZE, 3))
    for kernel, channels, pool in _CONVOLUTIONS:
        x = layers.Conv2D(channels, kernel, padding="same", activation="relu")(x)
        x = layers.BatchNormalization()(x)
        x = layers.MaxPooling2D(pool, padding="same")(x)
    x = layers.Dropout(0.5)(layers.Flatten()(x))
    x = layers.Dropout(0.5)(layers.LeakyReLU(0.1)(layers.Dense(16)(x)))
    return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))


def load(weights: os.PathLike | str) -> keras.Model:
    """The network with weights from a file of HDF5."""
    model = network()
    model.load_weights(os.fspath(weights))
    return model


def fake_probability(model: keras.Model, faces: np.ndarray) -> np.ndarray:
    """The probability that each face, uint8 `[n, 256, 256, 3]`, is forged, `[n]`."""
    real = model(faces.astype(np.float32) / 255, training=False)
    return 1 - np.asarray(real)[:, 0]
