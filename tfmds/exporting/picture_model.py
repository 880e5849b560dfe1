"""Exports of the network of single pictures, as ONNX Runtime judges by them.

EXPORT/picture.onnx    from `faces` uint8 [n, s, s, 3] to `fake_probability` [n]
EXPORT/picture.json    which model it is, the side s, how faces are framed
"""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime
from etils import epath

from tfmds.common import json_files
from tfmds.common.errors import InputError
from tfmds.data import face_records
from tfmds.spec import FORMAT_VERSION

GRAPH, INFO = "picture.onnx", "picture.json"
INPUT, OUTPUT = "faces", "fake_probability"

# Faces that go through the network together.
_AT_ONCE = 16
_WHAT = "the description of an export of pictures"
_HINT = "Export the run again with python -m tfmds.export."


@dataclasses.dataclass(frozen=True)
class PictureInfo:
    """What an export of pictures is.

    Attributes:
      model_id: Tells which weights they are.
      image_size: Side of the faces in pixels.
      scale: How much of a picture is shown, as a multiple of the face's square.
      threshold: From which probability on a face is called forged; None where none was
        chosen.
    """

    model_id: str
    image_size: int
    scale: float = face_records.SCALE
    threshold: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields by name."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class PictureModel:
    """A loaded export.

    Attributes:
      info: What it is.
      session: The network.
    """

    info: PictureInfo
    session: onnxruntime.InferenceSession

    def fake_probability(self, faces: np.ndarray) -> np.ndarray:
        """The probability that each face is forged.

        Args:
          faces: RGB, uint8 `[n, s, s, 3]`, as `views` frames them.

        Returns:
          float64 `[n]`.
        """
        parts = [
            self.session.run([OUTPUT], {INPUT: faces[first : first + _AT_ONCE]})[0]
            for first in range(0, len(faces), _AT_ONCE)
        ]
        return np.concatenate([np.zeros(0), *parts])

    def views(
        self, jpegs: Sequence[bytes], box: face_records.Box = face_records.IN_TRACK
    ) -> np.ndarray:
        """Pictures as the network is shown them, uint8 `[n, s, s, 3]`.

        Args:
          jpegs: Crops of a track, or others with the face at `box`.
          box: Where in each the face is.
        """
        size, scale = self.info.image_size, self.info.scale
        views = [face_records.view(jpeg, box, size, scale) for jpeg in jpegs]
        return np.stack(views) if views else np.zeros((0, size, size, 3), np.uint8)


def load(export_dir: os.PathLike | str, num_threads: int = 0) -> PictureModel:
    """Loads an export of `picture_form.export`.

    Args:
      export_dir: The folder.
      num_threads: Threads of the network, 0 for one a core.

    Raises:
      InputError: The folder holds no such export, or a damaged one.
    """
    folder = epath.Path(export_dir)
    fields = json_files.read_versioned(folder / INFO, FORMAT_VERSION, _WHAT, _HINT)
    fields = {k: v for k, v in fields.items() if k != json_files.VERSION}
    info = json_files.convert(fields, PictureInfo, str(folder / INFO), _WHAT, _HINT)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = num_threads
    # Else a thread that waits for the next operation keeps a core busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        content = (folder / GRAPH).read_bytes()
        session = onnxruntime.InferenceSession(
            content, options, ["CPUExecutionProvider"]
        )
    # Its errors have no class of their own in common.
    except Exception as e:
        first = str(e).split("\n")[0]
        raise InputError(
            f"{folder / GRAPH}: the network is missing or damaged ({first}). {_HINT}"
        ) from e
    return PictureModel(info, session)
