import subprocess
import sys

import numpy as np
import pytest

from tfmds.models.batch_norm import BatchNormalization, BatchStatisticsNormalization


def batches(count: int, shape: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(3, 2, shape).astype(np.float32) for _ in range(count)]


@pytest.mark.parametrize("shape", [(2, 5), (8, 5), (3, 4, 2, 5)])
def test_running_statistics_are_those_of_pytorch(shape):
    norm = BatchNormalization()
    mean, variance = np.zeros(5), np.ones(5)
    for x in batches(4, shape):
        norm(x, training=True)
        rows = x.reshape(-1, 5).astype(np.float64)
        mean = 0.9 * mean + 0.1 * rows.mean(0)
        variance = 0.9 * variance + 0.1 * rows.var(0, ddof=1)
    np.testing.assert_allclose(norm.moving_mean, mean, rtol=1e-5)
    np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-5)
    x = batches(1, shape)[0]
    expected = (x - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(norm(x), expected, rtol=1e-4, atol=1e-5)


def test_pytorch_itself_agrees():
    torch = pytest.importorskip("torch")
    theirs, ours = torch.nn.BatchNorm1d(5), BatchNormalization()
    for x in batches(4, (8, 5)):
        got = ours(x, training=True)
        expected = theirs(torch.from_numpy(x)).detach()
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(ours.moving_mean, theirs.running_mean, rtol=1e-5)
    np.testing.assert_allclose(ours.moving_variance, theirs.running_var, rtol=1e-5)


def test_a_norm_that_is_not_trained_or_has_one_row_keeps_what_is_finite():
    frozen, one = BatchNormalization(trainable=False), BatchNormalization()
    (x,) = batches(1, (8, 5))
    frozen(x, training=True)
    np.testing.assert_array_equal(frozen.moving_variance, np.ones(5))
    one(x[:1], training=True)
    np.testing.assert_allclose(one.moving_variance, 0.9 * np.ones(5), rtol=1e-6)


# Devices are made before TensorFlow does anything.
_TWO_REPLICAS = """
import numpy as np, tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
one = tf.config.LogicalDeviceConfiguration()
tf.config.set_logical_device_configuration(cpu, [one, one])
from tfmds.models.batch_norm import BatchNormalization
from tfmds.training import strategies
strategy = strategies.make("mirrored")
x = np.random.default_rng(0).normal(3, 2, (8, 5)).astype(np.float32)
with strategy.scope():
    norm = BatchNormalization(synchronized=True)
    norm.build((None, 5))
    norm.replicas = 2
rows = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(np.split(x, 2)[context.replica_id_in_sync_group])
)
tf.function(lambda: strategy.run(lambda x: norm(x, training=True), (rows,)))()
np.testing.assert_allclose(
    norm.moving_variance.numpy(), 0.9 + 0.1 * x.var(0, ddof=1), rtol=1e-5
)
assert strategy.num_replicas_in_sync == 2
print("agreed")
"""


@pytest.mark.slow
def test_several_replicas_keep_the_variance_of_the_whole_batch():
    done = subprocess.run(
        [sys.executable, "-c", _TWO_REPLICAS], capture_output=True, text=True
    )
    assert "agreed" in done.stdout, done.stderr[-3000:]


def test_statistics_of_many_pictures_keep_their_digits():
    x = np.random.default_rng(0).normal(1, 0.5, (32, 30, 56, 56, 4))
    x = x.astype(np.float32)
    exact = x.astype(np.float64).reshape(-1, 4)
    mean, deviation = exact.mean(0), exact.std(0)
    expected = (x - mean) / np.sqrt(deviation**2 + 1e-5)
    got = BatchStatisticsNormalization()(x)
    assert np.abs(np.asarray(got) - expected).max() < 1e-5
