"""A media file as FFmpeg opens it: a container of streams, and the frames in them."""

import contextlib
import itertools
import mmap
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, cast

import av
import av.logging

from tfmds import spec
from tfmds.preprocessing.config import PreprocessingConfig

# What a file names is not fetched, whatever it says it is. Where stamps wrap or begin
# anew, `clock` goes on: FFmpeg takes the second for the first, 26 hours later.
_OPTIONS = {"protocol_whitelist": "file,subfile", "correct_ts_overflow": "0"}
# How a photo begins (JPEG, HEIC, AVIF), and the film behind one.
_PHOTO = re.compile(rb"\xff\xd8\xff|.{4}ftyp(hei|hev|mif|msf|avif)", re.DOTALL)
_FILM = re.compile(rb"\0\0\0.ftyp(mp4|iso|qt |avc|3gp|M4V|MSNV)", re.DOTALL)
# Files that end with tables of their own.
_WITH_TABLES = ("wtv",)
# Packets that are tried to see whether a stream can be decoded.
_TRIED_PACKETS = 200
# As much of a file's bytes, and as many, may follow what is read without a word.
_REST_PART, _REST_BYTES = 0.05, 10_000
# How recordings begin behind which FFmpeg may stop: MP4, Matroska, FLV, AVI, Ogg.
_BEGINNINGS = re.compile(
    rb"ftyp|\x1a\x45\xdf\xa3|FLV\x01|RIFF.{4}AVI |OggS\0\x02", re.DOTALL
)
# The index of an MP4 file, which may stand behind what it is of: its length in bytes.
_INDEX = re.compile(rb"(.{4})moov.{4}mvhd", re.DOTALL)
# Streams beside the picture, or the sound, that are not the thing itself.
_ASIDE = (
    av.stream.Disposition.comment
    | av.stream.Disposition.hearing_impaired
    | av.stream.Disposition.visual_impaired
    | av.stream.Disposition.karaoke
    | av.stream.Disposition.clean_effects
    | av.stream.Disposition.non_diegetic
    | av.stream.Disposition.dependent
)
_NO_PICTURE = (
    av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
)
_NAMES = {"video": "picture", "audio": "sound"}
_STATUSES = {"video": spec.DECODE_ERROR, "audio": spec.NO_AUDIO}


class Unread(NamedTuple):
    """A stretch of a video without picture or sound, in seconds, and why."""

    start: float
    end: float
    why: str

    def __str__(self) -> str:
        return (
            f"could not be read from {self.start:.1f} to {self.end:.1f} s: {self.why}"
        )


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
            spec.OVER_LIMIT,
            f"the file has {os.path.getsize(path)} bytes, more than {most}"
            " (max_video_bytes)",
        )


def open_container(path: os.PathLike | str) -> av.container.InputContainer:
    """Opens a media file, and nothing that it may name.

    Raises:
      MediaError: It cannot be opened.
    """
    # FFmpeg takes what is before a colon for a protocol, but not in a whole path.
    path = os.path.abspath(path)
    try:
        if os.path.exists(path) and os.path.getsize(path) == 0:
            raise MediaError(spec.DECODE_ERROR, "the file is empty")
        start = _start_of_film(path)
        # The part of a file that begins there, as a file.
        url = f"subfile,,start,{start},end,0,,:{path}" if start else path
        container = av.open(url, metadata_errors="replace", options=_OPTIONS)
    except FileNotFoundError as e:
        raise MediaError(spec.DECODE_ERROR, "there is no such file") from e
    except (av.FFmpegError, OSError, ValueError) as e:
        raise MediaError(
            spec.DECODE_ERROR,
            f"not a video that can be read: {_why_unreadable(path) or error_text(e)}",
        ) from e
    for stream in container.streams.audio:
        _settle_layout(stream)
    return container


def _start_of_film(path: str) -> int:
    """Where in a photo the film begins that telephones store behind it, else 0."""
    if not os.path.isfile(path):
        return 0
    with open(path, "rb") as f:
        if not _PHOTO.match(f.read(16)):
            return 0
        with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as content:
            found = _FILM.search(content, 16)
    return found.start() if found else 0


def _why_unreadable(path: str) -> str:
    if not os.path.isfile(path):
        return ""
    with open(path, "rb") as f:
        kind = f.read(8)[4:]
    if kind in (b"styp", b"sidx", b"moof"):
        return (
            "it is a piece of a stream (DASH, HLS) without the header that tells how it"
            " is read; expected the whole, its initialization segment first"
        )
    return ""


def _settle_layout(stream: av.AudioStream) -> None:
    """Gives sound whose channels stand in an order of their own the usual one.

    PyAV frees the list of such an order twice, which ends the process: once when the
    layout is read here. The one that takes its place has no list.
    """
    context = stream.codec_context
    if context is not None:
        # Read once, and gone when another has its place.
        layout = context.layout
        is_usual = "(" not in layout.name and "+" not in layout.name
        context.layout = layout.name if is_usual else f"{layout.nb_channels}c"


def candidates(
    container: av.container.InputContainer,
    kind: Literal["video", "audio"],
    number: int = 0,
    beside: av.stream.Stream | None = None,
) -> list[Any]:
    """The streams that may be the picture, or the sound, the likeliest first.

    First what the file calls its default, then what belongs to the same program,
    last what the file calls a commentary or the like.

    Args:
      container: The opened file.
      kind: `video` or `audio`.
      number: The one that the user chose, counted from 1; 0 for none.
      beside: The other stream that was chosen.

    Raises:
      MediaError: There is none, or none whose codec FFmpeg knows.
    """
    streams = getattr(container.streams, kind)
    some = [s for s in streams if not (kind == "video" and _is_still(s))]
    name, status = _NAMES[kind], _STATUSES[kind]
    if not some:
        reason = f"there is no {name} in it"
        if kind == "video":
            reason += ", only a still one" if streams else ", only sound"
        raise MediaError(status, reason)
    if number > len(some):
        raise MediaError(
            status,
            f"there is no {name} track {number} in it (--{name}_track): it has"
            f" {len(some)}",
        )
    if number:
        some = [some[number - 1]]
    known = [s for s in some if s.codec_context is not None]
    if not known:
        raise MediaError(status, _unknown_codec(container.name, some[0].index, name))
    related = container.streams.best(kind, related=beside)
    return sorted(
        known,
        key=lambda s: (
            not s.disposition & av.stream.Disposition.default,
            bool(s.disposition & _ASIDE),
            related is None or s.index != related.index,
        ),
    )


def _is_still(stream: av.VideoStream) -> bool:
    """Whether it is the cover of an album or the like, which are video streams too."""
    return bool(stream.disposition & _NO_PICTURE)


def _unknown_codec(path: str, index: int, name: str) -> str:
    # Only in what FFmpeg logs is the codec's tag to be read.
    level = av.logging.get_level()
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture(local=True) as lines, open_container(path):
            pass
    finally:
        av.logging.set_level(level)
    found = re.search(
        rf"stream {index} \(\w+: none \((.+?)\)[,)]", "".join(line[2] for line in lines)
    )
    codec = f"tag {found[1]}" if found else "not named in a way it can read"
    return f"its {name} (stream {index}) has a codec that FFmpeg does not know: {codec}"


def the_first_that_moves(
    path: os.PathLike | str, streams: Sequence[av.VideoStream], max_pixels: int
) -> int:
    """Index of the first stream of which more than one picture can be decoded.

    Args:
      path: The file.
      streams: Its streams that may be the picture; the first where none moves.
      max_pixels: Larger pictures are not decoded.
    """
    for stream in streams if len(streams) > 1 else ():
        with open_container(path) as container:
            tried = cast(av.VideoStream, container.streams[stream.index])
            context = tried.codec_context
            if context.width * context.height > max_pixels:
                continue
            context.options = {"max_pixels": str(max_pixels)}
            packets = itertools.islice(packets_of(container, [tried]), _TRIED_PACKETS)
            frames = decoded(packets, tried, lambda _: None)
            if len(list(itertools.islice(frames, 2))) == 2:
                return stream.index
    return streams[0].index


def note_on_choice(
    kind: str, index: int, container: av.container.InputContainer
) -> str:
    """Which of several tracks is read, empty where there is one."""
    streams = getattr(container.streams, kind)
    numbers = [s.index for s in streams if not (kind == "video" and _is_still(s))]
    if len(numbers) < 2:
        return ""
    name = _NAMES[kind]
    return (
        f"of its {len(numbers)} {name} tracks number {numbers.index(index) + 1} is read"
        f" (--{name}_track chooses another)"
    )


def note_on_rest(
    path: os.PathLike | str, container: av.container.InputContainer, position: int
) -> str:
    """What is behind the last packet that was read, empty where it is of no account.

    Args:
      path: The file.
      container: The same, opened.
      position: The byte after that packet.
    """
    if not position or container.format.name in _WITH_TABLES:
        return ""
    size = os.path.getsize(path) if os.path.exists(path) else 0
    if container.name.startswith("subfile,"):
        position += _start_of_film(os.fspath(path))
    if position >= size:
        return ""
    with open(path, "rb") as f, mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as m:
        index = _INDEX.search(m, position)
        rest = size - position - (int.from_bytes(index[1], "big") if index else 0)
        is_much = rest > max(_REST_BYTES, _REST_PART * size)
        is_another = bool(_BEGINNINGS.search(m, position))
        if not is_much and not is_another:
            return ""
    note = (
        f"the last {(size - position) / size:.1%} of the file are neither its picture"
        " nor its sound"
    )
    if is_another:
        note += ", as where another recording is appended"
    return f"{note}: not looked at"


def packets_of(
    container: av.container.InputContainer, streams: Sequence[Any]
) -> Iterator[av.Packet]:
    """Packets of some streams, in the order of the file.

    Raises:
      av.FFmpegError, OSError: What follows cannot be read.
    """
    # Where streams began amid the file PyAV fails at its end: it takes them for some
    # of these, and finds none of that number.
    with contextlib.suppress(IndexError):
        yield from container.demux(*streams)


def decoded(
    packets: Iterable[av.Packet],
    stream: av.VideoStream | av.AudioStream,
    note_error: Callable[[str], None],
) -> Iterator:
    """Frames of a stream; what cannot be decoded is noted and passed over.

    Args:
      packets: Those of the file, also of other streams.
      stream: Whose frames are wanted.
      note_error: Is told what cannot be decoded.
    """
    packets = iter(packets)
    while True:
        try:
            packet = next(packets)
        except StopIteration:
            break
        except (av.FFmpegError, OSError) as e:
            note_error(error_text(e))
            break
        # Nothing in a packet stands for the picture before, once more.
        if packet.stream_index == stream.index and packet.size:
            yield from _frames(packet.decode, note_error)
    for frame in _frames(stream.decode, note_error):
        # PyAV has it from the packet, of which there is none here.
        frame.time_base = stream.time_base
        yield frame


def _frames(decode: Callable[[], list], note_error: Callable[[str], None]) -> list:
    try:
        return decode()
    except (av.FFmpegError, ValueError) as e:
        note_error(error_text(e))
        return []


def time_of(frame: av.VideoFrame | av.AudioFrame) -> float | None:
    """When a frame is shown or heard, in seconds; None where nothing tells."""
    stamp = frame.pts if frame.pts is not None else frame.dts
    if stamp is None or frame.time_base is None:
        return None
    # As float(stamp * base), which takes many times as long.
    base = frame.time_base
    return stamp * base.numerator / base.denominator


def error_text(error: Exception) -> str:
    """What a person can read of an error of FFmpeg or the system."""
    return getattr(error, "strerror", None) or str(error)
