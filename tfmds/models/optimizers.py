"""Adam as the paper's code ran it, and with decoupled weight decay."""

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("tfmds")
class AdamL2(keras.optimizers.Adam):
    """PyTorch's Adam: weight decay is added to the gradient, epsilon comes last.

    Keras subtracts the decay from the weights instead (AdamW): there it does not pass
    through the running averages, and acts far more strongly at equal numbers. And it
    adds epsilon before the bias correction, in effect some thirty times as much in the
    first steps, which then are too short where gradients are small.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        l2: float = 0.0,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, epsilon=epsilon, **kwargs)
        self.l2 = l2

    def update_step(
        self,
        gradient: keras.KerasTensor,
        variable: keras.Variable,
        learning_rate: keras.KerasTensor,
    ) -> None:
        """Adam's step on `gradient + l2 * variable` (Kingma and Ba 2015)."""
        dtype = variable.dtype
        gradient = ops.cast(gradient, dtype) + ops.cast(self.l2 * variable, dtype)
        place = self._get_variable_index(variable)
        m, v = self._momentums[place], self._velocities[place]
        self.assign_add(m, (gradient - m) * (1 - self.beta_1))
        self.assign_add(v, (ops.square(gradient) - v) * (1 - self.beta_2))
        steps = ops.cast(self.iterations + 1, dtype)
        # 1 - beta ** steps; in float32 the power would leave four digits of it.
        m_left, v_left = (
            -ops.expm1(steps * math.log(beta)) for beta in (self.beta_1, self.beta_2)
        )
        rate = ops.cast(learning_rate, dtype)
        scale = ops.sqrt(v / v_left) + self.epsilon
        self.assign_sub(variable, rate * (m / m_left) / scale)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "l2": self.l2}


@keras.saving.register_keras_serializable("tfmds")
class AdamW(keras.optimizers.Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    The same as Keras' own, which works out the learning rate anew for each variable:
    with a schedule, that is a tenth of the time it takes to begin a training.
    """

    def __init__(
        self,
        learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 0.001,
        decay: float = 0.004,
        **kwargs: Any,
    ):
        super().__init__(learning_rate, **kwargs)
        self.decay = decay

    def update_step(
        self,
        gradient: keras.KerasTensor,
        variable: keras.Variable,
        learning_rate: keras.KerasTensor,
    ) -> None:
        """Takes a share of the weights off them, then Adam's step."""
        rate = ops.cast(learning_rate, variable.dtype)
        self.assign_sub(variable, variable * self.decay * rate)
        super().update_step(gradient, variable, learning_rate)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {**super().get_config(), "decay": self.decay}
