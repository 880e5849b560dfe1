"""Pictures and sound into an H.264/AAC mp4, the same bytes each time."""

import fractions
import os
from collections.abc import Iterable

import av
import cv2
import numpy as np

from pipelines.synthesis.voice import SAMPLE_RATE

_BLOCK = 1024


def write_mp4(
    path: os.PathLike | str,
    pictures: Iterable[np.ndarray],
    rate: fractions.Fraction,
    size: tuple[int, int],
    sound: np.ndarray,
    crf: int,
    sound_bit_rate: int,
) -> None:
    """Encodes one clip.

    Args:
      path: Where to; should end in `.mp4`.
      pictures: uint8 RGB `[height, width, 3]`.
      rate: Pictures a second.
      size: (width, height), even.
      sound: float `[samples]` at 48 kHz, -1 to 1.
      crf: Quality of the picture, 18 (fine) to 32 (coarse).
      sound_bit_rate: Bits a second.
    """
    sound = np.clip(sound, -1, 1).astype(np.float32)
    with av.open(os.fspath(path), "w", format="mp4") as container:
        # The bytes must not depend on the machine's cores, hence one thread; and with
        # macroblock trees x264 gives now and then something else on AVX-512.
        video = container.add_stream(
            "libx264",
            rate=rate,
            options={
                "preset": "veryfast",
                "crf": str(crf),
                "threads": "1",
                "x264-params": "mbtree=0",
            },
        )
        video.width, video.height = size
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono")
        audio.bit_rate = sound_bit_rate
        heard = 0
        for number, picture in enumerate(pictures):
            planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, 1 / rate
            container.mux(video.encode(frame))
            while heard < len(sound) and heard * rate < (number + 1) * SAMPLE_RATE:
                container.mux(audio.encode(_audio_frame(sound, heard)))
                heard += _BLOCK
        while heard < len(sound):
            container.mux(audio.encode(_audio_frame(sound, heard)))
            heard += _BLOCK
        container.mux(video.encode())
        container.mux(audio.encode())


def _audio_frame(sound: np.ndarray, start: int) -> av.AudioFrame:
    block = np.ascontiguousarray(sound[np.newaxis, start : start + _BLOCK])
    frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE, start
    frame.time_base = fractions.Fraction(1, SAMPLE_RATE)
    return frame
