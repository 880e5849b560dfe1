"""The network alone, in formats of other runtimes: ONNX and LiteRT."""

import importlib.util

import keras
import numpy as np
from etils import epath

from tfmds.common.errors import InputError
from tfmds.exporting import export_info
from tfmds.exporting.networks import NetworkInfo
from tfmds.exporting.signatures import answers
from tfmds.models.two_stream import with_embeddings

# Packages that write a format, and the extra of setup.cfg that brings them.
_NEEDS = {"onnx": ("tf2onnx", "onnx")}
# The first that was found to write the other formats well; it needs Python 3.11.
_LEAST_KERAS = (3, 15)


def check(export_format: str) -> None:
    """Makes sure that a format can be written here.

    Raises:
      InputError: A package is missing, or Keras is too old.
    """
    for package in _NEEDS.get(export_format, ()):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"the format {export_format} needs the package {package}; install it"
                f" with pip install -e '.[{export_format}]'"
            )
    version = tuple(int(part) for part in keras.__version__.split(".")[:2])
    if version < _LEAST_KERAS:
        raise InputError(
            f"the format {export_format} needs Keras 3.15, which needs Python 3.11;"
            f" here is {keras.__version__}"
        )


def write(
    model: keras.Model, known: NetworkInfo, export_format: str, folder: epath.Path
) -> None:
    """Writes the network alone in a format of another runtime."""
    spec, size = known.spec, known.config.image_size
    frames = keras.Input((spec.num_frames, size, size, 3), dtype="uint8", name="frames")
    mfcc = keras.Input((spec.num_coefficients, spec.num_mfcc_frames), name="mfcc")
    inputs = {"frames": keras.ops.cast(frames, "float32"), "mfcc": mfcc}
    outputs = with_embeddings(model)(inputs)
    # Whoever compares mouths with their voice at other lags needs both apart.
    embeddings = {n: outputs[n] for n in ("visual_embedding", "audio_embedding")}
    answered = answers(outputs, known.answering_heads)
    network = keras.Model(
        {"frames": frames, "mfcc": mfcc},
        {**answered, **embeddings},
    )
    # Keras writes only what was called once.
    network({name: np.zeros((1, *x.shape[1:])) for name, x in network.input.items()})
    path = folder / export_info.OTHER_FILES[export_format]
    network.export(str(path), format=export_format, verbose=False)
