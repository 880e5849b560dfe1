import keras
import numpy as np
import pytest

from tfmds.models.config import TwoStreamConfig
from tfmds.models.two_stream import (
    split_at_embeddings,
    two_stream,
)
from tfmds.training.fused_batch_norm import with_fused_batch_norm

NORM = "visual_stage2_block1_bn1"


def network() -> keras.Model:
    return two_stream(TwoStreamConfig(width=0.125, image_size=32))


@pytest.fixture
def inputs():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 30, 32, 32, 3), dtype=np.uint8)
    return {"frames": frames, "mfcc": rng.normal(size=(3, 13, 99)).astype(np.float32)}


def test_answers_and_statistics_are_those_of_keras(inputs):
    plain, other = network(), network()
    other.set_weights(plain.get_weights())
    streams, _ = split_at_embeddings(plain)
    fused = with_fused_batch_norm(split_at_embeddings(other)[0])
    for training in (True, False):
        expected = streams(inputs, training=training)
        for one, two in zip(fused(inputs, training=training), expected, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-4)
    # What was learned of the batch lies in the network that was given.
    before = network().get_layer(NORM).get_weights()
    for one, two, start in zip(
        other.get_layer(NORM).weights,
        plain.get_layer(NORM).weights,
        before,
        strict=True,
    ):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
        if "moving" in one.path:
            assert np.abs(np.array(one) - start).max() > 1e-3


def test_only_norms_of_convolutions_are_replaced():
    streams, _ = split_at_embeddings(network())
    fused = with_fused_batch_norm(streams)
    norms = {layer.name for layer in streams.layers if layer.name.endswith("_bn")}
    kept = {
        x.name for x in fused.layers if isinstance(x, keras.layers.BatchNormalization)
    }
    convolutions = ("visual_st", "audio_conv")
    assert norms - kept == {name for name in norms if name.startswith(convolutions)}
    assert {"visual_dense_bn", "audio_dense_bn"} <= kept
