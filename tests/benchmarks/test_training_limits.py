import keras
import pytest

from benchmarks import training_limits


def test_operations_are_those_of_the_loops_that_a_layer_stands_for():
    picture = keras.Input((5, 8, 8, 2))
    x = keras.layers.Rescaling(0.5)(picture)
    # The first that learns: nothing asks for the gradient of its input.
    x = keras.layers.Conv3D(3, (1, 3, 3), (1, 2, 2), "same")(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv3D(4, (3, 1, 1), padding="valid", use_bias=False)(x)
    x = keras.layers.Dense(7)(keras.layers.Flatten()(x))
    first = 2 * (5 * 4 * 4) * 3 * (1 * 3 * 3 * 2)
    second = 2 * (3 * 4 * 4) * 4 * (3 * 1 * 1 * 3)
    dense = 2 * (3 * 4 * 4 * 4) * 7
    forward, training = training_limits.multiply_adds(keras.Model(picture, x))
    assert forward == first + second + dense
    assert training == 2 * first + 3 * second + 3 * dense


def test_operations_fall_into_kinds_by_name():
    shares = training_limits.by_kind(
        {
            "_MklNativeConv3DBackpropFilterV2": 3.0,
            "_MklNativeConv2D": 1.0,
            "_MklMatMul": 2.0,
            "_MklNativeFusedBatchNormGradV3": 1.0,
            "ResourceApplyAdam": 0.5,
            "Mul": 2.5,
        }
    )
    assert list(shares.values()) == pytest.approx([0.4, 0.2, 0.1, 0.0, 0.05, 0.25])


def test_a_step_is_seen_by_its_operations():
    import tensorflow as tf

    matrix = tf.random.stateless_normal((64, 64), (0, 0))

    @tf.function
    def step():
        return tf.nn.relu(tf.matmul(matrix, matrix, name="product"), name="kept")

    step()
    taken = training_limits.by_operation(step)
    assert any("MatMul" in name for name in taken)
    assert all(seconds > 0 for seconds in taken.values())
