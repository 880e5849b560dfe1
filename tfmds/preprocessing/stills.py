"""Pictures of faces that somebody else cut, read as videos of one picture."""

import os

import numpy as np

from tfmds import spec
from tfmds.data import face_records
from tfmds.data.data_set import MediaFacts
from tfmds.data.records import TrackSegment
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.containers import MediaError
from tfmds.preprocessing.detector import shared_detector
from tfmds.preprocessing.faces import size_of

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
# Faces of fewer pixels tell nothing.
_LEAST_SIDE = 32
_MOST_BYTES = 50_000_000


def is_still(path: os.PathLike | str) -> bool:
    """Whether a file is a picture by its name."""
    return os.fspath(path).lower().endswith(SUFFIXES)


def read(
    path: str, options: PreprocessingConfig, chunk_spec: spec.ChunkSpec
) -> tuple[TrackSegment, MediaFacts]:
    """The face in a picture: a segment of one frame, the picture as it is.

    With `options.stills` `tight` the picture is the face, with `wide` the face is
    looked for and its square cut out with what surrounds it.

    Raises:
      MediaError: It is no picture, too small, or no face is found in it.
    """
    try:
        size = os.path.getsize(path)
        if size > _MOST_BYTES:
            raise MediaError(
                spec.OVER_LIMIT, f"the file has {size} bytes, more than {_MOST_BYTES}"
            )
        with open(path, "rb") as f:
            picture, jpeg = face_records.picture_of(f.read())
    except OSError as e:
        raise MediaError(spec.DECODE_ERROR, f"cannot be read: {e.strerror or e}") from e
    except ValueError as e:
        raise MediaError(spec.DECODE_ERROR, str(e)) from e
    height, width = picture.shape[:2]
    if width * height > options.max_pixels:
        raise MediaError(
            spec.OVER_LIMIT,
            f"its {width} x {height} pixels are more than max_pixels,"
            f" {options.max_pixels}",
        )
    box = np.array([0, 0, width, height], np.float32)
    if options.stills == "wide":
        box = _find(picture, options)
        jpeg, box = face_records.cut(picture, box, chunk_spec.crop_size)
    if size_of(box) < _LEAST_SIDE:
        raise MediaError(
            spec.NO_FACE,
            f"its face has {size_of(box):.0f} pixels, at least {_LEAST_SIDE} are"
            " needed",
        )
    segment = TrackSegment(
        frames=[jpeg],
        mfcc=np.zeros((0, chunk_spec.num_coefficients), np.float32),
        start_seconds=0.0,
        track=0,
        boxes=box[None],
    )
    return segment, MediaFacts(bytes=size, width=width, height=height)


def _find(picture: np.ndarray, options: PreprocessingConfig) -> np.ndarray:
    (boxes,) = shared_detector().detect(
        [picture], options.min_confidence, min(picture.shape[:2]) / 8
    )
    if not len(boxes):
        raise MediaError(spec.NO_FACE, "no face was found in it")
    return max(boxes[:, :4], key=size_of).astype(np.float32)


def face(segment: TrackSegment) -> face_records.Face:
    """The face of a segment that `read` made."""
    (jpeg,) = segment.frames
    height, width = face_records.size_of(jpeg)
    left, top, right, bottom = segment.boxes[0] / [width, height, width, height]
    return face_records.Face(jpeg, (left, top, right, bottom))
