"""The functions of an exported SavedModel."""

from collections.abc import Callable, Collection
from typing import Any

import keras
import tensorflow as tf

from tfmds.data import decode, input_pipeline, lags
from tfmds.exporting import export_info
from tfmds.models.two_stream import fake_probability, single_streams
from tfmds.spec import ChunkSpec, ViewConfig


def answers(outputs: dict[str, Any], heads: Collection[str]) -> dict[str, Any]:
    """The network's outputs as an export gives them.

    Args:
      outputs: Of the network.
      heads: Streams whose heads answer.
    """
    return {
        "distance": outputs["distance"],
        **{
            f"{stream}_fake_probability": fake_probability(outputs[f"{stream}_logits"])
            for stream in heads
        },
    }


def _function(what: Callable[..., Any], *signature: tf.TensorSpec) -> Any:
    # None of it is Python that TensorFlow would have to read anew, which takes seconds.
    return tf.function(what, input_signature=signature, autograph=False)


class Detector(tf.Module):
    """The functions of an export, by name in `functions`."""

    def __init__(
        self,
        model: keras.Model,
        spec: ChunkSpec,
        view: ViewConfig,
        about: str,
        heads: Collection[str],
    ):
        super().__init__()
        self._heads = tuple(heads)
        self._model = model
        self._spec = spec
        self._view = view
        self._about = about
        frames = [None, spec.num_frames, None, None, 3]
        mfcc = [None, spec.num_coefficients, spec.num_mfcc_frames]
        examples = tf.TensorSpec([None], tf.string, "examples")
        self.functions = {
            "serving_default": _function(
                self._score_crops,
                tf.TensorSpec(frames, tf.uint8, "frames"),
                tf.TensorSpec(mfcc, tf.float32, "mfcc"),
            ),
            "examples": _function(self._score_examples, examples),
            # TensorFlow Serving wants an input in every signature; what it is, is
            # ignored.
            "about": _function(
                lambda request: {"about": tf.fill(tf.shape(request), self._about)},
                tf.TensorSpec([None], tf.string, "request"),
            ),
        }
        if spec.has_lags:
            self._see, self._hear = single_streams(model)
            self.functions[export_info.LAGS] = _function(
                self._lags_of_examples, examples
            )

    def _score_crops(self, frames: tf.Tensor, mfcc: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._score(decode.crop_frames(frames, self._view), mfcc)

    def _score(self, frames: tf.Tensor, mfcc: tf.Tensor) -> dict[str, tf.Tensor]:
        spec, size = self._spec, self._view.image_size
        frames = tf.ensure_shape(frames, [None, spec.num_frames, size, size, 3])
        mfcc = tf.ensure_shape(
            mfcc, [None, spec.num_coefficients, spec.num_mfcc_frames]
        )
        outputs = self._model({"frames": frames, "mfcc": mfcc}, training=False)
        return answers(outputs, self._heads)

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
            chunk = input_pipeline.cut_chunk(track, start, spec)
            frames = decode.decode_frames(chunk["frames"], spec, view)
            return frames, chunk["mfcc"], chunk["start_seconds"]

        return tf.map_fn(
            chunk_at,
            input_pipeline.grid_starts(track, spec, spec.num_frames),
            fn_output_signature=(tf.uint8, tf.float32, tf.float32),
        )
