import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfmds.models import losses

floats = st.floats(-4, 4, width=32)


@st.composite
def batches(draw):
    n, d = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    visual = draw(hnp.arrays(np.float32, (n, d), elements=floats))
    audio = draw(hnp.arrays(np.float32, (n, d), elements=floats))
    label = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 1)))
    return visual, audio, label


@given(batches(), st.floats(0.1, 3))
def test_contrastive_loss_is_the_papers_formula(batch, margin):
    visual, audio, label = batch
    d = np.sqrt(((visual.astype(float) - audio) ** 2).sum(-1))
    expected = label * d**2 + (1 - label) * np.maximum(margin - d, 0) ** 2
    got = losses.contrastive_loss(label, losses.distance(visual, audio), margin)
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_gradient_agrees_with_finite_differences():
    rng = np.random.default_rng(0)
    visual = 0.3 * rng.normal(size=(6, 4))
    audio = 0.3 * rng.normal(size=(6, 4))
    label = np.array([0, 1, 0, 1, 0, 1])

    def numpy_loss(x):
        d = np.sqrt(((x - audio) ** 2).sum(-1))
        return (label * d**2 + (1 - label) * np.maximum(0.99 - d, 0) ** 2).sum()

    x = tf.Variable(visual)
    with tf.GradientTape() as tape:
        d = losses.distance(x, tf.constant(audio))
        loss = tf.reduce_sum(losses.contrastive_loss(label, d))
    gradient = tape.gradient(loss, x).numpy()
    for index in np.ndindex(*visual.shape):
        step = np.zeros_like(visual)
        step[index] = 1e-6
        slope = (numpy_loss(visual + step) - numpy_loss(visual - step)) / 2e-6
        assert gradient[index] == pytest.approx(slope, abs=1e-5)


def test_gradient_at_distance_zero_is_finite():
    x = tf.Variable(np.ones((2, 3), np.float32))
    with tf.GradientTape() as tape:
        d = losses.distance(x, tf.ones((2, 3)))
        loss = tf.reduce_sum(losses.contrastive_loss(np.array([0, 1]), d))
    assert np.isfinite(tape.gradient(loss, x).numpy()).all()


def test_mismatch_softmax_is_cross_entropy_both_ways_and_leaves_fakes_out():
    rng = np.random.default_rng(1)
    pairwise = rng.uniform(0, 2, (4, 4)).astype(np.float32)
    label = np.array([1, 0, 1, 1])
    similarity = -(pairwise.astype(float) ** 2) / 2 / 0.1
    expected = []
    for i in range(4):
        row = np.log(np.exp(similarity[i]).sum()) - similarity[i, i]
        column = np.log(np.exp(similarity[:, i]).sum()) - similarity[i, i]
        expected.append(label[i] * (row + column) / 2)
    np.testing.assert_allclose(
        losses.mismatch_softmax(label, pairwise, 0.1), expected, rtol=1e-4
    )


def test_mismatch_contrastive_is_the_papers_loss_on_all_pairs():
    rng = np.random.default_rng(2)
    pairwise = rng.uniform(0, 2, (4, 4)).astype(np.float32)
    label = np.array([1, 0, 1, 1])
    expected = []
    for i in range(4):
        others = [*np.delete(pairwise[i], i), *np.delete(pairwise[:, i], i)]
        pushed = np.mean([max(0.7 - d, 0) ** 2 for d in others])
        expected.append(label[i] * (pairwise[i, i] ** 2 + pushed))
    np.testing.assert_allclose(
        losses.mismatch_contrastive(label, pairwise, 0.7), expected, rtol=1e-4
    )
    np.testing.assert_allclose(
        losses.mismatch_contrastive(label[:1], pairwise[:1, :1]), pairwise[:1, 0] ** 2
    )


@pytest.mark.parametrize(
    "loss",
    [
        losses.ContrastiveLoss(0.5),
        losses.MismatchSoftmax(0.2),
        losses.MismatchContrastive(0.4),
    ],
)
def test_loss_survives_its_config(loss):
    again = keras.losses.deserialize(keras.losses.serialize(loss))
    assert again.get_config() == loss.get_config()
