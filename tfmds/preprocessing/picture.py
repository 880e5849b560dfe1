"""A decoded picture, cut and scaled before it is converted to RGB."""

import dataclasses
import functools
import math
import threading
from collections.abc import Mapping
from typing import Any

import av
import cv2
import numpy as np
from av.sidedata import sidedata
from av.video.reformatter import VideoReformatter

# Frames of more pixels are scaled down to so many: 4K has 9 million.
MOST_PIXELS = 10_000_000

# Chroma of these formats can be cut at pixels that are multiples of (x, y).
_CHROMA_STEPS = {
    "yuv420p": (2, 2),
    "yuvj420p": (2, 2),
    "yuv422p": (2, 1),
    "yuvj422p": (2, 1),
    "yuv444p": (1, 1),
    "yuvj444p": (1, 1),
    "gray": (1, 1),
}
# Sine of the largest angle that a display matrix may miss a quarter turn by (1 degree).
_ASLANT = 0.0175
_UPRIGHT = (1.0, 0.0, 0.0, 1.0)
# What lies outside of the picture, as in the public code of SyncNet, which the
# paper's preprocessing follows.
_BORDER = 110


def orientation_of(frame: av.VideoFrame) -> np.ndarray | None:
    """How a player turns and flips a frame, for `Picture.from_frame`.

    A display matrix that is none of the eight turns and flips, scaled or not, is
    ignored: damaged ones occur more often than pictures that stand aslant.
    """
    stored = _side_data(frame).get("DISPLAYMATRIX")
    if stored is None:
        return None
    # The file's rows are what becomes of (1, 0) and of (0, 1).
    linear = np.frombuffer(stored, np.int32).reshape(3, 3)[:2, :2].T / 65536
    lengths = np.linalg.norm(linear, axis=0)
    if not lengths.all():
        return None
    linear = linear / lengths
    nearest = np.round(linear)
    is_one = (np.abs(nearest).sum(axis=0) == 1).all() and np.abs(
        np.linalg.det(nearest)
    ) > 0.5
    if not is_one or np.abs(linear - nearest).max() > _ASLANT:
        return None
    return nearest


def _side_data(frame: av.VideoFrame) -> Mapping[Any, Any]:
    """What a frame carries beside its pixels, also of kinds that PyAV does not name."""
    try:
        return frame.side_data
    except ValueError:
        # PyAV lists all of it by kind, and stops at the first that its enumeration
        # lacks: Exif, views of stereoscopic video, and what FFmpeg adds next.
        sidedata.Type._missing_ = classmethod(_unnamed)  # type: ignore
        return frame.side_data


def _unnamed(cls: type[sidedata.Type], value: object) -> sidedata.Type:
    kind: Any = object.__new__(cls)
    kind._name_, kind._value_ = f"UNNAMED_{value}", value
    return kind


@dataclasses.dataclass(frozen=True)
class Window:
    """A square in pixels of the upright picture; may reach beyond its border."""

    left: float
    top: float
    side: float


@dataclasses.dataclass(frozen=True)
class Picture:
    """A frame, or a part of one, that knows its place in the upright picture.

    Attributes:
      frame: The pixels as stored, in a planar 8 bit format.
      width: Width of the whole upright picture in pixels.
      height: Height of the same.
      to_frame: `[2, 3]`, takes (x, y, 1) in the upright picture to pixels of `frame`.
      quarters: Quarter turns clockwise from the picture that players show.
    """

    frame: av.VideoFrame
    width: int
    height: int
    to_frame: np.ndarray
    quarters: int = 0

    @classmethod
    def from_frame(
        cls,
        frame: av.VideoFrame,
        orientation: np.ndarray | None = None,
        pixel_aspect: float = 1.0,
    ) -> "Picture":
        """Takes a decoded frame.

        Args:
          frame: Any format and size; one of more than MOST_PIXELS is scaled down, and
            what is told of the picture is of it as it is then.
          orientation: `[2, 2]`, one of the eight turns and flips, takes directions
            in the frame to those in the upright picture; None where it is upright.
          pixel_aspect: Width of a stored pixel by its height.
        """
        name = frame.format.name
        name = name if name in _CHROMA_STEPS else "yuv420p"
        width, height = size_within(frame.width, frame.height)
        if width < frame.width:
            frame = _scalers.large.reformat(
                frame, width, height, format=name, interpolation="AREA"
            )
        elif name != frame.format.name:
            frame = frame.reformat(format=name)
        turns = _UPRIGHT if orientation is None else tuple(orientation.ravel())
        return cls(frame, *_place(frame.width, frame.height, turns, pixel_aspect))

    @classmethod
    def blank_like(cls, picture: "Picture") -> "Picture":
        """A grey picture as large as another, for what is not known."""
        frame = av.VideoFrame.from_ndarray(
            np.full((picture.frame.height, picture.frame.width), _BORDER, np.uint8),
            "gray",
        )
        return dataclasses.replace(picture, frame=frame)

    def turned(self, quarters: int) -> "Picture":
        """The same pixels, turned clockwise by so many quarters; none is copied."""
        picture = self
        for _ in range(quarters % 4):
            back = np.array([[0, 1, 0], [-1, 0, picture.height], [0, 0, 1]])
            picture = dataclasses.replace(
                picture,
                width=picture.height,
                height=picture.width,
                to_frame=picture.to_frame @ back,
                quarters=(picture.quarters + 1) % 4,
            )
        return picture

    def as_shown(self, box: np.ndarray) -> np.ndarray:
        """Left, top, right, bottom in the picture that players show."""
        left, top, right, bottom = box
        width, height = self.width, self.height
        for _ in range(self.quarters):
            left, top, right, bottom = top, width - right, bottom, width - left
            width, height = height, width
        return np.array([left, top, right, bottom])

    def num_bytes(self) -> int:
        """Memory that the pixels take."""
        return sum(plane.buffer_size for plane in self.frame.planes)

    def luma(self, step: int) -> np.ndarray:
        """Brightness of every `step`-th pixel in both directions, as stored."""
        return _plane(self.frame, 0)[::step, ::step]

    def scaled(self, scale: float) -> np.ndarray:
        """The whole upright picture as RGB, uint8 `[h, w, 3]`, times `scale`."""
        (a, b, _), (c, d, _) = self.to_frame
        is_lying = abs(b) > abs(a)
        size = max(1, round(self.width * scale)), max(1, round(self.height * scale))
        width, height = size[::-1] if is_lying else size
        rgb = _to_rgb(_scalers.whole, self.frame, width, height)
        if is_lying:
            rgb, a, d = rgb.transpose(1, 0, 2), c, b
        rgb = rgb[:: 1 if d > 0 else -1, :: 1 if a > 0 else -1]
        return np.ascontiguousarray(rgb)

    def part(self, window: Window, max_scale: float) -> "Picture":
        """The pixels of a window on their own, so that the rest can be let go.

        Args:
          window: What is kept, as far as it lies in the picture.
          max_scale: Pixels kept for a pixel of the picture, where less than one.
        """
        left, top, right, bottom = self._cut_corners(window)
        frame = _cut(self.frame, left, top, right, bottom)
        to_frame = self.to_frame - [[0, 0, left], [0, 0, top]]
        if max_scale < 1:
            width = max(2, round(frame.width * max_scale))
            height = max(2, round(frame.height * max_scale))
            zoom = np.array([[width / frame.width], [height / frame.height]])
            frame = _scalers.part.reformat(frame, width, height, interpolation="AREA")
            to_frame = to_frame * zoom
        return dataclasses.replace(self, frame=frame, to_frame=to_frame)

    def crop(self, window: Window, size: int) -> np.ndarray:
        """The window as RGB, uint8 `[size, size, 3]`, with a grey border."""
        left, top, right, bottom = self._cut_corners(window)
        part = _cut(self.frame, left, top, right, bottom)
        # The scaler brings the window to its size, the warp moves it by what is
        # less than a pixel, turns it upright and adds the border.
        pixels = window.side * np.abs(self.to_frame[:, :2]).sum(axis=1)
        width = max(1, round(part.width * size / pixels[0]))
        height = max(1, round(part.height * size / pixels[1]))
        rgb = _to_rgb(_scalers.crop, part, width, height)
        zoom = np.array([[width / part.width], [height / part.height]])
        to_part = (self.to_frame - [[0, 0, left], [0, 0, top]]) * zoom
        step = window.side / size
        # Pixel centres lie at halves.
        to_upright = np.array(
            [
                [step, 0, window.left + step / 2],
                [0, step, window.top + step / 2],
                [0, 0, 1],
            ]
        )
        matrix = to_part @ to_upright - [[0, 0, 0.5], [0, 0, 0.5]]
        return cv2.warpAffine(
            rgb,
            matrix,
            (size, size),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=(_BORDER,) * 3,
        )

    def _cut_corners(self, window: Window) -> tuple[int, int, int, int]:
        """The smallest part of the frame that holds the window and can be cut."""
        corners = np.array(
            [
                [window.left, window.left + window.side],
                [window.top, window.top + window.side],
                [1, 1],
            ]
        )
        ends = np.sort(self.to_frame @ corners, axis=1)
        steps = np.array(_CHROMA_STEPS[self.frame.format.name])
        size = np.array([self.frame.width, self.frame.height])
        # A pixel more, for the interpolation at the edge.
        low = np.clip((np.floor(ends[:, 0]) - 1) // steps * steps, 0, None)
        high = np.minimum(-(-(np.ceil(ends[:, 1]) + 1) // steps) * steps, size)
        # A window beside the picture is all border, yet a part has pixels.
        low = np.minimum(low, (size - 1) // steps * steps)
        high = np.maximum(high, np.minimum(low + steps, size))
        left, top, right, bottom = (int(v) for v in (*low, *high))
        return left, top, right, bottom


def size_within(width: int, height: int) -> tuple[int, int]:
    """Width and height in which a frame is kept: at most MOST_PIXELS."""
    scale = math.sqrt(MOST_PIXELS / (width * height))
    if scale >= 1:
        return width, height
    return max(1, int(width * scale)), max(1, int(height * scale))


# The same for all pictures of most files.
@functools.lru_cache(maxsize=16)
def _place(
    width: int, height: int, turns: tuple[float, ...], pixel_aspect: float
) -> tuple[int, int, np.ndarray]:
    """Width and height of a frame that was turned, and its `to_frame`."""
    orientation = np.reshape(turns, (2, 2))
    size = np.array([width, height], np.float64)
    squared = np.maximum(1, np.round(size * [pixel_aspect, 1]))
    # Its inverse is its transpose; where that leads left or up, it starts at the
    # other end.
    back = orientation.T
    start = np.where(back.sum(axis=1) < 0, squared, 0)
    to_frame = np.column_stack([back, start]) * (size / squared)[:, None]
    to_frame.flags.writeable = False
    upright = np.abs(orientation) @ squared
    return round(upright[0]), round(upright[1]), to_frame


def _cut(
    frame: av.VideoFrame, left: int, top: int, right: int, bottom: int
) -> av.VideoFrame:
    part = av.VideoFrame(right - left, bottom - top, frame.format.name)
    part.colorspace = frame.colorspace
    part.color_range = frame.color_range
    steps = _CHROMA_STEPS[frame.format.name]
    for i in range(len(part.planes)):
        x, y = steps if i else (1, 1)
        target = _plane(part, i)
        rows, columns = target.shape
        source = _plane(frame, i)
        target[:] = source[top // y : top // y + rows, left // x : left // x + columns]
    return part


def _plane(frame: av.VideoFrame, i: int) -> np.ndarray:
    plane: Any = frame.planes[i]
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
    return rows[: plane.height, : plane.width]


class _Scalers(threading.local):
    """One scaler for each use, since setting one up takes longer than scaling."""

    def __init__(self) -> None:
        self.large = VideoReformatter()
        self.whole = VideoReformatter()
        self.part = VideoReformatter()
        self.crop = VideoReformatter()


_scalers = _Scalers()


def _to_rgb(
    scaler: VideoReformatter, frame: av.VideoFrame, width: int, height: int
) -> np.ndarray:
    rgb = scaler.reformat(frame, width, height, format="rgb24", interpolation="AREA")
    return rgb.to_ndarray()
