"""A media file as pictures and sound on one clock, decoded as they are asked for.

The clock starts with the first picture. Pictures and sound are read through a
container each, so that neither has to be kept while the other is behind, however
the file interleaves them.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator

import av
import numpy as np

from tfmds import spec
from tfmds.preprocessing.config import Options
from tfmds.preprocessing.picture import Picture

# Names of a sound file that lies beside a video without sound end in one of these.
SOUND_SUFFIXES = (".wav", ".flac", ".m4a", ".mp3", ".opus")
# What a file names is not fetched, whatever it says it is.
_LOCAL_ONLY = {"protocol_whitelist": "file"}
# Sound that never rises above it (-80 dB) is taken for silence.
SILENCE = 1e-4
# Decides between two pictures where one ends just when it is asked for.
_TIE = 1e-4
# Later time stamps than this after the picture before are damage.
_LONGEST_PICTURE = 60.0
# Time stamps of sound within this of where its samples end are jitter.
_SOUND_JITTER = 0.03


class MediaError(Exception):
    """A file without usable picture or sound; `status` says which, as in spec."""

    def __init__(self, status: str, reason: str):
        super().__init__(reason)
        self.status = status
        self.reason = reason


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
        options: Options | None = None,
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
        self._options = options = options or Options()
        _check_bytes(path, options)
        self._container = open_container(path)
        self._stream = _video_stream(self._container)
        if sound_path is None and not self._container.streams.audio:
            sound_path = _sound_beside(path)
        if sound_path is not None:
            _check_bytes(sound_path, options)
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
        self.sound = Sound(
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
        for frame in _decoded(self._container, self._stream, self._note):
            time = None if is_avi else _time_of(frame)
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


class Sound:
    """Mono sound on the clock of the pictures, silent where the file has none.

    Attributes:
      end: Where the decoded sound ended, in samples; None before it did.
    """

    def __init__(
        self,
        path: os.PathLike | str,
        sample_rate: int,
        zero: float | None,
        options: Options,
    ):
        """Opens the sound of a file.

        Args:
          path: A file with sound.
          sample_rate: Samples a second of what is read.
          zero: Where the picture starts, in seconds of the file; None for the sound's
            own start.
          options: What is skipped, and the limits.

        Raises:
          MediaError: There is no sound, or nothing is to be heard.
        """
        self._rate = sample_rate
        _check_audible(path, sample_rate, options.max_duration_seconds)
        self._container = open_container(path)
        self._stream = _audio_stream(self._container)
        self._zero = zero
        self._skipped = options.skip_leading_ms / 1000
        self._blocks = self._decode()
        self._start = 0
        self._decoded = 0
        # Blocks of samples, each with its first sample's place.
        self._kept: deque[tuple[int, np.ndarray]] = deque()
        self.end: int | None = None

    def close(self) -> None:
        """Closes the file."""
        self._blocks.close()
        self._container.close()

    def read(self, start: int, stop: int) -> np.ndarray:
        """Samples `[stop - start]`, float32 from -1 to 1.

        Args:
          start: First sample, counted from the start of the clock; must not lie
            before what was forgotten.
          stop: The one after the last.
        """
        if start < self._start:
            raise ValueError(f"sample {start} was forgotten, {self._start} is left")
        while self._decoded < stop and self.end is None:
            block = next(self._blocks, None)
            if block is None:
                self.end = self._decoded
                break
            self._kept.append((self._decoded, block))
            self._decoded += len(block)
            self._drop()
        samples = np.zeros(stop - start, np.float32)
        for at, block in self._kept:
            first, last = max(at, start), min(at + len(block), stop)
            if first < last:
                samples[first - start : last - start] = block[first - at : last - at]
        return samples

    def forget(self, before: int) -> None:
        """Lets go of the samples before one; they will be read no more."""
        self._start = max(self._start, before)
        self._drop()

    def _drop(self) -> None:
        while self._kept and self._kept[0][0] + len(self._kept[0][1]) <= self._start:
            self._kept.popleft()

    def _decode(self) -> Iterator[np.ndarray]:
        """The sound from the start of the clock on, gaps filled with zeros."""
        position = 0
        for start, samples in resampled(
            self._container,
            self._stream,
            self._rate,
            self._zero,
            skipped=self._skipped,
        ):
            while position < start:
                gap = np.zeros(min(start - position, self._rate), np.float32)
                yield gap
                position += len(gap)
            samples = samples[position - start :]
            if len(samples):
                yield samples
                position += len(samples)


def _check_audible(
    path: os.PathLike | str, sample_rate: int, max_seconds: float
) -> None:
    """A pass of its own, which in most files ends with their first packets."""
    errors: list[str] = []
    empty = True
    with open_container(path) as container:
        stream = _audio_stream(container)
        for start, samples in resampled(
            container, stream, sample_rate, None, errors.append
        ):
            empty = False
            if np.abs(samples).max(initial=0) > SILENCE:
                return
            if start > max_seconds * sample_rate:
                break
    if empty:
        raise MediaError(
            spec.NO_AUDIO,
            "its sound cannot be decoded" + (f": {errors[0]}" if errors else ""),
        )
    raise MediaError(spec.NO_AUDIO, "its sound is silent throughout")


def resampled(
    container: av.container.InputContainer,
    stream: av.AudioStream,
    sample_rate: int,
    zero: float | None,
    note_error: Callable[[str], None] = lambda _: None,
    skipped: float = 0.0,
) -> Iterator[tuple[int, np.ndarray]]:
    """Mono pieces of sound, each with the sample it starts at.

    Args:
      container: Where it comes from.
      stream: Its stream of sound.
      sample_rate: Samples a second of the pieces.
      zero: The container's time where the picture starts; None for the start of
        the sound.
      note_error: Is told what could not be decoded.
      skipped: Seconds from there to sample 0.
    """
    resampler = setup = None
    position, expected = 0, -skipped
    for frame in _decoded(container, stream, note_error):
        time = _time_of(frame)
        if zero is None:
            zero = time or 0.0
        time = expected if time is None else time - zero - skipped
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if setup != now or abs(time - expected) > _SOUND_JITTER:
            for piece in _pieces(resampler, None):
                yield position, piece
                position += len(piece)
            resampler = av.AudioResampler("flt", "mono", sample_rate)
            setup, expected = now, time
            position = round(time * sample_rate)
        expected += frame.samples / frame.sample_rate
        for piece in _pieces(resampler, frame):
            yield position, piece
            position += len(piece)
    for piece in _pieces(resampler, None):
        yield position, piece
        position += len(piece)


def _pieces(
    resampler: av.AudioResampler | None, frame: av.AudioFrame | None
) -> list[np.ndarray]:
    frames = resampler.resample(frame) if resampler else []
    return [piece.to_ndarray()[0] for piece in frames]


def _sound_beside(path: os.PathLike | str) -> str | None:
    stem = os.path.splitext(os.fspath(path))[0]
    files = [stem + suffix for suffix in SOUND_SUFFIXES]
    return next(filter(os.path.isfile, files), None)


def _check_bytes(path: os.PathLike | str, options: Options) -> None:
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
            spec.DECODE_ERROR, f"not a video that can be read: {_text(e)}"
        ) from e


def _video_stream(container: av.container.InputContainer) -> av.VideoStream:
    for stream in container.streams.video:
        # The cover of an album is a video stream too.
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    container.close()
    raise MediaError(spec.DECODE_ERROR, "there is no picture in it, only sound")


def _audio_stream(container: av.container.InputContainer) -> av.AudioStream:
    if not container.streams.audio:
        container.close()
        raise MediaError(spec.NO_AUDIO, "there is no sound in it")
    return container.streams.audio[0]


def _decoded(container, stream, note_error) -> Iterator:
    """Frames of a stream; what cannot be decoded is noted and passed over."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except (av.FFmpegError, OSError) as e:
            note_error(_text(e))
            return
        try:
            yield from packet.decode()
        except av.FFmpegError as e:
            note_error(_text(e))


def _time_of(frame) -> float | None:
    stamp = frame.pts if frame.pts is not None else frame.dts
    return None if stamp is None else float(stamp * frame.time_base)


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


def _text(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
