"""The sound of a media file, on the clock of its pictures."""

import contextlib
import math
import os
import re
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream

from tfmds import spec
from tfmds.preprocessing import containers
from tfmds.preprocessing.clock import Clock
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.containers import MediaError
from tfmds.preprocessing.downmix import Downmix

# Names of a sound file that lies beside a video without sound end in one of these.
SOUND_SUFFIXES = (".wav", ".flac", ".m4a", ".mp3", ".opus")
# A part of a download, the picture or the sound: name, format and suffix.
_DOWNLOADED_PART = re.compile(r"(.+)\.f[0-9a-z][\w-]*\.\w{2,4}", re.DOTALL)
# Sound that never rises above it (-80 dB) is taken for silence.
SILENCE = 1e-4
# Sound that is missing for less than this, in seconds, is not told of.
_SHORT_GAP = 0.5
# Nor is it where it ends less than this before the picture.
_SHORT_END = 1.0
# Time stamps of sound within this of where its samples end are jitter.
_SOUND_JITTER = 0.03


class Sound:
    """Mono sound on the clock of the pictures, silent where the file has none.

    Attributes:
      path: Its file.
      stated_seconds: Its length as the file states it, 0 where it does not.
      end: Where the decoded sound ended, in samples; None before it did.
      note: What is to be known of the choice among several tracks.
    """

    def __init__(
        self,
        path: os.PathLike | str,
        sample_rate: int,
        zero: float | None,
        options: PreprocessingConfig,
        index: int,
        picture: av.VideoStream | None = None,
    ):
        """Opens the sound of a file.

        Args:
          path: A file with sound.
          sample_rate: Samples a second of what is read.
          zero: Where the picture starts, in seconds of the file; None for the sound's
            own start.
          options: What is skipped, and the limits.
          index: Which stream of the file it is, as `choose` says.
          picture: The stream of the pictures, where it is in the same file.

        Raises:
          MediaError: The file cannot be opened.
        """
        self.path = path
        self._rate = sample_rate
        self._container = containers.open_container(path)
        self._stream = cast(av.AudioStream, self._container.streams[index])
        self.stated_seconds = (self._container.duration or 0) / av.time_base
        self.note = containers.note_on_choice("audio", index, self._container)
        both: list[Stream] = [self._stream]
        if picture is not None:
            both.append(self._container.streams[picture.index])
        # A gap in a file of sound alone is silence.
        heard = 0.0 if picture is not None else math.inf
        self._clock = Clock(self._container, both, heard)
        self._zero = zero
        self._skipped = options.skip_leading_ms / 1000
        self._blocks = self._decode()
        self._start = 0
        self._decoded = 0
        # Blocks of samples, each with its first sample's place.
        self._kept: deque[tuple[int, np.ndarray]] = deque()
        self.end: int | None = None
        self._missing: list[containers.Unread] = []
        self._error = ""

    def _note(self, error: str) -> None:
        self._error = self._error or error

    def missing(self, end: float | None) -> list[containers.Unread]:
        """Stretches without sound so far, on the clock, and why.

        Args:
          end: Where the picture ended, None before it did.
        """
        last = math.inf if self.end is None else self.end / self._rate
        if end is None or end - last < _SHORT_END:
            return self._missing
        return [*self._missing, containers.Unread(last, end, self._why())]

    def _why(self) -> str:
        if self._error:
            return f"its sound cannot be decoded, silence stands for it: {self._error}"
        return "no sound is stored, silence stands for it"

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
        self._decode_until(stop)
        samples = np.zeros(stop - start, np.float32)
        for at, block in self._kept:
            first, last = max(at, start), min(at + len(block), stop)
            if first < last:
                samples[first - start : last - start] = block[first - at : last - at]
        return samples

    def goes_on(self, seconds: float) -> bool:
        """Whether there is any sound from then on; decodes it until there."""
        sample = round(seconds * self._rate)
        self._decode_until(sample + 1)
        return self._decoded > sample

    def _decode_until(self, stop: int) -> None:
        while self._decoded < stop and self.end is None:
            block = next(self._blocks, None)
            if block is None:
                self.end = self._decoded
                break
            self._kept.append((self._decoded, block))
            self._decoded += len(block)
            self._drop()

    def forget(self, before: int) -> None:
        """Lets go of the samples before one; they will be read no more."""
        self._start = max(self._start, before)
        self._drop()

    def _drop(self) -> None:
        while self._kept and self._kept[0][0] + len(self._kept[0][1]) <= self._start:
            self._kept.popleft()

    def _decode(self) -> Generator[np.ndarray, None, None]:
        """The sound from the start of the clock on, gaps filled with zeros."""
        position = 0
        for start, samples in resampled(
            self._clock,
            self._stream,
            self._rate,
            self._zero,
            self._note,
            skipped=self._skipped,
        ):
            if start - position > _SHORT_GAP * self._rate:
                from_to = position / self._rate, start / self._rate
                self._missing.append(containers.Unread(*from_to, self._why()))
                self._error = ""
            while position < start:
                gap = np.zeros(min(start - position, self._rate), np.float32)
                yield gap
                position += len(gap)
            samples = samples[position - start :]
            if len(samples):
                yield samples
                position += len(samples)


class Silence(Sound):
    """No sound, where none is asked for."""

    def __init__(self) -> None:
        self.path = self.note = ""
        self.stated_seconds = 0.0
        self.end = None

    def missing(self, end: float | None) -> list[containers.Unread]:
        """Nothing: none is asked for."""
        return []

    def close(self) -> None:
        """Does nothing."""

    def read(self, start: int, stop: int) -> np.ndarray:
        """Zeros."""
        return np.zeros(stop - start, np.float32)

    def forget(self, before: int) -> None:
        """Does nothing."""


def choose(
    path: os.PathLike | str,
    sample_rate: int,
    options: PreprocessingConfig,
    picture: av.VideoStream | None = None,
) -> int:
    """Finds the sound of a file: the first track on which something is to be heard.

    Args:
      path: A file with sound.
      sample_rate: Samples a second at which it is listened to.
      options: Which track is chosen, and the limits.
      picture: The stream of the pictures, where it is in the same file.

    Returns:
      The index of the stream.

    Raises:
      MediaError: There is no sound, or nothing is to be heard.
    """
    error: MediaError | None = None
    # To open a file costs as much as some of its pictures.
    opened: contextlib.AbstractContextManager[InputContainer]
    if picture is None:
        opened = containers.open_container(path)
    else:
        opened = contextlib.nullcontext(cast(InputContainer, picture.container))
    with opened as container:
        found = containers.candidates(container, "audio", options.sound_track, picture)
        indices = [stream.index for stream in found]
    for index in indices:
        try:
            _check_audible(path, index, sample_rate, options.max_duration_seconds)
        except MediaError as e:
            error = error or e
        else:
            return index
    assert error is not None, "there are candidates, or an error"
    raise error


def _check_audible(
    path: os.PathLike | str, index: int, sample_rate: int, max_seconds: float
) -> None:
    """A pass of its own, which in most files ends with their first packets."""
    errors: list[str] = []
    empty = True
    with containers.open_container(path) as container:
        stream = cast(av.AudioStream, container.streams[index])
        for start, samples in resampled(
            Clock(container, [stream]), stream, sample_rate, None, errors.append
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
    packets: Iterable[av.Packet],
    stream: av.AudioStream,
    sample_rate: int,
    zero: float | None,
    note_error: Callable[[str], None] = lambda _: None,
    skipped: float = 0.0,
) -> Iterator[tuple[int, np.ndarray]]:
    """Mono pieces of sound, each with the sample it starts at.

    Args:
      packets: Those of its file.
      stream: Its stream of sound.
      sample_rate: Samples a second of the pieces.
      zero: The time of these packets where the picture starts; None for the start of
        the sound.
      note_error: Is told what could not be decoded.
      skipped: Seconds from there to sample 0.
    """
    mix: Downmix | None = None
    setup: tuple[str, str, int] | None = None
    position, expected = 0, -skipped
    for frame in containers.decoded(packets, stream, note_error):
        time = containers.time_of(frame)
        if zero is None:
            zero = time or 0.0
        time = expected if time is None else time - zero - skipped
        now = (frame.format.name, frame.layout.name, frame.sample_rate)
        if mix is None or setup != now or abs(time - expected) > _SOUND_JITTER:
            for piece in mix.end() if mix else ():
                yield position, piece
                position += len(piece)
            mix = Downmix(frame, sample_rate)
            setup, expected = now, time
            position = round(time * sample_rate)
        expected += frame.samples / frame.sample_rate
        for piece in mix.add(frame):
            yield position, piece
            position += len(piece)
    for piece in mix.end() if mix else ():
        yield position, piece
        position += len(piece)


def why_none(path: os.PathLike | str) -> str:
    """Why a file has no sound, as far as what lies beside it tells."""
    reason = "there is no sound in it"
    folder, name = os.path.split(os.path.abspath(path))
    part = _DOWNLOADED_PART.fullmatch(name)
    if part is None:
        return reason
    beside = (other for other in sorted(os.listdir(folder)) if other != name)
    for other in beside:
        found = _DOWNLOADED_PART.fullmatch(other)
        if found and found[1] == part[1] and _has_sound(os.path.join(folder, other)):
            return (
                f"{reason}, but in {other} beside it, as yt-dlp leaves them where it"
                " cannot join them. Join them, as by ffmpeg -i PICTURE -i SOUND -c copy"
                " BOTH.mkv"
            )
    return reason


def _has_sound(path: str) -> bool:
    try:
        with containers.open_container(path) as container:
            return bool(container.streams.audio)
    except MediaError:
        return False


def sound_beside(path: os.PathLike | str) -> str | None:
    """The sound file that lies beside a video and has its name, if there is one."""
    stem = os.path.splitext(os.fspath(path))[0]
    files = [stem + suffix for suffix in SOUND_SUFFIXES]
    return next(filter(os.path.isfile, files), None)
