"""An export on disk: where it is, and what it says of itself. Needs no TensorFlow.

EXPORT/1/ is its first version, and the one with the highest number is used. In it lie
`saved_model.pb` and `variables/`, the network; `visual_stream.onnx` and
`audio_stream.onnx`, its streams with the same weights, for ONNX Runtime;
`assets/tfmds_export.json`, its chunk spec, threshold and model id; `assets.extra/`,
requests that warm TensorFlow Serving up.
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from etils import epath

from tfmds.common import json_files
from tfmds.common.errors import InputError
from tfmds.evaluation import scores
from tfmds.evaluation.thresholds import Threshold
from tfmds.spec import (
    FORMAT_VERSION,
    MAX_LAG,
    MOUTH_HOP,
    OWN,
    STREAMS,
    VOICE_HOP,
    ChunkSpec,
)

# Asset in which spec, threshold and model id travel.
INFO_FILE = "tfmds_export.json"
SAVED_MODEL = "saved_model.pb"
WEIGHTS_FILE = "variables/variables.data-00000-of-00001"
# The streams as ONNX, which judge without TensorFlow (`light_form`).
LIGHT_FILES = ("visual_stream.onnx", "audio_stream.onnx")
# Exports for other runtimes, by format.
OTHER_FILES = {"onnx": "model.onnx", "litert": "model.tflite"}
# What tfmds.export writes.
FORMATS = ("saved_model", *OTHER_FILES)
# Signature that gives distances by lag, and what of `about` says at which.
LAGS = "lags"
LAG_GRID = {"mouth_hop": MOUTH_HOP, "voice_hop": VOICE_HOP, "max_lag": MAX_LAG}
# What of `about` says which heads were trained, and by whose truth.
HEADS = "heads"
_WHAT = "what an export says of itself"
_HINT = "Export the model again."
# Name of the weights that come with the package; README.md in it is their card.
STARTER = "starter"
_STARTER = epath.Path(__file__).parents[1] / "starter"


@dataclasses.dataclass(frozen=True)
class ExportInfo:
    """What an export says of itself.

    Attributes:
      spec: Chunk spec it was trained with.
      threshold: Where a video is called fake.
      model_id: Digest of the weights.
      has_lags: Whether it gives distances by lag, at the lags of this version, so that
        videos can be judged by the aligned score. Exports of earlier versions do not.
      heads: By stream, by whose truth its head was trained: `spec.OWN` or `spec.VIDEO`;
        those that were trained. Exports of earlier versions do not say.
    """

    spec: ChunkSpec
    threshold: Threshold
    model_id: str
    has_lags: bool
    heads: Mapping[str, str]

    @property
    def told_streams(self) -> tuple[str, ...]:
        """Streams that it was trained to tell forged from own."""
        return tuple(s for s in STREAMS if self.heads.get(s) == OWN)

    @property
    def head_levels(self) -> dict[str, float]:
        """From where on each told stream looks forged, by its name."""
        heads = self.threshold.heads
        return {s: heads[s].value for s in self.told_streams if s in heads}

    @property
    def asked_heads(self) -> tuple[str, ...]:
        """Heads that a judgement asks: of these streams, and those of the score."""
        asked = {*self.told_streams, *self.threshold.made_of}
        return tuple(s for s in STREAMS if s in asked)

    @classmethod
    def from_json(cls, about: Any, where: str) -> "ExportInfo":
        """Reads what an export tells; `where` names the source in an error.

        Raises:
          InputError: It is of another version, or something is missing.
        """
        about = json_files.check_version(
            about,
            FORMAT_VERSION,
            where,
            _WHAT,
            _HINT,
            needed=("spec", "threshold", "model_id"),
        )
        threshold = Threshold.from_json(about["threshold"], where)
        has_lags = about.get(LAGS) == LAG_GRID
        by_lags = {*threshold.made_of} & {*scores.OF_LAGS}
        if by_lags and not has_lags:
            raise InputError(
                f"{where}: its threshold is one of the"
                f" {scores.SCORES[by_lags.pop()]}, and it gives no"
                f" distances by lag, or at other lags; export the model again"
            )
        heads = dict(about.get(HEADS, {}))
        untrained = {*threshold.made_of} & {*STREAMS} - {*heads}
        if untrained:
            raise InputError(
                f"{where}: its threshold is one of the {threshold.score} score, and it"
                f" was exported from a run that trained no {', '.join(untrained)}"
                " head; choose a threshold of another score, or export that run again"
            )
        return cls(
            ChunkSpec.from_json(about["spec"], where),
            threshold,
            str(about["model_id"]),
            has_lags,
            heads,
        )


def find(path: os.PathLike | str | None) -> epath.Path:
    """The folder of the SavedModel that a user means.

    Args:
      path: What tfmds.export wrote, or one of its versions; `starter` or None for
        the weights that come with the package.

    Raises:
      InputError: There is no such model.
    """
    if _is_starter(path) and not _STARTER.is_dir():
        raise InputError(
            "this installation carries no model of its own; name one with"
            " --model=EXPORT (python -m tfmds.export makes it)"
        )
    path = _named(path)
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
        f" wrote, with a version such as 1/{SAVED_MODEL} in it, or {STARTER}, the"
        " model of the package"
    )


def _named(path: os.PathLike | str | None) -> epath.Path:
    return _STARTER if path is None or _is_starter(path) else epath.Path(path)


def _is_starter(path: os.PathLike | str | None) -> bool:
    # As with flagfiles, what is here goes before what is in the package.
    return path is None or (os.fspath(path) == STARTER and not os.path.exists(STARTER))


def newest_version(path: epath.Path) -> int:
    """The highest number among its folders' names, 0 where there is none."""
    if not path.is_dir():
        return 0
    return max((int(p.name) for p in path.iterdir() if p.name.isdecimal()), default=0)


def is_export(path: os.PathLike | str) -> bool:
    """Whether `find` would return a folder."""
    path = _named(path)
    folders = (path, path / str(newest_version(path)))
    return any((folder / SAVED_MODEL).exists() for folder in folders)


def read_info(folder: os.PathLike | str) -> ExportInfo:
    """What an export says of itself.

    Raises:
      InputError: It cannot be read.
    """
    path = epath.Path(folder) / "assets" / INFO_FILE
    return ExportInfo.from_json(read_about(folder), str(path))


def read_about(folder: os.PathLike | str) -> Any:
    """The same as it is written.

    Raises:
      InputError: It cannot be read.
    """
    folder = epath.Path(folder)
    path = folder / "assets" / INFO_FILE
    if not path.exists():
        # That of the other formats lies beside the network.
        path = folder / INFO_FILE
    return json_files.read(path, _WHAT, _HINT)


def chunk_outputs(heads: Sequence[str]) -> dict[str, str]:
    """What the signature `examples` calls the scores of a chunk, by their names here.

    Args:
      heads: Streams whose heads are asked.
    """
    return {"distance": "distance"} | {s: f"{s}_fake_probability" for s in heads}


def chunk_scores(
    outputs: Mapping[str, Any], heads: Sequence[str]
) -> dict[str, np.ndarray]:
    """What is asked of the signature `examples`.

    Args:
      outputs: What it gives, of `n` track records of one chunk.
      heads: Streams whose heads are asked.

    Returns:
      float `[n]`: `distance`, and by stream the probability of fake.

    Raises:
      KeyError, TypeError, ValueError: It is something else.
    """
    return {
        name: np.asarray(outputs[key], float)
        for name, key in chunk_outputs(heads).items()
    }


# Starts of mouth chunks `[m]` in seconds, and their distances `[m, k]` at each lag, as
# `alignment.evidence` takes them.
DistancesByLag = tuple[np.ndarray, np.ndarray]


def split_lags(outputs: dict[str, Any], num_examples: int) -> list[DistancesByLag]:
    """Parts what the signature `lags` gives, by the track records it was asked for.

    Raises:
      KeyError, TypeError, ValueError: It is something else.
    """
    example = np.asarray(outputs["example"])
    starts = np.asarray(outputs["start_seconds"], float)
    distances = np.asarray(outputs["distance_by_lag"], float)
    columns = 2 * round(MAX_LAG / VOICE_HOP) + 1
    if distances.shape != (len(starts), columns) or example.shape != starts.shape:
        raise ValueError(f"distances by lag of the shape {distances.shape}")
    # JSON knows no NaN: what there is not is -1.
    distances = np.where(distances < 0, np.nan, distances)
    rows = [example == number for number in range(num_examples)]
    return [(starts[mask], distances[mask]) for mask in rows]
