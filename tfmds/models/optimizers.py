"""Adam as the paper's code ran it, and AdamW."""

import keras


@keras.saving.register_keras_serializable("tfmds")
class AdamL2(keras.optimizers.Adam):
    """Adam whose weight decay is added to the gradient, as PyTorch's Adam does.

    Keras subtracts the decay from the weights instead (AdamW): there it does not pass
    through the running averages, and acts far more strongly at equal numbers.
    """

    def __init__(self, learning_rate=0.001, l2: float = 0.0, **kwargs):
        super().__init__(learning_rate, **kwargs)
        self.l2 = l2

    def update_step(self, gradient, variable, learning_rate):
        """Adam's step on `gradient + l2 * variable`."""
        decay = keras.ops.cast(self.l2 * variable, gradient.dtype)
        super().update_step(gradient + decay, variable, learning_rate)

    def get_config(self):
        """The arguments of the constructor."""
        return {**super().get_config(), "l2": self.l2}
