"""Exports as ONNX Runtime judges by them, without TensorFlow.

What `signatures` does in TensorFlow, for the light form of an export (`light_form`).
"""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
import onnxruntime
import simplejpeg
from etils import epath

from tfmds import spec as words
from tfmds.common.errors import InputError
from tfmds.data.example_proto import Example
from tfmds.evaluation import lag_evidence
from tfmds.exporting import export_info
from tfmds.exporting.export_info import LIGHT_FILES, DistancesByLag, ExportInfo
from tfmds.spec import ViewConfig

# Chunks that go through a stream together.
_MOUTHS_AT_ONCE = 8
_VOICES_AT_ONCE = 64


@dataclasses.dataclass(frozen=True)
class LightModel(ExportInfo):
    """A loaded light form.

    Attributes:
      view: How the mouth is shown.
      see: The visual stream: takes uint8 `[n, 30, s, s, 3]`.
      hear: The audio stream: takes float32 `[n, 13, 99]`.
    """

    view: ViewConfig
    see: onnxruntime.InferenceSession
    hear: onnxruntime.InferenceSession

    def distances(self, examples: Sequence[bytes]) -> np.ndarray:
        """Distance of each track record of one chunk, float `[n]`."""
        chunks = [self._views(_features(example)) for example in examples]
        count = self.spec.num_frames
        seen = _embed(
            self.see, [frames[:count] for frames, _ in chunks], _MOUTHS_AT_ONCE
        )
        voices = [mfcc[: self.spec.num_mfcc_frames].T for _, mfcc in chunks]
        heard = _embed(self.hear, voices, _VOICES_AT_ONCE)
        return np.sqrt(np.square(seen - heard).sum(axis=1) + 1e-12).astype(float)

    def score(self, examples: Sequence[bytes]) -> dict[str, np.ndarray]:
        """The distances by name, see `export_info.chunk_scores`."""
        return {"distance": self.distances(examples)}

    def lags(self, examples: Sequence[bytes]) -> list[DistancesByLag]:
        """Distances by lag of each track record; the export must have them."""
        return [self._lags(example) for example in examples]

    def _lags(self, example: bytes) -> DistancesByLag:
        feature = _features(example)
        frames, mfcc = self._views(feature)
        (first,) = feature["start_seconds"].float_list.value
        rate, count = self.spec.frame_rate, self.spec.num_frames
        starts = np.arange(0, len(frames) - count + 1, round(words.MOUTH_HOP * rate))
        mouths = [frames[start : start + count] for start in starts]
        count = self.spec.num_mfcc_frames
        hop = round(words.VOICE_HOP * self.spec.mfcc_rate)
        voice_starts = np.arange(0, len(mfcc) - count + 1, hop)
        voices = [mfcc[start : start + count].T for start in voice_starts]
        distances = lag_evidence.distances_by_lag(
            starts / rate,
            _embed(self.see, mouths, _MOUTHS_AT_ONCE),
            voice_starts / self.spec.mfcc_rate,
            _embed(self.hear, voices, _VOICES_AT_ONCE),
        )
        return first + starts / rate, distances

    def _views(self, feature: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Views of the frames, uint8 `[t, s, s, 3]`, and MFCC float32 `[m, 13]`."""
        jpegs = feature["frames"].bytes_list.value
        mfcc = np.array(feature["mfcc"].float_list.value, np.float32)
        frames = np.stack([self._show(jpeg) for jpeg in jpegs])
        return frames, mfcc.reshape(-1, self.spec.num_coefficients)

    def _show(self, jpeg: bytes) -> np.ndarray:
        # TensorFlow decodes by the quicker cosine transform; OpenCV by the other, which
        # is one level off in the mean.
        face = simplejpeg.decode_jpeg(jpeg, "RGB", fastdct=True)
        top, left, height, width = words.region_window(
            self.spec.crop_size, self.view.region
        )
        part = face[top : top + height, left : left + width]
        size = (self.view.image_size, self.view.image_size)
        if part.shape[:2] == size:
            return part
        scaled = cv2.resize(part.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return np.rint(scaled).astype(np.uint8)


def load(export_dir: os.PathLike | str | None) -> LightModel | None:
    """Loads the light form of an export, None where it has none or heads are asked.

    Args:
      export_dir: The export or one of its versions; None for the weights that come
        with the package.

    Raises:
      InputError: The directory holds no export, or one that is damaged.
    """
    folder = export_info.find(export_dir)
    # Weights are mapped from files on disk.
    if not os.path.isdir(folder) or not all(
        (folder / name).exists() for name in LIGHT_FILES
    ):
        return None
    info = export_info.read_info(folder)
    # It has no heads.
    if info.asked_heads:
        return None
    model = export_info.read_about(folder)["model"]
    view = ViewConfig(image_size=model["image_size"], region=model["region"])
    see, hear = (_session(folder / name, info.model_id) for name in LIGHT_FILES)
    return LightModel(**vars(info), view=view, see=see, hear=hear)


def _session(path: epath.Path, model_id: str) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Else a thread that waits for the next operation keeps a core busy.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(
            os.fspath(path), options, ["CPUExecutionProvider"]
        )
    # Its errors have no class of their own in common.
    except Exception as e:
        first = str(e).split("\n")[0]
        raise InputError(
            f"{path}: the network is damaged ({first}); export the model again"
        ) from e
    found = session.get_modelmeta().custom_metadata_map.get("model_id")
    if found != model_id:
        raise InputError(
            f"{path}: is of the model {found}, its export of {model_id}; export the"
            " model again"
        )
    return session


def _features(example: bytes) -> Mapping[str, Any]:
    return Example.FromString(example).features.feature


def _embed(
    session: onnxruntime.InferenceSession, chunks: Sequence[np.ndarray], size: int
) -> np.ndarray:
    """Embeddings of chunks, float32 `[n, d]`."""
    parts = [
        session.run(None, {"input": np.stack(chunks[first : first + size])})[0]
        for first in range(0, len(chunks), size)
    ]
    return np.concatenate(parts)
