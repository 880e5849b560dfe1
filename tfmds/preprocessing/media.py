"""A media file as pictures and sound on one clock, decoded as they are asked for.

The clock starts with the first picture. Pictures and sound are read through a
container each, so that neither has to be kept while the other is behind, however
the file interleaves them.
"""

import os
from collections.abc import Iterator

import av

from tfmds import spec
from tfmds.preprocessing import sound, streams
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.picture import Picture
from tfmds.preprocessing.streams import MediaError

# Decides between two pictures where one ends just when it is asked for.
_TIE = 1e-4
# Later time stamps than this after the picture before are damage.
_LONGEST_PICTURE = 60.0


class Media:
    """An open file.

    Attributes:
      sound: Its sound, on the clock of the pictures.
      damage: What was wrong with the picture so far, empty where nothing was.

    Raises:
      MediaError: The file has no picture (`decode_error`) or no sound (`no_audio`);
        its text tells a person why.
    """

    def __init__(
        self,
        path: os.PathLike | str,
        chunk_spec: spec.ChunkSpec,
        sound_path: os.PathLike | str | None = None,
        num_threads: int = 0,
        options: PreprocessingConfig | None = None,
    ):
        """Opens and checks a file.

        Args:
          path: The video.
          chunk_spec: Rates of pictures and sound.
          sound_path: A file with the sound, which starts with the first picture.
            A video without sound has by default that of the file beside it with
            its name and one of SOUND_SUFFIXES.
          num_threads: Threads that decode pictures, 0 for one a core.
          options: What is skipped, and the limits.
        """
        self._rate = chunk_spec.frame_rate
        self._options = options = options or PreprocessingConfig()
        streams.check_bytes(path, options)
        self._container = streams.open_container(path)
        self._stream = streams.video_stream(self._container)
        if sound_path is None and not self._container.streams.audio:
            sound_path = sound.sound_beside(path)
        if sound_path is not None:
            streams.check_bytes(sound_path, options)
        self._check_limits()
        # Also where the pictures turn out larger than the file states.
        self._stream.codec_context.options = {"max_pixels": str(options.max_pixels)}
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = num_threads
        self.damage = ""
        self._frames = self._decode()
        self._next: tuple[float, av.VideoFrame] | None = next(self._frames, None)
        if self._next is None:
            self._container.close()
            raise MediaError(
                spec.DECODE_ERROR,
                "none of its pictures can be decoded"
                + (f" ({self.damage})" if self.damage else ""),
            )
        self._skipped = options.skip_leading_ms / 1000
        self._zero = self._next[0] + self._skipped
        self.sound = sound.Sound(
            path if sound_path is None else sound_path,
            chunk_spec.sample_rate,
            self._next[0] if sound_path is None else None,
            options,
        )

    def __enter__(self) -> "Media":
        return self

    def __exit__(self, *_) -> None:
        self._frames.close()
        self._container.close()
        self.sound.close()

    def pictures(self) -> Iterator[Picture]:
        """Thirty pictures a second, each what is on screen in the middle of its time.

        In the middle rather than at the start, so that a picture is at most half a
        thirtieth of a second away from the sound of its time, early as often as late.
        """
        zero = self._zero
        count = 0
        while self._next is not None:
            time, frame = self._next
            seconds = _shown_seconds(frame, self._stream)
            self._next = next(self._frames, None)
            end = self._next[0] if self._next else time + seconds
            if end - time > _LONGEST_PICTURE:
                self.damage = (
                    f"its time stamps jump from {time - zero:.1f} to {end - zero:.1f} s"
                )
                end, self._next = time + seconds, None
            picture = None
            while zero + (count + 0.5) / self._rate - _TIE < end:
                if picture is None:
                    turns = round(frame.rotation / 90)
                    picture = Picture.from_frame(frame, turns)
                yield picture
                count += 1
                self._check_duration(count / self._rate)
        seconds = self._skipped + count / self._rate
        stated = _stated_seconds(self._stream)
        if not self.damage and stated - seconds > 1:
            self.damage = (
                f"its picture ends at {seconds:.1f} s of the {stated:.1f} s that"
                " the file states"
            )

    def _check_limits(self) -> None:
        """By what the file states, before anything is decoded."""
        context, most = self._stream.codec_context, self._options.max_pixels
        if context.width * context.height > most:
            raise MediaError(
                spec.DECODE_ERROR,
                f"its pictures have {context.width} x {context.height} pixels, more"
                f" than {most} (max_pixels)",
            )
        self._check_duration(_stated_seconds(self._stream))

    def _check_duration(self, seconds: float) -> None:
        most = self._options.max_duration_seconds
        if seconds > most:
            raise MediaError(
                spec.DECODE_ERROR,
                f"it lasts longer than {most} s (max_duration_seconds)",
            )

    def _decode(self) -> Iterator[tuple[float, av.VideoFrame]]:
        """Frames in the order they are shown, with their time in seconds."""
        last = delay = None
        # Its times are those of the decoding, made up where pictures are reordered.
        is_avi = self._container.format.name == "avi"
        for frame in streams.decoded(self._container, self._stream, self._note):
            time = None if is_avi else streams.time_of(frame)
            if is_avi and frame.dts is not None:
                if delay is None:
                    delay = frame.dts - (self._stream.start_time or 0)
                time = float((frame.dts - delay) * frame.time_base)
            if time is None:
                step = 1 / float(self._stream.average_rate or self._rate)
                time = 0.0 if last is None else last + step
            if last is not None and time <= last:
                continue
            last = time
            yield time, frame

    def _note(self, error: str) -> None:
        self.damage = self.damage or f"part of its picture is damaged: {error}"


def _shown_seconds(frame: av.VideoFrame, stream: av.VideoStream) -> float:
    if frame.duration:
        return float(frame.duration * frame.time_base)
    return 1 / float(stream.average_rate or 30)


def _stated_seconds(stream: av.VideoStream) -> float:
    """Length of a stream as the file states it, 0 where it does not."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    # Matroska has a tag instead.
    hours, _, rest = stream.metadata.get("DURATION", "").partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0
