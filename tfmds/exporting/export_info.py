"""An export on disk: where it is, and what it says of itself. Needs no TensorFlow.

EXPORT/1/ is its first version, and the one with the highest number is used. In it lie
`saved_model.pb` and `variables/`, the network; `assets/tfmds_export.json`, its chunk
spec, threshold and model id; `assets.extra/`, requests that warm TensorFlow Serving up.
"""

import dataclasses
import json
import os
from typing import Any

from etils import epath

from tfmds.common.errors import InputError
from tfmds.evaluation.thresholds import Threshold
from tfmds.spec import FORMAT_VERSION, ChunkSpec

# Asset in which spec, threshold and model id travel.
INFO_FILE = "tfmds_export.json"
SAVED_MODEL = "saved_model.pb"
# Exports for other runtimes, by format.
OTHER_FILES = {"onnx": "model.onnx", "litert": "model.tflite"}
# What tfmds.export writes.
FORMATS = ("saved_model", *OTHER_FILES)
# The weights that come with the package; README.md in it is their card.
_STARTER = epath.Path(__file__).parents[1] / "starter"


@dataclasses.dataclass(frozen=True)
class ExportInfo:
    """What an export says of itself.

    Attributes:
      spec: Chunk spec it was trained with.
      threshold: Where a video is called fake.
      model_id: Digest of the weights.
    """

    spec: ChunkSpec
    threshold: Threshold
    model_id: str

    @classmethod
    def from_json(cls, about: Any, where: str) -> "ExportInfo":
        """Reads what an export tells; `where` names the source in an error.

        Raises:
          InputError: It is of another version, or something is missing.
        """
        version = about.get("format_version") if isinstance(about, dict) else None
        if version != FORMAT_VERSION:
            raise InputError(
                f"{where}: format version {version}, this tfmds reads"
                f" {FORMAT_VERSION}; export the model again"
            )
        missing = {"spec", "threshold", "model_id"} - set(about)
        if missing:
            raise InputError(
                f"{where}: {', '.join(sorted(missing))} is missing; export the model"
                " again"
            )
        return cls(
            ChunkSpec.from_json(about["spec"], where),
            Threshold.from_json(about["threshold"], where),
            str(about["model_id"]),
        )


def find(path: os.PathLike | str | None) -> epath.Path:
    """The folder of the SavedModel that a user means.

    Args:
      path: What tfmds.export wrote, or one of its versions; None for the weights
        that come with the package.

    Raises:
      InputError: There is no such model.
    """
    if path is None:
        if not _STARTER.is_dir():
            raise InputError(
                "this installation carries no model of its own; name one with"
                " --model=EXPORT (python -m tfmds.export makes it)"
            )
        path = _STARTER
    path = epath.Path(path)
    version = newest_version(path)
    for folder in (path, path / str(version)):
        if (folder / SAVED_MODEL).exists() and (folder / "assets" / INFO_FILE).exists():
            return folder
    for name in OTHER_FILES.values():
        if (path / name).exists():
            raise InputError(
                f"{path}: holds {name}, for other runtimes; expected an export with"
                " --format=saved_model"
            )
    raise InputError(
        f"{path}: not an exported model. Expected a folder that python -m tfmds.export"
        f" wrote, with a version such as 1/{SAVED_MODEL} in it"
    )


def newest_version(path: epath.Path) -> int:
    """The highest number among its folders' names, 0 where there is none."""
    if not path.is_dir():
        return 0
    return max((int(p.name) for p in path.iterdir() if p.name.isdecimal()), default=0)


def read_info(folder: os.PathLike | str) -> ExportInfo:
    """What the export in a folder that `find` answered says of itself.

    Raises:
      InputError: It cannot be read.
    """
    path = epath.Path(folder) / "assets" / INFO_FILE
    try:
        about = json.loads(path.read_text())
    except (OSError, ValueError) as e:
        raise InputError(f"{path}: cannot be read: {e}; export the model again") from e
    return ExportInfo.from_json(about, str(path))
