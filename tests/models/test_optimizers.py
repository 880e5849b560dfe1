import keras
import numpy as np

from tfmds.models.optimizers import AdamL2


def test_weight_decay_passes_through_the_averages_as_in_pytorch():
    weights = np.array([1.0, -2.0, 0.5], np.float64)
    variable = keras.Variable(weights, dtype="float32")
    optimizer = AdamL2(0.01, l2=0.1)
    m = v = np.zeros(3)
    rng = np.random.default_rng(0)
    for t in range(1, 6):
        gradient = rng.normal(size=3)
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
        decayed = gradient + 0.1 * weights
        m = 0.9 * m + 0.1 * decayed
        v = 0.999 * v + 0.001 * decayed**2
        step = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        weights = weights - 0.01 * step
    np.testing.assert_allclose(variable.numpy(), weights, rtol=1e-4)
