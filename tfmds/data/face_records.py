"""Face records: one picture of a face as one `tf.train.Example`.

A face comes from a video, whose crops show some of what surrounds it
(`preprocessing.crops.crop_window`), or from a still that somebody else cut, often to
the face alone. The record holds the picture as it came and where in it the face is; how
a network is shown it is `view`, the same for both.
"""

import dataclasses

import cv2
import numpy as np
import simplejpeg

from tfmds import spec
from tfmds.data import manifest
from tfmds.data.example_proto import Example

# Left, top, right and bottom as shares of the picture's sides.
Box = tuple[float, float, float, float]

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)
# Where the face is in the crop of a track: the crop has 1.4 times the side of the
# face's square, which begins at its upper edge.
IN_TRACK: Box = (0.2 / 1.4, 0.0, 1.2 / 1.4, 1 / 1.4)
# How much a network is shown, as a multiple of the face's square, where there is more.
SCALE = 1.2
# How much of a larger picture is kept, the same, and at which quality of JPEG.
_CUT = 1.6
_QUALITY = 95


@dataclasses.dataclass(frozen=True)
class Face:
    """A picture of a face.

    Attributes:
      jpeg: The picture.
      box: The square around the face.
      seconds: When it is shown, on the video's clock; 0 of a still.
      track: Number of the track in its video; 0 of a still.
    """

    jpeg: bytes
    box: Box = WHOLE
    seconds: float = 0.0
    track: int = 0


@dataclasses.dataclass(frozen=True)
class Stored:
    """A record: a face, and what is known of it.

    Attributes:
      face: The picture.
      video_id: Of the video or the still.
      label: Whether the picture is forged: 1 real, 0 fake, -1 not known.
    """

    face: Face
    video_id: str
    label: int


def picture_label(video: manifest.Video) -> int:
    """The label of a video's pictures: real where only its sound is forged."""
    if video.label == "fake" and video.forged == spec.SOUND:
        return spec.REAL
    return spec.LABELS.get(video.label, spec.UNKNOWN)


def encode(face: Face, video: manifest.Video) -> bytes:
    """Serializes a face of a video or a still as a face record."""
    example = Example()
    feature = example.features.feature
    for name, text in (("picture", face.jpeg), ("video_id", video.video_id.encode())):
        feature[name].bytes_list.value.append(text)
    feature["box"].float_list.value.extend(face.box)
    feature["seconds"].float_list.value.append(face.seconds)
    for name, number in (("label", picture_label(video)), ("track", face.track)):
        feature[name].int64_list.value.append(number)
    # Maps have no order of their own: without this, equal records differ in bytes.
    return example.SerializeToString(deterministic=True)


def decode(serialized: bytes) -> Stored:
    """The inverse of `encode`."""
    feature = Example.FromString(serialized).features.feature
    left, top, right, bottom = feature["box"].float_list.value
    return Stored(
        face=Face(
            jpeg=feature["picture"].bytes_list.value[0],
            box=(left, top, right, bottom),
            seconds=feature["seconds"].float_list.value[0],
            track=feature["track"].int64_list.value[0],
        ),
        video_id=feature["video_id"].bytes_list.value[0].decode(),
        label=feature["label"].int64_list.value[0],
    )


def view(jpeg: bytes, box: Box, size: int, scale: float = SCALE) -> np.ndarray:
    """The face as a network is shown it.

    Args:
      jpeg: A picture.
      box: The square around the face in it.
      size: Side of the result in pixels.
      scale: How much is shown, as a multiple of the face's square; less where the
        picture ends before.

    Returns:
      RGB, uint8 `[size, size, 3]`.
    """
    picture = simplejpeg.decode_jpeg(jpeg, "RGB", fastdct=True)
    height, width = picture.shape[:2]
    sides = np.array([width, height], float)
    corners = np.reshape(box, (2, 2)) * sides
    side = min(scale * (corners[1] - corners[0]).max(), sides.min())
    first = np.clip(corners.mean(0) - side / 2, 0, sides - side)
    (left, top), length = np.rint(first).astype(int), max(1, round(side))
    part = picture[top : top + length, left : left + length]
    way = cv2.INTER_AREA if length > size else cv2.INTER_LINEAR
    return cv2.resize(part, (size, size), interpolation=way)


def spread(count: int, wanted: int) -> list[int]:
    """Numbers of so many of `count` pictures, evenly spread, in order."""
    places = (np.arange(min(wanted, count)) + 0.5) / max(1, min(wanted, count)) * count
    return places.astype(int).tolist()


def picture_of(content: bytes) -> tuple[np.ndarray, bytes]:
    """A picture file decoded, RGB uint8 `[h, w, 3]`, and as JPEG; a JPEG as it is.

    Raises:
      ValueError: It is no picture, or a damaged one.
    """
    if content[:3] == b"\xff\xd8\xff":
        # Damaged ones are refused here, not in the midst of a training.
        return simplejpeg.decode_jpeg(content, "RGB", strict=True), content
    picture = None
    if content:
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("it is no picture that can be decoded")
    return picture[:, :, ::-1].copy(), _to_jpeg(picture)


def cut(picture: np.ndarray, box: np.ndarray, most: int) -> tuple[bytes, np.ndarray]:
    """Cuts a face out of a larger picture with what surrounds it.

    Args:
      picture: RGB, uint8 `[h, w, 3]`.
      box: Around the face in pixels: left, top, right, bottom.
      most: Side of the result in pixels, at most.

    Returns:
      The cut as JPEG, and the face's square in it in pixels, float32 `[4]`.
    """
    sides = np.array(picture.shape[1::-1], float)
    middle = (box[:2] + box[2:]) / 2
    square = float(max(box[2:] - box[:2]))
    side = min(_CUT * square, sides.min())
    first = np.rint(np.clip(middle - side / 2, 0, sides - side)).astype(int)
    length = max(1, round(side))
    part = picture[first[1] : first[1] + length, first[0] : first[0] + length]
    scale = min(1.0, most / length)
    if scale < 1:
        part = cv2.resize(part, (most, most), interpolation=cv2.INTER_AREA)
    corners = np.concatenate([middle - square / 2, middle + square / 2])
    found = (corners - np.tile(first, 2)) * scale
    return _to_jpeg(part[:, :, ::-1]), found.astype(np.float32)


def _to_jpeg(picture: np.ndarray) -> bytes:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return data.tobytes()


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Height and width of a JPEG."""
    height, width, _, _ = simplejpeg.decode_jpeg_header(jpeg)
    return height, width
