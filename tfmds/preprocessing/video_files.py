"""Which files of a folder are videos: by their names, else by their first bytes.

Nothing is decoded here, so that a folder can be looked through whatever is in it.
"""

import os
import re
from typing import cast

from etils import epath

from tfmds import spec

# Enough for the signature of a container, and of what an Ogg file holds.
_HEAD_BYTES = 4096
# Sound of the same containers.
_SOUND_SUFFIXES = (
    *(".aac", ".flac", ".m4a", ".m4b", ".mka", ".mks", ".mp2", ".mp3", ".oga"),
    *(".ogg", ".opus", ".ra", ".spx", ".wav", ".wma"),
)
# How the files of each container begin.
_SIGNATURES = tuple(
    re.compile(pattern, re.DOTALL)
    for pattern in (
        # MP4 and MOV, but neither sound nor pictures in the same boxes.
        rb".{4}ftyp(?!M4A|M4B|hei|hev|mif|msf|avi|crx)",
        rb"\0.{3}(moov|mdat|wide|free|skip)",
        # Matroska and WebM, AVI, FLV, ASF, RealMedia, MXF, WTV.
        rb"\x1a\x45\xdf\xa3",
        rb"RIFF.{4}AVI ",
        rb"FLV\x01",
        rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
        rb"\.RMF",
        rb".{0,64}\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02",
        rb"\xb7\xd8\x00\x20\x37\x49\xda\x11",
        # Ogg with Theora, VP8 or Dirac.
        rb"OggS.*(\x80theora|OVP80|BBCD)",
        # MPEG program and video streams; transport streams of packets of 188 or, with
        # four bytes before each, 192 bytes.
        rb"\0\0\x01[\xba\xb3]",
        rb"G.{187}G.{187}G.{187}G",
        rb".{4}G.{191}G.{191}G.{191}G",
        # DV, NUT, IVF, YUV4MPEG2.
        rb"\x1f\x07\0[\x3f\xbf]",
        rb"nut/multimedia container",
        rb"DKIF",
        rb"YUV4MPEG2 ",
    )
)


def is_hidden(path: os.PathLike | str) -> bool:
    """Whether a file is hidden by its name, as macOS leaves them: `._x.mp4`."""
    return os.path.basename(os.fspath(path)).startswith(".")


def is_named_video(path: os.PathLike | str) -> bool:
    """Whether the name of a file is that of a video."""
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    return not is_hidden(path) and suffix in spec.VIDEO_SUFFIXES


def is_video(path: os.PathLike | str) -> bool:
    """Whether a file is taken for a video where a folder is looked through.

    It has a video's name, or another and the first bytes of a video.
    """
    suffix = os.path.splitext(os.fspath(path))[1].lower()
    if is_hidden(path) or suffix in _SOUND_SUFFIXES:
        return False
    return is_named_video(path) or _begins_like_one(path)


def _begins_like_one(path: os.PathLike | str) -> bool:
    # A pipe or the like, which is a file to epath, would keep us waiting.
    if os.path.exists(path) and not os.path.isfile(path):
        return False
    try:
        with epath.Path(path).open("rb") as f:
            head = cast(bytes, f.read(_HEAD_BYTES))
    except OSError:
        return False
    return any(signature.match(head) for signature in _SIGNATURES)
