import keras
import numpy as np
import pytest

from tfmds.models.optimizers import AdamL2, AdamW


class PyTorchAdam:
    """`torch.optim.Adam` by its documentation, in float64."""

    def __init__(self, rate: float, weight_decay: float, size: int):
        self.rate, self.weight_decay, self.t = rate, weight_decay, 0
        self.m = self.v = np.zeros(size)

    def step(self, gradient: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """What is taken from the weights."""
        self.t += 1
        gradient = gradient + self.weight_decay * weights
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        m, v = self.m / (1 - 0.9**self.t), self.v / (1 - 0.999**self.t)
        return self.rate * m / (np.sqrt(v) + 1e-8)


def test_weight_decay_passes_through_the_averages_as_in_pytorch():
    weights = np.array([1.0, -2.0, 0.5], np.float64)
    variable = keras.Variable(weights, dtype="float32")
    optimizer, reference = AdamL2(0.01, l2=0.1), PyTorchAdam(0.01, 0.1, 3)
    rng = np.random.default_rng(0)
    for _ in range(5):
        gradient = rng.normal(size=3)
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float32")], [variable])
        weights = weights - reference.step(gradient, weights)
    np.testing.assert_allclose(variable.numpy(), weights, rtol=1e-5)


@pytest.mark.parametrize("steps", [1, 2, 10, 1000])
def test_steps_are_pytorchs_for_gradients_of_any_size(steps):
    size = np.logspace(-12, 0, 25)
    variable = keras.Variable(np.zeros(25), dtype="float32")
    optimizer, reference = AdamL2(), PyTorchAdam(0.001, 0.0, 25)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        gradient = (size * rng.uniform(0.5, 2, 25)).astype(np.float32)
        # At zero float32 has all the digits of a step.
        variable.assign(np.zeros(25))
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        step = reference.step(gradient.astype(np.float64), np.zeros(25))
    np.testing.assert_allclose(-variable.numpy(), step, rtol=1e-5)


def test_pytorch_itself_agrees():
    torch = pytest.importorskip("torch")
    weights = np.linspace(-1, 1, 25).astype(np.float32)
    theirs = torch.nn.Parameter(torch.from_numpy(weights.copy()))
    adam = torch.optim.Adam([theirs], lr=1e-3, weight_decay=1e-5)
    variable, optimizer = keras.Variable(weights), AdamL2(1e-3, l2=1e-5)
    rng = np.random.default_rng(0)
    for _ in range(10):
        gradient = (np.logspace(-12, 0, 25) * rng.normal(size=25)).astype(np.float32)
        theirs.grad = torch.from_numpy(gradient)
        adam.step()
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    np.testing.assert_allclose(
        variable.numpy() - weights, theirs.detach().numpy() - weights, atol=2e-7
    )


def test_what_was_set_is_saved():
    config = AdamL2(0.5, l2=0.25).get_config()
    assert (config["l2"], config["epsilon"]) == (0.25, 1e-8)
    assert AdamL2.from_config(config).get_config() == config


def test_decoupled_decay_is_that_of_keras_with_a_schedule_too():
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, 8, warmup_target=0.1, warmup_steps=2
    )
    rng = np.random.default_rng(0)
    found, expected = (keras.Variable(np.ones(25, np.float32)) for _ in range(2))
    ours, theirs = AdamW(schedule, 0.1), keras.optimizers.AdamW(schedule, 0.1)
    for _ in range(10):
        gradient = keras.ops.convert_to_tensor(rng.normal(size=25), "float32")
        ours.apply([gradient], [found])
        theirs.apply([gradient], [expected])
    np.testing.assert_array_equal(found.numpy(), expected.numpy())
    assert AdamW.from_config(ours.get_config()).get_config() == ours.get_config()
