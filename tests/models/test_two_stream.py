import keras
import numpy as np
import pytest

from tfmds.common.errors import InputError
from tfmds.models.config import TwoStreamConfig
from tfmds.models.losses import ContrastiveLoss
from tfmds.models.two_stream import (
    count_parameters,
    two_stream,
    with_pairwise_distance,
)

SMALL = TwoStreamConfig(width=0.125, image_size=56, region="mouth")


def chunks(n: int, size: int = 56, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "frames": rng.integers(0, 256, (n, 30, size, size, 3), dtype=np.uint8),
        "mfcc": rng.normal(size=(n, 13, 99)).astype(np.float32),
    }


@pytest.fixture(scope="module")
def papers():
    """The paper's network."""
    return two_stream(TwoStreamConfig())


@pytest.fixture(scope="module")
def small():
    """A small network."""
    return two_stream(SMALL)


def test_the_papers_network_has_the_papers_parameters(papers):
    counts = count_parameters(papers)
    assert counts == {
        "visual_conv": 14_057_536,
        "audio_conv": 4_875_712,
        "visual_dense": 55_587_840,
        "audio_dense": 48_247_808,
        "heads": 8_196,
    }


def test_last_block_has_no_relu_and_seven_by_seven_places(papers):
    add = papers.get_layer("visual_stage4_block2_add")
    assert add.output.shape == (None, 8, 7, 7, 256)
    names = [layer.name for layer in papers.layers]
    assert "visual_stage4_block2_relu" not in names
    assert "visual_stage4_block1_relu" in names


def test_outputs_have_names_shapes_and_float32(small):
    out = small.predict(chunks(3), verbose=0)
    assert {name: value.shape for name, value in out.items()} == {
        "distance": (3,),
        "visual_logits": (3, 2),
        "audio_logits": (3, 2),
    }
    assert all(value.dtype == np.float32 for value in out.values())


def test_score_of_a_chunk_does_not_depend_on_its_batch(small):
    batch = chunks(4)
    alone = {name: value[:1] for name, value in batch.items()}
    together = small.predict(batch, verbose=0)["distance"][0]
    assert small.predict(alone, verbose=0)["distance"][0] == pytest.approx(
        together, rel=1e-5
    )


def test_pairwise_distance_has_the_distances_on_its_diagonal():
    model = with_pairwise_distance(
        two_stream(TwoStreamConfig(width=0.125, image_size=56, unit_embeddings=True))
    )
    out = model.predict_on_batch(chunks(5))
    assert out["pairwise_distance"].shape == (5, 5)
    np.testing.assert_allclose(
        np.diagonal(out["pairwise_distance"]), out["distance"], rtol=1e-4
    )
    assert out["pairwise_distance"].max() <= 2.001


def test_standardized_frames_show_motion_and_not_the_face():
    model = two_stream(
        TwoStreamConfig(width=0.125, image_size=56, standardize_frames=True)
    )
    batch = chunks(3)
    rng = np.random.default_rng(1)
    moving = rng.uniform(0, 60, batch["frames"].shape).astype(np.float32)
    face = rng.uniform(0, 60, (3, 1, 56, 56, 3)).astype(np.float32)
    distances = [
        model.predict({**batch, "frames": frames}, verbose=0)["distance"]
        for frames in (moving, moving + face, 2 * moving + 3 * face)
    ]
    np.testing.assert_allclose(distances[1], distances[0], rtol=1e-3)
    np.testing.assert_allclose(distances[2], distances[0], rtol=0.05)


def test_kept_time_compares_both_streams_at_eight_steps():
    model = two_stream(TwoStreamConfig(width=0.125, image_size=56, keep_time=True))
    seen, heard = model.get_layer("distance").input
    assert seen.shape == heard.shape == (None, 8 * 128)
    # What is said late in the chunk leaves the early steps as they were.
    heard = keras.Model(model.input, heard)
    batch = chunks(2)
    later = {**batch, "mfcc": batch["mfcc"].copy()}
    later["mfcc"][:, :, 80:] += 5
    before, after = (
        heard.predict(x, verbose=0).reshape(2, 8, 128) for x in (batch, later)
    )
    np.testing.assert_allclose(before[:, :4], after[:, :4], atol=1e-5)
    assert np.abs(before - after)[:, 7].max() > 1e-3


def trainable(config):
    """A network with a loss for each of its outputs."""
    keras.utils.set_random_seed(0)
    model = two_stream(config)
    cross_entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        "adam",
        loss={
            "distance": ContrastiveLoss(),
            "visual_logits": cross_entropy,
            "audio_logits": cross_entropy,
        },
        # A few steps are sooner taken than traced.
        run_eagerly=True,
    )
    return model


@pytest.mark.slow
def test_a_training_step_on_one_batch_lowers_the_loss():
    model = trainable(SMALL)
    label = np.array([0, 1, 0, 1])
    batch = chunks(4), dict.fromkeys(model.output, label)
    losses = [float(np.ravel(model.train_on_batch(*batch))[0]) for _ in range(8)]
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [("backbone", "vgg"), ("region", "nose"), ("image_size", 8), ("width", 0.0)],
)
def test_a_config_that_cannot_be_built_is_refused_by_name(field, value):
    with pytest.raises(InputError, match=field):
        TwoStreamConfig(**{field: value})
