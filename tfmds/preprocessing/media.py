"""A media file as pictures and sound on one clock, decoded as they are asked for.

The clock starts with the first picture. Pictures and sound are read through a
container each, so that neither has to be kept while the other is behind, however
the file interleaves them.
"""

import math
import os
from collections.abc import Generator, Iterator
from typing import cast

import av
import numpy as np

from tfmds import spec
from tfmds.preprocessing import containers, encryption, sound
from tfmds.preprocessing.clock import Clock
from tfmds.preprocessing.config import PreprocessingConfig
from tfmds.preprocessing.containers import MediaError, Unread
from tfmds.preprocessing.picture import (
    MOST_PIXELS,
    Picture,
    orientation_of,
    size_within,
)

# Decides between two pictures where one ends just when it is asked for.
_TIE = 1e-4
# What cannot be decoded for longer than this, in seconds, is left blank: a picture
# that stands still while its sound goes on would pass for a forged one.
_LONGEST_STANDING = 0.5
# Pixels that are longer in one direction than this many times the other are none.
_LONGEST_PIXEL = 5
# What the frames of more than MOST_PIXELS take that are decoded at the same time, in
# bytes at most: each thread has some of its own.
_LARGE_FRAME_BYTES = 400_000_000


class Media:
    """An open file.

    Attributes:
      sound: Its sound, on the clock of the pictures.
      indices: Which streams of their files picture and sound are.
      scale: Pixels of the pictures for one as it is stored, where less than 1.
      is_damaged: Whether pictures were lost so far.
      notes: What else is to be known of it so far.

    Raises:
      MediaError: The file has no picture (`decode_error`) or no sound (`no_audio`), or
        is larger or longer than allowed (`over_limit`); its text tells a person why.
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
          options: What is skipped, which tracks are read, and the limits.
        """
        self._rate = chunk_spec.frame_rate
        self._options = options = options or PreprocessingConfig()
        containers.check_bytes(path, options)
        encryption.check(path)
        self._path = path
        self._container = containers.open_container(path)
        try:
            self._open(path, chunk_spec, sound_path, num_threads)
        except BaseException:
            self._container.close()
            raise

    def _open(
        self,
        path: os.PathLike | str,
        chunk_spec: spec.ChunkSpec,
        sound_path: os.PathLike | str | None,
        num_threads: int,
    ) -> None:
        options = self._options
        found = containers.candidates(self._container, "video", options.picture_track)
        index = containers.the_first_that_moves(path, found, options.max_pixels)
        self._stream = cast(av.VideoStream, self._container.streams[index])
        self._check_limits()
        self._aspect = _pixel_aspect(self._stream)
        has_sound = self._container.streams.audio or options.pictures
        if sound_path is None and not has_sound:
            sound_path = sound.sound_beside(path)
            if sound_path is None:
                raise MediaError(spec.NO_AUDIO, sound.why_none(path))
        self._unread: list[Unread] = []
        self.notes: list[str] = []
        self._error = self._last_error = ""
        # Of the picture before: what its orientation goes with, and that itself.
        self._seen: tuple[int, int, int] | None = None
        self._orientation: np.ndarray | None = None
        # Length of the pictures, when they ended.
        self._end: float | None = None
        self.is_damaged = False
        self.scale = 1.0
        self._note(containers.note_on_choice("video", index, self._container))
        # Also where the pictures turn out larger than the file states.
        self._stream.codec_context.options = {"max_pixels": str(options.max_pixels)}
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = self._threads(num_threads)
        rate = chunk_spec.sample_rate
        heard: int | None = None
        if options.pictures:
            self._clock = Clock(self._container, [self._stream])
            zero = self._first_picture()
            self.sound: sound.Sound = sound.Silence()
        elif sound_path is None:
            heard = sound.choose(path, rate, options, self._stream)
            both = [self._stream, self._container.streams[heard]]
            self._clock = Clock(self._container, both)
            zero = self._first_picture()
            self.sound = sound.Sound(path, rate, zero, options, heard, self._stream)
        else:
            containers.check_bytes(sound_path, options)
            heard = sound.choose(sound_path, rate, options)
            self.sound = sound.Sound(sound_path, rate, None, options, heard)
            seconds = self.sound.stated_seconds
            self._clock = Clock(self._container, [self._stream], seconds)
            zero = self._first_picture()
        self.indices = index, heard
        self._note(self.sound.note)
        self._skipped = options.skip_leading_ms / 1000
        self._zero = zero + self._skipped

    def _threads(self, number: int) -> int:
        context = self._stream.codec_context
        pixels = context.width * context.height
        if pixels <= MOST_PIXELS:
            return number
        # With 16 bits for each of the three halves.
        most = max(1, _LARGE_FRAME_BYTES // (3 * pixels))
        return min(number or os.cpu_count() or 1, most)

    def _first_picture(self) -> float:
        self._repeated_until = -math.inf
        # Pictures in a row whose time stamps are not later than those before.
        self._dropped = 0
        self._frames = self._decode()
        self._next: tuple[float, av.VideoFrame] | None = next(self._frames, None)
        if self._next is None:
            raise MediaError(
                spec.DECODE_ERROR,
                "none of its pictures can be decoded"
                + (f" ({self._error})" if self._error else ""),
            )
        return self._next[0]

    def __enter__(self) -> "Media":
        return self

    def __exit__(self, *_: object) -> None:
        self._frames.close()
        self._container.close()
        self.sound.close()

    @property
    def unread(self) -> tuple[Unread, ...]:
        """What could not be looked at so far, on the clock of the file."""
        skipped = self._skipped
        unheard = [
            Unread(start + skipped, end + skipped, why)
            for start, end, why in self.sound.missing(self._end)
        ]
        return tuple(
            Unread(round(start, 3), round(end, 3), why)
            for start, end, why in sorted([*self._unread, *unheard])
        )

    def pictures(self) -> Iterator[Picture]:
        """Thirty pictures a second, each what is on screen in the middle of its time.

        In the middle rather than at the start, so that a picture is at most half a
        thirtieth of a second away from the sound of its time, early as often as late.
        What could not be looked at is blank.
        """
        zero = self._zero
        count = frames = 0
        while self._next is not None:
            frames += 1
            time, frame = self._next
            seconds = _shown_seconds(frame, self._stream)
            self._next = next(self._frames, None)
            end = max(time + seconds, self._repeated_until)
            if self._next:
                end = self._next[0]
            blank = self._blank_part(time + seconds, end)
            picture = None
            stands = self._next is None and frames == 1 and not self.is_damaged
            while (at := zero + (count + 0.5) / self._rate) - _TIE < end or (
                stands and self.sound.goes_on(count / self._rate)
            ):
                if blank[0] <= at < blank[1]:
                    yield Picture.blank_like(picture or self._picture(frame))
                else:
                    picture = picture or self._picture(frame)
                    yield picture
                count += 1
                self._check_duration(count / self._rate)
        if frames == 1 and count > 1:
            self._note("its picture is a still one, which stands for all of its sound")
        self._end = count / self._rate
        self._end_at(self._skipped + self._end)

    def _picture(self, frame: av.VideoFrame) -> Picture:
        # What PyAV tells beside the frame holds it until the next garbage collection:
        # it is asked for where something has changed.
        seen = frame.rotation, frame.width, frame.height
        if seen != self._seen:
            self._seen, self._orientation = seen, orientation_of(frame)
            size = size_within(frame.width, frame.height)
            self.scale = size[0] / frame.width
            if self.scale < 1:
                self._note(
                    f"its pictures of {frame.width} x {frame.height} pixels are scaled"
                    f" down to {size[0]} x {size[1]} while they are read"
                )
        return Picture.from_frame(frame, self._orientation, self._aspect)

    def _blank_part(self, start: float, end: float) -> tuple[float, float]:
        """Where between two pictures nothing is known of what was on screen."""
        if self._error:
            error, self._error = self._error, ""
            if end - start > _LONGEST_STANDING:
                self._miss(start, end, f"no picture can be decoded: {error}")
                return start, end
            self._note(
                f"part of its picture is damaged at {start - self._zero:.1f} s: {error}"
            )
        for gap in self._clock.gaps:
            if gap[0] < end and gap[1] > start:
                self._clock.gaps.remove(gap)
                low, high = max(start, gap[0]), min(end, gap[1])
                self._miss(low, high, "neither picture nor sound is stored")
                return low, high
        return math.inf, math.inf

    def _miss(self, start: float, end: float, why: str) -> None:
        # The clock of what is told is that of the file, with what is skipped.
        zero = self._zero - self._skipped
        self._unread.append(Unread(start - zero, end - zero, why))

    def _end_at(self, seconds: float) -> None:
        """Notes what is to be known when the last picture was read."""
        zero = self._zero - self._skipped
        for at, by, is_anew in self._clock.jumps:
            note = f"its time stamps jump by {by:+.1f} s at {at - zero:.1f} s"
            if is_anew:
                note += ": they begin anew, as where recordings are joined"
            self._note(note)
        if self._dropped > _LONGEST_STANDING * self._rate:
            why = "the time stamps of its pictures stand still"
            left_out = self._dropped / float(self._stream.average_rate or self._rate)
            self._unread.append(Unread(seconds, seconds + left_out, why))
        stated = _stated_seconds(self._stream)
        stored = self._clock.end(self._stream.index) - zero
        if stored - seconds > _LONGEST_STANDING:
            self.is_damaged = True
            why = "no picture can be decoded"
            if self._last_error:
                why += f": {self._last_error}"
            self._unread.append(Unread(seconds, stored, why))
        elif self._error:
            self._note(f"part of its picture is damaged: {self._error}")
        if stated - max(seconds, stored) > 1:
            self.is_damaged = True
            why = "its picture ends before the length that the file states"
            self._unread.append(Unread(max(seconds, stored), stated, why))
        position = self._clock.position
        self._note(containers.note_on_rest(self._path, self._container, position))

    def _check_limits(self) -> None:
        """By what the file states, before anything is decoded."""
        context, most = self._stream.codec_context, self._options.max_pixels
        if context.width * context.height > most:
            raise MediaError(
                spec.OVER_LIMIT,
                f"its pictures have {context.width} x {context.height} pixels, more"
                f" than {most} (max_pixels)",
            )
        self._check_duration(_stated_seconds(self._stream))

    def _check_duration(self, seconds: float) -> None:
        most = self._options.max_duration_seconds
        if seconds > most:
            raise MediaError(
                spec.OVER_LIMIT,
                f"it lasts longer than {most} s (max_duration_seconds)",
            )

    def _packets(self) -> Iterator[av.Packet]:
        for packet in self._clock:
            if not packet.size and packet.stream_index == self._stream.index:
                end = (packet.pts or 0) + (packet.duration or 0)
                self._repeated_until = float(end * packet.time_base)
            yield packet

    def _decode(self) -> Generator[tuple[float, av.VideoFrame], None, None]:
        """Frames in the order they are shown, with their time in seconds."""
        last = delay = None
        # Its times are those of the decoding, made up where pictures are reordered.
        is_avi = self._container.format.name == "avi"
        for frame in containers.decoded(self._packets(), self._stream, self._fail):
            time = None if is_avi else containers.time_of(frame)
            if is_avi and frame.dts is not None:
                if delay is None:
                    delay = frame.dts - (self._stream.start_time or 0)
                time = float((frame.dts - delay) * frame.time_base)
            if time is None:
                step = 1 / float(self._stream.average_rate or self._rate)
                time = 0.0 if last is None else last + step
            if last is not None and time <= last:
                self._dropped += 1
                continue
            last, self._dropped = time, 0
            yield time, frame

    def _fail(self, error: str) -> None:
        self.is_damaged = True
        self._error = self._error or error
        self._last_error = error

    def _note(self, note: str) -> None:
        if note and note not in self.notes:
            self.notes.append(note)


def _pixel_aspect(stream: av.VideoStream) -> float:
    """Width of a pixel by its height, 1 where it is not known or cannot be."""
    aspect = float(stream.sample_aspect_ratio or 1)
    return aspect if 1 / _LONGEST_PIXEL <= aspect <= _LONGEST_PIXEL else 1.0


def _shown_seconds(frame: av.VideoFrame, stream: av.VideoStream) -> float:
    if frame.duration and frame.time_base:
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
