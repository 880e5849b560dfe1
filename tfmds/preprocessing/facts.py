"""What a media file is, beside what is seen and heard in it: sizes, rates, codecs."""

import os
from typing import Any, Literal

import av
import numpy as np
from av.container import InputContainer

from tfmds.data.data_set import MediaFacts
from tfmds.preprocessing import containers, sound
from tfmds.preprocessing.clock import Clock

# Silence at the start is looked for no further, in seconds.
_LONGEST_SILENCE = 10.0


def read(
    path: os.PathLike | str,
    sound_path: os.PathLike | str | None = None,
    picture_index: int | None = None,
    sound_index: int | None = None,
) -> MediaFacts:
    """Reads them from the headers, and the silence from the first sound.

    Raises nothing: what a file does not tell is left out.

    Args:
      path: The video.
      sound_path: A file with the sound, where it is not in the video.
      picture_index: Which stream the pictures are, without it the likeliest.
      sound_index: Which stream the sound is, without it the likeliest.
    """
    facts: dict[str, Any] = {
        "bytes": os.path.getsize(path) if os.path.exists(path) else 0
    }
    try:
        with containers.open_container(path) as container:
            stream = _stream(container, "video", picture_index)
            facts |= {
                "width": stream.width,
                "height": stream.height,
                "frame_rate": round(float(stream.average_rate or 0), 3),
                "video_codec": stream.codec_context.name,
            }
        with containers.open_container(sound_path or path) as container:
            stream = _stream(container, "audio", sound_index)
            facts |= {
                "audio_codec": stream.codec_context.name,
                "sample_rate": stream.sample_rate,
                "channels": stream.channels,
                "leading_silence": _leading_silence(container, stream),
            }
    except (containers.MediaError, av.FFmpegError, OSError, ValueError):
        pass
    return MediaFacts(**facts)


def _stream(
    container: InputContainer, kind: Literal["video", "audio"], index: int | None
) -> Any:
    if index is not None:
        return container.streams[index]
    return containers.candidates(container, kind)[0]


def _leading_silence(container: InputContainer, stream: av.AudioStream) -> float | None:
    """Seconds of silence before the first sound, None where there is none at all."""
    rate = stream.sample_rate
    errors: list[str] = []
    packets = Clock(container, [stream])
    for start, samples in sound.resampled(packets, stream, rate, None, errors.append):
        heard = np.flatnonzero(np.abs(samples) > sound.SILENCE)
        if len(heard):
            return round((start + int(heard[0])) / rate, 4)
        if start > _LONGEST_SILENCE * rate:
            return _LONGEST_SILENCE
    return None
