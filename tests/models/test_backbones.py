import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.test_two_stream import chunks, trainable
from tfmds.common.errors import InputError
from tfmds.evaluation import thresholds
from tfmds.exporting import loading, saved_model
from tfmds.models import run_config
from tfmds.models.checkpoints import State, save
from tfmds.models.config import TwoStreamConfig
from tfmds.models.two_stream import count_parameters, two_stream
from tfmds.models.visual import BACKBONES
from tfmds.spec import ChunkSpec

# What the public code counts in its visual convolutions.
VISUAL_PARAMETERS = {
    "resnet18": 14_057_536,
    "resnet34": 32_422_208,
    "resnet50": 23_562_304,
    "resnet101": 62_608_448,
    "resnet152": 93_587_520,
    "resnet200": 98_068_544,
}
# Parameters of the dense layers behind them, at 224 pixels and 1024 channels.
BOTTLENECK_DENSE = 1024 * 49 * 4096 + 4096 + 2 * 4096 + 4096 * 1024 + 1024


# All but the smallest take half a minute to minutes each.
BY_COST = [
    pytest.param(name, marks=[] if name == "resnet18" else pytest.mark.heavy)
    for name in BACKBONES
]


def small(backbone: str, **changes) -> TwoStreamConfig:
    return TwoStreamConfig(backbone, width=1 / 16, image_size=32, **changes)


@pytest.mark.parametrize("backbone", BY_COST)
def test_counts_are_those_of_the_public_code(backbone):
    counts = count_parameters(two_stream(TwoStreamConfig(backbone, image_size=32)))
    assert counts["visual_conv"] == VISUAL_PARAMETERS[backbone]
    assert counts["audio_conv"] == 4_875_712
    assert counts["heads"] == 8_196
    # Of 49 places of the paper's pictures these have one.
    bottleneck = backbone not in ("resnet18", "resnet34")
    channels = 1024 if bottleneck else 256
    missing = 48 * channels * 4096
    full = BOTTLENECK_DENSE if bottleneck else 55_587_840
    assert counts["visual_dense"] == full - missing


def frame_by_frame(frames, width, norm):
    """A family of its own, built of what Keras has for single pictures."""
    picture = keras.Sequential(
        [
            keras.Input(frames.shape[2:]),
            keras.layers.SeparableConv2D(round(64 * width), 3, 8, "same"),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    )
    x = keras.layers.TimeDistributed(picture, name="visual_pictures")(frames)
    return keras.layers.AveragePooling3D((4, 1, 1), name="visual_steps")(x)


@pytest.mark.slow
@pytest.mark.parametrize("keep_time", [False, True])
def test_another_family_is_a_builder_and_a_name(monkeypatch, tmp_path, keep_time):
    with pytest.raises(InputError, match="'tiny'"):
        small("tiny")
    monkeypatch.setitem(BACKBONES, "tiny", frame_by_frame)
    # By pixel, by channel, its bias, scale and offset.
    counted = 9 * 3 + 3 * 4 + 4 + 2 * 4
    assert count_parameters(two_stream(small("tiny")))["visual_conv"] == counted
    model = check_training(small("tiny", keep_time=keep_time))
    if keep_time:
        check_export(model, small("tiny", keep_time=True), tmp_path)


@pytest.mark.slow(10)
@pytest.mark.parametrize("backbone", BY_COST)
def test_a_step_trains_and_the_network_exports(backbone, tmp_path):
    # Both kinds of normalisation have their turn.
    shallow = backbone in ("resnet18", "resnet101")
    config = small(backbone, visual_batch_statistics=shallow)
    check_export(check_training(config), config, tmp_path)


def check_training(config: TwoStreamConfig):
    """A step of training changes all weights; returns the network."""
    model = trainable(config)
    before = [v.numpy() for v in model.trainable_variables]
    batch = chunks(2, 32)
    loss = model.train_on_batch(batch, dict.fromkeys(model.output, np.array([0, 1])))
    assert np.isfinite(np.ravel(loss)).all()
    still = [
        variable.path
        for variable, old in zip(model.trainable_variables, before, strict=True)
        if np.array_equal(variable.numpy(), old)
    ]
    assert not still
    return model


def check_export(model, config: TwoStreamConfig, tmp_path):
    """What is exported answers as the network does."""
    batch = chunks(2, 32)
    run_config.write(
        tmp_path, {"model": config.to_json(), "spec": ChunkSpec().to_json()}
    )
    save(tmp_path, model, State(step=1))
    threshold = tmp_path / "threshold.json"
    thresholds.write(threshold, thresholds.Threshold(0.5))
    saved_model.export(tmp_path, threshold, tmp_path / "export")
    exported = loading.load(tmp_path / "export").signatures["serving_default"]
    got = exported(**{name: tf.constant(value) for name, value in batch.items()})
    expected = model.predict_on_batch(batch)["distance"]
    np.testing.assert_allclose(got["distance"], expected, rtol=1e-3)


def test_batch_statistics_make_a_score_depend_on_its_batch():
    config = TwoStreamConfig(width=1 / 16, image_size=32, visual_batch_statistics=True)
    model = two_stream(config)
    batch = chunks(3, 32)
    batch["frames"][1:] //= 4
    alone = {name: value[:1] for name, value in batch.items()}
    together = model.predict_on_batch(batch)["distance"][0]
    assert abs(model.predict_on_batch(alone)["distance"][0] / together - 1) > 1e-3


def test_batch_statistics_are_those_of_training():
    keras.utils.set_random_seed(0)
    own = two_stream(small("resnet18", dropout=0.0, visual_batch_statistics=True))
    keras.utils.set_random_seed(0)
    running = two_stream(small("resnet18", dropout=0.0))
    batch = chunks(3, 32)
    np.testing.assert_allclose(
        own(batch, training=True)["distance"],
        running(batch, training=True)["distance"],
        rtol=1e-4,
    )


@pytest.mark.parametrize("init", ["kaiming", "uniform"])
def test_dense_layers_start_as_named(init):
    config = TwoStreamConfig(width=0.25, image_size=32, dense_init=init)
    layer = two_stream(config).get_layer("audio_dense")
    kernel, bias = (w.numpy() for w in (layer.kernel, layer.bias))
    if init == "kaiming":
        assert kernel.std() == pytest.approx((2 / layer.units) ** 0.5, rel=0.01)
        assert not bias.any()
    else:
        bound = kernel.shape[0] ** -0.5
        assert kernel.std() == pytest.approx(bound / 3**0.5, rel=0.01)
        assert np.abs(bias).max() <= bound
