import keras
import numpy as np
import pytest

from tfmds.models.config import TwoStreamConfig
from tfmds.models.folding import fold_batch_norm, unfold_batch_norm
from tfmds.models.two_stream import two_stream


def trained(**config) -> keras.Model:
    """A tiny network whose batch norms all change something."""
    keras.utils.set_random_seed(1)
    model = two_stream(TwoStreamConfig(width=0.0625, image_size=32, **config))
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 2, w.shape) for w in layer.weights])
    return model


def norms(model: keras.Model) -> list[str]:
    return [layer.name for layer in model.layers if "_bn" in layer.name]


def answers(model: keras.Model) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2)
    frames = rng.integers(0, 256, (4, 30, 32, 32, 3)).astype(np.float32)
    mfcc = rng.normal(size=(4, 13, 99)).astype(np.float32)
    return model({"frames": frames, "mfcc": mfcc}, training=False)


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"keep_time": True, "unit_embeddings": True, "standardize_frames": True},
        {"backbone": "resnet50"},
    ],
    ids=str,
)
def test_no_batch_norm_is_left_and_answers_stay(config):
    model = trained(**config)
    folded = fold_batch_norm(model)
    assert norms(model)
    assert not norms(folded)
    expected, got = answers(model), answers(folded)
    for name, value in expected.items():
        scale = np.abs(value).max()
        np.testing.assert_allclose(got[name] / scale, value / scale, atol=1e-5)


def test_norms_that_take_their_statistics_from_the_batch_stay():
    model = trained(visual_batch_statistics=True)
    folded = fold_batch_norm(model)
    left = norms(folded)
    assert left
    assert all(name.startswith("visual_st") for name in left)
    np.testing.assert_allclose(
        answers(folded)["distance"], answers(model)["distance"], rtol=1e-4
    )


def test_the_trained_network_is_not_changed():
    model = trained()
    before = [w.copy() for w in model.get_weights()]
    fold_batch_norm(model)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


@pytest.mark.parametrize(
    "config", [{}, {"keep_time": True, "unit_embeddings": True}], ids=str
)
def test_unfolded_it_answers_the_same_in_use_and_in_training(config):
    folded = fold_batch_norm(trained(**config))
    model = two_stream(
        TwoStreamConfig(width=0.0625, image_size=32, dropout=0, **config)
    )
    rng = np.random.default_rng(2)
    batch = {
        "frames": rng.integers(0, 256, (4, 30, 32, 32, 3)).astype(np.float32),
        "mfcc": rng.normal(size=(4, 13, 99)).astype(np.float32),
    }
    unfold_batch_norm(folded, model, [batch])
    assert norms(model)
    expected = folded(batch, training=False)
    for training in (False, True):
        got = model(batch, training=training)
        for name in ("distance", "visual_logits", "audio_logits"):
            value = np.asarray(expected[name])
            scale = np.abs(value).max()
            # Of the heads each chunk is normalized by its batch, as any is in training.
            if training and name != "distance":
                continue
            np.testing.assert_allclose(got[name] / scale, value / scale, atol=1e-3)
