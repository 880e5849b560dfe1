import keras
import numpy as np
import pytest

from tfmds.common.errors import InputError
from tfmds.models.config import PictureConfig
from tfmds.models.efficientnet_lite import efficientnet_lite0
from tfmds.models.picture_network import picture_network, split_at_features


def pictures(count=2, size=64):
    rng = np.random.default_rng(0)
    return {"pictures": rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)}


def test_the_backbone_is_the_published_one():
    inputs = keras.Input((224, 224, 3))
    model = keras.Model(inputs, efficientnet_lite0(inputs))
    assert model.output.shape[1:] == (7, 7, 1280)
    # 4,652,008 with the 1000 classes of ImageNet, as published.
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert trainable + 1000 * 1280 + 1000 == 4_652_008


def test_pictures_become_logits_each_by_itself():
    model = picture_network(size=64)
    for layer in model.layers:
        layer.trainable = False
    found = model(pictures(), training=False)["picture_logits"].numpy()
    assert (found.shape, found.dtype) == ((2, 2), np.float32)
    alone = {"pictures": pictures()["pictures"][:1]}
    one = model(alone, training=False)["picture_logits"].numpy()
    np.testing.assert_allclose(one[0], found[0], atol=1e-5)


def test_the_parts_are_the_network():
    model = picture_network(size=64)
    backbone, head = split_at_features(model)
    features = keras.tree.flatten(backbone(pictures(), training=False))
    assert features[0].shape == (2, 1280)
    np.testing.assert_allclose(
        head(features, training=False)["picture_logits"],
        model(pictures(), training=False)["picture_logits"],
        atol=1e-5,
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"backbone": "resnet18"}, "expected one of efficientnet_lite0"),
        ({"image_size": 32}, "image_size is 32"),
        ({"start": "dfdc"}, "expected one of scratch, imagenet"),
    ],
)
def test_a_network_that_there_is_not_is_refused(settings, expected):
    with pytest.raises(InputError, match=expected):
        PictureConfig(**settings)
