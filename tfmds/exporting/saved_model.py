"""Export: a trained model with its threshold, for use without keras and tfmds."""

import json
import os
import tempfile
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfmds.common import files
from tfmds.common.errors import InputError
from tfmds.data import records
from tfmds.data.manifest import Video
from tfmds.evaluation import thresholds
from tfmds.exporting import export_info, light_form, networks, other_formats
from tfmds.exporting.networks import NetworkInfo
from tfmds.exporting.signatures import Detector
from tfmds.spec import FORMAT_VERSION, ChunkSpec


def export(
    model_path: os.PathLike | str,
    threshold_path: os.PathLike | str,
    output_dir: os.PathLike | str,
    export_format: str = "saved_model",
) -> epath.Path:
    """Writes the network of a run's best checkpoint, with its threshold.

    Batch norms are folded into their neighbours and what only training needs is left
    out (`models.folding`).

    Args:
      model_path: A run of tfmds.train; or an export as SavedModel, which gets another
        threshold, and what exports have learned to do since it was made.
      threshold_path: A threshold.json.
      output_dir: As SavedModel it becomes the next version in this folder, as
        TensorFlow Serving wants it; in other formats the folder is replaced.
      export_format: One of `export_info.FORMATS`. ONNX and LiteRT hold the network
        alone: it takes `frames` uint8 `[n, 30, s, s, 3]`, cut to the region and scaled
        to the size that tfmds_export.json names under `model`, and gives both
        embeddings too.

    Returns:
      The folder that was written.

    Raises:
      InputError: The model, the threshold or the folder cannot be used, the threshold
        was chosen with another model, or the format needs a missing package.
    """
    if export_format not in export_info.FORMATS:
        raise InputError(
            f"the format is {export_format!r}, expected one of"
            f" {', '.join(export_info.FORMATS)}"
        )
    if export_format != "saved_model":
        other_formats.check(export_format)
    threshold = thresholds.read(threshold_path)
    model, known = networks.load(model_path)
    config, spec, model_id = known.config, known.spec, known.model_id
    if threshold.model_id not in ("", model_id):
        raise InputError(
            f"{threshold_path}: the threshold was chosen with the model"
            f" {threshold.model_id}, {model_path} is {model_id}; run"
            " tfmds.select_threshold with this model"
        )
    about = json.dumps(
        {
            "format_version": FORMAT_VERSION,
            "spec": spec.to_json(),
            "model": config.to_json(),
            "model_id": model_id,
            "threshold": threshold.to_json(),
            **({export_info.HEADS: dict(known.heads)} if known.knows_heads else {}),
            **({export_info.LAGS: export_info.LAG_GRID} if spec.has_lags else {}),
        },
        indent=2,
    )
    # It must not be one of a score that this network has not.
    export_info.ExportInfo.from_json(json.loads(about), os.fspath(threshold_path))
    output_dir = epath.Path(output_dir)
    _check_ours(output_dir)
    if export_format == "saved_model":
        final = output_dir / str(export_info.newest_version(output_dir) + 1)
        with files.making_folder(final) as folder:
            _save(model, known, about, folder)
            light_form.write(model, model_id, folder)
    else:
        final = output_dir
        with files.making_folder(final) as folder:
            other_formats.write(model, known, export_format, folder)
            (folder / export_info.INFO_FILE).write_text(about)
    return final


def _check_ours(output_dir: epath.Path) -> None:
    if not output_dir.exists():
        return
    ours = {export_info.INFO_FILE, *export_info.OTHER_FILES.values()}
    foreign = not output_dir.is_dir() or any(
        not (path.name.isdecimal() or path.name.startswith(".") or path.name in ours)
        for path in output_dir.iterdir()
    )
    if foreign:
        raise InputError(
            f"{output_dir}: holds files that are no export; name another folder"
        )


def _save(
    model: keras.Model, known: NetworkInfo, about: str, folder: epath.Path
) -> None:
    spec = known.spec
    module = Detector(model, spec, known.config.view, about, known.answering_heads)
    with tempfile.TemporaryDirectory() as assets:
        asset = os.path.join(assets, export_info.INFO_FILE)
        with open(asset, "w") as f:
            f.write(about)
        module.info = tf.saved_model.Asset(asset)
        tf.saved_model.save(
            module,
            str(folder),
            signatures={
                name: module.functions[name] for name in _signature_names(spec)
            },
        )
    _write_warmup(folder, spec)


def _signature_names(spec: ChunkSpec) -> list[str]:
    names = ["serving_default", "examples", "about"]
    return [*names, export_info.LAGS] if spec.has_lags else names


def _write_warmup(folder: epath.Path, spec: ChunkSpec) -> None:
    """Requests that TensorFlow Serving makes itself before it takes others."""
    # Most who import this module load models and write none.
    from tensorflow_serving.apis import prediction_log_pb2

    size = spec.crop_size
    mfcc = np.zeros((spec.mfcc_frames_in(spec.num_frames), spec.num_coefficients))
    jpeg = tf.io.encode_jpeg(np.zeros((size, size, 3), np.uint8)).numpy()
    boxes = np.zeros((spec.num_frames, 4), np.float32)
    segment = records.TrackSegment([jpeg] * spec.num_frames, mfcc, 0.0, 0, boxes)
    example = records.encode(segment, Video(video_id="", path=""), spec.seconds)
    requests: dict[str, dict[str, Any]] = {
        "serving_default": {
            # Crops may have any size: small ones keep the file small.
            "frames": np.zeros((1, spec.num_frames, 32, 32, 3), np.uint8),
            "mfcc": mfcc.T[None].astype(np.float32),
        },
        "examples": {"examples": np.array([example], object)},
    }
    if spec.has_lags:
        requests[export_info.LAGS] = requests["examples"]
    extra = folder / "assets.extra"
    extra.mkdir()
    with tf.io.TFRecordWriter(str(extra / "tf_serving_warmup_requests")) as writer:
        for name, inputs in requests.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.signature_name = name
            for key, value in inputs.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            writer.write(log.SerializeToString())
