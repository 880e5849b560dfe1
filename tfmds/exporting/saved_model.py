"""Export: a trained model with its threshold, for use without keras and tfmds."""

import dataclasses
import importlib.util
import json
import os
import tempfile
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from etils import epath

from tfmds.common import files
from tfmds.common.errors import InputError
from tfmds.data import input_pipeline, lags, records
from tfmds.data.manifest import Video
from tfmds.evaluation import thresholds
from tfmds.exporting import export_info
from tfmds.exporting.export_info import DistancesByLag, ExportInfo, split_lags
from tfmds.models import checkpoints
from tfmds.models.folding import fold_batch_norm
from tfmds.models.two_stream import (
    TwoStreamConfig,
    single_streams,
    two_stream,
    with_embeddings,
)
from tfmds.spec import FORMAT_VERSION, ChunkSpec, ViewConfig

FORMATS = export_info.FORMATS
# Packages that write a format, and the extra of setup.cfg that brings them.
_NEEDS = {"onnx": ("tf2onnx", "onnx")}
# The first that was found to write the other formats well; it needs Python 3.11.
_LEAST_KERAS = (3, 15)


@dataclasses.dataclass(frozen=True)
class ExportedModel(ExportInfo):
    """A loaded export.

    Attributes:
      signatures: Functions by name: `serving_default`, `examples`, `about`, and `lags`
        where it `has_lags`.
    """

    signatures: dict[str, Any]

    def distances(self, examples: Sequence[bytes]) -> np.ndarray:
        """Distance of each track record of one chunk, float `[n]`."""
        answer = self.signatures["examples"](examples=tf.constant(examples))
        return answer["distance"].numpy().astype(float)

    def lags(self, examples: Sequence[bytes]) -> list[DistancesByLag]:
        """Distances by lag of each track record; the export must have them."""
        answer = self.signatures["lags"](examples=tf.constant(examples))
        return split_lags({k: v.numpy() for k, v in answer.items()}, len(examples))


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
      export_format: One of `FORMATS`. ONNX and LiteRT hold the network alone: it
        takes `frames` uint8 `[n, 30, s, s, 3]`, cut to the region and scaled to the
        size that tfmds_export.json names under `model`, and gives both embeddings too.

    Returns:
      The folder that was written.

    Raises:
      InputError: The model, the threshold or the folder cannot be used, the threshold
        was chosen with another model, or the format needs a missing package.
    """
    if export_format not in FORMATS:
        raise InputError(
            f"the format is {export_format!r}, expected one of {', '.join(FORMATS)}"
        )
    for package in _NEEDS.get(export_format, ()):
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"the format {export_format} needs the package {package}; install it"
                f" with pip install 'tfmds[{export_format}]'"
            )
    version = tuple(int(part) for part in keras.__version__.split(".")[:2])
    if export_format in export_info.OTHER_FILES and version < _LEAST_KERAS:
        raise InputError(
            f"the format {export_format} needs Keras 3.15, which needs Python 3.11;"
            f" here is {keras.__version__}"
        )
    threshold = thresholds.read(threshold_path)
    model, config, spec, model_id = read_network(model_path)
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
            **({export_info.LAGS: export_info.LAG_GRID} if spec.has_lags else {}),
        },
        indent=2,
    )
    output_dir = epath.Path(output_dir)
    _check_ours(output_dir)
    if export_format == "saved_model":
        final = output_dir / str(export_info.newest_version(output_dir) + 1)
        with files.making_folder(final) as folder:
            _save(model, config, spec, about, folder)
    else:
        final = output_dir
        with files.making_folder(final) as folder:
            _convert(model, config, spec, export_format, folder)
            (folder / export_info.INFO_FILE).write_text(about)
    return final


def read_network(
    path: os.PathLike | str,
) -> tuple[keras.Model, TwoStreamConfig, ChunkSpec, str]:
    """The network as it is exported, what it is, and its id."""
    if not export_info.is_export(path):
        model, config, spec = checkpoints.load_model(path)
        return fold_batch_norm(model), config, spec, checkpoints.model_id(path)
    folder = export_info.find(path)
    about = export_info.read_about(folder)
    info = export_info.ExportInfo.from_json(about, str(folder))
    config = TwoStreamConfig(**about["model"])
    model = fold_batch_norm(two_stream(config, info.spec))
    module = _load_module(folder)
    saved = module.signatures["serving_default"].variables
    values = {variable.name.split(":")[0]: variable for variable in saved}
    if set(values) != {variable.path for variable in model.variables}:
        raise InputError(
            f"{folder}: its network has other weights than this version of tfmds"
            " would give it; export it from its run"
        )
    for variable in model.variables:
        variable.assign(values[variable.path].numpy())
    return model, config, info.spec, info.model_id


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
    model: keras.Model,
    config: TwoStreamConfig,
    spec: ChunkSpec,
    about: str,
    folder: epath.Path,
) -> None:
    view = config.view
    module = _Detector(model, spec, view, about)
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


def _convert(
    model: keras.Model,
    config: TwoStreamConfig,
    spec: ChunkSpec,
    export_format: str,
    folder: epath.Path,
) -> None:
    """Writes the network alone in a format of another runtime."""
    size = config.image_size
    frames = keras.Input((spec.num_frames, size, size, 3), dtype="uint8", name="frames")
    mfcc = keras.Input((spec.num_coefficients, spec.num_mfcc_frames), name="mfcc")
    inputs = {"frames": keras.ops.cast(frames, "float32"), "mfcc": mfcc}
    outputs = with_embeddings(model)(inputs)
    # Whoever compares mouths with their voice at other lags needs both apart.
    embeddings = {n: outputs[n] for n in ("visual_embedding", "audio_embedding")}
    network = keras.Model(
        {"frames": frames, "mfcc": mfcc}, {**_answers(outputs), **embeddings}
    )
    # Keras writes only what was called once.
    network({name: np.zeros((1, *x.shape[1:])) for name, x in network.input.items()})
    path = folder / export_info.OTHER_FILES[export_format]
    network.export(str(path), format=export_format, verbose=False)


def _answers(outputs: dict[str, Any]) -> dict[str, Any]:
    """Outputs of the network as an export answers them."""
    probability = {
        f"{stream}_fake_probability": keras.ops.softmax(outputs[f"{stream}_logits"])
        for stream in ("visual", "audio")
    }
    return {
        "distance": outputs["distance"],
        **{name: value[:, 0] for name, value in probability.items()},
    }


def load(export_dir: os.PathLike | str | None) -> ExportedModel:
    """Loads what `export` wrote as SavedModel, the newest version.

    Args:
      export_dir: The export or one of its versions; None for the weights that come
        with the package.

    Raises:
      InputError: The directory holds no export, or one of another version.
    """
    path = export_info.find(export_dir)
    info = export_info.read_info(path)
    module = _load_module(path)
    signatures = dict(module.signatures)
    # A signature outlives its module only as long as something holds the module.
    signatures["examples"].module = module
    return ExportedModel(
        info.spec, info.threshold, info.model_id, info.has_lags, signatures
    )


def _load_module(path: epath.Path) -> Any:
    try:
        module = tf.saved_model.load(str(path))
    except (OSError, ValueError, tf.errors.OpError) as e:
        first = str(e).split("\n")[0]
        raise InputError(
            f"{path}: the SavedModel is damaged ({first}); export the model again"
        ) from e
    return module


class _Detector(tf.Module):
    """The functions of an export, by name in `functions`."""

    def __init__(
        self, model: keras.Model, spec: ChunkSpec, view: ViewConfig, about: str
    ):
        super().__init__()
        self._model = model
        self._spec = spec
        self._view = view
        self._about = about
        signature = [
            tf.TensorSpec([None, spec.num_frames, None, None, 3], tf.uint8, "frames"),
            tf.TensorSpec(
                [None, spec.num_coefficients, spec.num_mfcc_frames],
                tf.float32,
                "mfcc",
            ),
        ]
        examples = [tf.TensorSpec([None], tf.string, "examples")]
        self.functions = {
            "serving_default": tf.function(
                self._score_crops, input_signature=signature
            ),
            "examples": tf.function(self._score_examples, input_signature=examples),
            # TensorFlow Serving wants an input in every signature; what it is, is
            # ignored.
            "about": tf.function(
                lambda request: {"about": tf.fill(tf.shape(request), self._about)},
                input_signature=[tf.TensorSpec([None], tf.string, "request")],
            ),
        }
        if spec.has_lags:
            self._see, self._hear = single_streams(model)
            self.functions[export_info.LAGS] = tf.function(
                self._lags_of_examples, input_signature=examples
            )

    def _score_crops(self, frames: tf.Tensor, mfcc: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._score(input_pipeline.crop_frames(frames, self._view), mfcc)

    def _score(self, frames: tf.Tensor, mfcc: tf.Tensor) -> dict[str, tf.Tensor]:
        spec, size = self._spec, self._view.image_size
        frames = tf.ensure_shape(frames, [None, spec.num_frames, size, size, 3])
        mfcc = tf.ensure_shape(
            mfcc, [None, spec.num_coefficients, spec.num_mfcc_frames]
        )
        return _answers(self._model({"frames": frames, "mfcc": mfcc}, training=False))

    def _score_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        # A track has any number of chunks: one ragged row per example.
        chunks = tf.map_fn(
            self._chunks_of,
            examples,
            fn_output_signature=(
                tf.RaggedTensorSpec([None] * 5, tf.uint8, ragged_rank=0),
                tf.RaggedTensorSpec([None] * 3, tf.float32, ragged_rank=0),
                tf.RaggedTensorSpec([None], tf.float32, ragged_rank=0),
            ),
        )
        frames, mfcc, start_seconds = chunks
        outputs = self._score(frames.values, mfcc.values)
        outputs["example"] = tf.cast(start_seconds.value_rowids(), tf.int32)
        outputs["start_seconds"] = start_seconds.values
        return outputs

    def _lags_of_examples(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        seconds, distances = tf.map_fn(
            lambda example: lags.distances_by_lag(
                example,
                self._spec,
                self._view,
                lambda frames: self._see(frames, training=False),
                lambda mfcc: self._hear(mfcc, training=False),
            ),
            examples,
            fn_output_signature=(
                tf.RaggedTensorSpec([None], tf.float32, ragged_rank=0),
                tf.RaggedTensorSpec([None] * 2, tf.float32, ragged_rank=0),
            ),
            parallel_iterations=1,
        )
        return {
            "example": tf.cast(seconds.value_rowids(), tf.int32),
            "start_seconds": seconds.values,
            "distance_by_lag": distances.values,
        }

    def _chunks_of(self, example: tf.Tensor) -> tuple[tf.Tensor, ...]:
        spec, view = self._spec, self._view
        track = input_pipeline.parse_track(example, spec)

        def chunk_at(start: tf.Tensor) -> tuple[tf.Tensor, ...]:
            chunk = input_pipeline.cut_chunk(track, start, spec, 1.0)
            frames = input_pipeline.decode_frames(chunk["frames"], spec, view)
            return frames, chunk["mfcc"], chunk["start_seconds"]

        return tf.map_fn(
            chunk_at,
            input_pipeline.grid_starts(track, spec, spec.num_frames),
            fn_output_signature=(tf.uint8, tf.float32, tf.float32),
        )
