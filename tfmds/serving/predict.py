"""TensorFlow Serving's predict API: a JSON body becomes tensors, tensors become JSON.

Names and forms are those of its REST interface
(https://www.tensorflow.org/tfx/serving/api_rest). It is stricter in one thing: a number
that is not finite is refused, since no distance follows from it.
"""

import base64
import binascii
import dataclasses
import gc
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import saved_model_pb2

from tfmds.exporting.loading import ExportedModel
from tfmds.spec import ChunkSpec

DEFAULT_SIGNATURE = "serving_default"
# Input of track records, and the output that says of which of them a row is.
_EXAMPLES = "examples"
_NUMBER = "example"
# A record of more seconds is refused: its chunks are held at once.
_MAX_RECORD_SECONDS = 60


class RequestError(Exception):
    """A request that cannot be answered, in a sentence for who made it."""


@dataclasses.dataclass(frozen=True)
class Input:
    """What a signature wants under one name; None in a shape stands for any size."""

    dtype: np.dtype
    shape: tuple[int | None, ...]


Signatures = dict[str, dict[str, Input]]


@dataclasses.dataclass(frozen=True)
class Request:
    """A body that was understood.

    Attributes:
      signature: Which function is called.
      inputs: Arrays by name, all with the same first dimension.
      is_rows: Whether it came as `instances`, and is answered as `predictions`.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    is_rows: bool

    @property
    def size(self) -> int:
        """Chunks or records in it."""
        return len(next(iter(self.inputs.values())))

    def fits(self, other: "Request") -> bool:
        """Whether both can be in one batch."""
        return self.signature == other.signature and all(
            array.shape[1:] == other.inputs[name].shape[1:]
            for name, array in self.inputs.items()
        )


def read_signatures(saved_model: bytes) -> tuple[Signatures, dict[str, Any]]:
    """What a `saved_model.pb` can be asked.

    Returns:
      The signatures, and the same as TensorFlow Serving's metadata says it.
    """
    meta_graph = saved_model_pb2.SavedModel.FromString(saved_model).meta_graphs[0]
    signatures = {
        name: {
            key: Input(
                np.dtype(tf.as_dtype(info.dtype).as_numpy_dtype),
                tuple(
                    None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim
                ),
            )
            for key, info in signature.inputs.items()
        }
        for name, signature in meta_graph.signature_def.items()
        if signature.inputs
    }
    said = {
        name: json_format.MessageToDict(
            signature,
            preserving_proto_field_name=True,
            always_print_fields_with_no_presence=True,
        )
        for name, signature in meta_graph.signature_def.items()
    }
    return signatures, said


def parse(body: bytes, signatures: Signatures, chunk_spec: ChunkSpec) -> Request:
    """Reads a request.

    Args:
      body: JSON with `instances` or `inputs`, and perhaps `signature_name`.
      signatures: What the model has.
      chunk_spec: Of the model.

    Raises:
      RequestError: The body is not such a request.
    """
    # Among millions of new lists the collector would look for garbage all the time.
    gc.disable()
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as e:
        where = f" at offset {e.pos}" if isinstance(e, json.JSONDecodeError) else ""
        raise RequestError(f"JSON Parse error{where}: the body is not JSON") from e
    finally:
        gc.enable()
    if not isinstance(asked, dict):
        raise RequestError(
            "the body is not a JSON object; expected {'instances': [...]} or"
            " {'inputs': {...}}"
        )
    name = asked.get("signature_name", "")
    if not isinstance(name, str):
        raise RequestError("'signature_name' key must be a string value")
    name = name or DEFAULT_SIGNATURE
    if name not in signatures:
        raise RequestError(
            f'Serving signature name: "{name[:80]}" not found in signature def;'
            f" expected one of {', '.join(sorted(signatures))}"
        )
    wanted = signatures[name]
    if ("instances" in asked) == ("inputs" in asked):
        raise RequestError("expecting exactly one of the keys 'inputs' and 'instances'")
    is_rows = "instances" in asked
    columns = (
        _columns_of_rows(asked["instances"], wanted)
        if is_rows
        else _columns(asked["inputs"], wanted)
    )
    inputs = {key: _array(key, columns[key], wanted[key]) for key in wanted}
    sizes = {key: len(array) for key, array in inputs.items()}
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{size} of '{key}'" for key, size in sizes.items())
        raise RequestError(f"the inputs are not as many as each other: {said}")
    if _EXAMPLES in inputs:
        for number, record in enumerate(inputs[_EXAMPLES]):
            _check_record(number, record, chunk_spec)
    return Request(name, inputs, is_rows)


def _columns_of_rows(rows: Any, wanted: dict[str, Input]) -> dict[str, list]:
    if not isinstance(rows, list):
        raise RequestError("expecting 'instances' to be a list")
    if not rows:
        raise RequestError("no values in 'instances' list")
    are_objects = _is_object(rows[0])
    if not are_objects and len(wanted) > 1:
        raise RequestError(
            "'instances' is a plain list, expecting a list of objects with the keys"
            f" {', '.join(sorted(wanted))}"
        )
    for number, row in enumerate(rows):
        if _is_object(row) != are_objects:
            raise RequestError(
                f"element {number} of 'instances' is of another kind than those before"
            )
        if are_objects and set(row) != set(wanted):
            raise RequestError(
                f"element {number} of 'instances': keys must be equal to"
                f" {', '.join(sorted(wanted))}"
            )
    if not are_objects:
        return {next(iter(wanted)): rows}
    return {key: [row[key] for row in rows] for key in wanted}


def _columns(inputs: Any, wanted: dict[str, Input]) -> dict[str, Any]:
    if not _is_object(inputs):
        if len(wanted) > 1:
            raise RequestError(
                "'inputs' is a plain value, expecting an object with the keys"
                f" {', '.join(sorted(wanted))}"
            )
        return {next(iter(wanted)): inputs}
    for key in wanted:
        if key not in inputs:
            raise RequestError(f"missing named input '{key}' in 'inputs' object")
    return inputs


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and set(value) != {"b64"}


def _array(key: str, values: Any, wanted: Input) -> np.ndarray:
    if wanted.dtype == object:
        array = np.empty(len(values) if isinstance(values, list) else 0, object)
        if not isinstance(values, list):
            raise RequestError(f"'{key}' must be a list of {{'b64': ...}} objects")
        array[:] = [_bytes(key, number, value) for number, value in enumerate(values)]
    else:
        array = _numbers(key, values, wanted.dtype)
    if not array.size:
        raise RequestError(f"'{key}' is empty, expected at least one value")
    fits = array.ndim == len(wanted.shape) and all(
        size in (None, found)
        for size, found in zip(wanted.shape, array.shape, strict=True)
    )
    if not fits:
        expected = ["any" if size is None else size for size in wanted.shape]
        raise RequestError(
            f"'{key}' has the shape {list(array.shape)}, expected"
            f" [{', '.join(map(str, expected))}]"
        )
    return array


def _bytes(key: str, number: int, value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    if isinstance(value, dict) and isinstance(value.get("b64"), str):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError) as e:
            raise RequestError(
                f"value {number} of '{key}': unable to base64 decode"
            ) from e
    raise RequestError(
        f"value {number} of '{key}' is no string and no {{'b64': ...}} object"
    )


def _numbers(key: str, values: Any, dtype: np.dtype) -> np.ndarray:
    try:
        found = np.asarray(values)
    except (ValueError, OverflowError) as e:
        raise RequestError(
            f"the lists in '{key}' are not of equal length and depth"
        ) from e
    kinds, numbers = (
        ("iu", "whole numbers") if dtype.kind in "iu" else ("iuf", "numbers")
    )
    if not found.size:
        return found
    if found.dtype.kind not in kinds:
        raise RequestError(f"'{key}' holds values that are no {numbers}")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if found.min() < limits.min or found.max() > limits.max:
            raise RequestError(
                f"'{key}' holds values outside {limits.min} to {limits.max}"
            )
        return found.astype(dtype)
    with np.errstate(over="ignore"):
        found = found.astype(dtype)
    if not np.isfinite(found).all():
        raise RequestError(
            f"'{key}' holds NaN, infinity or a number too large; expected finite"
            " numbers"
        )
    return found


def _check_record(number: int, record: bytes, chunk_spec: ChunkSpec) -> None:
    """Refuses what would cost too much memory, or fail without a reason to name."""
    where = f"value {number} of '{_EXAMPLES}'"
    try:
        feature = tf.train.Example.FromString(record).features.feature
    except DecodeError as e:
        raise RequestError(f"{where} is no serialized tf.train.Example") from e
    frames = feature["frames"].bytes_list.value
    mfcc = feature["mfcc"].float_list.value
    most = _MAX_RECORD_SECONDS * chunk_spec.frame_rate
    if not chunk_spec.num_frames <= len(frames) <= most:
        raise RequestError(
            f"{where} has {len(frames)} frames, expected {chunk_spec.num_frames} to"
            f" {most}"
        )
    coefficients = chunk_spec.mfcc_frames_in(len(frames)) * chunk_spec.num_coefficients
    if len(mfcc) != coefficients:
        raise RequestError(
            f"{where} has {len(mfcc)} values of mfcc for {len(frames)} frames,"
            f" expected {coefficients}"
        )
    if not np.isfinite(np.asarray(mfcc, np.float32)).all():
        raise RequestError(f"{where}: its mfcc holds NaN or infinity")
    side = chunk_spec.crop_size
    for frame in frames:
        try:
            shape = tf.image.extract_jpeg_shape(frame).numpy().tolist()
        except tf.errors.InvalidArgumentError as e:
            raise RequestError(f"{where} holds a frame that is no JPEG") from e
        # Few bytes can state a huge picture.
        if shape[:2] != [side, side]:
            raise RequestError(
                f"{where} holds a frame of {shape[1]} x {shape[0]} pixels, expected"
                f" {side} x {side}"
            )


def run(
    model: ExportedModel, requests: Sequence[Request], batch_size: int
) -> list[bytes | RequestError]:
    """Answers requests that fit each other, as one batch.

    Args:
      model: Whom to ask.
      requests: Each `fits` the others.
      batch_size: Chunks or records that are given to the model at a time, at most.

    Returns:
      For each request the JSON of its answer, or what is wrong with it.
    """
    signature = requests[0].signature
    inputs = {
        key: np.concatenate([request.inputs[key] for request in requests])
        for key in requests[0].inputs
    }
    try:
        outputs = _run(model, signature, inputs, batch_size)
    except tf.errors.InvalidArgumentError:
        if len(requests) == 1:
            return [
                RequestError(f"the model cannot read these inputs of '{signature}'")
            ]
        # Whose fault it was shows when each is asked for alone.
        return [run(model, [request], batch_size)[0] for request in requests]
    answers, first = [], 0
    for request in requests:
        mine = _rows(outputs, first, first + request.size)
        first += request.size
        answers.append(_to_json(mine, request.is_rows))
    return answers


def _run(
    model: ExportedModel, signature: str, inputs: dict[str, np.ndarray], size: int
) -> dict[str, np.ndarray]:
    count = len(next(iter(inputs.values())))
    pieces = []
    for first in range(0, count, size):
        part = {
            key: tf.constant(array[first : first + size])
            for key, array in inputs.items()
        }
        answer = {k: v.numpy() for k, v in model.signatures[signature](**part).items()}
        if _NUMBER in answer:
            answer[_NUMBER] = answer[_NUMBER] + first
        pieces.append(answer)
    return {key: np.concatenate([p[key] for p in pieces]) for key in pieces[0]}


def _rows(
    outputs: dict[str, np.ndarray], first: int, stop: int
) -> dict[str, np.ndarray]:
    """What belongs to the inputs from `first` to before `stop`."""
    if _NUMBER not in outputs:
        return {key: array[first:stop] for key, array in outputs.items()}
    number = outputs[_NUMBER]
    mine = (number >= first) & (number < stop)
    rows = {key: array[mine] for key, array in outputs.items()}
    return {**rows, _NUMBER: rows[_NUMBER] - first}


def _to_json(outputs: dict[str, np.ndarray], is_rows: bool) -> bytes | RequestError:
    columns = {}
    for key, array in outputs.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            return RequestError("the inputs lead to a distance that is not finite")
        columns[key] = [_plain(value) for value in array]
    if len(columns) == 1:
        # TensorFlow Serving leaves out the name of an only output.
        (only,) = columns.values()
        return json.dumps({"predictions" if is_rows else "outputs": only}).encode()
    if not is_rows:
        return json.dumps({"outputs": columns}).encode()
    rows = [
        dict(zip(columns, row, strict=True))
        for row in zip(*columns.values(), strict=True)
    ]
    return json.dumps({"predictions": rows}).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode()
    # The shortest digits that give the same float32, as TensorFlow Serving does.
    return float(str(value)) if isinstance(value, np.floating) else int(value)
