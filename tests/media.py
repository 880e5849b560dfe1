"""Small test videos, made with PyAV."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

import av
import cv2
import numpy as np

RED = (200, 30, 30)


def draw_face(
    picture: np.ndarray, x: float, y: float, size: float, mouth: float = 0.3
) -> np.ndarray:
    """Paints a face that the detector takes for one.

    Args:
      picture: uint8 `[h, w, 3]`, is changed.
      x: Centre of the face.
      y: The same.
      size: Height of the face in pixels.
      mouth: How far its mouth is open, from 0 to 1.
    """
    s = size / 100
    # Drawn at four times the size, since its edges must not be jagged.
    big = np.zeros((520, 480, 4), np.uint8)

    def ellipse(cx, cy, rx, ry, color, start=0, end=360):
        cv2.ellipse(
            big,
            (int(240 + 4 * cx), int(260 + 4 * cy)),
            (int(4 * rx), int(4 * ry)),
            0,
            start,
            end,
            (*color, 255),
            -1,
            cv2.LINE_AA,
        )

    ellipse(0, 0, 40, 54, (70, 45, 30))
    ellipse(0, 6, 35, 46, (222, 178, 150))
    ellipse(0, 14, 26, 32, (232, 190, 162))
    for side in (-1, 1):
        ellipse(side * 15, -16, 10, 3, (80, 50, 35), 180, 360)
        ellipse(side * 15, -7, 8, 4.5, (245, 245, 245))
        ellipse(side * 15, -7, 4, 4.2, (50, 35, 30))
        ellipse(side * 4, 14, 2.5, 1.8, (150, 95, 80))
    ellipse(0, 8, 4, 10, (205, 155, 130))
    ellipse(0, 29, 14, 4 + 7 * mouth, (170, 70, 75))
    ellipse(0, 29, 10, 0.5 + 6.5 * mouth, (60, 20, 25))
    big = cv2.GaussianBlur(big, (0, 0), 4)
    matrix = np.array([[s / 4, 0, x - 60 * s], [0, s / 4, y - 65 * s]])
    height, width = picture.shape[:2]
    face = cv2.warpAffine(big, matrix, (width, height), flags=cv2.INTER_AREA)
    alpha = face[..., 3:] / 255.0
    picture[:] = picture * (1 - alpha) + face[..., :3] * alpha
    return picture


def talking_head(
    width: int = 320, height: int = 240, size: float = 110, mouth: float = 0.3
) -> np.ndarray:
    """A face in the middle of a plain room, uint8 `[height, width, 3]`."""
    picture = np.full((height, width, 3), (120, 135, 150), np.uint8)
    picture[: height // 2] = (140, 155, 165)
    return draw_face(picture, width / 2, height / 2, size, mouth)


def tone(seconds: float, rate: int = 48_000, frequency: float = 220) -> np.ndarray:
    """A hum, float32 `[samples]`."""
    t = np.arange(round(seconds * rate)) / rate
    return (0.2 * np.sin(2 * np.pi * frequency * t)).astype(np.float32)


def write_video(
    path,
    pictures: Iterable[np.ndarray],
    rate: Fraction | float | str = 30,
    sound: np.ndarray | None = None,
    sound_rate: int = 48_000,
    *,
    times: Sequence[float] | None = None,
    sound_start: float = 0.0,
    picture_start: float = 0.0,
    codec: str = "libx264",
    sound_codec: str = "aac",
    layout: str = "mono",
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    options: dict[str, str] | None = None,
    prepare: Callable[[av.VideoStream], None] | None = None,
) -> str:
    """Writes a media file; what it is in follows from its name.

    Args:
      path: Where to.
      pictures: uint8 `[h, w, 3]` each; one object again and again is quickest.
      rate: Pictures a second.
      sound: `[samples]` from -1 to 1; None for no sound.
      sound_rate: Samples a second.
      times: When each picture is shown, where that is not even.
      sound_start: Time stamp of the first sample in seconds.
      picture_start: Time stamp of the first picture in seconds.
      codec: Encoder of the picture; "" for no picture.
      sound_codec: Encoder of the sound.
      layout: Channels; the sound is in each.
      pixel_format: How the picture is stored.
      rotation: Degrees counterclockwise by which a player turns the picture.
      options: Of the encoder of the picture.
      prepare: Is given the stream of pictures before the first is encoded.

    Returns:
      The path.
    """
    path = str(path)
    rate = Fraction(rate).limit_denominator(1001)
    with av.open(path, "w") as container:
        video = audio = None
        pictures = iter(pictures)
        first = next(pictures, None) if codec else None
        if first is not None:
            video = container.add_stream(codec, rate=rate, options=options or {})
            video.height, video.width = first.shape[:2]
            video.pix_fmt = pixel_format
            # Time stamps of any picture, where the container has them.
            if times is not None or picture_start:
                video.codec_context.time_base = Fraction(1, 90_000)
            if rotation:
                video.set_display_rotation(rotation)
            if prepare:
                prepare(video)
        if sound is not None:
            audio = container.add_stream(sound_codec, rate=sound_rate)
            audio.layout = layout
        if audio is not None:
            for packet in _sound_packets(audio, sound, sound_rate, sound_start):
                container.mux(packet)
        if video is not None:
            base = video.codec_context.time_base or 1 / rate
            for i, picture in enumerate(_chain(first, pictures)):
                frame = av.VideoFrame.from_ndarray(picture, "rgb24")
                time = times[i] if times is not None else i / rate
                frame.time_base = Fraction(base)
                frame.pts = round((time + Fraction(picture_start)) / Fraction(base))
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
    return path


def _chain(first, rest):
    yield first
    yield from rest


def _sound_packets(audio, sound, rate, start):
    layout = audio.layout
    channels = len(layout.channels)
    resampler = av.AudioResampler(audio.format, layout, rate)
    position = round(start * rate)
    for i in range(0, len(sound), 1024):
        piece = np.ascontiguousarray(
            np.repeat(sound[None, i : i + 1024], channels, axis=0), np.float32
        )
        frame = av.AudioFrame.from_ndarray(piece, "fltp", layout.name)
        frame.sample_rate = rate
        frame.time_base = Fraction(1, rate)
        frame.pts = position + i
        for converted in resampler.resample(frame):
            yield from audio.encode(converted)
    yield from audio.encode(None)
