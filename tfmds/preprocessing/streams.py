"""A media file as FFmpeg opens it: its streams, and the frames in them."""

import os
from collections.abc import Iterator

import av

from tfmds import spec
from tfmds.preprocessing.config import PreprocessingConfig

# What a file names is not fetched, whatever it says it is.
_LOCAL_ONLY = {"protocol_whitelist": "file"}


class MediaError(Exception):
    """A file without usable picture or sound; `status` says which, as in spec."""

    def __init__(self, status: str, reason: str):
        super().__init__(reason)
        self.status = status
        self.reason = reason


def check_bytes(path: os.PathLike | str, options: PreprocessingConfig) -> None:
    """Raises MediaError where a file is larger than it may be."""
    most = options.max_video_bytes
    if os.path.exists(path) and os.path.getsize(path) > most:
        raise MediaError(
            spec.DECODE_ERROR,
            f"the file has {os.path.getsize(path)} bytes, more than {most}"
            " (max_video_bytes)",
        )


def open_container(path: os.PathLike | str) -> av.container.InputContainer:
    """Opens a media file, and nothing that it may name.

    Raises:
      MediaError: It cannot be opened.
    """
    path = os.fspath(path)
    try:
        if os.path.exists(path) and os.path.getsize(path) == 0:
            raise MediaError(spec.DECODE_ERROR, "the file is empty")
        return av.open(path, metadata_errors="replace", options=_LOCAL_ONLY)
    except FileNotFoundError as e:
        raise MediaError(spec.DECODE_ERROR, "there is no such file") from e
    except (av.FFmpegError, OSError) as e:
        raise MediaError(
            spec.DECODE_ERROR, f"not a video that can be read: {error_text(e)}"
        ) from e


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The stream of pictures.

    Raises:
      MediaError: There is none (`decode_error`).
    """
    for stream in container.streams.video:
        # The cover of an album is a video stream too.
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    container.close()
    raise MediaError(spec.DECODE_ERROR, "there is no picture in it, only sound")


def audio_stream(container: av.container.InputContainer) -> av.AudioStream:
    """The stream of sound.

    Raises:
      MediaError: There is none (`no_audio`).
    """
    if not container.streams.audio:
        container.close()
        raise MediaError(spec.NO_AUDIO, "there is no sound in it")
    return container.streams.audio[0]


def decoded(container, stream, note_error) -> Iterator:
    """Frames of a stream; what cannot be decoded is noted and passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError) as e:
            note_error(error_text(e))
            return
        try:
            yield from packet.decode()
        except av.FFmpegError as e:
            note_error(error_text(e))


def time_of(frame) -> float | None:
    """When a frame is shown or heard, in seconds; None where nothing tells."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None else float(stamp * frame.time_base)


def error_text(error: Exception) -> str:
    """What a person can read of an error of FFmpeg or the system."""
    return getattr(error, "strerror", None) or str(error)
